"""Scoring on a device: what others compute, ours by every engine and kernel, fractions of what the device can do."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import peers
from benchmarks.device.flops import Sizes
from benchmarks.device.models import keep_pixels
from benchmarks.device.timing import Device
from benchmarks.workloads import KEPT, KNOWN, Workload
from gmr.inference.batching import token_budget_batches
from gmr.inference.documents import DocumentStore
from gmr.inference.pictures import FeatureStore, PictureCache
from gmr.inference.planner import share_prefixes
from gmr.inference.scoring import Pair, score_pairs
from gmr.modeling.lean_feed_forward import use_lean_feed_forward, use_plain_feed_forward
from gmr.modeling.model import RerankModel
from gmr.modeling.packed_batch import collate_packed
from gmr.modeling.packing import Part, pack
from gmr.modeling.processor import Prompt
from gmr.modeling.varlen import BUCKETS, KERNELS, use_kernel

PEER_BATCHES = (8, 16, 32, 64)
CROSS_ENCODER = "CrossEncoder"
PADDED, ALONE = "padded, logits_to_keep=1", "one pair at a time"
UNSHARED, COMPILED = "packed, nothing shared", "packed, compiled"
STORE_BYTES = 16 * 2**30


def kernels(model: RerankModel, device: Device) -> list[str]:
    """Names of the kernels that can be used for this model, SDPA in buckets among them."""
    where, width = torch.device(device.name, 0) if device.is_gpu else torch.device("cpu"), _head_width(model)
    return [*(name for name, kernel in KERNELS.items() if kernel.fits(where, device.dtype, width)), BUCKETS]


def _head_width(model: RerankModel) -> int:
    text = model.config.text_config
    return int(getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads)


def others(
    peer: Any, causal_model: Any, model: RerankModel, pairs: Sequence[Pair]
) -> dict[str, Callable[[], Any]]:
    """Peers by name: (a) where sentence-transformers is there, (b) and (c)."""
    runs: dict[str, Callable[[], Any]] = {}
    if peer is not None:
        sizes = {min(size, len(pairs)): size for size in reversed(PEER_BATCHES)}.values()
        for size in sorted(sizes):
            runs[f"{CROSS_ENCODER}, batch {size}"] = lambda size=size: peers.predict(
                peer, pairs, batch_size=size
            )
    runs[PADDED] = lambda: peers.padded(causal_model, model, pairs)
    runs[ALONE] = lambda: peers.one_at_a_time(causal_model, model, pairs)
    return runs


def ours(
    model: RerankModel, workload: Workload, device: Device, *, batch_tokens: int
) -> dict[str, Callable[[], Any]]:
    """Our variants by name; a kernel's name follows in brackets."""
    pairs = workload.pairs()

    def score(kernel: str = "", **options: Any) -> Any:
        if not kernel:
            return score_pairs(model, pairs, batch_tokens=batch_tokens, **options)
        with use_kernel(kernel):
            return score_pairs(model, pairs, batch_tokens=batch_tokens, **options)

    runs: dict[str, Callable[[], Any]] = {
        UNSHARED: lambda: packed_unshared(model, pairs, batch_tokens=batch_tokens)
    }
    runs["forked"] = lambda: score(engine="forked")
    for kernel in kernels(model, device):
        runs[f"packed [{kernel}]"] = lambda kernel=kernel: score(kernel, engine="packed")
    if workload.shows_pictures:
        store = FeatureStore(STORE_BYTES)
        runs[KNOWN] = lambda: score(engine="packed", store=store)
    if KEPT in workload.bars:
        documents = DocumentStore(STORE_BYTES)
        runs[KEPT] = lambda: score(engine="packed", documents=documents)
    if device.is_gpu:
        runs[COMPILED] = lambda: compiled(model, lambda: score(engine="packed"))
    return runs


@torch.inference_mode()
def packed_unshared(model: RerankModel, pairs: Sequence[Pair], *, batch_tokens: int) -> list[float]:
    """Whole prompts without padding; each distinct picture is encoded once, nothing else is shared."""
    prompts = model.processor.encode_many(pairs)
    cache = PictureCache(model, prompts, max_patches=4 * batch_tokens, max_bytes=STORE_BYTES)
    lengths = [len(prompt.input_ids) for prompt in prompts]
    scores = [0.0] * len(prompts)
    for rows in token_budget_batches(lengths, max_tokens_per_batch=batch_tokens, max_rows=512):
        packed = pack([Part([prompts[row]], 0) for row in rows], placeholder=model.processor.image_token_id)
        batch = collate_packed(model.processor, packed, pictures=False)
        inputs = {
            name: value.to(model.device) if isinstance(value, torch.Tensor) else value
            for name, value in batch.items()
        }
        logits = model(**inputs, **cache.batch_inputs(packed.segments))
        for row, score in zip(rows, model.score_logits(logits).tolist(), strict=True):
            scores[row] = score
    return scores


