"""All analyses by name, and a scorer through those that apply to the tasks at hand."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from gmr.bench.analysis import (
    ablation,
    attacks,
    first_stage,
    fusion,
    length,
    modality,
    order,
    position,
    resolution,
)
from gmr.bench.analysis.options import Options
from gmr.bench.analysis.results import AnalysisResult
from gmr.bench.analysis.scoring import Remembering
from gmr.core.errors import DataError
from gmr.core.nouns import Run
from gmr.core.tasks import RerankTask

if TYPE_CHECKING:
    from gmr.reranker import Scorer


@dataclass(frozen=True)
class Analysis:
    """One question to a model.

    Attributes:
        name: as it is typed.
        question: that it answers.
        needs: what a task must have, in words.
        why_not: of a task and all tasks, why it does not apply; empty where it does.
        function: of scorer, the tasks it applies to, and options.
        may_remember: whether scores known from before may be used.
    """

    name: str
    question: str
    needs: str
    why_not: Callable[[RerankTask, Sequence[RerankTask]], str]
    function: Callable[["Scorer", Sequence[RerankTask], Options], AnalysisResult]
    may_remember: bool = True


@dataclass(frozen=True)
class AnalysisReport:
    """What all analyses found of one scorer.

    Attributes:
        results: in the order of the analyses.
        not_applied: analysis to task to the reason why it says nothing of the task.
        options: that it was made with.
        num_scored: pairs that were scored for it.
        tasks: names of the tasks.
    """

    results: tuple[AnalysisResult, ...]
    not_applied: Mapping[str, Mapping[str, str]]
    options: Options
    num_scored: int
    tasks: tuple[str, ...]

    def result(self, name: str) -> AnalysisResult:
        """The result of an analysis.

        Raises:
            KeyError: it was not run or did not apply.
        """
        return {result.name: result for result in self.results}[name]

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it; of further runs the names alone."""
        options = asdict(replace(self.options, runs={})) | {"runs": list(self.options.runs)}
        return {
            "tasks": list(self.tasks),
            "options": options,
            "num_scored": self.num_scored,
            "results": [asdict(result) for result in self.results],
            "not_applied": {name: dict(reasons) for name, reasons in self.not_applied.items()},
        }


def _always(_task: RerankTask, _tasks: Sequence[RerankTask]) -> str:
    """No reason: every task has candidates in an order, and documents that words can be put into."""
    return ""


ANALYSES: dict[str, Analysis] = {
    analysis.name: analysis
    for analysis in (
        Analysis(
            "modality",
            modality.QUESTION,
            "documents with text and pictures in any of the tasks, or candidates of several modalities",
            modality.why_not,
            modality.modality_bias,
        ),
        Analysis("length", length.QUESTION, "documents with text", length.why_not, length.length_sensitivity),
        Analysis(
            "order",
            order.QUESTION,
            "queries or documents with text and a picture, or with several pictures",
            order.why_not,
            order.order_sensitivity,
        ),
        Analysis(
            "position",
            position.QUESTION,
            "candidates",
            _always,
            position.position_sensitivity,
            may_remember=False,
        ),
        Analysis(
            "resolution",
            resolution.QUESTION,
            "pictures on either side",
            resolution.why_not,
            resolution.resolution_sensitivity,
        ),
        Analysis(
            "ablation",
            ablation.QUESTION,
            "queries with text and a picture",
            ablation.why_not,
            ablation.query_ablation,
        ),
        Analysis(
            "attacks",
            attacks.QUESTION,
            "candidates that are not relevant",
            _always,
            attacks.attack_robustness,
        ),
        Analysis(
            "first-stage",
            first_stage.QUESTION,
            "candidates",
            _always,
            first_stage.first_stage_strength,
        ),
        Analysis("fusion", fusion.QUESTION, "first-stage scores that differ", fusion.why_not, fusion.fusion),
    )
}


def run_analyses(
    scorer: "Scorer",
    tasks: Sequence[RerankTask],
    names: Sequence[str] | None = None,
    *,
    seed: int = 0,
    limit: int | None = 20,
    depth: int = 20,
    num_documents: int = 5,
    top_k: int = 5,
    runs: Mapping[str, Mapping[str, Run]] | None = None,
    progress: bool = False,
) -> AnalysisReport:
    """The analyses of a scorer on tasks, and for each that does not apply to a task the reason.

    Args:
        scorer: what is analysed.
        tasks: with names that differ.
        names: keys of `ANALYSES`; None for all.
        seed: of every lot and every resampling.
        limit: most queries of each task; None for all.
        depth: most candidates of a query, the first stage's best.
        num_documents: most irrelevant candidates of a query that are changed one by one.
        top_k: ranks that count as the top.
        runs: further first stages for the analysis of these: name -> task name -> run.
        progress: whether to show a progress bar for each analysis on stderr.

    Raises:
        DataError: there are no tasks, two of one name, or one without a query that has candidates and is judged.
        ModelError: the scorer returns a score that is not finite, or not one for each pair.
        ValueError: an analysis is unknown, or a number below 1.
    """
    options = Options(limit, depth, num_documents, top_k, seed, runs or {})
    chosen = [_find(name) for name in dict.fromkeys(ANALYSES if names is None else names)]
    _check(tasks)
    results, not_applied, num_scored = [], {}, 0
    remembered = Remembering(scorer)
    for analysis in chosen:
        reasons = {task.name: analysis.why_not(task, tasks) for task in tasks}
        fitting = [task for task in tasks if not reasons[task.name]]
        reasons = {name: reason for name, reason in reasons.items() if reason}
        if fitting:
            with tqdm(desc=analysis.name, unit="pair", disable=not progress) as bar:
                remembered.bar = bar
                counted = remembered if analysis.may_remember else Remembering(scorer, bar=bar, forgets=True)
                result = analysis.function(counted, fitting, options)
                num_scored += 0 if counted is remembered else counted.num_scored
            if any(table.rows for table in result.tables):
                results.append(result)
            else:
                what = f"of the {limit} drawn queries none" if limit else "no query"
                reasons |= {task.name: f"{what} has {analysis.needs}" for task in fitting}
        if reasons:
            not_applied[analysis.name] = reasons
    num_scored += remembered.num_scored
    names_of_tasks = tuple(task.name for task in tasks)
    return AnalysisReport(tuple(results), not_applied, options, num_scored, names_of_tasks)


def _find(name: str) -> Analysis:
    if name not in ANALYSES:
        raise ValueError(f"unknown analysis {name!r}; there are {', '.join(ANALYSES)}")
    return ANALYSES[name]


def _check(tasks: Sequence[RerankTask]) -> None:
    if not tasks:
        raise DataError("there is no task to analyse a model on")
    names = [task.name for task in tasks]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(f"two tasks are called {twice[0]!r}")
    for task in tasks:
        if not any(
            task.first_stage.get(query_id) and any(grade >= 1 for grade in judged.values())
            for query_id, judged in task.qrels.items()
        ):
            raise DataError(f"{task.name}: no query has both candidates and a relevant document")
