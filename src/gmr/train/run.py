"""One training run from a recipe to a model folder; started again, it goes on where it stopped."""

import atexit
import logging
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast_object_list
from transformers import IntervalStrategy, TrainerCallback, TrainingArguments, set_seed

from gmr.core.config import to_toml
from gmr.core.environment import git_commit, versions
from gmr.core.errors import ConfigError, GmrError, ModelError
from gmr.core.files import atomic_write_json, atomic_write_text, parse_json_object, read_text
from gmr.core.tasks import RerankTask, TrainingSet
from gmr.evaluation import TaskResult
from gmr.modeling.precision import float32_products
from gmr.modeling.saving import save_model
from gmr.train.arguments import training_arguments
from gmr.train.callbacks import CsvLog, EarlyStopping, ProgressBar, StopOnSignal
from gmr.train.checkpoints import (
    changes,
    checkpoint_folders,
    find_fault,
    newest_good,
    read_manifest,
    refuse_changes,
)
from gmr.train.recipe import Recipe, load_recipe
from gmr.train.record import run_identity, write_dev
from gmr.train.reference import draw_groups
from gmr.train.sources import base_fingerprint, check_teacher, load_base, load_dev_tasks, load_training_set
from gmr.train.trainable import choose_trainable
from gmr.train.trainer import RerankTrainer

logger = logging.getLogger(__name__)

MODEL, RESULT, RUN = "model", "result.json", "run.json"


@dataclass(frozen=True)
class TrainResult:
    """What a run gave.

    Attributes:
        run_dir: The run directory.
        model_dir: The final model, ready for ``load_model``; None when the run was stopped before its end.
        num_steps: Optimizer steps taken.
        num_skipped_steps: Steps dropped because loss or gradient was not finite, in this session.
        history: One mapping per log line: step, losses, mean weights, learning rate, development values.
        dev: Results of the final model on the development tasks.
        seconds: Wall-clock time of this session.
    """

    run_dir: Path
    model_dir: Path | None
    num_steps: int
    num_skipped_steps: int
    history: Sequence[Mapping[str, float]]
    dev: Sequence[TaskResult]
    seconds: float


