"""Scores of pairs, by whichever engine: each distinct prompt once, each distinct picture once."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from tqdm import tqdm

from gmr.core.errors import DataError, ModelError, NotFiniteError
from gmr.core.nouns import Pair, check_pictures, pair_name
from gmr.inference.batching import default_batch_tokens, max_patches
from gmr.inference.counts import Tally
from gmr.inference.documents import DocumentStore
from gmr.inference.engines import ENGINES
from gmr.inference.pictures import FeatureStore, PictureCache
from gmr.inference.preprocessing import num_workers
from gmr.modeling.model import RerankModel
from gmr.modeling.precision import float32_products
from gmr.modeling.processor import Prompt

logger = logging.getLogger(__name__)


def score_pairs(
    model: RerankModel,
    pairs: Sequence[Pair],
    *,
    engine: str = "auto",
    batch_tokens: int | None = None,
    max_rows: int = 512,
    picture_bytes: int = 4 * 2**30,
    store: FeatureStore | None = None,
    documents: DocumentStore | None = None,
    workers: int | None = None,
    allow_non_finite: bool = False,
    tally: Tally | None = None,
    progress: bool = False,
) -> npt.NDArray[np.float32]:
    """Log-odds of every pair, in the order of ``pairs``.

    Args:
        model: the reranker; scored in evaluation mode, whatever mode it is in.
        pairs: queries and documents.
        engine: a key of `ENGINES`, or ``auto`` for the model's own choice.
        batch_tokens: most tokens of a forward pass, padding included; None for what suits the device: 16,384, or
            1,536 on a CPU.
        max_rows: most pairs of a pass.
        picture_bytes: most memory for features of pictures that later passes need again. Up to it every
            distinct picture is opened and encoded once.
        store: features of pictures from earlier calls of this model; those of this call are added.
        documents: the same for keys and values of documents, where the template puts the document first.
        workers: threads that open and preprocess pictures while the model computes; None for as many as the machine
            has cores to spare.
        allow_non_finite: give NaN and infinities as they are, for who keeps them apart.
        tally: is told what was asked for.
        progress: whether to show a progress bar on stderr.

    Returns:
        ``(pairs,)`` float32, higher is better, unbounded. Engines differ by rounding alone.

    Raises:
        ValueError: an engine that there is not.
        DataError: a pair that cannot be rendered, or a picture that cannot be opened; by id.
        ModelError: a score that is not finite, or a single pair that does not fit into memory, both by id; an engine
            that the model cannot use.
    """
    if batch_tokens is None:
        batch_tokens = default_batch_tokens(model.device)
    chosen = model.engine if engine == "auto" else engine
    if chosen not in ENGINES:
        raise ValueError(f"engine {engine!r} is unknown; known are auto, {', '.join(ENGINES)}")
    rows = _distinct_rows(model, pairs)
    prompts = [row.prompt for row in rows]
    if tally is not None:
        tally.num_pairs += len(pairs)
        tally.num_prompt_tokens += sum(len(row.prompt.input_ids) * len(row.places) for row in rows)
        cut = [row for row in rows if row.prompt.truncated]
        lost = [row for row in cut if row.prompt.document_lost]
        tally.num_cut += sum(len(row.places) for row in cut)
        tally.num_lost += sum(len(row.places) for row in lost)
        if cut and not tally.first_cut:
            tally.first_cut = pair_name(*pairs[min(place for row in lost or cut for place in row.places)])
    cache = PictureCache(
        model,
        prompts,
        max_patches=max_patches(batch_tokens, model.device),
        max_bytes=picture_bytes,
        store=store,
        alone=ENGINES[chosen].pictures_alone,
        workers=num_workers() if workers is None else workers,
    )
    scorer = ENGINES[chosen](model, prompts, cache, documents)
    scores = np.empty(len(pairs), dtype=np.float32)
    bar = tqdm(total=len(pairs), desc="scoring", unit="pair", disable=not progress)
    with bar, cache, _evaluation_mode(model), float32_products(model.device), torch.inference_mode():
        passes = scorer.plan(range(len(rows)), max_tokens=batch_tokens, max_rows=max_rows)[::-1]
        cache.expect(prompt for each in reversed(passes) for prompt in scorer.shown(each))
        while passes:
            work = passes[-1]
            try:
                found = model.score_logits(scorer.logits(work)).float().cpu().numpy()
            except DataError:  # pictures are shared between pairs, and only the pairs have ids
                check_pictures(*(owner for row in work.rows for owner in pairs[rows[row].places[0]]))
                check_pictures(*(owner for pair in pairs for owner in pair))  # one that was prepared ahead
                raise
            except torch.OutOfMemoryError:
                if len(work.rows) == 1:
                    raise _out_of_memory(rows[work.rows[0]], pairs) from None
                half = len(work.rows) // 2
                logger.warning("out of memory at %d pairs; going on with %d at a time", len(work.rows), half)
                left = sorted(row for each in passes for row in each.rows)
                batch_tokens, max_rows = max(1, work.num_tokens // 2), half
                passes = scorer.plan(left, max_tokens=batch_tokens, max_rows=max_rows)[::-1]
                cache.expect(prompt for each in reversed(passes) for prompt in scorer.shown(each))
                torch.cuda.empty_cache()
                continue
            passes.pop()
            for row, score in zip(work.rows, found, strict=True):
                scores[rows[row].places] = score
            cache.release([prompts[row] for row in work.rows])
            bar.update(sum(len(rows[row].places) for row in work.rows))
    if not allow_non_finite:
        _check_finite(scores, pairs)
    return scores


@dataclass(frozen=True)
class _Row:
    """A prompt, and the places of the pairs that render to it."""

    prompt: Prompt
    places: list[int]


def _distinct_rows(model: RerankModel, pairs: Sequence[Pair]) -> list[_Row]:
    """The distinct prompts of ``pairs``, in an order that does not depend on that of the pairs.

    Equal documents then tie to the last bit, and no order of the pairs changes which rows meet in a batch.
    """
    rows: dict[tuple[tuple[int, ...], tuple[str, ...]], _Row] = {}
    for place, (query, document) in enumerate(pairs):
        prompt = model.processor.encode(query, document)
        key = (tuple(prompt.input_ids), tuple(image.key for image in prompt.images))
        rows.setdefault(key, _Row(prompt, [])).places.append(place)
    return [rows[key] for key in sorted(rows)]


def _out_of_memory(row: _Row, pairs: Sequence[Pair]) -> ModelError:
    return ModelError(
        f"{pair_name(*pairs[row.places[0]])}: out of memory with this pair alone"
        f" ({len(row.prompt.input_ids)} tokens); lower max_tokens"
    )


def _check_finite(scores: npt.NDArray[np.float32], pairs: Sequence[Pair]) -> None:
    """Refuses NaN and infinities: a ranking would silently put them somewhere."""
    bad = np.flatnonzero(~np.isfinite(scores))
    if len(bad):
        raise NotFiniteError(
            f"{pair_name(*pairs[bad[0]])}: the score is {scores[bad[0]]}"
            f" ({len(bad)} of {len(pairs)} scores are not finite); load the model with dtype='float32'"
        )


@dataclass
class _Scored:
    """A model that is scored in evaluation mode, and what of it was in training."""

    training: list[nn.Module]
    num_calls: int = 0


_SCORED: "WeakKeyDictionary[RerankModel, _Scored]" = WeakKeyDictionary()
_SCORED_LOCK = Lock()


@contextmanager
def _evaluation_mode(model: RerankModel) -> Iterator[None]:
    """Dropout off inside; each module's own mode is restored when the last of several calls at a time has left."""
    with _SCORED_LOCK:
        scored = _SCORED.get(model)
        if scored is None:
            scored = _SCORED[model] = _Scored([module for module in model.modules() if module.training])
            # Setting a mode walks through all modules and costs as much as a layer of a small model; looking does not.
            if scored.training:
                model.eval()
        scored.num_calls += 1
    try:
        yield
    finally:
        with _SCORED_LOCK:
            scored.num_calls -= 1
            if not scored.num_calls:
                del _SCORED[model]
                for module in scored.training:
                    module.training = True
