"""The table of weight schemes: how hard each candidate is pushed, and which way.

A scheme gives one signed number per candidate, the derivative of its loss with respect to the candidate's
score: negative raises the score, positive lowers it. It is computed by hand-derived formulas without a graph,
so it can weigh any direction. Schemes that weigh every answer of a candidate are in ``neighbours.py``.
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
from gmr.readouts import READOUTS, at_least_float32

Option = float | str | bool
NEEDS: Mapping[str, str] = MappingProxyType(
    {
        "teacher": "teacher scores, one for every candidate",
        "reference": "a reference: the answer logits that the base model gives every candidate",
        "draws": "draws: random numbers from 0 to 1 for every candidate and roll-out",
    }
)
"""What a scheme may take beside logits, labels and mask."""


@dataclass(frozen=True)
class Term:
    """One scheme of a sum: ``factor`` times a pair of functions that share their options.

    Attributes:
        name: the scheme's.
        weights: of the group, the signed weights: a number per candidate, or per answer if it reads ``answers``.
        loss: whose derivative they are.
        reads: name of the readout that both compute from, ``answers`` for all answer logits.
        needs: what they take beside the group: keys of `NEEDS`.
        factor: that both are multiplied by.
        read: the readout, to spread weights over answers; None for a term that weighs answers.
    """

    name: str
    weights: Callable[..., Tensor]
    loss: Callable[..., Tensor]
    reads: str
    needs: tuple[str, ...] = ()
    factor: float = 1.0
    read: Callable[[Tensor], Tensor] | None = None

    def call(
        self,
        function: Callable[..., Tensor],
        logits: Tensor,
        labels: Tensor,
        mask: Tensor,
        given: Mapping[str, Tensor | None],
    ) -> Tensor:
        """``function`` of the group and of what this term needs of the ``given``."""
        needed = {}
        for name in self.needs:
            needed[name] = given.get(name)
            if needed[name] is None:
                raise ValueError(f"the weight {self.name!r} needs {NEEDS[name]}")
        return function(logits, labels, mask, **needed)

    def answer_weights(
        self, logits: Tensor, labels: Tensor, mask: Tensor, given: Mapping[str, Tensor | None]
    ) -> Tensor:
        """Weights ``(queries, docs, answers)``: those of candidates go where their readout's gradient points."""
        weights = self.factor * self.call(self.weights, logits, labels, mask, given)
        if self.read is None:
            return weights
        with torch.enable_grad():
            answers = at_least_float32(logits.detach()).masked_fill(~mask[..., None], 0.0).requires_grad_()
            (spread,) = torch.autograd.grad((weights * self.read(answers)).sum(), answers)
        return spread


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
    def needs(self) -> frozenset[str]:
        """What is asked for beside logits, labels and mask: keys of `NEEDS`."""
        return frozenset(name for term in self.terms for name in term.needs)

    @property
    def needs_teacher(self) -> bool:
        """Whether a teacher's scores are asked for."""
        return "teacher" in self.needs

    @property
    def weighs_answers(self) -> bool:
        """Whether a term has no weight for a candidate as a whole, so that the direction must be ``answers``."""
        return any(term.read is None for term in self.terms)

    @torch.no_grad()
    def __call__(
        self,
        logits: Tensor,
        labels: Tensor,
        mask: Tensor,
        teacher: Tensor | None = None,
        *,
        reference: Tensor | None = None,
        draws: Tensor | None = None,
    ) -> Tensor:
        """Signed weights ``(queries, docs)``, without a graph, 0 where the mask is False.

        Args:
            logits: ``(queries, docs, answers)``.
            labels: ``(queries, docs)``.
            mask: ``(queries, docs)`` bool, True for a real candidate.
            teacher: scores ``(queries, docs)``, for the schemes that ask for them.
            reference: answer logits ``(queries, docs, answers)`` of the base model, likewise.
            draws: ``(queries, docs, roll-outs)`` uniform in [0, 1), likewise.

        Raises:
            ValueError: something needed is missing, shapes do not fit, a label is out of range, or a term weighs
                answers and no candidates.
        """
        if self.weighs_answers:
            raise ValueError(f"the weight {self.name!r} weighs every answer: push the direction 'answers'")
        given = {"teacher": teacher, "reference": reference, "draws": draws}
        weights = [term.factor * term.call(term.weights, logits, labels, mask, given) for term in self.terms]
        return torch.stack(weights).sum(dim=0)

    @torch.no_grad()
    def answer_weights(
        self,
        logits: Tensor,
        labels: Tensor,
        mask: Tensor,
        teacher: Tensor | None = None,
        *,
        reference: Tensor | None = None,
        draws: Tensor | None = None,
    ) -> Tensor:
        """Signed weights of every answer, ``(queries, docs, answers)``: the derivative of the loss by its logit.

        A scheme that weighs candidates is spread over the answers by the gradient of the readout that it reads: with
        the direction ``answers`` every loss, a sum of losses that read differently too, has its closed form's gradient.
        Arguments and errors are those of `__call__`.
        """
        given = {"teacher": teacher, "reference": reference, "draws": draws}
        weights = [term.answer_weights(logits, labels, mask, given) for term in self.terms]
        return torch.stack(weights).sum(dim=0)

    def loss(
        self,
        logits: Tensor,
        labels: Tensor,
        mask: Tensor,
        teacher: Tensor | None = None,
        *,
        reference: Tensor | None = None,
        draws: Tensor | None = None,
        reduction: Reduction = "mean",
    ) -> Tensor:
        """The closed form, differentiable: mean over queries, or ``(queries,)`` for ``reduction="none"``."""
        given = {"teacher": teacher, "reference": reference, "draws": draws}
        losses = [
            term.factor * term.call(partial(term.loss, reduction=reduction), logits, labels, mask, given)
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
    needs_reference: bool = False

    def __call__(self, *, reads: str | None = None, num_positive: int = 1, **options: Option) -> WeightScheme:
        """The scheme with these options; see ``WeightFactory``."""
        if set(options) != set(self.options):
            raise ValueError(f"the weight {self.name!r} takes {self.options}, not {tuple(options)}")
        reads = reads or self.reads
        read = partial(READOUTS[reads], num_positive=num_positive)
        weights, loss = (partial(function, read=read, **options) for function in (self.weights, self.loss))
        needs = ("teacher",) * self.needs_teacher + ("reference",) * self.needs_reference
        return WeightScheme(self.name, (Term(self.name, weights, loss, reads, needs, read=read),))


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
