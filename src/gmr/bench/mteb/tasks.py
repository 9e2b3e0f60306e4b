"""Our tasks as mteb's, so that mteb runs any of them; mteb's tasks as ours, so that we rerank and test them."""

import json
import re
from collections.abc import Sequence
from typing import Any

from gmr.bench.mteb.library import require
from gmr.bench.mteb.measures import main_measure, to_mteb
from gmr.bench.mteb.model import task_prompt
from gmr.bench.mteb.tables import read_corpus, read_qrels, read_queries, read_top_ranked, to_split
from gmr.core.errors import DataError
from gmr.core.files import digest
from gmr.core.items import item_key
from gmr.core.nouns import TASK_TYPES, Query, Run
from gmr.core.tasks import RerankTask
from gmr.metrics.measures import evaluate, judged_queries, parse_measure

SUBSET, SPLIT = "default", "test"
VISUAL_DOCUMENTS = "DocumentUnderstanding"
# Of mteb's categories that we have no name for: a side of pictures is one of text and pictures without texts.
CATEGORIES = {name: name for name in TASK_TYPES if name != "t2vd"} | {"i2it": "it2it"}


def as_mteb_task(task: RerankTask, *, languages: Sequence[str] = ("und-Zyyy",)) -> Any:
    """A task that ``mteb.evaluate`` runs as one of its own, with the candidates of our first stage.

    Its main score is mteb's value of the task's measure, rounded by mteb to five digits; under our name for the
    measure (``ndcg@10``) stands the mean without rounding. Queries without a relevant document, which mteb would
    count as 0, are left out of the evaluation as we leave them out. The data set's revision is a digest of the
    whole task.

    Args:
        task: Any of ours; pictures are read into memory.
        languages: As mteb writes them, such as ``eng-Latn``; undetermined by default.

    Raises:
        DataError: mteb is not installed, a picture cannot be read, or the name cannot be a file's.
    """
    if not re.fullmatch(r"[^\s/\\]+", task.name) or task.name.startswith("."):
        raise DataError(f"task {task.name!r}: mteb names files by its tasks: no '/', '\\' or white space")
    instructions = {query.instruction for query in task.queries.values()}
    shared = instructions.pop() if len(instructions) == 1 else None
    split = to_split(task, shared_instruction=shared)
    return _local_task(task, _metadata(task, shared, languages), split)


def from_mteb_task(
    task: Any,
    *,
    split: str | None = None,
    subset: str | None = None,
    measure: str | None = None,
    first_stage: Run | None = None,
    needs_first_stage: bool = True,
    candidates_only: bool = False,
) -> RerankTask:
    """A retrieval or reranking task of mteb's as one of ours, loaded by mteb if it is not yet.

    Instructions are the queries' own, or the task's prompt. Candidates are ``first_stage``, else the top-ranked
    documents, in whose order scores count down to 1. Where mteb ignores documents with the id of their query, these
    are no candidates here.

    Args:
        task: A name that mteb knows, or a task object.
        split: Which one; None where the task has one alone.
        subset: Which one, such as a language; None where the task has one alone.
        measure: The main one; None for the task's own.
        first_stage: Candidates; None for the task's own.
        needs_first_stage: whether a task without candidates is an error; else it has none, to be found yet.
        candidates_only: whether to read only those documents of the corpus that candidates or judgments name.

    Raises:
        DataError: mteb is not installed, does not know the task or cannot load it; there is no such split or subset;
            or the data cannot be one of our tasks.
    """
    task = load_mteb_task(task)
    name = str(task.metadata.name)
    subset = _one_of("subset", subset, list(task.dataset), name)
    split = _one_of("split", split, list(task.dataset[subset]), name)
    data = task.dataset[subset][split]
    where = f"{name} ({subset}, {split})"
    queries, metadata = read_queries(data["queries"], prompt=task_prompt(task.metadata), where=where)
    candidates = first_stage
    if candidates is None and data.get("top_ranked"):
        # Every query of the table with its documents; queries without judgments may be among the top-ranked ones.
        listed = {query_id: data["top_ranked"].get(query_id, ()) for query_id in queries}
        candidates = read_top_ranked(listed, where=where)
    if candidates is None and needs_first_stage:
        raise DataError(
            f"{where}: there are no top-ranked documents; give first_stage, or needs_first_stage=False"
        )
    if task.ignore_identical_ids:
        candidates = {q: {d: s for d, s in row.items() if d != q} for q, row in (candidates or {}).items()}
    qrels = read_qrels(data["relevant_docs"], where=where)
    corpus = data["corpus"]
    if candidates_only:
        named = {doc_id for table in (qrels, candidates or {}) for row in table.values() for doc_id in row}
        corpus = corpus.select([place for place, doc_id in enumerate(corpus["id"]) if str(doc_id) in named])
    return RerankTask(
        name=name if len(task.dataset) == 1 else f"{name}-{subset}",
        task_type=_task_type(task.metadata),
        queries=queries,
        corpus=read_corpus(corpus, where=where),
        qrels=qrels,
        first_stage=candidates or {},
        measure=measure or main_measure(task.metadata.main_score, where=name),
        metadata=metadata,
    )


