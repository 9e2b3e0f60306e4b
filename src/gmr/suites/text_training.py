"""Training data of plain text, in one language and across two: ``python -m gmr.suites.text_training``.

From the data sets ``xquad`` and ``vaswani`` come a training file, test tasks and, if asked for, development tasks that
share no document: not as a positive, not as a negative, not under another id with the same text. A recipe takes them as
``data.path`` and ``data.dev``, a sweep's plan the test as ``test.folder``.
"""

import argparse
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gmr.core.beir import read_beir, write_beir
from gmr.core.errors import DataError, GmrError, UsageError
from gmr.core.files import atomic_write_jsonl, read_jsonl
from gmr.core.items import Text, text_of
from gmr.core.nouns import Document, Query
from gmr.core.tasks import RerankTask
from gmr.core.trec import read_qrels
from gmr.suites import vaswani, xquad
from gmr.suites.depth import at_depth
from gmr.suites.reading import text_field
from gmr.suites.text_bm25 import bm25_run

logger = logging.getLogger(__name__)

TRAINING_FILE = "train.jsonl"
XQUAD_DEPTH, VASWANI_DEPTH = 50, 100


@dataclass(frozen=True)
class Made:
    """What was written.

    Attributes:
        num_examples: lines of the training file.
        num_training_documents: documents that some example of it names.
        num_test_queries: queries of each test folder, by its name.
        num_dev_queries: the same of the development folders; empty where none was asked for.
    """

    num_examples: int
    num_training_documents: int
    num_test_queries: Mapping[str, int]
    num_dev_queries: Mapping[str, int]


def split_task(task: RerankTask, test_queries: Sequence[str]) -> tuple[RerankTask, RerankTask]:
    """The task in two that share no document: that of the other queries, and that of ``test_queries``.

    The test's documents are the candidates and the relevant ones of its queries, and whatever has the text of one; the
    other side loses them wherever it has them, and queries that are left without a relevant document.
    """
    chosen = set(test_queries)
    named = {
        doc_id
        for query_id in chosen
        for doc_id in (*task.first_stage.get(query_id, {}), *task.qrels.get(query_id, {}))
    }
    texts = {text_of(task.corpus[doc_id].item) for doc_id in named}
    test_documents = {name for name, document in task.corpus.items() if text_of(document.item) in texts}
    kept = [name for name in task.corpus if name not in test_documents]
    return (
        restrict(task, [name for name in task.queries if name not in chosen], kept),
        restrict(task, [name for name in task.queries if name in chosen], sorted(test_documents)),
    )


