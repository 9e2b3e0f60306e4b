# ruff: noqa: ARG002  (methods of the Trainer are overridden with all their arguments)
"""The training loop: transformers' Trainer with our loss, data order, evaluation and checkpoints."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from accelerate.utils import gather_object
from torch import Tensor, nn
from transformers import (
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer import TRAINER_STATE_NAME

from gmr.core.errors import DataError, ModelError
from gmr.core.tasks import RerankTask
from gmr.evaluation import TaskResult
from gmr.modeling.model import RerankModel
from gmr.objectives import Objective, ObjectiveOutput
from gmr.train.callbacks import EarlyStopping, FollowEpoch, LogBeforeSave, SkipBrokenSteps
from gmr.train.checkpoints import rotate, write_manifest
from gmr.train.collator import GroupCollator
from gmr.train.dev import evaluate_dev
from gmr.train.memory import GiveBackMemory
from gmr.train.optimizers import MuonAdamW
from gmr.train.passes import backward_in_passes
from gmr.train.pictures import BatchPictures, EncodedPictures
from gmr.train.recipe import OptimizerSection
from gmr.train.samplers import choose_sampler
from gmr.train.sampling import GroupDataset
from gmr.train.trainable import parameter_groups, trains_tower

logger = logging.getLogger(__name__)

WEIGHTS = "trained.safetensors"
LOGGED_MEANS = ("loss", "sft_loss", "contrastive_loss", "weight_positive", "weight_negative")


def load_trained(checkpoint: Path, trained: Mapping[str, nn.Parameter]) -> None:
    """Give the trained parameters of a model, by name, the values of a checkpoint.

    Raises:
        ModelError: The checkpoint holds other parameters, or parameters of other shapes.
    """
    path = checkpoint / WEIGHTS
    saved = safetensors.torch.load_file(path)
    different = sorted(saved.keys() ^ trained.keys())
    if different:
        raise ModelError(f"{path}: other parameters than this run trains, such as {different[0]!r}")
    with torch.no_grad():
        for name, parameter in trained.items():
            if saved[name].shape != parameter.shape:
                raise ModelError(
                    f"{path}: {name} is {tuple(saved[name].shape)}, the model's {tuple(parameter.shape)}"
                )
            parameter.copy_(saved[name])


class RerankTrainer(Trainer):
    """Trains a ``RerankModel`` by an ``Objective``, or by ``objective_at`` the share of steps done, where given.

    The gradient is that of the mean over all queries of a step, however they are spread over processes and
    accumulated batches. A checkpoint holds the trained weights (frozen ones are the base model's), optimizer,
    scheduler, random states and a manifest of hashes.
    """

    def __init__(
        self,
        model: RerankModel,
        args: TrainingArguments,
        *,
        objective: Objective,
        objective_at: Callable[[float], Objective] | None = None,
        train_dataset: GroupDataset,
        dev_tasks: Sequence[RerankTask] = (),
        measure: str = "ndcg@10",
        max_dev_queries: int = 100,
        rows_per_pass: int | None = None,
        tokens_per_pass: int | None = None,
        length_groups: int = 1,
        length_window: int = 0,
        learning_rates: Mapping[str, float] | None = None,
        optimizer: OptimizerSection | None = None,
        identity: Mapping[str, Any] | None = None,
        callbacks: Sequence[TrainerCallback] = (),
    ) -> None:
        self.reranker = model
        self.run_dir = Path(str(args.output_dir))
        is_packed = model.engine == "packed"  # gradients flow through packed and padded passes, and no other
        self.sampler = choose_sampler(
            train_dataset, args, model.processor, packed=is_packed, window=length_window
        )
        self.objective: Objective = objective
        self.objective_at = objective_at
        self.dev_tasks = tuple(dev_tasks)
        self.measure = measure
        self.max_dev_queries = max_dev_queries
        self.learning_rates = dict(learning_rates or {})
        self.optimizer_section = optimizer or OptimizerSection()
        self.identity = dict(identity or {})
        self.last_dev: list[TaskResult] = []
        self.last_dev_step = -1
        # Checkpoints are rotated here, after the manifest is on disk; the Trainer would do it before.
        self.num_kept = args.save_total_limit
        args.save_total_limit = None
        args.remove_unused_columns = False
        self.guard = SkipBrokenSteps()
        self._verified: set[Path] = set()
        self._failed_saves = 0
        self._sums: dict[str, Tensor] = {}
        if args.world_size > 1:
            length_groups = 1  # the wrapper for several processes takes one forward pass per backward pass
        self.recomputes = rows_per_pass is not None or tokens_per_pass is not None
        collator = GroupCollator(
            model.processor,
            engine="packed" if is_packed else "padded",
            rows_per_pass=rows_per_pass,
            tokens_per_pass=tokens_per_pass,
            length_groups=length_groups,
            shares_pictures=args.world_size == 1 or not trains_tower(model),
        )
        super().__init__(
            model=model,
            args=args,
            data_collator=collator,
            train_dataset=train_dataset,
            eval_dataset=self.dev_tasks or None,
            callbacks=[LogBeforeSave(), self.guard, FollowEpoch(self.sampler), GiveBackMemory(), *callbacks],
        )
        # Both write to stdout, which belongs to the results of a command.
        self.remove_callback(ProgressCallback)
        self.remove_callback(PrinterCallback)
        self.loss_is_scaled_for_ga = True
        if self.is_fsdp_enabled:  # sharded weights are whole inside of a forward pass alone
            collator.shares_pictures = False

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return self.sampler

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Tensor:
        """Queries of one optimizer step, over its accumulated batches and over all processes."""
        count = torch.tensor(sum(len(batch["mask"]) for batch in batch_samples), device=device)
        return self.accelerator.gather(count).sum()

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The number whose gradient is the objective's; its value means nothing."""
        passes = inputs["passes"]
        if "pictures" in inputs:
            pictures = self._encode(inputs["pictures"], in_graph=True)
            passes = [{**part, **pictures.inputs(number)} for number, part in enumerate(passes)]
        logits = torch.cat([model(**part) for part in passes])
        loss = self._surrogate(logits, inputs, num_items_in_batch)
        return (loss, logits) if return_outputs else loss

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        """One batch forward and backward, in several passes where the collator cut it."""
        if not self.recomputes or len(inputs["passes"]) == 1:
            return super().training_step(model, inputs, num_items_in_batch)
        model.train()
        inputs = self._prepare_inputs(inputs)
        return backward_in_passes(
            model,
            inputs["passes"],
            loss_of=lambda logits: self._surrogate(logits, inputs, num_items_in_batch),
            backward=self.accelerator.backward,
            device=self.args.device,
            deferred=partial(self.accelerator.no_sync, model),
            pictures=self._encode(inputs["pictures"]) if "pictures" in inputs else None,
        )

    def _encode(self, pictures: BatchPictures, *, in_graph: bool = False) -> EncodedPictures:
        return EncodedPictures(self.reranker, pictures, in_graph=in_graph, autocast=self.accelerator.autocast)

    def _surrogate(self, logits: Tensor, inputs: Mapping[str, Any], num_items: Tensor | int | None) -> Tensor:
        """A batch's share of the step's mean over queries; adds the closed forms to what is logged next.

        Args:
            logits: ``(rows, answers)``, one row per prompt, in the order of the passes.
            inputs: The batch, as the collator made it.
            num_items: Queries of the whole step; None when this batch is all of it.
        """
        mask = inputs["mask"]
        if not bool(torch.isfinite(logits).all()):
            # NaN on purpose: it reaches the gradients of every process, so that all skip this step together.
            return logits.sum() * float("nan")
        grouped = logits.new_zeros(*mask.shape, logits.shape[-1])
        grouped[mask] = logits[inputs["order"].argsort()]
        # Gradients are averaged over processes, not summed: each divides by its part of the queries.
        num_queries = None if num_items is None else num_items / self.args.world_size
        if self.objective_at is not None:  # of the step alone: a resumed run goes on with the same
            self.objective = self.objective_at(self.state.global_step / max(self.state.max_steps, 1))
        output = self.objective(
            grouped,
            inputs["labels"],
            mask,
            inputs.get("teacher"),
            reference=inputs.get("reference"),
            draws=inputs.get("draws"),
            num_queries=num_queries,
        )
        self._note(output, inputs)
        return output.surrogate

    def _note(self, output: ObjectiveOutput, inputs: Mapping[str, Any]) -> None:
        """Add a batch to the sums that the next log line divides by the number of queries and prompts."""
        num_queries = len(inputs["mask"])
        values = {
            "loss": output.loss * num_queries,
            "sft_loss": output.sft_loss * num_queries,
            "contrastive_loss": output.cl_loss * num_queries,
            "weight_positive": output.mean_weight_positive * num_queries,
            "weight_negative": output.mean_weight_negative * num_queries,
            "truncated_share": inputs["num_truncated"],
            "num_queries": torch.tensor(float(num_queries)),
            "num_prompts": inputs["mask"].sum(),
        }
        for name, value in values.items():
            added = value.detach().to(device=self.args.device, dtype=torch.float64)
            self._sums[name] = self._sums[name] + added if name in self._sums else added

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log as the Trainer does, with closed-form losses and weights in place of the surrogate's value."""
        for name in ("train_loss", "total_flos"):  # of the surrogate, and never counted
            logs.pop(name, None)
        if "loss" in logs:
            del logs["loss"]
            logs.update(self._means())
            logs["skipped_steps"] = self.guard.total
            if not math.isfinite(logs.get("grad_norm", 0.0)):
                del logs["grad_norm"]  # that step is counted as skipped; JSON has no word for NaN
        super().log(logs, start_time)

    def _means(self) -> dict[str, float]:
        """Means since the last call over the queries of all processes; none when every step was broken."""
        zero = torch.zeros((), dtype=torch.float64, device=self.args.device)
        names = [*LOGGED_MEANS, "truncated_share", "num_queries", "num_prompts"]
        local = torch.stack([self._sums.get(name, zero) for name in names])
        self._sums = {}
        sums = dict(zip(names, self.accelerator.reduce(local, reduction="sum").tolist(), strict=True))
        if sums["num_queries"] == 0:
            return {}
        means = {name: sums[name] / sums["num_queries"] for name in LOGGED_MEANS}
        return {**means, "truncated_share": sums["truncated_share"] / sums["num_prompts"]}

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """The measure on the development tasks, mean and by task; the processes share the queries."""
        self._measure_dev()
        by_task = {f"{metric_key_prefix}_{dev.task_name}_{self.measure}": dev.mean() for dev in self.last_dev}
        metrics = {f"{metric_key_prefix}_{self.measure}": sum(by_task.values()) / len(by_task), **by_task}
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _measure_dev(self) -> None:
        self.last_dev = evaluate_dev(
            self.reranker,
            self.dev_tasks,
            measure=self.measure,
            max_queries=self.max_dev_queries,
            process=(self.args.process_index, self.args.world_size),
            gather=gather_object,
        )
        self.last_dev_step = self.state.global_step

    def restore_end(self, checkpoint: Path) -> bool:
        """Be as after the last step, if ``checkpoint`` was saved there; else change nothing and give False.

        The Trainer itself would go one step beyond the end: it counts after a step, not before.
        """
        state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
        steps, epochs = self.args.max_steps, self.args.num_train_epochs
        stoppers = [each for each in self.callback_handler.callbacks if isinstance(each, EarlyStopping)]
        is_end = state.global_step >= steps if steps > 0 else (state.epoch or 0) > epochs - 1e-9
        if not is_end and not any(stopper.is_over(state) for stopper in stoppers):
            return False
        self._load_from_checkpoint(str(checkpoint))
        # Logs are cut back and closed as at the two ends of any run.
        self.state, local = state, self.state
        state.is_local_process_zero = local.is_local_process_zero
        state.is_world_process_zero = local.is_world_process_zero
        self.control = self.callback_handler.on_train_begin(self.args, self.state, self.control)
        self.control = self.callback_handler.on_train_end(self.args, self.state, self.control)
        if any(
            entry.get("step") == state.global_step and f"eval_{self.measure}" in entry
            for entry in state.log_history
        ):
            self._measure_dev()  # it is in the logs, and only what each query got is lost
        if self.args.load_best_model_at_end:
            self._load_best_model()
        return True

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Muon with AdamW, or what ``args`` names; with groups for the parts with a learning rate of their own."""
        if self.optimizer is None:
            muon = self.optimizer_section.kind == "muon"
            groups = parameter_groups(
                self.reranker,
                decayed=self.get_decay_parameter_names(self.reranker),
                weight_decay=self.args.weight_decay,
                learning_rate=self.args.learning_rate,
                learning_rates=self.learning_rates,
                muon=muon,
            )
            if muon:
                self.optimizer = MuonAdamW(
                    groups,
                    lr=self.args.learning_rate,
                    betas=(self.args.adam_beta1, self.args.adam_beta2),
                    momentum=self.optimizer_section.momentum,
                )
            else:
                kind, options = self.get_optimizer_cls_and_kwargs(self.args)
                self.optimizer = kind(groups, **options)
        return self.optimizer

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Write a checkpoint, seal it, then delete old ones. A full disk is logged, and training goes on."""
        folder = self.run_dir / f"checkpoint-{self.state.global_step}"
        try:
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                write_manifest(folder, identity=self.identity)
                self._verified.add(folder)
                if self.num_kept is not None:
                    best = self.state.best_model_checkpoint
                    rotate(
                        folder.parent,
                        keep=self.num_kept,
                        protected=[Path(best)] if best else [],
                        verified=self._verified,
                    )
        except (OSError, DataError, safetensors.SafetensorError) as error:
            if self.args.world_size > 1:  # one process alone cannot skip what the others wait for
                raise
            self._failed_saves += 1
            logger.warning("%s could not be saved (%s); training goes on", folder.name, error)

    @property
    def num_failed_saves(self) -> int:
        """Checkpoints that could not be written."""
        return self._failed_saves

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        if not self.args.should_save:
            return
        folder = Path(output_dir) if output_dir else self.run_dir
        folder.mkdir(parents=True, exist_ok=True)
        safetensors.torch.save_file(
            {name: parameter.detach().cpu().contiguous() for name, parameter in self._trained().items()},
            folder / WEIGHTS,
        )

    def _trained(self) -> dict[str, nn.Parameter]:
        return {name: p for name, p in self.reranker.named_parameters() if p.requires_grad}

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        load_trained(Path(resume_from_checkpoint), self._trained())

    def _load_best_model(self) -> None:
        if self.state.best_model_checkpoint is not None:
            logger.info("the best weights are those of %s", self.state.best_model_checkpoint)
            self._load_from_checkpoint(self.state.best_model_checkpoint)