def train(
    recipe: Recipe | str | Path,
    *,
    output_dir: str | Path,
    resume: str | Path = "auto",
    force: bool = False,
    overrides: Sequence[str] = (),
    training_set: TrainingSet | None = None,
    dev_tasks: Sequence[RerankTask] | None = None,
    progress: bool = True,
    callbacks: Sequence[TrainerCallback] = (),
) -> TrainResult:
    """Train a model by a recipe, in all processes that ``torchrun`` or ``accelerate launch`` started.

    Args:
        recipe: A recipe, its packaged name, or a file.
        output_dir: The run directory; made when missing.
        resume: ``"auto"`` goes on from the newest good checkpoint, if there is one, and gives the result of a
            run that is complete; ``"never"`` starts anew and wants a directory without checkpoints; a path
            goes on from that checkpoint.
        force: Resume although data, recipe, base model or versions changed.
        overrides: ``section.key=value``, applied to the recipe's page.
        training_set: Examples to use in place of those that ``data`` names.
        dev_tasks: Development tasks in place of those that ``data.dev`` names.
        progress: Show a progress bar on stderr.
        callbacks: Further watchers of the training loop.

    Raises:
        ConfigError: The recipe does not fit, or the directory holds another run.
        DataError: Training data that cannot be used.
        ModelError: A base model that cannot be loaded, or steps that stay broken.
    """
    started = time.monotonic()
    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe, overrides)
    run_dir = Path(output_dir)
    args = training_arguments(recipe, run_dir)
    training_set = training_set if training_set is not None else load_training_set(recipe)
    dev_tasks = dev_tasks if dev_tasks is not None else load_dev_tasks(recipe)
    objective = recipe.objective.build()
    check_teacher(objective, training_set)

    identity = run_identity(
        recipe, data=training_set.fingerprint(), base=base_fingerprint(recipe), world_size=args.world_size
    )
    complete = read_result(run_dir, identity, force=force) if resume == "auto" else None
    if complete is not None:
        leave_the_others_at_exit()
        return complete
    checkpoint = choose_checkpoint(run_dir, resume, identity, args=args, force=force)
    set_seed(args.seed)
    model = load_base(recipe, device=args.device)
    choose_trainable(model, recipe, mixed_precision=args.bf16 or args.fp16)

    if not dev_tasks:
        args.eval_strategy = IntervalStrategy.NO
    on_signal = StopOnSignal()
    watchers: list[TrainerCallback] = [CsvLog(run_dir, recipe.evaluation.measure), on_signal, *callbacks]
    if recipe.evaluation.patience > 0:
        watchers.append(EarlyStopping(f"eval_{recipe.evaluation.measure}", recipe.evaluation.patience))
    bar = ProgressBar(recipe.name, recipe.evaluation.measure)
    if progress and not args.disable_tqdm:
        watchers.append(bar)
    watchers.extend(tensorboard(run_dir, args))
    trainer = RerankTrainer(
        model,
        args,
        objective=objective,
        objective_at=(lambda share: recipe.objective.at(share).build())
        if recipe.objective.is_scheduled
        else None,
        train_dataset=draw_groups(model, training_set, recipe, args, run_dir=run_dir, identity=identity),
        dev_tasks=dev_tasks,
        measure=recipe.evaluation.measure,
        max_dev_queries=recipe.evaluation.max_queries,
        rows_per_pass=recipe.model.rows_per_pass,
        tokens_per_pass=recipe.model.tokens_per_pass,
        length_groups=recipe.model.length_groups,
        length_window=recipe.model.length_window,
        learning_rates=_rates_of_parts(recipe),
        optimizer=recipe.optimizer,
        identity=identity,
        callbacks=watchers,
    )
    if trainer.is_world_process_zero():
        write_start(run_dir, recipe, identity, args)
    with _handling_sigterm(on_signal), float32_products(args.device):
        try:
            if checkpoint is None or not trainer.restore_end(checkpoint):
                trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        except GmrError as error:
            raise type(error)(_last_line(error)) from error
        except torch.OutOfMemoryError as error:
            raise ModelError(
                f"out of memory at step {trainer.state.global_step + 1}: set model.tokens_per_pass (now "
                f"{recipe.model.tokens_per_pass}) or model.rows_per_pass (now {recipe.model.rows_per_pass}) lower, "
                "which keeps the gradient, or model.gradient_checkpointing"
            ) from error
        finally:
            bar.close()  # an error is a line of its own
    if on_signal.received:
        logger.warning("stopped by SIGTERM after step %d; run again to go on", trainer.state.global_step)
    model_dir = None if on_signal.received else finish(trainer, recipe, run_dir)
    result = TrainResult(
        run_dir=run_dir,
        model_dir=model_dir,
        num_steps=trainer.state.global_step,
        num_skipped_steps=trainer.guard.total,
        history=tuple(trainer.state.log_history),
        dev=tuple(trainer.last_dev),
        seconds=time.monotonic() - started,
    )
    if trainer.is_world_process_zero() and model_dir is not None:
        write_result(result)
    leave_the_others_at_exit()
    return result


@cache
def leave_the_others_at_exit() -> None:
    """Have this process leave its group while the interpreter is still whole.

    Gloo's threads may hold tensors that Python made; one that lets go of them while the interpreter ends aborts the
    process, and with it the launcher (pytorch/pytorch#179291). Until then the group is the caller's to use. A run that
    failed does not come here: with NCCL, leaving may wait for processes that hang.
    """
    atexit.register(_leave_the_others)


def _leave_the_others() -> None:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def choose_checkpoint(
    run_dir: Path, resume: str | Path, identity: Mapping[str, Any], *, args: TrainingArguments, force: bool
) -> Path | None:
    """The checkpoint to go on from; the first process looks, and all do as it found.

    Raises:
        ConfigError: The directory holds another run, or checkpoints where none are wanted, or the one asked
            for is damaged.
    """
    answer: list[Any] = [None, None]
    if args.process_index == 0:
        try:
            answer[0] = _look_for_checkpoint(run_dir, resume, identity, force=force)
        except GmrError as error:
            answer[1] = error
    if args.world_size > 1:
        broadcast_object_list(answer)
    if answer[1] is not None:
        raise answer[1]
    return answer[0]