def restrict(task: RerankTask, query_ids: Sequence[str], doc_ids: Sequence[str]) -> RerankTask:
    """The task with these queries, as far as they keep a relevant document, and these documents alone."""
    documents = set(doc_ids)

    def rows(table: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        return {
            query_id: {
                doc_id: value for doc_id, value in table.get(query_id, {}).items() if doc_id in documents
            }
            for query_id in query_ids
        }

    qrels = {query_id: row for query_id, row in rows(task.qrels).items() if any(g > 0 for g in row.values())}
    return replace(
        task,
        queries={query_id: task.queries[query_id] for query_id in query_ids if query_id in qrels},
        corpus={doc_id: task.corpus[doc_id] for doc_id in doc_ids},
        qrels=qrels,
        first_stage={query_id: row for query_id, row in rows(task.first_stage).items() if query_id in qrels},
        metadata={query_id: row for query_id, row in task.metadata.items() if query_id in qrels},
    )


def training_records(task: RerankTask, *, num_negatives: int) -> list[dict[str, Any]]:
    """Lines of a training file: a query, its relevant documents, and its best candidates that are not."""
    records = []
    for query_id, query in task.queries.items():
        judged = task.qrels[query_id]
        positives = [task.corpus[doc_id] for doc_id, grade in judged.items() if grade > 0]
        negatives = [each for each in task.candidates(query_id) if judged.get(each.doc_id, 0) <= 0]
        records.append(
            {
                "example_id": f"{task.name}/{query_id}",
                "query": {"query_id": query_id, "text": text_of(query.item)},
                "instruction": query.instruction,
                "positives": [_record(each) for each in positives],
                "negatives": [_record(each) for each in negatives[:num_negatives]],
                "task": task.name,
            }
        )
    return records


def xquad_task(data: Path, source: str, target: str, *, depth: int) -> RerankTask:
    """Questions in ``source`` over paragraphs in ``target``; candidates by BM25 of the question in ``target``.

    The same questions stand in every language, so that also across two the candidates share words with what is asked.

    Raises:
        DataError: a language that is not there; the message names the file.
    """
    corpus = data / f"corpus.{target}.jsonl.gz"
    documents, articles = (
        {f"{name}.{target}": text for name, text in _texts(corpus, key=key).items()}
        for key in ("text", "title")
    )
    asked, wanted = (_texts(data / f"queries.{language}.jsonl.gz") for language in (source, target))
    qrels = {
        query_id: {f"{doc_id}.{target}": grade for doc_id, grade in row.items()}
        for query_id, row in read_qrels(data / "qrels" / "test.tsv").items()
    }
    # An article's paragraphs stay on one side of the split: they answer each other's questions.
    article = {query_id: articles[max(row, key=lambda name: row[name])] for query_id, row in qrels.items()}
    return RerankTask(
        name=source if source == target else f"{source}-{target}",
        task_type="t2t",
        queries={name: Query(name, (Text(asked[name]),), xquad.INSTRUCTION) for name in qrels},
        corpus={name: Document(name, (Text(text),)) for name, text in documents.items()},
        qrels=qrels,
        first_stage=bm25_run({name: wanted[name] for name in qrels}, documents, depth=depth),
        metadata={name: {"article": article[name]} for name in qrels},
    )


def split_xquad(task: RerankTask, test_articles: set[str]) -> tuple[RerankTask, RerankTask]:
    """The training and the test part by articles; candidates are those of one's own side."""
    is_test = {query_id: task.metadata[query_id]["article"] in test_articles for query_id in task.queries}
    test_documents = {doc_id for query_id, row in task.qrels.items() if is_test[query_id] for doc_id in row}
    sides = []
    for side in (False, True):
        queries = [query_id for query_id, test in is_test.items() if test is side]
        sides.append(restrict(task, queries, [d for d in task.corpus if (d in test_documents) is side]))
    return sides[0], sides[1]


def make_xquad(
    data: Path,
    folder: Path,
    *,
    pairs: Sequence[str],
    test_share: float,
    num_negatives: int,
    seed: int,
    dev_share: float = 0.0,
    depth: int = XQUAD_DEPTH,
) -> Made:
    """Write ``train.jsonl`` of all ``pairs`` and a test folder of each; the same articles are tested in all languages.

    Args:
        data: the folder of the data set.
        folder: where; made when missing.
        pairs: a language such as ``en``, or question and paragraph's as in ``en-de``.
        test_share: of the articles, from 0 to 1.
        num_negatives: most hard negatives of an example.
        seed: which articles are tested.
        dev_share: of the articles, for a development folder of each pair; 0 for none.
        depth: most candidates of a query in the folders.
    """
    chosen: tuple[set[str], set[str]] | None = None
    records: list[dict[str, Any]] = []
    tests, devs = {}, {}
    for pair in pairs:
        source, _, target = pair.partition("-")
        task = xquad_task(data, source, target or source, depth=240)
        if chosen is None:
            # Titles are the English ones in every language.
            articles = sorted({row["article"] for row in task.metadata.values()})
            test_articles, dev_articles = _draw(articles, test_share, dev_share, seed)
            chosen = set(test_articles), set(dev_articles)
        train, test = split_xquad(task, chosen[0])
        tests[pair] = at_depth(test, depth)
        if chosen[1]:
            train, dev = split_xquad(train, chosen[1])
            devs[pair] = at_depth(dev, depth)
        records += training_records(train, num_negatives=num_negatives)
    return _write(folder, records, tests, devs)


def make_vaswani(
    data: Path,
    folder: Path,
    *,
    test_share: float,
    num_negatives: int,
    seed: int,
    dev_share: float = 0.0,
    depth: int = VASWANI_DEPTH,
) -> Made:
    """Write ``train.jsonl`` and a test folder of the collection, candidates from the run that comes with it.

    Args:
        data: the folder of the data set.
        folder: where; made when missing.
        test_share: of the queries, from 0 to 1; training loses the candidates of those as well.
        num_negatives: most hard negatives of an example.
        seed: which queries are tested.
        dev_share: of the queries, for a development folder; training loses their candidates too. 0 for none.
        depth: most candidates of a query in the folders.
    """
    task = read_beir(data, name="vaswani", task_type="t2t", first_stage=data / "run.bm25.trec.gz")
    queries = {name: replace(each, instruction=vaswani.INSTRUCTION) for name, each in task.queries.items()}
    # Cut before the split: what is no candidate any more may be trained on.
    task = at_depth(replace(task, queries=queries), depth)
    test_queries, dev_queries = _draw(sorted(task.queries), test_share, dev_share, seed)
    train, test = split_task(task, test_queries)
    devs = {}
    if dev_queries:
        train, devs["vaswani"] = split_task(train, dev_queries)
    return _write(folder, training_records(train, num_negatives=num_negatives), {"vaswani": test}, devs)


def _write(
    folder: Path,
    records: list[dict[str, Any]],
    tests: Mapping[str, RerankTask],
    devs: Mapping[str, RerankTask],
) -> Made:
    if not records:
        raise DataError(f"{folder}: nothing is left to train on; use smaller shares for test and dev")
    folders = {
        f"{side}-{name}": task
        for side, tasks in (("test", tests), ("dev", devs))
        for name, task in tasks.items()
    }
    for name, task in folders.items():
        if not task.queries:
            raise DataError(
                f"{folder / name}: none of its queries keeps a relevant document; use larger shares"
            )
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write_jsonl(folder / TRAINING_FILE, records)
    for name, task in folders.items():
        write_beir(task, folder / name)
    named = {each["doc_id"] for row in records for each in (*row["positives"], *row["negatives"])}
    return Made(len(records), len(named), _num_queries(tests), _num_queries(devs))


def _num_queries(tasks: Mapping[str, RerankTask]) -> dict[str, int]:
    return {name: len(task.queries) for name, task in tasks.items()}


def _draw(
    names: Sequence[str], test_share: float, dev_share: float, seed: int
) -> tuple[list[str], list[str]]:
    """The names of the test, at least one, and of the development tasks; the same for the same seed.

    The test does not depend on the development tasks' share.
    """
    if not 0 < test_share < 1:
        raise UsageError(f"test_share is {test_share}: it must be between 0 and 1")
    if not 0 <= dev_share < 1 - test_share:
        raise UsageError(
            f"dev_share is {dev_share}: beside a test_share of {test_share} nothing is left to train on"
        )
    rng = random.Random(f"{seed}/test")
    order = sorted(names, key=lambda _: rng.random())
    num_test = max(1, round(test_share * len(names)))
    num_dev = max(1, round(dev_share * len(names))) if dev_share else 0
    return order[:num_test], order[num_test : num_test + num_dev]


def _record(document: Document) -> dict[str, str]:
    return {"doc_id": document.doc_id, "text": text_of(document.item)}


def _texts(path: Path, *, key: str = "text") -> dict[str, str]:
    """A field of every row of a file by its id."""
    rows = ((row, f"{path}:{number}") for number, row in read_jsonl(path))
    return {text_field(row, "_id", where=where): text_field(row, key, where=where) for row, where in rows}


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data_set", choices=("xquad", "vaswani"))
    parser.add_argument("data", type=Path, help="folder of the data set")
    parser.add_argument("folder", type=Path, help="where train.jsonl and the test folders go")
    parser.add_argument(
        "--pairs", nargs="+", default=["en"], help="of xquad: en, or en-de for question and paragraph"
    )
    parser.add_argument(
        "--test-share", type=float, default=0.25, help="of the articles (xquad) or queries (vaswani)"
    )
    parser.add_argument(
        "--dev-share", type=float, default=0.0, help="the same, for development folders; 0 makes none"
    )
    parser.add_argument(
        "--depth",
        type=int,
        help=f"candidates of a query in the folders, by default {XQUAD_DEPTH} (xquad) or {VASWANI_DEPTH} (vaswani)",
    )
    parser.add_argument("--num-negatives", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    if given.depth is not None and given.depth < 1:
        parser.error(f"--depth is {given.depth}: a query needs a candidate")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options: dict[str, Any] = {
        "test_share": given.test_share,
        "dev_share": given.dev_share,
        "num_negatives": given.num_negatives,
        "seed": given.seed,
    }
    if given.depth is not None:
        options["depth"] = given.depth
    try:
        if given.data_set == "xquad":
            made = make_xquad(given.data, given.folder, pairs=given.pairs, **options)
        else:
            made = make_vaswani(given.data, given.folder, **options)
    except GmrError as error:
        parser.exit(error.exit_code, f"error: {error}\n")
    sizes = (made.num_examples, made.num_training_documents)
    logger.info("%s: %d examples, %d documents", given.folder / TRAINING_FILE, *sizes)
    for side, counts in (("test", made.num_test_queries), ("dev", made.num_dev_queries)):
        for name, count in counts.items():
            logger.info("%s: %d queries", given.folder / f"{side}-{name}", count)


if __name__ == "__main__":
    main()
