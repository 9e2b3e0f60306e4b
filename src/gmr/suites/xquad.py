"""``xquad``: questions and paragraphs in twelve languages, in one language and across two; text only."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from gmr.core.errors import DataError
from gmr.core.files import read_jsonl
from gmr.core.records import DOC_ID_KEYS, QUERY_ID_KEYS, read_id
from gmr.core.tasks import RerankTask
from gmr.core.trec import read_qrels
from gmr.suites.albums import Albums
from gmr.suites.draws import spread
from gmr.suites.pieces import Plan, Search, Words
from gmr.suites.reading import data_folder, text_field
from gmr.suites.retrieval import Examples, Retriever
from gmr.suites.tasks import make_tasks

LANGUAGES = ("en", "ar", "de", "el", "es", "hi", "ro", "ru", "th", "tr", "vi", "zh")
SPLITS: dict[str, str] = {"test": "100 questions of the 1,190, the same ones in every language"}
INSTRUCTION = "Find the paragraph that answers the question."
NUM_QUERIES = 100
# BM25 finds nearly all in the same language within 30; across languages more are needed.
DEPTH, DEPTH_CROSSLINGUAL = 30, 40
# Language of the question, language of the paragraph.
PAIRS = (
    *((code, code) for code in LANGUAGES),
    *(("en", code) for code in LANGUAGES[1:]),
    *((code, "en") for code in LANGUAGES[1:]),
    *(("de", "es"), ("es", "ro"), ("ru", "el"), ("ar", "tr"), ("hi", "th"), ("zh", "vi")),
)


def task_types(_split: str) -> dict[str, str]:
    """Task type by name of the task."""
    return {_name(source, target): "t2t" for source, target in PAIRS}


def plans(data_root: Path, wanted: Sequence[str]) -> list[Plan]:
    """The plans of some tasks.

    Raises:
        DataError: naming file and line of what is missing or wrong.
    """
    folder = data_folder(data_root, "xquad", marker="qrels/test.tsv")
    qrels_path = folder / "qrels" / "test.tsv"
    qrels = read_qrels(qrels_path)

    @cache
    def questions(language: str) -> dict[str, tuple[str, str]]:
        return _read_questions(folder / f"queries.{language}.jsonl.gz")

    @cache
    def paragraphs(language: str) -> dict[str, str]:
        return _read_paragraphs(folder / f"corpus.{language}.jsonl.gz")

    made = []
    for source, target in PAIRS:
        if _name(source, target) not in wanted:
            continue
        asked, documents = questions(source), paragraphs(target)
        for query_id, judged in qrels.items():
            if query_id not in asked:
                raise DataError(f"{qrels_path}: query {query_id!r} is not in queries.{source}.jsonl.gz")
            for doc_id in judged:
                if doc_id not in documents:
                    raise DataError(f"{qrels_path}: document {doc_id!r} is not in corpus.{target}.jsonl.gz")
        kept = _sample(qrels)[:NUM_QUERIES]
        made.append(
            Plan(
                name=_name(source, target),
                task_type="t2t",
                instruction=INSTRUCTION,
                search=Search(
                    queries={name: (Words(asked[name][0], source),) for name in kept},
                    documents={name: (Words(text, target),) for name, text in documents.items()},
                    depth=DEPTH if source == target else DEPTH_CROSSLINGUAL,
                ),
                relevant={name: tuple(d for d, grade in qrels[name].items() if grade > 0) for name in kept},
                metadata={
                    name: {"language": source, "document_language": target, "answer": asked[name][1]}
                    for name in kept
                },
            )
        )
    return made


def retriever() -> Retriever:
    """The first stage: BM25 alone; across languages only what is written alike (names, numbers) is found."""
    return Retriever(Albums({}), Examples())


def load_tasks(
    data_root: Path, _split: str, wanted: Sequence[str], *, limit: int | None = None
) -> list[RerankTask]:
    """The tasks by name; there is one split.

    Raises:
        DataError: naming file and line of what is missing or wrong in the data.
    """
    return make_tasks("xquad", plans(data_root, wanted), Albums({}), retriever, limit=limit)


def _name(source: str, target: str) -> str:
    return f"xquad-{source}" if source == target else f"xquad-{source}-{target}"


def _sample(qrels: dict[str, dict[str, int]]) -> list[str]:
    """Questions, one of each paragraph first; the same ones in every language, so that languages compare."""
    paragraph = {query_id: next(iter(judged)) for query_id, judged in qrels.items()}
    return spread(qrels, paragraph.__getitem__, key="xquad")


def _read_questions(path: Path) -> dict[str, tuple[str, str]]:
    """Question and answer by id."""
    found: dict[str, tuple[str, str]] = {}
    for number, record in read_jsonl(path):
        where = f"{path}:{number}"
        query_id = read_id(record, QUERY_ID_KEYS, where=where)
        if query_id is None or query_id in found:
            raise DataError(
                f"{where}: a question without an id, or with one that is given twice: {query_id!r}"
            )
        found[query_id] = (text_field(record, "text", where=where), text_field(record, "answer", where=where))
    return found


def _read_paragraphs(path: Path) -> dict[str, str]:
    """Title and text by id."""
    found: dict[str, str] = {}
    for number, record in read_jsonl(path):
        where = f"{path}:{number}"
        doc_id = read_id(record, DOC_ID_KEYS, where=where)
        if doc_id is None or doc_id in found:
            raise DataError(
                f"{where}: a paragraph without an id, or with one that is given twice: {doc_id!r}"
            )
        found[doc_id] = text_field(record, "text", where=where)
    return found