def _look_for_checkpoint(
    run_dir: Path, resume: str | Path, identity: Mapping[str, Any], *, force: bool
) -> Path | None:
    if resume == "never":
        if checkpoint_folders(run_dir):
            raise ConfigError(
                f"{run_dir} holds checkpoints of an earlier run; resume it or use another directory"
            )
        return None
    if resume == "auto":
        folder = newest_good(run_dir).folder
    else:
        folder = Path(resume)
        fault = find_fault(folder)
        if fault is not None:
            raise ConfigError(f"cannot resume from {folder}: {fault}")
    if folder is not None:
        refuse_changes(folder, read_manifest(folder)["identity"], identity, force=force)
        logger.info("resuming from %s", folder)
    return folder


def finish(trainer: RerankTrainer, recipe: Recipe, run_dir: Path) -> Path:
    """Evaluate the final weights where that is still to do, and save them as a model folder; its path."""
    trained_further = trainer.last_dev_step != trainer.state.global_step
    if trainer.dev_tasks and (trained_further or recipe.evaluation.keep == "best"):
        trainer.evaluate(metric_key_prefix="final" if recipe.evaluation.keep == "best" else "eval")
    model_dir = run_dir / MODEL
    if trainer.is_world_process_zero():
        save_model(
            trainer.reranker, model_dir, base_model=recipe.model.base, objective=trainer.objective.name
        )
        write_dev(run_dir, trainer.last_dev)
    trainer.accelerator.wait_for_everyone()
    return model_dir


def write_start(run_dir: Path, recipe: Recipe, identity: Mapping[str, Any], args: TrainingArguments) -> None:
    """Write what the run is made of: the recipe as used, and ``run.json``."""
    (run_dir / RESULT).unlink(missing_ok=True)
    atomic_write_text(run_dir / "recipe.toml", to_toml(recipe))
    content = {
        "commit": git_commit(),
        "versions": versions(),
        "seed": args.seed,
        "device": str(args.device),
        "num_processes": args.world_size,
        "num_threads": torch.get_num_threads(),
        "identity": dict(identity),
    }
    atomic_write_json(run_dir / RUN, content)


def write_result(result: TrainResult) -> None:
    """Write ``result.json``, last of all files: where it stands, the run is complete."""
    content = {
        "num_steps": result.num_steps,
        "num_skipped_steps": result.num_skipped_steps,
        "seconds": round(result.seconds, 1),
        "history": list(result.history),
        "dev": [dev.to_dict() for dev in result.dev],
    }
    atomic_write_json(result.run_dir / RESULT, content)


def read_result(run_dir: Path, identity: Mapping[str, Any], *, force: bool) -> TrainResult | None:
    """The result of a complete run; None where the run is not complete, or is to go on although it changed.

    Raises:
        ConfigError: The directory holds the result of another run, and ``force`` is off.
    """
    path, started = run_dir / RESULT, run_dir / RUN
    if not path.is_file():
        return None
    saved = parse_json_object(read_text(started), where=str(started))["identity"]
    refuse_changes(started, saved, identity, force=force)
    if force and changes(saved, identity):
        return None
    logger.info("%s is complete already: this is its result", run_dir)
    content = parse_json_object(read_text(path), where=str(path))
    dev = tuple(TaskResult.from_dict(record, where=str(path)) for record in content.pop("dev"))
    return TrainResult(run_dir=run_dir, model_dir=run_dir / MODEL, dev=dev, **content)


def tensorboard(run_dir: Path, args: TrainingArguments) -> list[TrainerCallback]:
    """A writer of TensorBoard files on the first process, where TensorBoard is installed."""
    if args.process_index != 0 or find_spec("tensorboard") is None:
        return []
    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations.integration_utils import TensorBoardCallback

    return [TensorBoardCallback(SummaryWriter(log_dir=str(run_dir / "tensorboard")))]


def _rates_of_parts(recipe: Recipe) -> dict[str, float]:
    rates = {"vision": recipe.learning_rates.vision, "head": recipe.learning_rates.head}
    return {part: rate for part, rate in rates.items() if rate is not None}


@contextmanager
def _handling_sigterm(on_signal: StopOnSignal) -> Iterator[None]:
    """Let SIGTERM stop the run at the end of a step; only the main thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = on_signal.install()
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _last_line(error: Exception) -> str:
    """The message of an error, without the traceback that a dataloader's worker puts in front of it."""
    last = str(error).strip().splitlines()[-1]
    return last.removeprefix(f"{type(error).__module__}.{type(error).__name__}: ")
