"""Tokens, padding and waiting of a training set in four orders: ``python -m benchmarks.packing RECIPE``.

Drawn: as the seed says. Dealt: queries of a step dealt evenly to the processes. Packed by step: those of a step that
are about as long share a batch. Packed by window: those of several steps.
"""

import argparse
import sys
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from gmr.core.files import atomic_write_json
from gmr.train.balance import BalancedSampler, Key, StepShape
from gmr.train.length_packing import PackedSampler, measure_load
from gmr.train.recipe import load_recipe
from gmr.train.sampling import EpochSampler, GroupDataset
from gmr.train.sources import load_base, load_training_set


def main() -> None:
    """Print a table and write it, where asked to."""
    import torch

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--queries", type=int, default=2048, help="of an epoch, from its start")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--accumulated", type=int, default=4)
    parser.add_argument("--windows", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    recipe = load_recipe(given.recipe, given.overrides)
    model = load_base(recipe, device=torch.device("cpu"))
    examples = load_training_set(recipe)
    dataset = GroupDataset(examples, recipe.data.sampling, seed=0)
    # A training set of the queries that an epoch begins with, so that every order has the same ones.
    chosen = [index for _, index in islice(EpochSampler(len(dataset), seed=0), given.queries)]
    lengths = {}
    for number, index in enumerate(chosen):
        group = dataset[0, index]
        prompts = model.processor.encode_many((group.query, document) for document in group.documents)
        lengths[number] = [len(prompt.input_ids) for prompt in prompts]

    def cost(key: Key) -> float:
        return len(lengths[key[1]]) * max(lengths[key[1]])

    shape = StepShape(given.processes, given.batch_size, given.accumulated)
    orders: dict[str, EpochSampler] = {
        "drawn": EpochSampler(len(chosen), seed=0),
        "dealt": BalancedSampler(len(chosen), seed=0, cost=cost, shape=shape),
    }
    for window in given.windows:
        name = f"packed, {window} step{'s' if window > 1 else ''}"
        orders[name] = PackedSampler(len(chosen), seed=0, cost=cost, window=window, shape=shape)
    results = {}
    sys.stdout.write(
        f"{'order':<18}{'tokens':>12}{'padding':>9}{'critical':>12}{'waiting':>9}{'heaviest step / mean':>22}\n"
    )
    for name, sampler in orders.items():
        load = measure_load([lengths[index] for _, index in sampler], shape=shape)
        results[name] = asdict(load)
        columns = f"{load.num_tokens:>12,}{load.padding:>9.1%}{load.critical:>12,}{load.waiting:>9.1%}"
        sys.stdout.write(f"{name:<18}{columns}{load.spread:>22.2f}\n")
    if given.output:
        facts = {**asdict(shape), "queries": len(chosen), "recipe": recipe.name, "results": results}
        atomic_write_json(given.output, facts)


if __name__ == "__main__":
    main()
