"""The table of weight schemes: how hard each candidate is pushed, and which way.

A scheme gives one signed number per candidate, the derivative of its loss with respect to the candidate's
score: negative raises the score, positive lowers it. It is computed by hand-derived formulas without a graph,
so it can weigh any direction.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Tensor

from gmr.objectives.groups import Reduction
from gmr.objectives.orders import adr_mse_loss, adr_mse_weights, listmle_loss, listmle_weights
from gmr.objectives.pairwise import (
    lambda_loss,
    lambda_weights,
    margin_mse_loss,
    margin_mse_weights,
    ranknet_loss,
    ranknet_weights,
)
from gmr.objectives.pointwise import (
    bce_loss,
    bce_weights,
    focal_loss,
    focal_weights,
    hinge_loss,
    linear_loss,
    mse_loss,
    mse_weights,
    sft_loss,
    sft_weights,
    uniform_masked_weights,
    uniform_weights,
)
from gmr.objectives.softmax import (
    distillation_loss,
    distillation_weights,
    infonce_loss,
    infonce_weights,
    listnet_loss,
    listnet_weights,
)
from gmr.readouts import READOUTS

Option = float | str | bool


@dataclass(frozen=True)
class Term:
    """One scheme of a sum: ``factor`` times a pair of functions that share their options."""

    name: str
    weights: Callable[..., Tensor]
    loss: Callable[..., Tensor]
    reads: str
    needs_teacher: bool
    factor: float = 1.0

    def call(
        self,
        function: Callable[..., Tensor],
        logits: Tensor,
        labels: Tensor,
        mask: Tensor,
        teacher: Tensor | None,
    ) -> Tensor:
        """``function`` of the group, given the teacher if this term needs one."""
        if not self.needs_teacher:
            return function(logits, labels, mask)
        if teacher is None:
            raise ValueError(f"the weight {self.name!r} needs teacher scores, one for every candidate")
        return function(logits, labels, mask, teacher=teacher)


@dataclass(frozen=True)
class WeightScheme:
    """Signed weights and the loss whose derivative they are.

    Attributes:
        name: as it is asked for: a key of ``WEIGHTS``, or several with ``+`` between.
        terms: what is summed.
    """

    name: str
    terms: tuple[Term, ...]

    @property
    def reads(self) -> frozenset[str]:
        """Names of the readouts that the weights are computed from."""
        return frozenset(term.reads for term in self.terms)

    @property
    def needs_teacher(self) -> bool:
        """Whether a teacher's scores are asked for."""
        return any(term.needs_teacher for term in self.terms)

    @torch.no_grad()
    def __call__(self, logits: Tensor, labels: Tensor, mask: Tensor, teacher: Tensor | None = None) -> Tensor:
        """Signed weights ``(queries, docs)``, without a graph, 0 where the mask is False.

        Args:
            logits: ``(queries, docs, answers)``.
            labels: ``(queries, docs)``.
            mask: ``(queries, docs)`` bool, True for a real candidate.
            teacher: scores ``(queries, docs)``, for the schemes that ask for them.

        Raises:
            ValueError: a missing teacher, shapes that do not fit, or a label out of range.
        """
        weights = [
            term.factor * term.call(term.weights, logits, labels, mask, teacher) for term in self.terms
        ]
        return torch.stack(weights).sum(dim=0)

    def loss(
        self,
        logits: Tensor,
        labels: Tensor,
        mask: Tensor,
        teacher: Tensor | None = None,
        *,
        reduction: Reduction = "mean",
    ) -> Tensor:
        """The closed form, differentiable: mean over queries, or ``(queries,)`` for ``reduction="none"``."""
        losses = [
            term.factor * term.call(partial(term.loss, reduction=reduction), logits, labels, mask, teacher)
            for term in self.terms
        ]
        return torch.stack(losses).sum(dim=0)


