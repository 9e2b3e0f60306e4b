"""The page of a benchmark: everything in its report, in one file that needs nothing else."""

from importlib.resources import files

from gmr.core.nouns import TASK_TYPES
from gmr.reports.benchmark import browser, details, words
from gmr.reports.benchmark import figures as drawn
from gmr.reports.benchmark.contents import BenchmarkReport
from gmr.reports.elements import framed, legend, section, tile
from gmr.reports.experiment import ResultRow
from gmr.reports.figures import bars_by_task_type
from gmr.reports.html import Markup, page, tag
from gmr.suites.baselines import CHANCE

NOTHING = Markup("")


def benchmark_page(report: BenchmarkReport) -> str:
    """The report as one self-contained HTML document."""
    sections = {
        "results": ("Results", _results(report)),
        "tasks": ("By task", details.heat_table(report)),
        "tests": ("Who beats whom", details.tests(report)),
        "depth": ("Depth of reranking", _depth(report)),
        "queries": ("Query by query", _paired(report)),
        "look": ("Queries to look at", _cases(report)),
        "breakdowns": ("By kind of query", details.breakdowns(report)),
        "calibration": ("Scores as probabilities", _calibration(report)),
        "cost": ("Cost", _cost(report)),
        "coverage": ("Denominators and ties", details.coverage(report)),
        "published": ("Published elsewhere", details.published(report)),
        "notes": ("What the numbers mean", details.notes(report)),
        "made": ("How it was made", details.facts(report)),
    }
    held = {name: (title, content) for name, (title, content) in sections.items() if content}
    links = [tag("a", title, {"href": f"#{name}"}) for name, (title, _) in held.items()]
    body = [
        tag("nav", links, {"aria-label": "sections"}),
        _summary(report),
        *(section(title, content, identifier=name) for name, (title, content) in held.items()),
    ]
    own = files("gmr.reports.benchmark").joinpath("benchmark.css").read_text(encoding="utf-8")
    overall = report.rows("mean")[0]
    subtitle = (
        f"{words.plural(overall.num_tasks, 'task')}, {words.plural(overall.num_queries, 'judged query')}, "
        f"{words.plural(len(report.systems), 'system')}"
    )
    return page(report.title, body, subtitle=subtitle, more_style=own + browser.rules(report))


def _summary(report: BenchmarkReport) -> Markup:
    values = report.rows("mean")[0].values
    ordered = [system for system in report.drawn if system.name not in report.unordered]
    parts = [tag("p", sentence) for sentence in report.findings]
    tiles = [tile(report.drawn, system, values[system.name]) for system in ordered or report.systems]
    parts.append(tag("div", tiles, {"class": "tiles"}))
    if report.warnings:
        listed = tag("ul", [tag("li", sentence) for sentence in report.warnings])
        parts.append(tag("div", [tag("strong", "To mind"), listed], {"class": "warnings"}))
    return tag("section", parts, {"class": "summary"})


def _results(report: BenchmarkReport) -> Markup:
    shown = [system for system in report.drawn if system.name != CHANCE]
    rows = [
        ResultRow(
            row.label,
            row.num_queries,
            {system.name: row.values[system.name] for system in shown},
            row.values[CHANCE].mean if CHANCE in row.values else None,
        )
        for row in report.rows("type")
    ]
    chance = "; the dotted line is chance" if CHANCE in {system.name for system in report.systems} else ""
    caption = f"Mean {report.measure}; whiskers are 95 % confidence intervals over queries{chance}."
    hint = "T is text, I a picture, IT both, VD a picture of a page; the side before the arrow is the query."
    return Markup(
        tag("p", hint, {"class": "hint"})
        + legend(shown)
        + framed(bars_by_task_type(rows, shown, measure=report.measure), caption)
        + details.results(report)
    )


def _depth(report: BenchmarkReport) -> Markup:
    rows = [row for row in report.depth if row.level == "mean"]
    types = [row for row in report.depth if row.level == "type"]
    if not rows:
        return NOTHING
    # One type alone would be drawn twice.
    rows += types if len(types) > 1 else []
    figure = drawn.depth_panels(rows, report.drawn, measure=report.measure)
    caption = (
        "Only the first candidates of the first stage are reranked, the others stay behind them. Upper line: the best "
        "possible order of those candidates; dotted line: the first stage itself; bands: 95 % intervals."
    )
    return Markup(
        legend(report.drawn, only=rows[0].curves.systems) + framed(figure, caption) + details.depth(report)
    )


def _paired(report: BenchmarkReport) -> Markup:
    if not report.paired:
        return NOTHING
    names = [name for pair in report.paired for name in (pair.a, pair.b)]
    caption = (
        "Each query by its values under two systems, rounded to 0.05; the larger a circle, the more queries. Above the "
        "line the first system is better."
    )
    figure = drawn.paired_panels(report.paired, report.drawn, measure=report.measure)
    return Markup(legend(report.drawn, only=names) + framed(figure, caption))


def _cases(report: BenchmarkReport) -> Markup:
    return browser.browser(report) if report.cases else NOTHING


def _calibration(report: BenchmarkReport) -> Markup:
    rows = {row.system: row.calibration for row in report.calibration if row.label not in TASK_TYPES}
    if not rows:
        return NOTHING
    caption = (
        "Share of relevant pairs against the probability that the scores promise, with 95 % Wilson intervals; on the "
        "diagonal promises come true. Below, the number of pairs on a logarithmic axis."
    )
    return Markup(framed(drawn.reliability_panels(rows, report.drawn), caption) + details.calibration(report))


def _cost(report: BenchmarkReport) -> Markup:
    values = report.rows("mean")[0].values
    points = {
        row.system: (1000 * row.cost.cpu_seconds / row.cost.num_pairs, values[row.system])
        for row in report.costs
        if not row.task and row.cost.num_pairs and row.cost.cpu_seconds > 0
    }
    if not report.costs:
        return NOTHING
    parts = [details.cost(report)]
    if points:
        caption = "Processor time of scoring against the mean over all tasks, with its interval; up and left is better."
        parts.insert(0, framed(drawn.cost_plot(points, report.drawn, measure=report.measure), caption))
    return Markup("".join(parts))
