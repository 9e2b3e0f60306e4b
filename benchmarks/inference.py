"""Scoring candidates end to end, against what others compute for the same pairs on the same weights.

python -m benchmarks.inference                 half an hour or more of one core
python -m benchmarks.inference --repeats 1 --architecture qwen2_5_vl --workload "T->T"
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests.helpers.processors import without_videos

from benchmarks import peers
from benchmarks.device.inference import operations
from benchmarks.device.timing import Device
from benchmarks.measure import arguments_parser, interleaved, machine, summary, write
from benchmarks.models import ARCHITECTURES, random_model
from benchmarks.workloads import INFERENCE, KEPT, KNOWN, Workload, as_new
from gmr.inference.documents import DocumentStore
from gmr.inference.pictures import FeatureStore
from gmr.inference.planner import share_prefixes
from gmr.inference.scoring import score_pairs
from gmr.modeling.model import RerankModel
from gmr.modeling.precision import float32_products

Runs = dict[str, Callable[[], Any]]

PEER_BATCHES = (8, 32)
PADDED, ALONE = "transformers, padded, logits_to_keep=1", "transformers, one pair at a time"


def others(model: RerankModel, folder: Path, workload: Workload) -> Runs:
    """The peers by name."""
    pairs = workload.pairs()
    peer = peers.cross_encoder(folder / "saved")
    # A batch that is larger than all pairs is all pairs.
    sizes = {min(size, len(pairs)): size for size in reversed(PEER_BATCHES)}.values()
    runs: Runs = {
        f"CrossEncoder, batch {size}": lambda size=size: peers.predict(peer, pairs, batch_size=size)
        for size in sorted(sizes)
    }
    runs[PADDED] = lambda: peers.padded(peer.transformers_model, model, pairs)
    runs[ALONE] = lambda: peers.one_at_a_time(peer.transformers_model, model, pairs)
    return runs


def ours(model: RerankModel, workload: Workload) -> Runs:
    """Our variants by name."""
    pairs = workload.pairs()
    runs: Runs = {"packed": lambda: score_pairs(model, as_new(pairs), engine="packed")}
    if not workload.is_large:
        runs["our padded pairs"] = lambda: score_pairs(model, as_new(pairs), engine="padded")
    if workload.shows_pictures:
        store = FeatureStore(2**30)
        runs[KNOWN] = lambda: score_pairs(model, as_new(pairs), engine="packed", store=store)
    if KEPT in workload.bars:
        documents = DocumentStore(2**30)
        runs[KEPT] = lambda: score_pairs(model, as_new(pairs), engine="packed", documents=documents)
    return runs


def with_our_products(run: Callable[[], Any]) -> Callable[[], Any]:
    """The same with the faster float32 products that ours use."""

    def faster() -> Any:
        with float32_products(torch.device("cpu")):
            return run()

    return faster


def tokens_of(model: RerankModel, workload: Workload) -> dict[str, int]:
    """Tokens that the language model computes: of whole pairs without padding, and by our variants."""
    prompts = model.processor.encode_many(workload.pairs())
    groups = share_prefixes(prompts, placeholder=model.processor.image_token_id)
    whole = sum(len(prompt.input_ids) for prompt in prompts)
    shared = whole - sum(group.num_shared * (len(group.rows) - 1) for group in groups)
    own = whole - sum(prompt.num_document for prompt in prompts)
    return {"whole pairs": whole, "packed": shared, KNOWN: shared, KEPT: own}


def least_seconds(
    model: RerankModel, workload: Workload, tokens: dict[str, int], *, ceiling: float
) -> dict[str, float]:
    """Seconds by our variants if all that they have to compute went at the rate of a large matrix product.

    Without pixels, tokenising, and all that is no product. In the last layer only keys and values are computed for all
    tokens, which is allowed for, but for its attention. ``tokens`` as `tokens_of` counts them.
    """
    prompts, text = model.processor.encode_many(workload.pairs()), model.config.text_config
    work = operations(model, prompts)
    of_variant = {"packed": "shared", KNOWN: "pictures known", KEPT: "documents kept"}
    heads = text.num_attention_heads * text.head_dim
    spared = 6 * text.hidden_size * text.intermediate_size + 4 * text.hidden_size * heads
    return {
        variant: round((work[name] - spared * (tokens[variant] - len(prompts))) / ceiling, 4)
        for variant, name in of_variant.items()
    }


def measure(
    model: RerankModel, folder: Path, workload: Workload, *, repeats: int, ceiling: float
) -> dict[str, Any]:
    """Seconds by variant, the ratios over the peers, the bars, and the largest difference of scores.

    Args:
        model: the reranker.
        folder: it is saved in ``folder / "saved"``.
        workload: the pairs.
        repeats: timed turns.
        ceiling: operations per second of a large matrix product.
    """
    theirs, own = others(model, folder, workload), ours(model, workload)
    equal = {
        f"{name}, our kernels": with_our_products(run)
        for name, run in theirs.items()
        if name.startswith("Cross") or not workload.is_large
    }
    runs = {**theirs, **equal, **own}
    scores = {name: np.asarray(run(), dtype=np.float64) for name, run in runs.items()}
    reference = scores[next(iter(theirs))]
    times = summary(interleaved(runs, repeats=repeats))
    medians = {name: values["median_s"] for name, values in times.items()}

    def over(names: list[str]) -> dict[str, float]:
        best = min(medians[name] for name in names)
        return {name: round(best / medians[name], 2) for name in medians if name in own}

    ratios = over([name for name in theirs if name.startswith("Cross")])
    cross = min(value for name, value in medians.items() if name in theirs and name.startswith("Cross"))
    tokens = tokens_of(model, workload)
    least = least_seconds(model, workload, tokens, ceiling=ceiling)
    return {
        "num_pairs": len(reference),
        "tokens": {name: value for name, value in tokens.items() if name in {"whole pairs", *own}},
        "seconds": times,
        "least_seconds": {name: value for name, value in least.items() if name in own},
        "times_faster_than_cross_encoder": ratios,
        "times_faster_than_best_peer": over(list(theirs)),
        "times_faster_with_equal_kernels": over([name for name in equal if name.startswith("Cross")]),
        "times_faster_than_best_peer_with_equal_kernels": over(list(equal)),
        "bars": {
            name: {
                "times_faster": bar,
                "measured": ratios[name],
                "holds": ratios[name] >= bar,
                "possible": round(cross / least[name], 2),
            }
            for name, bar in workload.bars.items()
        },
        "largest_difference_of_scores": {
            name: float(f"{np.abs(values - reference).max():.1e}") for name, values in scores.items()
        },
        "spread_of_scores": round(float(reference.std()), 3),
    }


def show(name: str, result: dict[str, Any]) -> None:
    """The ratios of a workload as lines."""
    for title in ("cross_encoder", "best_peer", "with_equal_kernels", "best_peer_with_equal_kernels"):
        key = f"times_faster_{title}" if title.startswith("with") else f"times_faster_than_{title}"
        print(f"  {name:8s} {title.replace('_', ' ')}: {result[key]}", flush=True)
    print(f"  {'':8s} differences: {result['largest_difference_of_scores']}", flush=True)
    for variant, bar in result["bars"].items():
        verdict = "holds" if bar["holds"] else "DOES NOT HOLD"
        print(
            f"  {'':8s} {variant}: at least {bar['times_faster']} {verdict} ({bar['measured']};"
            f" {bar['possible']} if only products took time)",
            flush=True,
        )


def main() -> None:
    """Command line."""
    parser = arguments_parser(__doc__, output="inference-cpu.json")
    parser.add_argument("--architecture", choices=ARCHITECTURES, action="append")
    parser.add_argument("--workload", choices=[each.name for each in INFERENCE], action="append")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chosen = [each for each in INFERENCE if not arguments.workload or each.name in arguments.workload]
    ceiling = Device("cpu").ceiling(size=2048)
    print(f"{ceiling / 1e9:.0f} GFLOP/s in a product of 2048 cubed")
    found: dict[str, Any] = {}
    for architecture in arguments.architecture or ARCHITECTURES:
        with tempfile.TemporaryDirectory() as temporary, without_videos():
            for workload in chosen:
                folder = Path(temporary) / workload.template
                model = random_model(folder, architecture, template=workload.template)
                size = sum(parameter.numel() for parameter in model.parameters())
                if architecture not in found:
                    print(f"{architecture}: {size / 1e6:.0f} M parameters")
                    found[architecture] = {"num_parameters": size}
                result = measure(model, folder, workload, repeats=arguments.repeats, ceiling=ceiling)
                found[architecture][workload.name] = result
                show(workload.name, result)
    record = {"machine": machine(), "ceiling_gflops": round(ceiling / 1e9, 1), "repeats": arguments.repeats}
    write(arguments.output, record | {"results": found})


if __name__ == "__main__":
    main()