class WeightFactory(Protocol):
    """Makes a scheme of its options."""

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options that it takes, all of them required."""
        ...

    def __call__(self, *, reads: str | None = None, num_positive: int = 1, **options: Option) -> WeightScheme:
        """The scheme.

        Args:
            reads: the readout to compute from; None for the scheme's own.
            num_positive: how many answer logits, from the first, are positive.
            options: a value for each name in ``options``.
        """
        ...


@dataclass(frozen=True)
class Family:
    """A row of the table: the two functions of a scheme, the readout it reads, its options."""

    name: str
    weights: Callable[..., Tensor]
    loss: Callable[..., Tensor]
    reads: str = "yes_minus_no"
    options: tuple[str, ...] = ()
    needs_teacher: bool = False

    def __call__(self, *, reads: str | None = None, num_positive: int = 1, **options: Option) -> WeightScheme:
        """The scheme with these options; see ``WeightFactory``."""
        if set(options) != set(self.options):
            raise ValueError(f"the weight {self.name!r} takes {self.options}, not {tuple(options)}")
        reads = reads or self.reads
        read = partial(READOUTS[reads], num_positive=num_positive)
        weights, loss = (partial(function, read=read, **options) for function in (self.weights, self.loss))
        return WeightScheme(self.name, (Term(self.name, weights, loss, reads, self.needs_teacher),))


@dataclass(frozen=True)
class Interpolation:
    """``λ·sft + (1 - λ)·contrastive``, each from its own readout unless told otherwise."""

    options: tuple[str, ...] = ("interpolation", "temperature", "positives")

    def __call__(self, *, reads: str | None = None, num_positive: int = 1, **options: Option) -> WeightScheme:
        """The scheme with these options; see ``WeightFactory``."""
        share = float(options.pop("interpolation"))
        sft = WEIGHTS["sft"](reads=reads, num_positive=num_positive)
        contrastive = WEIGHTS["contrastive"](reads=reads, num_positive=num_positive, **options)
        return weighted_sum("interpolation", [(share, sft), (1 - share, contrastive)])


_FAMILIES = (
    Family("sft", sft_weights, sft_loss),
    Family("sft_margin", sft_weights, sft_loss, options=("margin",)),
    Family("bce", bce_weights, bce_loss, reads="yes", options=("positive_weight",)),
    Family("focal", focal_weights, focal_loss, options=("focusing",)),
    Family("uniform", uniform_weights, linear_loss),
    Family("uniform_masked", uniform_masked_weights, hinge_loss, options=("threshold",)),
    Family("contrastive", infonce_weights, infonce_loss, reads="yes", options=("temperature", "positives")),
    Family(
        "contrastive_margin",
        infonce_weights,
        infonce_loss,
        reads="yes",
        options=("temperature", "positives", "margin"),
    ),
    Family("listnet", listnet_weights, listnet_loss, options=("temperature",)),
    Family("listmle", listmle_weights, listmle_loss, options=("position_aware",)),
    Family("adr_mse", adr_mse_weights, adr_mse_loss, options=("temperature",)),
    Family("ranknet", ranknet_weights, ranknet_loss, options=("temperature",)),
    Family("lambdaloss", lambda_weights, lambda_loss, options=("temperature", "gains")),
    Family(
        "distillation", distillation_weights, distillation_loss, options=("temperature",), needs_teacher=True
    ),
    Family("margin_mse", margin_mse_weights, margin_mse_loss, needs_teacher=True),
    Family("mse", mse_weights, mse_loss, needs_teacher=True),
)
WEIGHTS: Mapping[str, WeightFactory] = MappingProxyType(
    {**{family.name: family for family in _FAMILIES}, "interpolation": Interpolation()}
)


def weighted_sum(name: str, parts: Sequence[tuple[float, WeightScheme]]) -> WeightScheme:
    """The scheme whose weights (and loss) are the sum of ``factor`` times those of each part."""
    terms = [replace(term, factor=factor * term.factor) for factor, part in parts for term in part.terms]
    return WeightScheme(name, tuple(terms))
