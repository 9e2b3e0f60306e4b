"""Random ragged batches of groups, and every objective there is to test on them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gmr.objectives import WEIGHTS, Objective, ObjectiveConfig

# One case per row of the table at its defaults, and one per option value that takes another path.
OPTIONS: dict[str, list[dict[str, object]]] = {
    "sft_margin": [{"margin": 0.7}],
    "bce": [{"positive_weight": 3.0}],
    "focal": [{"focusing": 0.5}, {"focusing": 0.0}],
    "uniform_masked": [{"threshold": 0.3}],
    "contrastive": [
        {"temperature": 0.3},
        {"positives": "separate"},
        {"positives": "separate", "temperature": 2.5},
    ],
    "contrastive_margin": [
        {"margin": 0.4, "temperature": 0.5},
        {"margin": 0.4, "temperature": 0.5, "positives": "separate"},
    ],
    "listnet": [{"temperature": 0.6}],
    "listmle": [{"position_aware": True}],
    "adr_mse": [{"temperature": 0.4}],
    "ranknet": [{"temperature": 0.5}],
    "lambdaloss": [{"gains": "lambdarank"}, {"gains": "ndcg_loss2", "temperature": 2.0}],
    "distillation": [{"temperature": 3.0}],
    "interpolation": [{"interpolation": 0.25, "temperature": 0.5}],
}
CASES: list[dict[str, object]] = [
    {"weight": name, **options} for name in WEIGHTS for options in ({}, *OPTIONS.get(name, []))
] + [{"weight": "uniform+sft"}, {"weight": "sft+ranknet+mse"}]
GRADED = {"listnet", "listmle", "ranknet", "lambdaloss", "adr_mse"}
TEACHERS = {"distillation", "margin_mse", "mse", "sft+ranknet+mse"}
# Schemes whose sign is fixed by the label alone, whatever the scores and however many positives.
FOLLOW_LABELS = [
    case
    for case in CASES
    if case["weight"] in {"sft", "sft_margin", "bce", "focal", "uniform", "uniform_masked", "ranknet"}
    or case["weight"] in {"lambdaloss", "uniform+sft"}
    or case.get("positives") == "separate"
]


def case_id(case: object) -> str:
    return "-".join(str(value) for value in case.values()) if isinstance(case, dict) else str(case)


def objective(case: dict[str, object], *, reads: str = "own", direction: str = "yes_minus_no") -> Objective:
    return ObjectiveConfig(**case, reads=reads, direction=direction).build()


@dataclass
class Batch:
    logits: Tensor  # (queries, docs, answers)
    labels: Tensor  # (queries, docs)
    mask: Tensor  # (queries, docs) bool
    teacher: Tensor  # (queries, docs)

    def __iter__(self):
        return iter((self.logits, self.labels, self.mask, self.teacher))


def random_batch(
    seed: int = 0,
    *,
    num_queries: int = 6,
    num_docs: int = 7,
    num_answers: int = 2,
    scale: float = 2.0,
    graded: bool = False,
    dtype: torch.dtype = torch.float64,
) -> Batch:
    """Groups of 1 to ``num_docs``, the last full; the first has no positive, the second no negative."""
    random = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(num_queries, num_docs, num_answers, generator=random, dtype=dtype)
    labels = torch.randint(0, 4 if graded else 2, (num_queries, num_docs), generator=random).to(dtype)
    lengths = torch.randint(1, num_docs + 1, (num_queries, 1), generator=random)
    lengths[-1] = num_docs
    labels[0], labels[1 % num_queries] = 0.0, 1.0
    labels[-1, 0], labels[-1, 1:3] = 1.0, 0.0
    mask = torch.arange(num_docs) < lengths
    teacher = scale * torch.randn(num_queries, num_docs, generator=random, dtype=dtype)
    return Batch(logits, labels, mask, teacher)


def graded(case: dict[str, object]) -> bool:
    return case["weight"] in GRADED
