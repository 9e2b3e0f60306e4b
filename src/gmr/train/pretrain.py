"""Generative pre-training of the small model: look or read, then say the name.

From random weights, ranking losses alone teach so small a model nothing in hundreds of steps; once it can name what
it sees, they do.
"""

import csv
import itertools
import logging
import math
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from gmr.core.items import Text
from gmr.core.nouns import Document, Query
from gmr.modeling.model import RerankModel
from gmr.modeling.precision import float32_products
from gmr.modeling.processor import Prompt, PromptProcessor
from gmr.modeling.templates import Control, Slot, Template
from gmr.suites.naming import NamingExample, NumberedExamples
from gmr.train.optimizers import MuonAdamW, muon_groups

logger = logging.getLogger(__name__)

# The document's place is taken by the answer in words; everything before it is laid out as in ranking.
NAMING_TEMPLATE = Template(
    name="nano-naming",
    segments=(
        Slot("instruction"),
        Control("<|query|>"),
        Slot("query"),
        Control("<|answer|>"),
        Slot("document"),
        Control("<|endoftext|>"),
    ),
    max_tokens=512,
)
BATCHES_PER_WINDOW = 16


@dataclass(frozen=True)
class PretrainConfig:
    """How long and how fast.

    Attributes:
        num_steps: optimiser steps.
        batch_size: examples per step.
        learning_rate: highest rate, after ``warmup_steps``; then it falls along a cosine to 2 %.
        warmup_steps: steps of linear increase.
        weight_decay: of matrices.
        max_grad_norm: gradients are scaled down to this norm.
        num_workers: processes that render and tokenise.
        log_every: steps between two lines of the log.
        seed: of the order of examples.
    """

    num_steps: int = 12000
    batch_size: int = 48
    learning_rate: float = 3e-3
    warmup_steps: int = 100
    weight_decay: float = 0.02
    max_grad_norm: float = 1.0
    num_workers: int = 1
    log_every: int = 50
    seed: int = 0


class NamingBatches(Dataset[dict[str, Tensor]]):
    """Whole batches by step, so that workers prepare them and nothing depends on their number.

    ``BATCHES_PER_WINDOW`` batches are cut from their examples sorted by length: little padding, and the order of the
    batches inside a window is shuffled.
    """

    def __init__(
        self, examples: NumberedExamples, processor: PromptProcessor, config: PretrainConfig
    ) -> None:
        self.examples = examples
        self.ranking = processor
        self.naming = PromptProcessor(processor.tokenizer, processor.image_processor, NAMING_TEMPLATE)
        self.config = config
        control_id = processor.plain_tokenizer.control_id
        self.answer_id, self.end_id = control_id("<|answer|>"), control_id("<|endoftext|>")
        self.document_id = control_id("<|document|>")
        self._window: tuple[int, list[list[Prompt]]] = (-1, [])

    def __len__(self) -> int:
        return self.config.num_steps

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        """``collate``'s tensors and ``targets`` ``(rows, length)``: the next token to say, else -100."""
        if step >= len(self):
            raise IndexError(step)
        window, place = divmod(step, BATCHES_PER_WINDOW)
        if self._window[0] != window:
            self._window = (window, self._prepare(window))
        batch = self.ranking.collate(self._window[1][place])
        ids = batch["input_ids"]
        # Words are to be said after <|answer|>; where nothing follows it, the document itself is to be said.
        answers = ids == self.answer_id
        says_document = answers[:, -1:]
        starts = torch.where(says_document, ids == self.document_id, answers)
        after = starts.long().cumsum(dim=1) > 0
        targets = torch.full_like(ids, -100)
        targets[:, :-1] = ids[:, 1:].masked_fill(~after[:, :-1], -100)
        return {**batch, "targets": targets}

    def _prompt(self, name: str, example: NamingExample) -> Prompt:
        """The prompt with the words to say at its end."""
        query = Query(name, example.item, example.instruction)
        words = Document(name, (Text(example.answer),))
        if example.is_document:
            return self.ranking.encode(query, words)
        if example.document is None:
            return self.naming.encode(query, words)
        prompt = self.ranking.encode(query, Document(name, example.document))
        words_ids = self.ranking.plain_tokenizer.encode(example.answer)
        return replace(prompt, input_ids=[*prompt.input_ids, *words_ids, self.end_id])

    def _prepare(self, window: int) -> list[list[Prompt]]:
        size = self.config.batch_size
        first = window * BATCHES_PER_WINDOW * size
        numbers = range(first, first + BATCHES_PER_WINDOW * size)
        prompts = [self._prompt(str(number), self.examples(number)) for number in numbers]
        prompts.sort(key=lambda prompt: len(prompt.input_ids))
        batches = [prompts[start : start + size] for start in range(0, len(prompts), size)]
        random.Random(f"{self.config.seed}/{window}").shuffle(batches)
        return batches


