"""The page of a probe: sentences, figures and tables in one self-contained HTML file."""

from collections.abc import Sequence

from gmr.probe.gradients import figures
from gmr.probe.gradients.batch import HARD, POSITIVE, RANDOM
from gmr.probe.gradients.results import GradientReport, GradientStudy
from gmr.probe.gradients.tables import Table, curve_table, label_of, model_tables
from gmr.probe.gradients.words import model_sentences, sentences
from gmr.reports.elements import colour_legend, framed, section
from gmr.reports.html import Markup, page, table, tag

KIND_LABELS = {
    POSITIVE: "positives",
    HARD: "hard negatives (of the example)",
    RANDOM: "random negatives (of the pool)",
}
MAX_SHOWN = 4
"""Models with sections of their own; of more, the first and the last have one, and curves show all."""
QUARTER_LABELS = ("lowest quarter", "second", "third", "highest quarter of the negatives by score")


def gradients_page(study: GradientStudy) -> str:
    """The study as one HTML document."""
    body = []
    if len(study.reports) > 1:
        names = [each.name for each in study.reports[0].objectives]
        colours = {name: figures.objective_colour(number) for number, name in enumerate(names)}
        body.append(
            section(
                "Model by model",
                _said(sentences(study)),
                colour_legend(colours),
                framed(figures.curves(study), "Bands are 95 % intervals over the queries of the batch."),
                _table(curve_table(study)),
            )
        )
    shown = study.reports if len(study.reports) <= MAX_SHOWN else (study.reports[0], study.reports[-1])
    body += [each for report in shown for each in _model_sections(report)]
    facts = {name: str(value) for name, value in {**study.settings, **study.environment}.items()}
    body.append(
        section("How it was made", table(["", ""], [[*fact] for fact in facts.items()], classes="facts"))
    )
    return page("What the objectives do to a batch", body, subtitle=_subtitle(study))


def _model_sections(report: GradientReport) -> list[Markup]:
    thinned = figures.thinned(report.candidates)
    every = "" if len(thinned) == len(report.candidates) else f" {len(thinned)} of the candidates are drawn."
    kinds = {KIND_LABELS[kind]: figures.KIND_COLOURS[kind] for kind, number in report.kinds.items() if number}
    quarters = dict(zip(QUARTER_LABELS, figures.QUARTER_COLOURS, strict=True))
    return [
        section(
            label_of(report),
            _said(model_sentences(report)),
            colour_legend(kinds),
            framed(
                figures.weights_by_score(report),
                "Every point is a candidate: how hard the objective pushes it (below zero: raises its score) over the "
                f"score that the model gives it.{every}",
            ),
            colour_legend(kinds | quarters),
            framed(
                figures.shares(report),
                "Shares of the summed norms of the candidates' gradients at the last hidden state.",
            ),
            framed(
                figures.cosines(report),
                "Cosines between the gradients of two objectives; the numbers below are those at the left.",
            ),
            *(_table(each) for each in model_tables(report)),
        )
    ]


def _subtitle(study: GradientStudy) -> str:
    first = study.reports[0]
    kinds = ", ".join(f"{number} {KIND_LABELS[kind]}" for kind, number in first.kinds.items() if number)
    models = ", ".join(dict.fromkeys(report.model for report in study.reports))
    return f"{models}; {study.data}: {first.num_queries} queries, {kinds}"


def _said(texts: Sequence[str]) -> Markup:
    return tag("ul", [tag("li", text) for text in texts])


def _table(each: Table) -> Markup:
    content = [tag("h3", each.title), tag("p", each.note, {"class": "hint"}), table(each.columns, each.rows)]
    return tag("div", content, {"style": "margin-top: 32px"})
