"""Which order the data of a run has."""

from typing import Any

from transformers import TrainingArguments

from gmr.core.errors import ConfigError
from gmr.modeling.processor import PromptProcessor
from gmr.train.balance import BalancedSampler, StepShape, cost_of
from gmr.train.length_packing import PackedSampler
from gmr.train.sampling import EpochSampler, GroupDataset


def choose_sampler(
    dataset: GroupDataset,
    args: TrainingArguments,
    processor: PromptProcessor,
    *,
    packed: bool,
    window: int = 0,
) -> EpochSampler:
    """The order of the data: balanced where several processes take whole batches in turn.

    Args:
        dataset: what is ordered.
        args: who computes how much.
        processor: of the prompts, whose lengths are estimated.
        packed: whether a query is computed once, or in every pair.
        window: optimizer steps whose queries are put into batches of similar length; 0 for none.

    Raises:
        ConfigError: there is a window, and the processes do not take whole batches in turn.
    """
    if window and not takes_turns(args):
        raise ConfigError(
            "model.length_window needs training.accelerator_config with even_batches, and neither split_batches nor "
            "dispatch_batches"
        )
    if not window and (args.world_size == 1 or not takes_turns(args)):
        return EpochSampler(len(dataset), seed=dataset.seed)
    options: dict[str, Any] = {
        "seed": dataset.seed,
        "cost": cost_of(dataset, processor, packed=packed),
        "shape": StepShape(args.world_size, args.train_batch_size, args.gradient_accumulation_steps),
        "drop_last": args.dataloader_drop_last,
    }
    if window:
        return PackedSampler(len(dataset), window=window, **options)
    return BalancedSampler(len(dataset), **options)


def takes_turns(args: TrainingArguments) -> bool:
    """Whether the processes take whole batches in turn, so that an order says who computes what."""
    how: Any = args.accelerator_config
    return bool(how.even_batches and not how.split_batches and not how.dispatch_batches)