class Windows(Dataset[list[dict[str, Tensor]]]):
    """The batches by window: whoever prepares one batch of a window has prepared them all."""

    def __init__(self, batches: NamingBatches) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return (len(self.batches) + BATCHES_PER_WINDOW - 1) // BATCHES_PER_WINDOW

    def __getitem__(self, window: int) -> list[dict[str, Tensor]]:
        """The window's batches, in the order of their steps."""
        first = window * BATCHES_PER_WINDOW
        return [
            self.batches[step] for step in range(first, min(first + BATCHES_PER_WINDOW, len(self.batches)))
        ]


def naming_loss(model: RerankModel, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Mean cross entropy of the answers' tokens, and the share of tokens that were the likeliest, both scalars."""
    inputs: dict[str, Any] = {name: tensor for name, tensor in batch.items() if name != "targets"}
    hidden = model.last_hidden_states(**inputs)
    asked = batch["targets"] != -100
    logits = model.causal_model.lm_head(hidden[asked]).float()
    targets = batch["targets"][asked]
    return cross_entropy(logits, targets), (logits.argmax(dim=-1) == targets).float().mean()


def learning_rate_factor(step: int, config: PretrainConfig) -> float:
    """Share of the highest learning rate at a step."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, config.num_steps - config.warmup_steps)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))


def pretrain(
    model: RerankModel,
    examples: NumberedExamples,
    config: PretrainConfig,
    *,
    log_path: Path,
    progress: bool = True,
) -> None:
    """Trains the model in place, on a GPU in bfloat16, and writes loss and accuracy per ``log_every`` steps as CSV."""
    device = next(model.parameters()).device
    groups = muon_groups(model.named_parameters(), weight_decay=config.weight_decay)
    optimiser = MuonAdamW(groups, lr=config.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: learning_rate_factor(step, config))
    batches = NamingBatches(examples, model.processor, config)
    loader: DataLoader[list[dict[str, Tensor]]] = DataLoader(
        Windows(batches), batch_size=None, shuffle=False, num_workers=config.num_workers
    )
    model.train()
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("w", newline="", encoding="utf-8") as file:
        log = csv.writer(file)
        log.writerow(("step", "loss", "token_accuracy", "learning_rate"))
        steps = enumerate(itertools.chain.from_iterable(loader))
        bar = tqdm(steps, total=config.num_steps, disable=not progress, desc="pre-training")
        half = torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
        for step, batch in bar:
            with float32_products(device), half:
                loss, accuracy = naming_loss(
                    model, {name: tensor.to(device) for name, tensor in batch.items()}
                )
            with float32_products(device):
                loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad(set_to_none=True)
            if step % config.log_every == 0 or step == config.num_steps - 1:
                rate = schedule.get_last_lr()[0]
                log.writerow((step, f"{loss.item():.4f}", f"{accuracy.item():.4f}", f"{rate:.6f}"))
                file.flush()
                bar.set_postfix(loss=f"{loss.item():.3f}", accuracy=f"{accuracy.item():.3f}")
    model.eval()
