"""How many tokens a forward pass should have on a CPU: CPU seconds of the same pairs, cut into passes of many sizes.

python -m benchmarks.passes
"""

from typing import Any

import torch

from benchmarks.measure import arguments_parser, interleaved, machine, summary, write
from benchmarks.models import ARCHITECTURES, random_models
from benchmarks.workloads import INFERENCE, Workload, as_new
from gmr.inference.scoring import score_pairs
from gmr.modeling.model import RerankModel

SIZES = (256, 512, 1024, 1536, 2048, 4096, 16_384)
ENGINES = ("packed", "padded")
WORKLOADS = ("T->T", "I->T")


def measure(model: RerankModel, workload: Workload, *, repeats: int) -> dict[str, dict[str, float]]:
    """Seconds by engine and tokens of a pass."""
    pairs = workload.pairs()
    runs = {
        f"{engine}, {size}": lambda engine=engine, size=size: score_pairs(
            model, as_new(pairs), engine=engine, batch_tokens=size
        )
        for engine in ENGINES
        for size in SIZES
    }
    return summary(interleaved(runs, repeats=repeats))


def main() -> None:
    """Command line."""
    parser = arguments_parser(__doc__, output="passes-cpu.json")
    parser.add_argument("--architecture", choices=ARCHITECTURES, action="append")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for architecture, model in random_models(arguments.architecture or ARCHITECTURES):
        for workload in (each for each in INFERENCE if each.name in WORKLOADS):
            times = measure(model, workload, repeats=arguments.repeats)
            found.setdefault(architecture, {})[workload.name] = times
            for engine in ENGINES:
                row = ", ".join(f"{size}: {times[f'{engine}, {size}']['median_s']}" for size in SIZES)
                print(f"{architecture} {workload.name} {engine}: {row}", flush=True)
    write(arguments.output, {"machine": machine(), "repeats": arguments.repeats, "results": found})


if __name__ == "__main__":
    main()
