"""The error browser: queries with their pictures and the first candidates of two systems, filtered without scripts.

The reader's choices are plain form controls; rules of the style sheet hide what was not chosen (``:has``). A browser
that does not know these rules shows everything.
"""

from collections.abc import Sequence

from gmr.core.nouns import TASK_TYPES, display_type
from gmr.reports.benchmark.cases import TOP
from gmr.reports.benchmark.contents import BenchmarkReport, Case, Place
from gmr.reports.benchmark.pictures import Pictures
from gmr.reports.benchmark.words import plural
from gmr.reports.elements import system_name
from gmr.reports.experiment import System
from gmr.reports.figures import signed
from gmr.reports.html import Markup, join, tag

# Most characters of markup and pictures together; the other sections take less than two million.
MAX_SIZE = 11_000_000
QUERY_CHARS, DOCUMENT_CHARS, LINE_CHARS = 1200, 300, 90
LEGEND = (
    "Candidates from the best to the worst, below each its score and its rank in the first stage. A relevant one has a "
    "green frame and a tick; relevant ones that stand lower follow behind a gap."
)


def browser(report: BenchmarkReport) -> Markup:
    """The controls, and every case that fits; what does not fit is counted."""
    writer = _Writer(report)
    made: dict[int, Markup] = {}
    size = 0
    for position in _in_turns(report.cases):
        before = writer.pictures.size
        markup = writer.case(report.cases[position], position)
        size += len(markup) + writer.pictures.size - before
        if size > MAX_SIZE and made:
            break
        made[position] = markup
    left_out = len(report.cases) - len(made)
    note = f" {plural(left_out, 'query')} more would make this page too large." if left_out else ""
    parts = [
        tag(
            "p",
            f"{plural(len(made), 'query')} chosen by seed {report.seed}.{note} {LEGEND}",
            {"class": "hint"},
        ),
        _controls(report, writer.shown),
        tag("div", [made[position] for position in sorted(made)], {"class": "cases"}),
        tag("p", "", {"class": "counted"}),
        writer.pictures.definitions(),
    ]
    return tag("div", parts, {"class": "browser"})


def _shown(report: BenchmarkReport) -> list[System]:
    """The systems that any case has a ranking of."""
    names = {name for case in report.cases for name in case.places}
    return [system for system in report.systems if system.name in names]


def _in_turns(cases: Sequence[Case]) -> list[int]:
    """Positions of the cases: the first of every task, then the second of every task, and so on."""
    seen: dict[str, int] = {}
    turns = []
    for position, case in enumerate(cases):
        seen[case.task] = seen.get(case.task, 0) + 1
        turns.append((seen[case.task], position))
    return [position for _, position in sorted(turns)]


def rules(report: BenchmarkReport) -> str:
    """The style sheet of the controls: one rule for each choice, which hides what it leaves out."""
    # The names of classes are ours, so nothing needs escaping.
    rules = []
    for number in range(len(_shown(report))):
        system = f'option[value="s{number}"]:checked'
        rules.append(f".browser:not(:has({system})) .s{number} {{ display: none; }}")
        rules.append(f".browser:has(.right {system}) .s{number} {{ order: 2; }}")
        rules.append(f".browser:has(.left {system}) .s{number} {{ order: 1; }}")
    choices = [
        *(f"k{number}" for number in range(len(report.case_kinds))),
        *(f"t{number}" for number in range(len(report.tasks))),
        *(f"y-{kind}" for kind in TASK_TYPES),
    ]
    for name in choices:
        rules.append(f'.browser:has(option[value="{name}"]:checked) .case:not(.{name}) {{ display: none; }}')
    return "\n".join(rules)


def _controls(report: BenchmarkReport, shown: Sequence[System]) -> Markup:
    first, second = _default_pair(report, shown)
    systems = [(f"s{number}", system.name) for number, system in enumerate(shown)]
    kinds = [("all", "all queries"), *((f"k{i}", kind.title) for i, kind in enumerate(report.case_kinds))]
    fields = [
        _select("queries", "which", _options(kinds)),
        _select("tasks", "task", _task_options(report)),
        _select("left", "system", _options(systems, chosen=f"s{first}")),
    ]
    if len(shown) > 1:
        fields.append(_select("right", "beside", _options(systems, chosen=f"s{second}")))
    return tag("form", fields, {"class": "controls", "autocomplete": "off"})


def _default_pair(report: BenchmarkReport, shown: Sequence[System]) -> tuple[int, int]:
    places = {system.name: number for number, system in enumerate(shown)}
    if report.case_kinds and report.case_kinds[0].b:
        return places[report.case_kinds[0].a], places[report.case_kinds[0].b]
    return 0, min(1, len(shown) - 1)


def _select(classes: str, label: str, options: Sequence[Markup]) -> Markup:
    return tag("label", [tag("span", label), tag("select", options)], {"class": classes})


