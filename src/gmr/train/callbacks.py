# ruff: noqa: ARG002  (the Trainer gives every callback every argument)
"""What watches a run: the log files, the progress bar, early stopping, and the guard against broken steps."""

import csv
import logging
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm.auto import tqdm
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from gmr.core.errors import NotFiniteError
from gmr.core.files import atomic_write_text
from gmr.train.sampling import EpochSampler

logger = logging.getLogger(__name__)

LOG_COLUMNS = (
    "step",
    "epoch",
    "loss",
    "sft_loss",
    "contrastive_loss",
    "weight_positive",
    "weight_negative",
    "truncated_share",
    "learning_rate",
    "grad_norm",
    "skipped_steps",
)
DEV_COLUMNS = ("step", "task", "measure", "value")


class CsvLog(TrainerCallback):
    """``log.csv``, one row per logging step, and ``dev.csv``, one row per evaluation and task.

    Both are cut back to the checkpoint when a run resumes, so that no step stands there twice.
    """

    def __init__(self, run_dir: Path, measure: str) -> None:
        self.log_path = run_dir / "log.csv"
        self.dev_path = run_dir / "dev.csv"
        self.measure = measure

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start the files, or cut them back to the step that training goes on from."""
        if state.is_world_process_zero:
            _cut_back(self.log_path, LOG_COLUMNS, last_step=state.global_step)
            # An evaluation of the final weights comes after the last checkpoint and will come again.
            evaluated = [entry["step"] for entry in state.log_history if f"eval_{self.measure}" in entry]
            _cut_back(self.dev_path, DEV_COLUMNS, last_step=int(max(evaluated, default=0)))

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Append what was logged; the Trainer's closing summary is not a step and is left out."""
        if not state.is_world_process_zero or logs is None:
            return
        if "learning_rate" in logs:
            row = {"step": state.global_step, **logs}
            _append(self.log_path, [[_number(row.get(column)) for column in LOG_COLUMNS]])
        mean, suffix = f"eval_{self.measure}", f"_{self.measure}"
        rows = [
            [
                str(state.global_step),
                "mean" if name == mean else name.removeprefix("eval_").removesuffix(suffix),
                self.measure,
                _number(value),
            ]
            for name, value in logs.items()
            if name.startswith("eval_") and name.endswith(suffix)
        ]
        _append(self.dev_path, rows)


class ProgressBar(TrainerCallback):
    """One bar on stderr with the losses and the last value on the development tasks beside it."""

    def __init__(self, label: str, measure: str) -> None:
        self.label = label
        self.measure = measure
        self.shown: dict[str, str] = {}
        self.bar: Any = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Open the bar at the step that training starts from."""
        if state.is_world_process_zero:
            self.bar = tqdm(
                total=state.max_steps,
                initial=state.global_step,
                desc=self.label,
                unit="step",
                dynamic_ncols=True,
            )

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """One step further."""
        if self.bar is not None:
            self.bar.update(state.global_step - self.bar.n)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Show the newest losses or the newest development value."""
        if self.bar is None or logs is None:
            return
        names = {"sft_loss": "sft", "contrastive_loss": "cl", f"eval_{self.measure}": self.measure}
        self.shown |= {short: f"{logs[name]:.3f}" for name, short in names.items() if name in logs}
        self.bar.set_postfix(self.shown)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Close the bar."""
        self.close()

    def close(self) -> None:
        """End the bar's line on the terminal, if it was begun; a second time does nothing."""
        if self.bar is not None:
            self.bar.close()


class LogBeforeSave(TrainerCallback):
    """Logs at every saving step, so that the running means start anew at each checkpoint.

    A resumed run then logs the numbers of a straight one.
    """

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """Ask for a log line when a checkpoint follows."""
        control.should_log = control.should_log or control.should_save
        return control


class EarlyStopping(TrainerCallback):
    """Stops when the last ``patience`` evaluations brought no new best value.

    It reads the log history, which a checkpoint holds, and keeps no state that a resume could lose.
    """

    def __init__(self, metric: str, patience: int) -> None:
        self.metric = metric
        self.patience = patience

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """Ask to stop when patience is over."""
        if self.is_over(state):
            logger.info("no better %s in %d evaluations: stopping", self.metric, self.patience)
            control.should_training_stop = True
        return control

    def is_over(self, state: TrainerState) -> bool:
        """Whether the last ``patience`` evaluations of the log history brought no new best value."""
        values = [entry[self.metric] for entry in state.log_history if self.metric in entry]
        return bool(values) and len(values) - 1 - values.index(max(values)) >= self.patience


class SkipBrokenSteps(TrainerCallback):
    """Drops a step whose gradient is not finite, counts it, and gives up after several in a row.

    With its gradients gone the optimizer passes over every parameter: weights and moments stay as they were.
    In distributed training the gradients are summed by then, so all processes see the same and decide alike.
    """

    def __init__(self, max_in_a_row: int = 5) -> None:
        self.max_in_a_row = max_in_a_row
        self.in_a_row = 0
        self.total = 0

    def on_pre_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: nn.Module | None = None,
        **kwargs: Any,
    ) -> None:
        """Look at the gradients before the optimizer does.

        Raises:
            NotFiniteError: ``max_in_a_row`` steps in a row were broken.
        """
        if model is None or args.fp16:  # the gradient scaler of fp16 skips such steps itself, and means to
            return
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if bool(torch.isfinite(norm)):
            self.in_a_row = 0
            return
        self.in_a_row += 1
        self.total += 1
        step = state.global_step + 1
        if self.in_a_row >= self.max_in_a_row:
            raise NotFiniteError(
                f"step {step}: loss or gradient not finite {self.in_a_row} steps in a row; the last "
                f"checkpoint is good. Lower training.learning_rate (now {args.learning_rate:g}) or check "
                "the data"
            )
        logger.warning("step %d is skipped: its loss or gradient is not finite", step)
        for parameter in model.parameters():
            parameter.grad = None


class FollowEpoch(TrainerCallback):
    """Tells the sampler the epoch: accelerate does not reach it behind a resumed, sharded dataloader."""

    def __init__(self, sampler: EpochSampler) -> None:
        self.sampler = sampler

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Pass the epoch on."""
        self.sampler.set_epoch(int(state.epoch or 0))


class StopOnSignal(TrainerCallback):
    """On SIGTERM, finishes the step, saves a checkpoint and stops; run again, training goes on from there."""

    def __init__(self) -> None:
        self.received = False

    def install(self) -> Any:
        """Take over SIGTERM; returns the handler to give back to ``signal.signal`` afterwards."""
        return signal.signal(signal.SIGTERM, self._note)

    def _note(self, number: int, frame: object) -> None:
        self.received = True

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """Save and stop once the signal is in; with several processes, once any of them has it."""
        if args.world_size > 1:
            flag = torch.tensor(float(self.received), device=args.device)
            torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX)
            self.received = bool(flag)
        if self.received:
            control.should_save = control.should_log = control.should_training_stop = True
        return control


def _cut_back(path: Path, columns: tuple[str, ...], *, last_step: int) -> None:
    """Leave the header and the rows up to ``last_step``."""
    rows = []
    if path.is_file() and last_step > 0:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [
                row for row in csv.reader(file) if row and row[0].isdecimal() and int(row[0]) <= last_step
            ]
    atomic_write_text(path, "".join(f"{','.join(row)}\n" for row in [list(columns), *rows]))


def _append(path: Path, rows: list[list[str]]) -> None:
    if rows:
        with path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)


def _number(value: float | None) -> str:
    """A number with all its digits, so that two logs can be compared; empty for none."""
    return "" if value is None else repr(value)
