"""One model, one batch, several objectives: everything a probe reports."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gmr.core.nouns import probability
from gmr.metrics.agreement import kendall_tau
from gmr.modeling.model import RerankModel
from gmr.modeling.precision import float32_products
from gmr.objectives import Objective
from gmr.probe.gradients.batch import HARD, KINDS, NEGATIVE, POSITIVE, RANDOM, ProbeGroup, check_teacher
from gmr.probe.gradients.head import HeadGradient, head_gradient, relative_distance, row_cosines
from gmr.probe.gradients.parameters import parameter_gradients
from gmr.probe.gradients.results import (
    Candidate,
    CandidateGradient,
    GradientReport,
    ObjectiveSummary,
    PairSummary,
)
from gmr.probe.gradients.specs import Spec
from gmr.probe.gradients.states import TOKENS_PER_PASS, States, collate, read_states
from gmr.probe.gradients.summary import (
    NUM_QUARTERS,
    Bools,
    Floats,
    effective_number,
    negligible_share,
    quarters,
    ratio_interval,
    shares_of,
)
from gmr.readouts import yes, yes_minus_no


def probe_model(
    model: RerankModel,
    groups: Sequence[ProbeGroup],
    specs: Sequence[Spec],
    *,
    name: str,
    step: int | None = None,
    parameters: str = "auto",
    tokens_per_pass: int = TOKENS_PER_PASS,
    seed: int = 0,
) -> GradientReport:
    """What the objectives do to the candidates of ``groups`` and to the parameters of ``model``.

    Nothing is trained; the model is as it was afterwards, in evaluation mode. Dropout is off.

    Args:
        model: any; a quantized one has no gradients and is refused.
        groups: the batch.
        specs: the objectives, by names that differ.
        name: what the report calls the model.
        step: training steps taken, where it is a checkpoint.
        parameters: whose gradients are compared, a key of ``PARAMETERS``.
        tokens_per_pass: bounds memory, and changes no gradient.
        seed: of the bootstrap over queries.

    Raises:
        ConfigError: an objective that does not fit the model.
        DataError: a picture or text that cannot be used, or no teacher's scores where one is asked for.
        ModelError: a quantized model, or one without the parameters asked for.
    """
    objectives = {spec.name: spec.build(num_positive=model.num_positive) for spec in specs}
    check_teacher(list(objectives.values()), groups)
    model.eval()
    with float32_products(model.device):
        batch = collate(model, groups, tokens_per_pass=tokens_per_pass)
        states = read_states(model, batch)
        exact = states.to(torch.float64)
        gradients = {each: head_gradient(objective, exact) for each, objective in objectives.items()}
        single = states.to(torch.float32)
        rounded = {each: head_gradient(objective, single) for each, objective in objectives.items()}
        parts = parameter_gradients(model, batch, states, objectives, which=parameters)
    kinds = np.array([kind for drawn in groups for kind in drawn.kinds])
    table = _Table(groups, kinds, exact)
    return GradientReport(
        model=name,
        step=step,
        num_queries=len(groups),
        kinds={kind: int((kinds == kind).sum()) for kind in KINDS},
        objectives=tuple(
            summarise(each, objectives[each], gradients[each], rounded[each], table, seed=seed)
            for each in objectives
        ),
        pairs=tuple(
            compare(a, b, gradients[a], gradients[b], table, seed=seed)
            for a, b in combinations(objectives, 2)
        ),
        parts=parts,
        candidates=table.candidates(gradients),
    )


class _Table:
    """The candidates of a batch as rows: query by query, in the order of the groups."""

    def __init__(self, groups: Sequence[ProbeGroup], kinds: npt.NDArray[np.str_], states: States) -> None:
        self.groups = groups
        self.kinds = kinds
        self.mask = states.mask
        self.query = np.repeat(np.arange(len(groups)), [len(drawn.kinds) for drawn in groups])
        with torch.no_grad():
            logits = states.head(states.hidden, states.rows)
            self.scores = self.rows(yes_minus_no(logits, num_positive=states.num_positive))
            self.positive_logits = self.rows(yes(logits, num_positive=states.num_positive))
        self.quarter = np.zeros(len(kinds), dtype=np.int64)
        self.quarter[self.of(NEGATIVE)] = quarters(self.scores[self.of(NEGATIVE)])

    def rows(self, values: Tensor) -> Floats:
        """``(candidates,)`` of ``(queries, docs)``."""
        found: Floats = values[self.mask].double().cpu().numpy()
        return found

    def of(self, kind: str) -> Bools:
        """Which candidates are of the kind; ``negative`` for hard and random ones."""
        found: Bools = self.kinds != POSITIVE if kind == NEGATIVE else self.kinds == kind
        return found

    def per_query(self, values: Floats) -> Floats:
        """Sums ``(queries,)`` of values ``(candidates,)``."""
        sums: Floats = np.bincount(self.query, weights=values, minlength=len(self.groups)).astype(np.float64)
        return sums

    def candidates(self, gradients: Mapping[str, HeadGradient]) -> tuple[Candidate, ...]:
        """The candidates with what every objective does to them."""
        columns = {name: self._column(gradient) for name, gradient in gradients.items()}
        places = [(drawn, place) for drawn in self.groups for place in range(len(drawn.kinds))]
        return tuple(
            Candidate(
                example_id=drawn.group.example_id,
                query_id=drawn.group.query.query_id,
                doc_id=drawn.group.documents[place].doc_id,
                kind=drawn.kinds[place],
                label=drawn.group.labels[place],
                score=float(self.scores[row]),
                probability=probability(float(self.scores[row])),
                positive_logit=float(self.positive_logits[row]),
                quarter=int(self.quarter[row]) or None,
                gradients={name: column[row] for name, column in columns.items()},
            )
            for row, (drawn, place) in enumerate(places)
        )

    def _column(self, gradient: HeadGradient) -> list[CandidateGradient]:
        lengths = gradient.directions.square().sum(dim=-1)
        along = (gradient.measured * gradient.directions).sum(dim=-1) / lengths
        norms, cosines = gradient.measured.norm(dim=-1), row_cosines(gradient.measured, gradient.directions)
        columns = [self.rows(values).tolist() for values in (gradient.weights, along, norms, cosines)]
        return [
            CandidateGradient(weight, _known(measured), norm, _known(cosine))
            for weight, measured, norm, cosine in zip(*columns, strict=True)
        ]


def summarise(
    name: str,
    objective: Objective,
    exact: HeadGradient,
    rounded: HeadGradient,
    table: _Table,
    *,
    seed: int,
) -> ObjectiveSummary:
    """One objective on a batch, from its gradients in float64 and in float32."""
    signed = table.rows(exact.weights)
    sizes = np.abs(signed)
    norms = table.rows(exact.measured.norm(dim=-1))
    ones = np.ones(len(table.groups))

    means, shares = {}, {}
    for kind in (POSITIVE, NEGATIVE, HARD, RANDOM):
        chosen = table.of(kind).astype(np.float64)
        means[kind] = ratio_interval(table.per_query(sizes * chosen), table.per_query(chosen), seed=seed)
        shares[kind] = ratio_interval(table.per_query(norms * chosen), table.per_query(norms), seed=seed)
    negative = table.of(NEGATIVE)
    return ObjectiveSummary(
        name=name,
        has_closed_form=objective.has_closed_form,
        loss=exact.losses.mean().item(),
        distance_float64=exact.distance,
        distance_float32=rounded.distance,
        rounding=relative_distance(rounded.measured.double(), exact.measured),
        mean_weight=means,
        share=shares,
        quarter_share=shares_of(norms[negative], table.quarter[negative], range(1, NUM_QUARTERS + 1)),
        net_weight=ratio_interval(table.per_query(signed), ones, seed=seed),
        effective_candidates=effective_number(sizes),
        effective_queries=effective_number(table.per_query(sizes)),
        negligible=negligible_share(sizes),
    )


def compare(
    a: str, b: str, left: HeadGradient, right: HeadGradient, table: _Table, *, seed: int
) -> PairSummary:
    """Two objectives on the same candidates."""
    cosines = row_cosines(left.measured, right.measured)[table.mask]
    both = cosines[~cosines.isnan()]
    sizes = [np.abs(table.rows(each.weights)) for each in (left, right)]
    whole = row_cosines(left.measured.flatten(), right.measured.flatten()).item()
    return PairSummary(
        a=a,
        b=b,
        num_both=len(both),
        conflict=(both < 0).double().mean().item() if len(both) else None,
        mean_cosine=both.mean().item() if len(both) else None,
        whole_cosine=_known(whole),
        weight_tau=kendall_tau(sizes[0], sizes[1]),
        difference={
            kind: ratio_interval(
                table.per_query((sizes[0] - sizes[1]) * table.of(kind)),
                table.per_query(table.of(kind).astype(np.float64)),
                seed=seed,
            )
            for kind in (POSITIVE, NEGATIVE)
        },
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
