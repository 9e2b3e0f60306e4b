"""One training step of one query's group, whole pairs against a packed sequence: time, activations, gradients.

python -m benchmarks.training                 about five minutes of one core
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.measure import arguments_parser, interleaved, machine, summary, write
from benchmarks.models import ARCHITECTURES, random_models
from benchmarks.workloads import TRAINING, Workload
from gmr.modeling.model import RerankModel
from gmr.modeling.precision import float32_products
from gmr.objectives import ObjectiveConfig
from gmr.train.collator import GroupCollator
from gmr.train.sampling import Group

# What sentence-transformers and most training code do: whole pairs, and a picture encoded for every pair it is in.
PEER = "padded, pictures per pair"


class SavedBytes:
    """Bytes of the distinct tensors that autograd keeps for the backward pass, parameters left out."""

    def __init__(self, model: RerankModel) -> None:
        self._own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
        self._seen: dict[int, int] = {}
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._note, lambda tensor: tensor)

    def _note(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._own:
            self._seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    def __enter__(self) -> "SavedBytes":
        self._hooks.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._hooks.__exit__(*error)

    @property
    def total(self) -> int:
        """Bytes so far."""
        return sum(self._seen.values())


def group_of(workload: Workload) -> Group:
    """The workload's first document is the positive."""
    pairs = workload.pairs()
    labels = (1.0, *[0.0] * (len(pairs) - 1))
    return Group("example", pairs[0][0], tuple(document for _, document in pairs), labels)


def step(model: RerankModel, batch: dict[str, Any], objective: Any) -> Callable[[], int]:
    """One forward and backward pass; gives the bytes kept in between."""

    def run() -> int:
        model.zero_grad(set_to_none=True)
        with float32_products(torch.device("cpu")):
            with SavedBytes(model) as saved:
                logits = torch.cat([model(**part) for part in batch["passes"]])
                grouped = logits.new_zeros(*batch["mask"].shape, logits.shape[-1])
                grouped[batch["mask"]] = logits[batch["order"].argsort()]
                surrogate = objective(grouped, batch["labels"], batch["mask"]).surrogate
            surrogate.backward()
        return saved.total

    return run


def gradient(model: RerankModel) -> Tensor:
    """All gradients of the model in one vector."""
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def pictures_per_pair(model: RerankModel, group: Group) -> dict[str, Any]:
    """The padded batch with every occurrence of a picture as a picture of its own."""
    batch = GroupCollator(model.processor, engine="padded")([group])
    (inputs,) = batch["passes"]
    if "image_index" in inputs:
        grids = inputs["image_grid_thw"]
        pictures = inputs["pixel_values"].split(grids.prod(-1).tolist())
        index = inputs["image_index"].tolist()
        inputs["pixel_values"] = torch.cat([pictures[place] for place in index])
        inputs["image_grid_thw"] = grids[index]
        inputs["image_index"] = torch.arange(len(index))
    return batch


def measure(model: RerankModel, workload: Workload, *, repeats: int) -> dict[str, Any]:
    """Seconds and activation bytes by engine, their ratios, and the distance of gradients by objective."""
    group = group_of(workload)
    batches = {
        engine: GroupCollator(model.processor, engine=engine)([group]) for engine in ("padded", "packed")
    }
    batches = {PEER: pictures_per_pair(model, group), **batches}
    distances = {}
    for name, weight in (("sft", "sft"), ("contrastive", "contrastive")):
        objective = ObjectiveConfig(weight=weight).build()
        found = {}
        for engine in batches:
            step(model, batches[engine], objective)()
            found[engine] = gradient(model)
        difference = (found["packed"] - found[PEER]).norm() / found[PEER].norm()
        distances[name] = float(f"{float(difference):.1e}")
    objective = ObjectiveConfig().build()
    runs = {engine: step(model, batch, objective) for engine, batch in batches.items()}
    kept = {engine: run() for engine, run in runs.items()}
    times = summary(interleaved(runs, repeats=repeats))
    return {
        "seconds": times,
        "times_faster": round(times[PEER]["median_s"] / times["packed"]["median_s"], 2),
        "activation_mib": {engine: round(size / 2**20, 1) for engine, size in kept.items()},
        "times_smaller": round(kept[PEER] / kept["packed"], 2),
        "relative_gradient_distance": distances,
    }


def main() -> None:
    """Command line."""
    parser = arguments_parser(__doc__, output="training-cpu.json")
    parser.add_argument("--architecture", choices=ARCHITECTURES, action="append")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for architecture, model in random_models(arguments.architecture or ARCHITECTURES):
        model.train()
        for workload in TRAINING:
            result = measure(model, workload, repeats=arguments.repeats)
            found.setdefault(architecture, {})[workload.name] = result
            print(
                f"{architecture} {workload.name:10s} time x{result['times_faster']}, activations "
                f"x{result['times_smaller']}, gradients {result['relative_gradient_distance']}",
                flush=True,
            )
    write(arguments.output, {"machine": machine(), "repeats": arguments.repeats, "results": found})


if __name__ == "__main__":
    main()
