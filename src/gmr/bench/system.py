"""A model under test: its name, how it scores, what its scores depend on, and what it has spent."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gmr.bench.identity import reranker_facts, scorer_digest
from gmr.core.errors import ModelError
from gmr.core.nouns import Pair
from gmr.evaluation.cost import Cost
from gmr.inference.counts import counting
from gmr.reranker import Reranker

# How far a score may lie from the same pair's score in other company: rounding, by the type of the weights.
TOLERANCES = {"float32": 1e-5, "float16": 0.02, "bfloat16": 0.2}


class System(Protocol):
    """What the runner needs of a model."""

    @property
    def name(self) -> str:
        """In tables."""
        ...

    @property
    def facts(self) -> Mapping[str, str]:
        """Everything its scores depend on beside the pair."""
        ...

    @property
    def tolerance(self) -> float:
        """How far two scores of one pair may lie apart, relative from 1 upwards."""
        ...

    def score(self, pairs: Sequence[Pair]) -> tuple[npt.NDArray[np.float32], Cost]:
        """Log-odds ``(pairs,)``, which may be not finite, and what they cost; the same bits for the same pairs."""
        ...


class RerankerSystem:
    """A `Reranker` as a system: each call starts from nothing, so that its bits depend on the call alone.

    Args:
        name: in tables.
        reranker: the model.
    """

    def __init__(self, name: str, reranker: Reranker) -> None:
        self.name = name
        self.reranker = reranker
        self.facts = reranker_facts(reranker)
        self.tolerance = TOLERANCES.get(self.facts["dtype"], TOLERANCES["bfloat16"])

    def score(self, pairs: Sequence[Pair]) -> tuple[npt.NDArray[np.float32], Cost]:
        """Log-odds and cost; pictures and documents kept from earlier calls are forgotten first."""
        # A picture that was encoded in other company may differ in its last bit.
        self.reranker.pictures.clear()
        before = self.reranker.tally.num_prompt_tokens
        started, cpu_started = time.perf_counter(), time.process_time()
        with counting(self.reranker.model) as counts:
            scores = self.reranker.score(pairs, allow_non_finite=True)
        cost = Cost(
            num_pairs=len(pairs),
            seconds=time.perf_counter() - started,
            cpu_seconds=time.process_time() - cpu_started,
            num_prompt_tokens=self.reranker.tally.num_prompt_tokens - before,
            num_computed_tokens=counts.num_tokens,
            num_images=counts.num_pictures,
        )
        return scores, cost


@dataclass(frozen=True)
class StoredSystem:
    """A system that has scored elsewhere: what it scored is in a store, and it scores nothing more.

    Attributes:
        name: in tables.
        facts: of the system that scored.
        tolerance: of that one.
    """

    name: str
    facts: Mapping[str, str]
    tolerance: float = TOLERANCES["float32"]

    def score(self, pairs: Sequence[Pair]) -> tuple[npt.NDArray[np.float32], Cost]:
        """Never anything.

        Raises:
            ModelError: always.
        """
        raise ModelError(f"{self.name} is not loaded here, and {len(pairs)} pairs of it are not stored")


def load_system(name: str, **options: Any) -> RerankerSystem:
    """A system from the name or folder of a model; options as for `Reranker`."""
    return RerankerSystem(name, Reranker(name, picture_cache_bytes=0, **options))


def digest_of(system: System) -> str:
    """SHA-256 (64 hex digits) of what the system's scores depend on."""
    return scorer_digest(system.facts)
