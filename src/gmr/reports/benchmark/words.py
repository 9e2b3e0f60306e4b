"""What the numbers of a benchmark say in sentences: what came out, what to mind, and what it does not show."""

from collections.abc import Collection, Sequence

from gmr.core.nouns import display_type
from gmr.evaluation import Comparison
from gmr.evaluation.results import TIE_SPREAD
from gmr.metrics.statistics import SIGNIFICANT, Interval
from gmr.reports.benchmark.contents import BenchmarkReport
from gmr.reports.figures import signed
from gmr.suites.baselines import CHANCE

NOTES = (
    "Every task weighs the same in a mean, and every query the same in its task. Intervals are 95 % percentile "
    "bootstrap intervals over the queries of these tasks; they do not speak of other tasks or training seeds.",
    "p-values are of two-sided paired randomisation tests over queries, corrected by Holm over all tests of one level.",
    "A query counts 0 where it was not answered or where no relevant document is among its candidates; positives are "
    "never added to the candidates. Gain is the judged grade (linear); documents without a judgment gain nothing.",
    "Equal scores stand by document id, descending, as in trec_eval; chance is the exact expectation of a random "
    "order.",
)
CALIBRATION_NOTE = (
    "Calibration takes the score as log-odds and a document without a judgment as not relevant. It is that of these "
    "candidates: with another share of relevant ones it is another. A score trained by a contrastive objective is not "
    "meant to be a probability. The temperature is fitted on these very pairs and applied to no other number."
)
DEPTH_NOTE = (
    "At depth k the first k candidates of the first stage are reranked and the others stay behind them; the oracle "
    "puts them in the best possible order. Intervals of curves come from 2,000 resamples."
)


def label_of(level: str, label: str) -> str:
    """The label as it is shown: task types with arrows, everything else as it is."""
    return display_type(label) if level == "type" else label


def interval_text(system: str, value: Interval, *, digits: int = 3) -> str:
    """Mean and interval; chance is computed, not sampled, so that it has none, and equal values have none either."""
    if system == CHANCE or value.low == value.mean == value.high:
        return f"{value.mean:.{digits}f}"
    return f"{value.mean:.{digits}f} [{value.low:.{digits}f}, {value.high:.{digits}f}]"


def p_text(value: float) -> str:
    """A p-value to four places; none is ever zero."""
    return f"{value:.4f}" if value >= 0.0001 else "<0.0001"


def is_sure(row: Comparison) -> bool:
    """Whether the difference is beyond the noise of the queries."""
    return row.adjusted_p_value < SIGNIFICANT


def plural(number: int, noun: str) -> str:
    """``1 query``, ``2 queries``, ``1,000 tasks``."""
    many = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else many}"


def findings(report: BenchmarkReport) -> tuple[str, ...]:
    """What came out: the best model, and every model against the reference and the others."""
    overall = report.rows("mean")[0]
    models = report.models or [name for name in overall.values if name not in report.unordered]
    sentences = []
    best = ""
    if models:
        best = max(models, key=lambda name: overall.values[name].mean)
        others = [
            f"{name} has {overall.values[name].mean:.3f}"
            for name in (report.reference, *sorted(report.unordered))
            if name and name != best
        ]
        sentences.append(
            f"{best} has a mean {report.measure} of {interval_text(best, overall.values[best])} over "
            f"{plural(overall.num_tasks, 'task')} and {plural(overall.num_queries, 'query')}"
            f"{'; ' if others else ''}{', '.join(others)}."
        )
    types = {row.label for row in report.rows("type")}
    for model in models:
        found = [row for row in report.tests("type") if (row.a, row.b) == (model, report.reference)]
        if found:
            above = [row for row in found if row.delta.mean > 0 and is_sure(row)]
            below = [row for row in found if row.delta.mean < 0 and is_sure(row)]
            sentence = (
                f"{model} is significantly above the {report.reference} in {len(above)} of "
                f"{plural(len(types), 'task type')}"
            )
            if below:
                sentence += f" and below it in {', '.join(display_type(row.label) for row in below)}"
            sentences.append(f"{sentence} (p < {SIGNIFICANT} after correction).")
    # of many models, the pairs with the best: the table has all
    verdicts = [row for row in report.tests("mean") if row.b != report.reference]
    sentences += [_verdict(row) for row in verdicts if best in (row.a, row.b)]
    return tuple(sentences)


def graded_note(systems: Collection[str]) -> str:
    """Why these have no calibration."""
    return f"No calibration of {_names(sorted(systems))}: the scores are grades, from 0 up, and no log-odds."


def warnings(
    report: BenchmarkReport, *, without_depth: Sequence[str], left_out: Sequence[str]
) -> tuple[str, ...]:
    """What to mind before a number is quoted."""
    sentences = []
    for system in [system.name for system in report.systems]:
        rows = [row for row in report.coverage if row.system == system]
        tied = [row for row in rows if not row.is_expectation and row.coverage.tie_spread > TIE_SPREAD]
        if tied:
            worst = max(tied, key=lambda row: row.coverage.tie_spread).coverage
            sentences.append(
                f"{system}: in {plural(len(tied), 'task')} the order of equal scores decides; at most between "
                f"{worst.worst_tie:.4f} and {worst.best_tie:.4f} ({_names([row.task for row in tied])})."
            )
        for count, noun, what in (
            (
                sum(len(row.coverage.missing_queries) for row in rows),
                "judged query",
                "not answered: counted 0",
            ),
            (sum(row.coverage.num_dropped for row in rows), "candidate", "not scored: counted as not found"),
            (sum(len(row.coverage.unknown_documents) for row in rows), "document", "not in the corpus"),
        ):
            if count:
                sentences.append(f"{system}: {plural(count, noun)} {what}.")
    unreachable = [task for task in report.tasks if task.num_unreachable]
    if unreachable:
        count = sum(task.num_unreachable for task in unreachable)
        judged = sum(task.num_judged for task in report.tasks)
        sentences.append(
            f"{count:,} of {plural(judged, 'judged query')} have no relevant document among their candidates: no "
            f"reranker can help there ({_names([task.name for task in unreachable])})."
        )
    if without_depth:
        sentences.append(
            f"There is no depth curve of {_names(without_depth)}: no candidates of a first stage."
        )
    if left_out:
        sentences.append(f"Not broken down by {', '.join(left_out)}: too many values.")
    return tuple(sentences)


def _verdict(row: Comparison) -> str:
    if not is_sure(row):
        return (
            f"{row.a} and {row.b} cannot be told apart in the mean "
            f"({signed(row.delta.mean)}, p = {p_text(row.adjusted_p_value)})."
        )
    better, worse = (row.a, row.b) if row.delta.mean > 0 else (row.b, row.a)
    return f"{better} is above {worse} by {abs(row.delta.mean):.3f} (p = {p_text(row.adjusted_p_value)})."


def _names(names: Sequence[str], *, limit: int = 4) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
