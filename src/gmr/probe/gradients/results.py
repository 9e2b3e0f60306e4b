"""What a probe found, as plain numbers that go to JSON; tables, figures and pages are made of these alone."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from gmr.metrics.statistics import Interval

FORMAT = 1


@dataclass(frozen=True)
class CandidateGradient:
    """One objective on one candidate.

    Attributes:
        weight: signed, by the formula: below 0 it raises the score, above 0 it lowers it.
        measured_weight: the same from the measured gradient: its length along the direction, in directions;
            None where the direction is zero.
        norm: of the measured gradient with respect to the hidden state.
        cosine: of that gradient and the direction: -1 raises, +1 lowers; None for a gradient of zero.
    """

    weight: float
    measured_weight: float | None
    norm: float
    cosine: float | None


@dataclass(frozen=True)
class Candidate:
    """One candidate of one query, and what every objective does to it.

    Attributes:
        example_id: the training example.
        query_id: its query.
        doc_id: the document.
        kind: ``positive``, ``hard`` (a negative of the example) or ``random`` (one of the pool).
        label: above 0 for a positive.
        score: log-odds of the positive answers, ``z_y - z_n``.
        probability: ``sigmoid(score)``.
        positive_logit: ``z_y``, which contrastive learning reads.
        quarter: of a negative, by its score among all negatives of the batch: 1 lowest to 4 highest; None for
            a positive.
        gradients: by name of the objective.
    """

    example_id: str
    query_id: str
    doc_id: str
    kind: str
    label: float
    score: float
    probability: float
    positive_logit: float
    quarter: int | None
    gradients: Mapping[str, CandidateGradient]


@dataclass(frozen=True)
class ObjectiveSummary:
    """One objective on the whole batch. Intervals are bootstrapped over queries.

    Attributes:
        name: of the objective.
        has_closed_form: whether the measured gradient is that of a loss; else it is the surrogate's.
        loss: closed form of the weight scheme, mean over queries.
        distance_float64: of weight × direction from the measured gradient, relative to its norm.
        distance_float32: the same with everything in float32.
        rounding: distance of the gradient measured in float32 from the one in float64, relative.
        mean_weight: mean ``|weight|`` by kind of candidate, and ``negative`` for hard and random ones.
        share: share of the gradient's norm, summed over candidates, by the same kinds.
        quarter_share: share of the negatives' norm that each quarter of them has, lowest scores first.
        net_weight: sum of the signed weights of a query, mean over queries.
        effective_candidates: exp of the entropy of the weights: how many candidates would share the batch's
            weight equally; 0.0 where all weights are zero.
        effective_queries: the same of the queries.
        negligible: share of the candidates whose weight is under 1 % of the largest in the batch.
    """

    name: str
    has_closed_form: bool
    loss: float
    distance_float64: float
    distance_float32: float
    rounding: float
    mean_weight: Mapping[str, Interval]
    share: Mapping[str, Interval]
    quarter_share: tuple[float, ...]
    net_weight: Interval
    effective_candidates: float
    effective_queries: float
    negligible: float


@dataclass(frozen=True)
class PairSummary:
    """Two objectives on the same candidates.

    Attributes:
        a: name of one.
        b: name of the other.
        num_both: candidates that both push.
        conflict: share of these that one raises and the other lowers.
        mean_cosine: of the two gradients of a candidate, mean over these.
        whole_cosine: of the two gradients of all hidden states at once.
        weight_tau: Kendall's tau-b of the two sizes of weights: 1 for the same order of candidates.
        difference: mean ``|weight|`` under ``a`` minus that under ``b``, on ``positive`` and on ``negative``
            candidates; intervals over queries, which are the same for both.
    """

    a: str
    b: str
    num_both: int
    conflict: float | None
    mean_cosine: float | None
    whole_cosine: float | None
    weight_tau: float | None
    difference: Mapping[str, Interval]


@dataclass(frozen=True)
class PartGradient:
    """The gradient of the mean over queries with respect to one part of the model's parameters.

    Attributes:
        part: ``all`` or ``adapter`` for all that were compared, then ``embeddings``, ``vision``, ``first layer``,
            ``last layer`` and ``head`` of these.
        num_parameters: in the part.
        norms: by name of the objective.
        cosines: ``cosines[i][j]`` of the objectives in the order of ``norms``; None where one is zero.
    """

    part: str
    num_parameters: int
    norms: Mapping[str, float]
    cosines: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True)
class GradientReport:
    """All that was found on one model.

    Attributes:
        model: what it is called.
        step: training steps taken, where it is a checkpoint of a run.
        num_queries: in the batch.
        kinds: number of candidates by kind.
        objectives: in the order asked for.
        pairs: every two of them.
        parts: of the parameters; empty when they were not asked for.
        candidates: one by one.
    """

    model: str
    step: int | None
    num_queries: int
    kinds: Mapping[str, int]
    objectives: tuple[ObjectiveSummary, ...]
    pairs: tuple[PairSummary, ...]
    parts: tuple[PartGradient, ...]
    candidates: tuple[Candidate, ...]

    def to_dict(self) -> dict[str, Any]:
        """Everything but the candidates, which are lines of a file of their own."""
        return {
            name: value
            for name, value in asdict(replace(self, candidates=())).items()
            if name != "candidates"
        }

    def lines(self) -> list[dict[str, Any]]:
        """The candidates, one JSON object each."""
        model = {"model": self.model} | ({} if self.step is None else {"step": self.step})
        return [model | asdict(candidate) for candidate in self.candidates]


@dataclass(frozen=True)
class GradientStudy:
    """One or several models on the same batch.

    Attributes:
        data: where the batch is from, in words.
        settings: how it was drawn.
        environment: versions and machine.
        reports: one for each model, in the order of training where they are checkpoints.
    """

    data: str
    settings: Mapping[str, Any]
    environment: Mapping[str, str]
    reports: tuple[GradientReport, ...]

    def to_dict(self) -> dict[str, Any]:
        """What ``gradients.json`` holds."""
        return {
            "format": FORMAT,
            "data": self.data,
            "settings": dict(self.settings),
            "environment": dict(self.environment),
            "reports": [report.to_dict() for report in self.reports],
        }
