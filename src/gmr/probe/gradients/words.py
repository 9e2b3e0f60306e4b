"""Sentences about a probe that say what its numbers show, and nothing else."""

from gmr.probe.gradients.batch import NEGATIVE, POSITIVE
from gmr.probe.gradients.results import GradientReport, GradientStudy, ObjectiveSummary, PairSummary
from gmr.probe.gradients.tables import label_of


def sentences(study: GradientStudy) -> list[str]:
    """What was found, of one model or of the first and last of several."""
    if len(study.reports) == 1:
        return model_sentences(study.reports[0])
    first, last = study.reports[0], study.reports[-1]
    return [_check(study.reports), *(_change(first, last, place) for place in range(len(first.objectives)))]


def model_sentences(report: GradientReport) -> list[str]:
    """What was found on one model."""
    return [
        _check((report,)),
        *(_weights(each) for each in report.objectives),
        *(_pair(pair, report) for pair in report.pairs[:3]),
    ]


def _check(reports: tuple[GradientReport, ...]) -> str:
    closed = [each for report in reports for each in report.objectives if each.has_closed_form]
    if not closed:
        return "No objective here has a closed form: what is measured is the surrogate's own gradient."
    exact, rounded = (
        max(getattr(each, name) for each in closed) for name in ("distance_float64", "distance_float32")
    )
    return (
        f"Weight × direction is the gradient of the closed-form loss at the hidden states to {exact:.0e} of its norm "
        f"in float64 and to {rounded:.0e} in float32, at worst."
    )


def _weights(each: ObjectiveSummary) -> str:
    positive, negative = each.mean_weight[POSITIVE].mean, each.mean_weight[NEGATIVE].mean
    return (
        f"{each.name}: the mean weight is {positive:.3f} on positives and {negative:.3f} on negatives; positives make "
        f"up {each.share[POSITIVE].mean:.0%} of the gradient, and the quarter of the negatives that score highest has "
        f"{each.quarter_share[-1]:.0%} of what negatives have."
    )


def _pair(pair: PairSummary, report: GradientReport) -> str:
    names = f"{pair.a} and {pair.b}"
    if pair.conflict is None or pair.whole_cosine is None:
        return f"{names} push no candidate both."
    if pair.conflict == 0:
        found = f"{names} push no candidate opposite ways"
    else:
        found = f"{names} push {pair.conflict:.1%} of the candidates opposite ways"
    found += f"; the cosine of their gradients is {pair.whole_cosine:+.2f} at the hidden states"
    places = {each.name: place for place, each in enumerate(report.objectives)}
    for part in report.parts[:1]:
        whole = part.cosines[places[pair.a]][places[pair.b]]
        where = {"all": "all parameters", "adapter": "the adapter"}.get(part.part, f"the {part.part}")
        found += "" if whole is None else f" and {whole:+.2f} at {where}"
    return f"{found}."


def _change(first: GradientReport, last: GradientReport, place: int) -> str:
    before, after = first.objectives[place], last.objectives[place]
    changes = [
        f"on {kind}s from {before.mean_weight[kind].mean:.3f} to {after.mean_weight[kind].mean:.3f}"
        for kind in (POSITIVE, NEGATIVE)
    ]
    return (
        f"{before.name}: from {label_of(first)} to {label_of(last)} the mean weight goes {' and '.join(changes)}, "
        f"and the effective number of candidates from {before.effective_candidates:.1f} to "
        f"{after.effective_candidates:.1f}."
    )
