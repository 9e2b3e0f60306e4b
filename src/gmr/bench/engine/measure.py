"""What each variant of the engine takes on this machine, and how far its scores are from the reference's."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from gmr.bench.engine.variants import REFERENCE, Models, Variant
from gmr.bench.engine.workloads import Workload, pairs_of, sizes_for
from gmr.core.errors import GmrError, ModelError
from gmr.core.nouns import Pair
from gmr.inference.counts import Counts, counting
from gmr.inference.scoring import score_pairs
from gmr.metrics.agreement import kendall_tau
from gmr.modeling.compilation import compiler_errors
from gmr.modeling.model import RerankModel
from gmr.modeling.quantization import weight_bytes

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Measured:
    """One variant on one workload.

    Attributes:
        variant: its name.
        seconds: of each repeat: CPU seconds on a CPU, else wall-clock time until the device is done.
        median_s: their median.
        pairs_per_s: pairs over the median.
        times_faster: median of the reference over this one.
        num_tokens: tokens through the language model, padding included.
        num_patches: patches through the vision tower.
        num_pictures: pictures that were opened, preprocessed and encoded.
        weight_bytes: memory of the weights.
        load_s: seconds on the clock to load the model, its checks and a compiler included.
        largest_difference: of a log-odds to the reference's.
        kendall_tau: of the order to the reference's, in the mean over queries; None where there is no order.
    """

    variant: str
    seconds: tuple[float, ...]
    median_s: float
    pairs_per_s: float
    times_faster: float
    num_tokens: int
    num_patches: int
    num_pictures: int
    weight_bytes: int
    load_s: float
    largest_difference: float
    kendall_tau: float | None


@dataclass(frozen=True)
class WorkloadResult:
    """All variants on one workload.

    Attributes:
        name: of the workload.
        about: its size in words.
        num_pairs: pairs that were scored.
        measured: what ran, the reference first.
        not_run: the reason of each variant that did not run.
    """

    name: str
    about: str
    num_pairs: int
    measured: tuple[Measured, ...]
    not_run: Mapping[str, str]


@dataclass(frozen=True)
class _Run:
    """A variant that is ready to be timed."""

    model: RerankModel
    score: Callable[[], Scores]
    scores: Scores
    counts: Counts
    load_s: float


def measure(
    models: Models,
    workload: Workload,
    variants: Sequence[Variant],
    *,
    num_documents: int,
    repeats: int,
) -> WorkloadResult:
    """Every variant on a workload: counted once, then timed in turns.

    Args:
        models: loads what variants need.
        workload: one that the model takes.
        variants: the reference among them.
        num_documents: pairs, about.
        repeats: timed turns of all variants.

    Raises:
        GmrError: the reference cannot run; what else cannot is named in the result.
    """
    processor = models.reference.processor
    pairs = pairs_of(processor, workload, num_documents=num_documents)
    runs: dict[str, _Run] = {}
    not_run: dict[str, str] = {}
    # Silent where all is done in two seconds.
    with tqdm(
        total=len(variants) * (1 + repeats), desc=workload.name, unit="run", delay=2, leave=False
    ) as bar:
        for variant in variants:
            bar.set_postfix_str(variant.name, refresh=False)
            try:
                runs[variant.name] = _prepare(models, variant, pairs)
                bar.update()
            except GmrError as error:
                if variant.name == REFERENCE:
                    raise
                not_run[variant.name] = str(error)
                bar.update(1 + repeats)
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(repeats):
            for name, run in runs.items():
                bar.set_postfix_str(name, refresh=False)
                seconds[name].append(_time(run))
                bar.update()
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    reference = runs[REFERENCE].scores
    measured = tuple(
        Measured(
            name,
            tuple(seconds[name]),
            medians[name],
            len(pairs) / medians[name],
            medians[REFERENCE] / medians[name],
            **vars(run.counts),
            weight_bytes=weight_bytes(run.model),
            load_s=run.load_s,
            largest_difference=float(np.abs(run.scores.astype(np.float64) - reference).max()),
            kendall_tau=_mean_tau(pairs, reference, run.scores),
        )
        for name, run in runs.items()
    )
    return WorkloadResult(workload.name, _about(models, workload, pairs), len(pairs), measured, not_run)


def _prepare(models: Models, variant: Variant, pairs: Sequence[Pair]) -> _Run:
    """The variant with what it knows, its scores and its counts.

    Raises:
        ModelError: it cannot run, or would do nothing here.
    """
    first = models.reference.processor.encode(*pairs[0])
    if variant.knows == "pictures" and not first.images:
        raise ModelError("there is no picture to know")
    if variant.knows == "documents" and not first.num_document:
        raise ModelError("the template does not put documents first")
    model, stores = models.of(variant), variant.stores()

    def score() -> Scores:
        model.processor.forget_pixels()
        return score_pairs(model, pairs, engine=variant.engine, **stores)

    if variant.knows:
        score()
    with compiler_errors(), counting(model) as counts:
        scores = score()
    return _Run(model, score, scores, counts, models.load_seconds(variant))


def _time(run: _Run) -> float:
    if run.model.device.type == "cpu":
        started = time.process_time()
        run.score()
        return time.process_time() - started
    torch.accelerator.synchronize(run.model.device)
    started = time.perf_counter()
    run.score()
    torch.accelerator.synchronize(run.model.device)
    return time.perf_counter() - started


def _mean_tau(pairs: Sequence[Pair], reference: Scores, scores: Scores) -> float | None:
    """Mean over queries that have an order."""
    places: dict[str, list[int]] = {}
    for place, (query, _) in enumerate(pairs):
        places.setdefault(query.query_id, []).append(place)
    taus = [kendall_tau(reference[rows], scores[rows]) for rows in places.values()]
    found = [tau for tau in taus if tau is not None]
    return statistics.mean(found) if found else None


def _about(models: Models, workload: Workload, pairs: Sequence[Pair]) -> str:
    sizes = sizes_for(models.reference.processor, workload)
    number = len(pairs) // workload.num_queries
    queries = "1 query" if workload.num_queries == 1 else f"{workload.num_queries} queries"
    lengths = [f"texts of about {sizes.document} tokens"] * ("t" in workload.document)
    lengths += [f"pictures of {sizes.picture} tokens"] * ("i" in workload.query + workload.document)
    return f"{queries}, {number} documents, {', '.join(lengths)}"
