"""The ways to score that are compared: every engine, what it may know from earlier calls, and options of loading."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from gmr.core.errors import ModelError, UsageError
from gmr.inference.documents import DocumentStore
from gmr.inference.engines import ENGINES
from gmr.inference.pictures import FeatureStore
from gmr.modeling.compilation import compiler_errors
from gmr.modeling.loading import choose_engine, load_model
from gmr.modeling.model import RerankModel
from gmr.modeling.precision import float32_products

REFERENCE = "padded"
FASTEST = "packed"
OPTIONS: dict[str, dict[str, Any]] = {
    "bfloat16": {"dtype": "bfloat16"},
    "float16": {"dtype": "float16"},
    "int8": {"quantize": "int8"},
    "compile": {"compile": True},
}
# What is known is meant to be kept whole, whatever it takes.
_NO_LIMIT = 2**62


@dataclass(frozen=True)
class Variant:
    """One way to score.

    Attributes:
        name: as it is typed.
        engine: a key of `ENGINES`.
        options: of `load_model`.
        knows: ``pictures`` or ``documents`` where their features, or keys and values, are kept from an earlier call.
    """

    name: str
    engine: str
    options: Mapping[str, Any] = field(default_factory=dict)
    knows: str | None = None

    def stores(self) -> dict[str, Any]:
        """Arguments of `score_pairs` that keep what this variant knows."""
        if self.knows == "documents":
            return {"documents": DocumentStore(_NO_LIMIT), "store": FeatureStore(_NO_LIMIT)}
        return {"store": FeatureStore(_NO_LIMIT)} if self.knows == "pictures" else {}


def all_variants() -> dict[str, Variant]:
    """Every variant by its name, the reference first."""
    engines = sorted(ENGINES, key=lambda name: name != REFERENCE)
    found = [Variant(name, name) for name in engines]
    found += [Variant(f"{FASTEST}+{known}", FASTEST, knows=known) for known in ("pictures", "documents")]
    found += [Variant(f"{FASTEST}+{name}", FASTEST, options) for name, options in OPTIONS.items()]
    return {variant.name: variant for variant in found}


def choose_variants(names: Collection[str] = (), engines: Collection[str] = ()) -> list[Variant]:
    """The variants of those names and of those engines, all without either; the reference is always among them.

    Raises:
        UsageError: a variant or an engine that there is not.
    """
    every = all_variants()
    for option, given, known in (("variant", names, every), ("engine", engines, ENGINES)):
        unknown = [name for name in given if name not in known]
        if unknown:
            raise UsageError(f"--{option}: {unknown[0]!r} is unknown; there are {', '.join(known)}")
    wanted = [
        variant
        for variant in every.values()
        if variant.name in names or variant.engine in engines or not (names or engines)
    ]
    return wanted if every[REFERENCE] in wanted else [every[REFERENCE], *wanted]


class Models:
    """One model, loaded once for each set of options; every engine proves itself on it.

    Args:
        name: of the model.
        options: of `load_model`, for all variants.
    """

    def __init__(self, name: str, **options: Any) -> None:
        self._name, self._options = name, options
        self._loaded: dict[str, tuple[RerankModel | ModelError, float]] = {}
        self._faults: dict[tuple[str, str], ModelError | None] = {}
        self.reference = self.of(Variant(REFERENCE, REFERENCE))

    def of(self, variant: Variant) -> RerankModel:
        """The model of a variant, its engine proved.

        Raises:
            ModelError: it cannot be loaded or computed so on this machine; the same for every workload.
        """
        found, _ = self._load(variant)
        if isinstance(found, ModelError):
            raise found
        proved = (variant.engine, repr(dict(variant.options)))
        if proved not in self._faults:
            try:
                with compiler_errors(), float32_products(found.device):
                    choose_engine(found, variant.engine, check=True)
                self._faults[proved] = None
            except ModelError as error:
                self._faults[proved] = error
        fault = self._faults[proved]
        if fault is not None:
            raise fault
        return found

    def load_seconds(self, variant: Variant) -> float:
        """How long a model with these options took to load, its checks and a compiler included."""
        return self._load(variant)[1]

    def _load(self, variant: Variant) -> tuple[RerankModel | ModelError, float]:
        key = repr(dict(variant.options))
        if key not in self._loaded:
            started = time.perf_counter()
            found: RerankModel | ModelError
            try:
                # A compiler is given what it is for; the other engines prove themselves when they are asked for.
                engine = FASTEST if variant.options.get("compile") else REFERENCE
                found = load_model(self._name, engine=engine, **{**self._options, **variant.options})
            except ModelError as error:
                found = error
            self._loaded[key] = found, time.perf_counter() - started
        return self._loaded[key]
