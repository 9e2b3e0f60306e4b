"""The answer logits of a frozen reference: the base model's, computed once before the first step and kept on disk.

Training starts from the reference, with adapters too: they begin as nothing. What full fine-tuning would need a second
copy of the model for, or LoRA a second pass with its adapters off, is then a table, read by example and document.
"""

import json
import logging
import math
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from tqdm import tqdm
from transformers import TrainingArguments

from gmr.core.files import atomic_write_bytes, digest
from gmr.core.nouns import Document
from gmr.core.tasks import TrainingSet
from gmr.modeling.model import RerankModel
from gmr.modeling.precision import float32_products
from gmr.train.collator import GroupCollator
from gmr.train.recipe import Recipe
from gmr.train.sampling import EpochSampler, Group, GroupDataset, ReferenceTable

logger = logging.getLogger(__name__)

FILE = "reference.safetensors"
_TOKENS_PER_PASS = 16_384
_QUERIES_PER_BATCH = 32


def draw_groups(
    model: RerankModel,
    training_set: TrainingSet,
    recipe: Recipe,
    args: TrainingArguments,
    *,
    run_dir: Path,
    identity: Mapping[str, Any],
) -> GroupDataset:
    """The groups of a run, with all that its objective asks for beside documents and labels.

    Args:
        model: The base model, before any checkpoint is restored: the reference, where one is asked for.
        training_set: The examples.
        recipe: The recipe.
        args: Of the training loop.
        run_dir: Where the reference is kept.
        identity: What makes this run another than others.
    """
    needs = recipe.objective.build().weight.needs
    dataset = GroupDataset(
        training_set,
        recipe.data.sampling,
        seed=args.data_seed or args.seed,
        num_draws=recipe.objective.num_rollouts if "draws" in needs else 0,
    )
    if "reference" in needs:
        num_groups = count_groups(args, len(dataset), window=recipe.model.length_window)
        with args.main_process_first(local=False, desc="reference"), float32_products(args.device):
            dataset.reference = reference_table(
                model, dataset, num_groups=num_groups, run_dir=run_dir, identity=identity
            )
    return dataset


def count_groups(args: TrainingArguments, num_examples: int, *, window: int = 0) -> int:
    """Of the groups in the order in which they are drawn, epoch after epoch, so many hold all that a run trains on.

    Args:
        args: Of the training loop.
        num_examples: Of the training set.
        window: Steps that are dealt anew together (``model.length_window``): of a window that the run ends in, any
            group may come up. A last round that is filled up draws none that is new.
    """
    per_turn = args.train_batch_size * args.world_size
    per_step = per_turn * args.gradient_accumulation_steps
    used = num_examples - num_examples % per_turn if args.dataloader_drop_last else num_examples
    per_epoch = max(math.ceil(used / per_step), 1)
    steps = args.max_steps if args.max_steps > 0 else math.ceil(args.num_train_epochs * per_epoch)
    epochs, rest = divmod(steps, per_epoch)
    rest = math.ceil(rest / window) * window if window else rest
    # What an epoch drops is counted too: the next one begins behind it.
    return epochs * num_examples + min(rest * per_step, num_examples)


def reference_table(
    model: RerankModel, dataset: GroupDataset, *, num_groups: int, run_dir: Path, identity: Mapping[str, Any]
) -> ReferenceTable:
    """Answer logits of every (example, document) that the first ``num_groups`` groups hold.

    Args:
        model: The base model, as it was loaded; scored without dropout, each pair once.
        dataset: The groups.
        num_groups: How many are drawn, epoch after epoch.
        run_dir: Where ``reference.safetensors`` is kept; one of this very run is read and not made again.
        identity: What makes this run another than others.

    Returns:
        From (index of the example, document id) to the logits, positive answers first.
    """
    by_example = _pairs(dataset, num_groups)
    keys = [(index, doc_id) for index, documents in by_example.items() for doc_id in documents]
    wanted = digest(json.dumps([identity, keys], sort_keys=True, default=str).encode())
    path = run_dir / FILE
    logits = _read(path, wanted)
    if logits is None:
        logits = _compute(model, dataset, by_example)
        run_dir.mkdir(parents=True, exist_ok=True)
        atomic_write_bytes(path, save({"logits": logits}, metadata={"identity": wanted}))
    return dict(zip(keys, map(tuple, logits.tolist()), strict=True))


def _pairs(dataset: GroupDataset, num_groups: int) -> dict[int, dict[str, Document]]:
    """The documents of every example, by id, in the order in which they come up."""
    found: dict[int, dict[str, Document]] = {}
    sampler = EpochSampler(len(dataset), seed=dataset.seed)
    left = num_groups
    while left > 0:
        for epoch, index in islice(sampler, left):
            group = dataset[epoch, index]
            found.setdefault(index, {}).update({each.doc_id: each for each in group.documents})
            left -= 1
        sampler.set_epoch(sampler.epoch + 1)
    return found


def _compute(
    model: RerankModel, dataset: GroupDataset, by_example: Mapping[int, Mapping[str, Document]]
) -> Tensor:
    """``(pairs, answers)`` float32, in the order of the pairs."""
    collator = GroupCollator(
        model.processor,
        engine="packed" if model.engine == "packed" else "padded",
        tokens_per_pass=_TOKENS_PER_PASS,
    )
    groups = []
    for index, documents in by_example.items():
        example = dataset.training_set.examples[index]
        labels = (0.0,) * len(documents)
        groups.append(Group(example.example_id, example.query, tuple(documents.values()), labels))
    was_training = model.training
    model.eval()
    parts = []
    with torch.inference_mode(), tqdm(total=len(groups), desc="reference", unit="query", disable=None) as bar:
        for start in range(0, len(groups), _QUERIES_PER_BATCH):
            batch = collator(groups[start : start + _QUERIES_PER_BATCH])
            rows = torch.cat([model(**_moved(part, model.device)) for part in batch["passes"]])
            parts.append(rows[batch["order"].argsort().to(rows.device)].float().cpu())
            bar.update(min(_QUERIES_PER_BATCH, len(groups) - start))
    model.train(was_training)
    return torch.cat(parts)


def _moved(part: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    return {name: value.to(device) if isinstance(value, Tensor) else value for name, value in part.items()}


def _read(path: Path, wanted: str) -> Tensor | None:
    """The logits of a file that this run has written; None where there is none, or one of another run."""
    if not path.is_file():
        return None
    try:
        with safe_open(str(path), framework="pt") as file:
            if (file.metadata() or {}).get("identity") == wanted:
                logits: Tensor = file.get_tensor("logits")
                return logits
    except (OSError, SafetensorError):
        logger.warning("%s is damaged: its logits are computed again", path)
        return None
    logger.info("%s is of another run: its logits are computed again", path)
    return None
