"""From the hidden state of a prompt's last token to its answer logits, never in less than float32.

A head is called with the pooled states and the *live* rows of the language-model head for the answer tokens;
what it does with them is its kind. bfloat16 heads make ties: 200 distinct scores become 11 to 59.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gmr.core.errors import ModelError
from gmr.readouts import at_least_float32


@dataclass(frozen=True)
class HeadConfig:
    """Which head, and its options; what ``gmr.json`` holds under ``head``.

    Attributes:
        kind: a key of `HEADS`.
        trainable: for ``answer_rows``, whether the head owns a trained copy of the rows. Frozen rows are read
            from the backbone at every call, so they follow input embeddings that are tied to them and
            trained.
        hidden_size: width inside ``mlp``; None for the backbone's.
        bias: subtracted from the output of ``mlp``.
        seed: of the random start of ``random_projection``.
    """

    kind: str = "answer_rows"
    trainable: bool = False
    hidden_size: int | None = None
    bias: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in HEADS:
            raise ModelError(f"head kind {self.kind!r} is unknown; known are {', '.join(HEADS)}")

    def build(self, rows: Tensor) -> nn.Module:
        """The head for these answer ``rows`` ``(answers, width)`` of a backbone's language-model head."""
        return HEADS[self.kind](self, rows.detach().float())

    def to_json(self) -> dict[str, Any]:
        """The options that differ from the defaults, and the kind."""
        return {"kind": self.kind} | {
            name: value
            for name, value in asdict(self).items()
            if value != getattr(HeadConfig, name) and name != "kind"
        }


class AnswerRows(nn.Module):
    """Products with the answer rows of the language-model head: two or more logits per prompt.

    Frozen, it has no parameter and no gradient reaches the rows; trainable, it owns a copy of them.
    """

    def __init__(self, config: HeadConfig, rows: Tensor) -> None:
        super().__init__()
        self.rows = nn.Parameter(rows.clone()) if config.trainable else None

    def forward(self, hidden: Tensor, live_rows: Tensor) -> Tensor:
        """``(..., width)`` and ``(answers, width)`` to ``(..., answers)``, float32; float64 of float64."""
        rows = live_rows.detach() if self.rows is None else self.rows
        hidden = at_least_float32(hidden)
        return hidden @ rows.to(hidden).mT


class Projection(nn.Module):
    """A trained linear map of the hidden state before the frozen answer rows; it starts as the identity."""

    def __init__(self, config: HeadConfig, rows: Tensor) -> None:
        super().__init__()
        del config
        width = rows.shape[-1]
        self.map = nn.Linear(width, width, bias=False, dtype=torch.float32, device=rows.device)
        with torch.no_grad():
            self.map.weight.copy_(torch.eye(width))

    def forward(self, hidden: Tensor, live_rows: Tensor) -> Tensor:
        """``(..., width)`` and ``(answers, width)`` to ``(..., answers)``, float32; float64 of float64."""
        mapped = self.map(at_least_float32(hidden))
        return mapped @ live_rows.detach().to(mapped).mT


class RandomProjection(nn.Module):
    """One trained direction in place of all answer rows, drawn at random with the mean norm of the rows.

    Source: the direction probe of arXiv 2510.14824 (a randomly initialised learnable projection).
    """

    def __init__(self, config: HeadConfig, rows: Tensor) -> None:
        super().__init__()
        if not len(rows):
            raise ModelError(
                "head random_projection takes its scale from the answer rows, and there are no answer rows"
            )
        generator = torch.Generator().manual_seed(config.seed)
        direction = torch.randn(1, rows.shape[-1], generator=generator).to(rows.device)
        self.direction = nn.Parameter(direction / direction.norm() * rows.norm(dim=-1).mean())

    def forward(self, hidden: Tensor, live_rows: Tensor) -> Tensor:
        """``(..., width)`` to ``(..., 1)``, float32 (float64 of float64); the live rows are not read."""
        del live_rows
        return at_least_float32(hidden) @ self.direction.mT


class MLP(nn.Module):
    """Linear, ReLU, linear, minus a constant: the head of jina-reranker-m0 (constant 2.65)."""

    def __init__(self, config: HeadConfig, rows: Tensor) -> None:
        super().__init__()
        width = rows.shape[-1]
        hidden_size = config.hidden_size or width
        options: dict[str, Any] = {"dtype": torch.float32, "device": rows.device}
        # Index 0 and 2 are the names in published checkpoints: score.0.weight, score.2.weight, ...
        self.score = nn.Sequential(
            nn.Linear(width, hidden_size, **options), nn.ReLU(), nn.Linear(hidden_size, 1, **options)
        )
        self.bias = config.bias

    def forward(self, hidden: Tensor, live_rows: Tensor) -> Tensor:
        """``(..., width)`` to ``(..., 1)``, float32 (float64 of float64); the live rows are not read."""
        del live_rows
        return self.score(at_least_float32(hidden)) - self.bias


HEADS: dict[str, Callable[[HeadConfig, Tensor], nn.Module]] = {
    "answer_rows": AnswerRows,
    "projection": Projection,
    "random_projection": RandomProjection,
    "mlp": MLP,
}