def _options(pairs: Sequence[tuple[str, str]], *, chosen: str = "") -> list[Markup]:
    return [
        tag("option", text, {"value": value, **({"selected": "selected"} if value == chosen else {})})
        for value, text in pairs
    ]


def _task_options(report: BenchmarkReport) -> list[Markup]:
    """All, then each type with its tasks; a type with one task is that task."""
    options = _options([("all-tasks", "all tasks")])
    held = {case.task for case in report.cases}
    numbered = [(number, task) for number, task in enumerate(report.tasks) if task.name in held]
    for kind in TASK_TYPES:
        of_kind = [(f"t{number}", task.name) for number, task in numbered if task.task_type == kind]
        if len(of_kind) == 1:
            options += _options([(of_kind[0][0], f"{display_type(kind)}: {of_kind[0][1]}")])
        elif of_kind:
            whole = (f"y-{kind}", f"all {display_type(kind)}")
            options.append(tag("optgroup", _options([whole, *of_kind]), {"label": display_type(kind)}))
    return options


class _Writer:
    """The cases of one report as markup, with the pictures that they share."""

    def __init__(self, report: BenchmarkReport) -> None:
        self.report = report
        self.shown = _shown(report)
        self.pictures = Pictures()
        self.task_numbers = {task.name: number for number, task in enumerate(report.tasks)}

    def case(self, case: Case, position: int) -> Markup:
        """One case: a line that tells which, and behind it the query and the candidates of every system."""
        kinds = [f"k{kind}" for kind in case.kinds]
        classes = ["case", f"t{self.task_numbers[case.task]}", f"y-{case.task_type}", *kinds]
        values = [
            tag("span", [self._name(system), _value(case.values[system.name])], {"class": f"of s{number}"})
            for number, system in enumerate(self.shown)
        ]
        line = [
            tag("span", display_type(case.task_type), {"class": "chip"}),
            self.pictures.item(case.query.item, label="query", max_chars=LINE_CHARS, element="span"),
            tag("span", values, {"class": "values"}),
        ]
        lanes = [self._lane(system, number, case) for number, system in enumerate(self.shown)]
        body = [tag("div", self._query(case), {"class": "query"}), tag("div", lanes, {"class": "lanes"})]
        # The id is inside the closed part: a link to it opens it.
        inner = tag("div", body, {"class": "body", "id": f"case-{position}"})
        return tag("details", [tag("summary", line), inner], {"class": " ".join(classes)})

    def _name(self, system: System) -> Markup:
        return system_name(self.report.drawn, system)

    def _query(self, case: Case) -> list[Markup]:
        query = case.query
        facts = [join([f"; {name}: ", tag("bdi", value)]) for name, value in case.facts.items()]
        reasons = "; ".join(self.report.case_kinds[kind].title for kind in case.kinds)
        counts = (
            f"{plural(case.num_relevant, 'relevant document')}, {plural(case.num_candidates, 'candidate')}"
        )
        told = [self.pictures.item(query.item, label="query", max_chars=QUERY_CHARS)]
        if query.instruction:
            told.append(tag("p", query.instruction, {"class": "instruction", "dir": "auto"}))
        return [
            *told,
            tag("p", [f"{case.task}, query ", tag("bdi", query.query_id), *facts], {"class": "caption"}),
            tag("p", f"{counts}; chosen as {reasons}", {"class": "caption"}),
        ]

    def _lane(self, system: System, number: int, case: Case) -> Markup:
        held = case.places.get(system.name)
        who = tag("div", [self._name(system), _value(case.values[system.name])], {"class": "who"})
        if held:
            content = tag("ol", [_card(place, self.pictures) for place in held])
        else:
            why = "all scores are equal by design: no order" if held is None else "not answered"
            content = tag("p", why, {"class": "hint"})
        return tag("div", [who, content], {"class": f"lane of s{number}"})


def _card(place: Place, pictures: Pictures) -> Markup:
    classes = [
        *(["relevant"] if (place.grade or 0) >= 1 else []),
        *(["lower"] if place.rank > TOP else []),
    ]
    came = "not a candidate" if place.first_stage_rank is None else f"was {place.first_stage_rank}"
    grade = "not judged" if place.grade is None else f"grade {place.grade}"
    title = f"{place.doc_id}: rank {place.rank}, score {place.score:+.4f}, first stage {came}, {grade}"
    numbers = [
        tag("b", str(place.rank)),
        tag("span", signed(place.score, digits=2)),
        tag("span", came, {"class": "came"}),
    ]
    shown = pictures.item(
        place.document.item, label=f"rank {place.rank}: {place.doc_id}", max_chars=DOCUMENT_CHARS
    )
    attributes = {"title": title, **({"class": " ".join(classes)} if classes else {})}
    return tag("li", join([shown, tag("div", numbers, {"class": "numbers"})]), attributes)


def _value(value: float) -> Markup:
    return tag("b", f"{value:.3f}", {"class": "mark"})