def compiled(model: RerankModel, run: Callable[[], Any]) -> Any:
    """``run`` with compiled norms and feed-forward parts of the language model; attention is left as it is."""
    parts = [
        part
        for layer in model.base_model.language_model.layers
        for part in (layer.mlp, layer.input_layernorm, layer.post_attention_layernorm)
    ]
    use_plain_feed_forward(model.causal_model)
    for part in parts:
        # What was compiled once is kept with the part and only switched on and off here.
        kept = part.__dict__.get("_gmr_compiled")
        if kept is None:
            part.compile(dynamic=True)
            part.__dict__["_gmr_compiled"] = part._compiled_call_impl
        else:
            part._compiled_call_impl = kept
    try:
        return run()
    finally:
        for part in parts:
            part._compiled_call_impl = None
        use_lean_feed_forward(model.causal_model)


def operations(model: RerankModel, prompts: Sequence[Prompt]) -> dict[str, int]:
    """Operations of the prompts: as whole pairs, shared, shared with pictures known, and after kept documents."""
    processor, sizes = model.processor, Sizes.of(model.config)
    groups = share_prefixes(prompts, placeholder=processor.image_token_id)
    lengths = [len(prompt.input_ids) for prompt in prompts]
    shown = [
        (image.key, processor.num_image_tokens(grid))
        for prompt in prompts
        for image, grid in zip(prompt.images, prompt.grids, strict=True)
    ]
    known = sum(
        sizes.group(group.num_shared, [lengths[row] - group.num_shared for row in group.rows])
        for group in groups
    )
    return {
        "pairwise": sizes.pairwise(lengths, [tokens for _, tokens in shown]),
        "shared": known + sum(sizes.picture(tokens) for tokens in dict(shown).values()),
        "pictures known": known,
        "documents kept": sum(
            sizes.group(each.num_document, [length - each.num_document], is_known=True)
            for each, length in zip(prompts, lengths, strict=True)
        ),
    }


def wants_cross_encoder(wanted: Sequence[str]) -> bool:
    """Whether one of these beginnings of names is that of a variant of `CrossEncoder`."""
    return any(CROSS_ENCODER.startswith(each) or each.startswith(CROSS_ENCODER) for each in wanted)


def measure(
    model: RerankModel,
    workload: Workload,
    device: Device,
    *,
    peer: Any,
    causal_model: Any,
    ceiling: float,
    batch_tokens: int,
    end_to_end: bool,
    wanted: tuple[str, ...] = ("",),
) -> dict[str, Any]:
    """Seconds, pairs per second, ratios and fractions of the ceiling, by variant.

    Args:
        model: the reranker.
        workload: its pictures are preprocessed once, unless ``end_to_end``.
        device: where.
        peer: the `CrossEncoder`, which preprocesses in every run and is left out where that is not measured; None
            for none.
        causal_model: the same weights under transformers' own attention.
        ceiling: operations per second of a matrix product.
        batch_tokens: of our passes.
        end_to_end: whether preprocessing belongs to every run.
        wanted: what the names of the variants that are timed begin with.
    """
    pairs = workload.pairs()
    keep_pixels(model, kept=not end_to_end)
    theirs = others(None if workload.shows_pictures and not end_to_end else peer, causal_model, model, pairs)
    every = {**theirs, **ours(model, workload, device, batch_tokens=batch_tokens)}
    runs = {name: run for name, run in every.items() if name.startswith(wanted)}
    scores: dict[str, Any] = {}
    failed: dict[str, str] = {}
    for name, run in runs.items():
        try:
            scores[name] = np.asarray(run(), dtype=np.float64)
        except Exception as error:  # one variant that fails must not cost an hour on a device
            failed[name] = f"{type(error).__name__}: {error}".splitlines()[0]
            if device.is_gpu:
                torch.cuda.empty_cache()
    times = device.interleaved({name: run for name, run in runs.items() if name in scores})
    seconds = {name: values["median_s"] for name, values in times.items()}
    work = operations(model, model.processor.encode_many(pairs))
    of_variant = {KNOWN: "pictures known", KEPT: "documents kept"}
    reference = scores.get(ALONE)
    cross = [value for name, value in seconds.items() if name.startswith(CROSS_ENCODER)]
    best = [value for name, value in seconds.items() if name in theirs]
    return {
        "num_pairs": len(pairs),
        "repeats": device.repeats,
        "operations": work,
        "seconds": times,
        "failed": failed,
        "variants": {
            name: {
                "pairs_per_second": round(len(pairs) / value, 2),
                "fraction_of_ceiling": round(work[of_variant.get(name, "shared")] / value / ceiling, 4),
                "times_faster_than_cross_encoder": round(min(cross) / value, 2) if cross else None,
                "times_faster_than_best_peer": round(min(best) / value, 2) if best else None,
                "rms_difference_from_one_at_a_time": None
                if reference is None
                else float(f"{np.sqrt(np.mean((scores[name] - reference) ** 2)):.2e}"),
            }
            for name, value in seconds.items()
        },
    }


def cross_encoder(model: RerankModel, folder: Path, device: Device) -> Any:
    """The model as `CrossEncoder` loads it from ``folder``, where it is written first; None without the library."""
    from gmr.modeling.saving import save_model

    try:
        import sentence_transformers  # noqa: F401
    except ImportError:
        return None
    save_model(model, folder)
    return peers.cross_encoder(folder, device=device.name, dtype=device.dtype)
