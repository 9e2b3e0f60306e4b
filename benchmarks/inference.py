"""Scoring one query's candidates end to end, against CrossEncoder.predict of sentence-transformers on the same weights.

python -m benchmarks.inference                 about six minutes of one core
python -m benchmarks.inference --repeats 1 --architecture qwen2_5_vl --workload "T->T"
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests.helpers.processors import without_videos

from benchmarks.measure import arguments_parser, interleaved, machine, summary, write
from benchmarks.models import ARCHITECTURES, random_model
from benchmarks.workloads import INFERENCE, Workload
from gmr.core.items import Image, Text
from gmr.inference.pictures import FeatureStore
from gmr.inference.scoring import score_pairs
from gmr.modeling.model import RerankModel
from gmr.modeling.precision import fast_products

PEER_BATCHES = (8, 32)


def plain(item: Any) -> Any:
    """An item as sentence-transformers takes it."""
    texts = [part.text for part in item if isinstance(part, Text)]
    images = [part.source for part in item if isinstance(part, Image)]
    if not images:
        return texts[0]
    return {"image": images[0], "text": texts[0]} if texts else images[0]


def variants(model: RerankModel, folder: Path, workload: Workload) -> dict[str, Callable[[], Any]]:
    """What is timed; each scores all pairs, prompts and pictures included."""
    from sentence_transformers import CrossEncoder

    pairs = workload.pairs()
    peer = CrossEncoder(str(folder / "saved"), device="cpu", model_kwargs={"dtype": torch.float32})
    their_pairs = [(plain(query.item), plain(document.item)) for query, document in pairs]

    def predict(batch_size: int) -> Any:
        return peer.predict(
            their_pairs,
            batch_size=batch_size,
            prompt=pairs[0][0].instruction,
            activation_fn=torch.nn.Identity(),
            show_progress_bar=False,
        )

    def predict_fast(batch_size: int) -> Any:
        with fast_products(torch.device("cpu")):
            return predict(batch_size)

    runs: dict[str, Callable[[], Any]] = {}
    for size in PEER_BATCHES:
        runs[f"CrossEncoder, batch {size}"] = lambda size=size: predict(size)
        runs[f"CrossEncoder, batch {size}, our kernels"] = lambda size=size: predict_fast(size)
    runs["one pair at a time"] = lambda: score_pairs(model, pairs, engine="padded", max_rows=1)
    runs["padded"] = lambda: score_pairs(model, pairs, engine="padded")
    runs["packed"] = lambda: score_pairs(model, pairs, engine="packed")
    if "i" in workload.query + workload.document:
        store = FeatureStore(2**30)
        runs["packed, pictures known"] = lambda: score_pairs(model, pairs, engine="packed", store=store)
    return runs


def measure(model: RerankModel, folder: Path, workload: Workload, *, repeats: int) -> dict[str, Any]:
    """Seconds by variant, the ratios over the peer at its best batch size, and the largest difference of scores."""
    runs = variants(model, folder, workload)
    scores = {name: np.asarray(run(), dtype=np.float64) for name, run in runs.items()}
    reference = scores[f"CrossEncoder, batch {PEER_BATCHES[0]}"]
    times = summary(interleaved(runs, repeats=repeats))
    medians = {name: values["median_s"] for name, values in times.items()}
    best = min(value for name, value in medians.items() if name.startswith("Cross") and "our" not in name)
    best_fast = min(value for name, value in medians.items() if "our kernels" in name)
    return {
        "num_pairs": workload.num_documents,
        "seconds": times,
        "times_faster_than_cross_encoder": {
            name: round(best / value, 2) for name, value in medians.items() if not name.startswith("Cross")
        },
        "times_faster_with_equal_kernels": {
            name: round(best_fast / value, 2)
            for name, value in medians.items()
            if not name.startswith("Cross")
        },
        "largest_difference_of_scores": {
            name: float(f"{np.abs(values - reference).max():.1e}") for name, values in scores.items()
        },
        "spread_of_scores": round(float(reference.std()), 3),
    }


def main() -> None:
    """Command line."""
    parser = arguments_parser(__doc__, output="inference-cpu.json")
    parser.add_argument("--architecture", choices=ARCHITECTURES, action="append")
    parser.add_argument("--workload", choices=[each.name for each in INFERENCE], action="append")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for architecture in arguments.architecture or ARCHITECTURES:
        with tempfile.TemporaryDirectory() as temporary, without_videos():
            folder = Path(temporary)
            model = random_model(folder, architecture)
            size = sum(parameter.numel() for parameter in model.parameters())
            print(f"{architecture}: {size / 1e6:.0f} M parameters")
            for workload in INFERENCE:
                if arguments.workload and workload.name not in arguments.workload:
                    continue
                result = measure(model, folder, workload, repeats=arguments.repeats)
                found.setdefault(architecture, {"num_parameters": size})[workload.name] = result
                print(f"  {workload.name:8s}", result["times_faster_than_cross_encoder"], flush=True)
                print(f"  {'':8s} equal kernels:", result["times_faster_with_equal_kernels"], flush=True)
                print(f"  {'':8s} differences:", result["largest_difference_of_scores"], flush=True)
    write(arguments.output, {"machine": machine(), "repeats": arguments.repeats, "results": found})


if __name__ == "__main__":
    main()