def task_digest(task: RerankTask) -> str:
    """SHA-256 (64 hex digits) of all that a task holds; pictures are read."""

    def content(query: Query) -> list[Any]:
        return [query.query_id, item_key(query.item), query.instruction]

    facts = (
        [task.name, task.task_type, task.measure],
        [content(query) for query in task.queries.values()],
        [[doc_id, item_key(document.item)] for doc_id, document in task.corpus.items()],
        [[query_id, dict(judged)] for query_id, judged in task.qrels.items()],
        [[query_id, [d.doc_id for d in task.candidates(query_id)]] for query_id in task.first_stage],
    )
    return digest(*(json.dumps(each).encode() for each in facts))


def _metadata(task: RerankTask, instruction: str | None, languages: Sequence[str]) -> Any:
    visual = task.task_type == "t2vd"
    category = "t2i" if visual else task.task_type
    measure = parse_measure(task.measure)
    return require("mteb.abstasks.task_metadata").TaskMetadata(
        name=task.name,
        description=f"{task.name}, a reranking task of gmr ({task.task_type})",
        type=VISUAL_DOCUMENTS if visual else "Reranking" if category == "t2t" else "Any2AnyReranking",
        category=category,
        modalities=[kind for code, kind in (("t", "text"), ("i", "image")) if code in category],
        prompt={"query": instruction} if instruction else None,
        dataset={"path": f"gmr/{task.name}", "revision": task_digest(task)},
        eval_splits=[SPLIT],
        eval_langs=list(languages),
        main_score=to_mteb(measure) or str(measure),
    )


def _local_task(task: RerankTask, task_metadata: Any, data: dict[str, Any]) -> Any:
    retrieval = require("mteb.abstasks.retrieval").AbsTaskRetrieval
    measure = parse_measure(task.measure)

    class LocalTask(retrieval):  # type: ignore[misc, valid-type]
        """A reranking task whose data is in memory."""

        metadata = task_metadata
        k_values = tuple(sorted({*retrieval.k_values, *([measure.k] if measure.k else [])}))

        def load_data(self, *_: Any, **__: Any) -> None:
            """Nothing: the data is here."""

        def unload_data(self) -> None:
            """Nothing: the data stays."""

        def _evaluate_subset(self, model: Any, data_split: Any, **options: Any) -> Any:
            # mteb cuts the split that it is given down to judged queries, in place; and it counts a query whose
            # judgments are all 0 as 0. It gets a copy with the queries that have a relevant document.
            relevant = data_split["relevant_docs"]
            judged = {query_id: relevant[query_id] for query_id in judged_queries(relevant)}
            return super()._evaluate_subset(model, {**data_split, "relevant_docs": judged}, **options)

        def task_specific_scores(self, _: Any, qrels: Any, results: Any, **__: Any) -> dict[str, float]:
            """The mean of the task's measure as we compute it, without rounding, under our name for it."""
            values = evaluate(results, qrels, [measure])[str(measure)]
            return {str(measure): sum(values.values()) / len(values)}

    local = LocalTask()
    local.dataset = {SUBSET: {SPLIT: data}}
    local.data_loaded = True
    return local


def load_mteb_task(task: Any) -> Any:
    """A retrieval or reranking task of mteb's with its data, loaded by mteb if it is not yet.

    Raises:
        DataError: mteb is not installed, does not know the task or cannot load it; or it is no such task, or none of
            texts and pictures.
    """
    retrieval = require("mteb.abstasks.retrieval").AbsTaskRetrieval
    if isinstance(task, str):
        try:
            task = require("mteb").get_task(task)
        except KeyError as error:
            raise DataError(str(error.args[0]) if error.args else f"mteb knows no task {task!r}") from None
    if not isinstance(task, retrieval):
        raise DataError(
            f"{getattr(getattr(task, 'metadata', task), 'name', task)} is no retrieval or reranking task"
        )
    name = task.metadata.name
    if task.skip_first_result:
        raise DataError(
            f"{name}: mteb measures it without each query's best document, which no measure of ours does"
        )
    _task_type(task.metadata)  # before anything is loaded
    if not task.data_loaded:
        try:
            task.load_data()
        except Exception as error:  # whatever hub, network, cache and data set throw
            reason = " ".join(str(error).split())[:200]
            raise DataError(f"{name}: mteb cannot load it ({type(error).__name__}: {reason})") from error
    task.convert_v1_dataset_format_to_v2(num_proc=None)
    return task


def _one_of(noun: str, wanted: str | None, known: list[str], name: str) -> str:
    if wanted is None and len(known) == 1:
        return known[0]
    if wanted not in known:
        asked = f"no {noun} {wanted!r}" if wanted is not None else f"more than one {noun}"
        raise DataError(f"{name} has {asked}; there are {', '.join(known)}")
    return wanted


def _task_type(task_metadata: Any) -> str:
    category = task_metadata.category or ("t2t" if task_metadata.modalities == ["text"] else None)
    if task_metadata.type == VISUAL_DOCUMENTS and category in ("t2i", "t2it"):
        return "t2vd" if category == "t2i" else "t2it"
    if category not in CATEGORIES:
        raise DataError(f"{task_metadata.name}: category {category!r}; gmr has {', '.join(CATEGORIES)}")
    return CATEGORIES[category]
