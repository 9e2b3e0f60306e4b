"""``gmr rank``: candidates in order for one query, as a table, JSON lines, a TREC run or a page."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gmr.cli.console import examples, json_line, print_line, print_note, print_table, shorten
from gmr.cli.models import (
    DEFAULT_MODEL,
    MODELS,
    Compile,
    Device,
    DocumentCache,
    Dtype,
    Engine,
    EngineName,
    ModelName,
    Quantize,
    TemplateName,
    WeightType,
    check_device,
)
from gmr.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from gmr.core.nouns import Document, Query, Ranking

EPILOG = examples(
    'gmr rank --query "black chess queen" --documents pictures/',
    'gmr rank --query-image dress.jpg --query "the same in red" --documents shop.jsonl --html ranking.html',
    'cat candidates.jsonl | gmr rank --query "how to prune roses" --documents - --json | head -3',
)


def rank(
    *,
    documents: Annotated[
        str,
        typer.Option(
            "--documents",
            "-d",
            help="A folder of pictures and texts, a .jsonl file, a .txt file with one document a line, "
            "or - for stdin (texts or JSON lines).",
        ),
    ],
    query: Annotated[str | None, typer.Option("--query", "-q", help="Text of the query.")] = None,
    query_image: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="A picture of the query; may be repeated; with --query both make one query, pictures first.",
        ),
    ] = None,
    instruction: Annotated[
        str | None,
        typer.Option(help="One sentence that says what relevance means; the model's own when not given."),
    ] = None,
    model: ModelName = DEFAULT_MODEL,
    adapter: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=MODELS, help="A LoRA adapter to put on the model: a folder or a hub id."
        ),
    ] = None,
    template: TemplateName = None,
    top_k: Annotated[
        int | None, typer.Option(min=1, help="Show the best K only; all when not given.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
    trec: Annotated[bool, typer.Option("--trec", help="Print a TREC run.")] = False,
    html: Annotated[
        Path | None, typer.Option(help="Also write a page that shows the pictures in rank order.")
    ] = None,
    query_id: Annotated[str, typer.Option(help="Id of the query in the TREC run.")] = "q1",
    run_tag: Annotated[
        str | None, typer.Option(help="Tag of the TREC run; the model's name when not given.")
    ] = None,
    device: Device = None,
    dtype: WeightType = Dtype.FLOAT32,
    engine: Engine = EngineName.AUTO,
    document_cache: DocumentCache = None,
    quantize: Quantize = None,
    compile: Compile = False,
) -> None:
    """Rank documents for a query; text, pictures or both on either side.

    Every document gets a place: what cannot be read is an error that names it. The score is the log-odds of
    "relevant", the probability its sigmoid; a model that gives grades has no probability.
    """
    if json and trec:
        raise UsageError("--json and --trec exclude each other: name one")
    if query is None and not query_image:
        raise UsageError("there is no query: give --query TEXT, --query-image PATH, or both")
    if query is not None and not query.strip():
        raise UsageError(f"--query is empty: {query!r}")
    check_device(device)
    tag = run_tag or Path(model).name or "gmr"
    for option, word in (("--query-id", query_id), ("--run-tag", tag)):
        if trec and word.split() != [word]:
            raise UsageError(f"{option} is one column of a TREC run, without white space: {word!r}")

    from gmr.core.datasets import read_documents

    question = build_query(query_id, query, query_image or [], instruction)
    candidates = read_documents(documents)
    if trec:
        _check_trec_ids(query_id, candidates)

    from gmr.reranker import Reranker

    reranker = Reranker(
        model,
        adapter=adapter,
        template=template,
        device=device,
        dtype=dtype,
        engine=engine,
        document_cache_folder=document_cache,
        quantize=quantize,
        compile=compile,
        progress=sys.stderr.isatty(),
    )
    ranking = reranker.rank(question, candidates)
    if len(ranking) != len(candidates):
        raise RuntimeError(f"{len(candidates)} documents went in and {len(ranking)} came out")
    _print(ranking, top_k=top_k, json=json, trec=trec, tag=tag)
    if html is not None:
        from gmr.core.files import atomic_write_text
        from gmr.reports.ranking import ranking_page

        atomic_write_text(html, ranking_page([ranking], model=model, top_k=top_k))
        print_note(f"wrote {html}")


def build_query(query_id: str, text: str | None, images: list[Path], instruction: str | None) -> "Query":
    """The query of the command line: its pictures in the order given, then its text.

    Raises:
        DataError: A picture cannot be read.
    """
    from gmr.core.items import as_item, images_of
    from gmr.core.nouns import Query

    pictures = [part for path in images for part in as_item(path, where="--query-image")]
    item = as_item([*pictures, text], where="query")
    for image in images_of(item):
        try:
            image.open()  # a file that is no picture is said before a model is loaded
        except DataError as error:
            raise DataError(f"--query-image: {error}") from error
    return Query(query_id, item, instruction)


def _check_trec_ids(query_id: str, documents: Sequence["Document"]) -> None:
    """Say now, not after the scoring, that a TREC run cannot hold an id."""
    from gmr.core.trec import run_lines

    try:
        run_lines({query_id: {document.doc_id: 0.0 for document in documents}})
    except DataError as error:
        raise DataError(f"--trec: {error}; print --json, or rename it") from None


def _print(ranking: "Ranking", *, top_k: int | None, json: bool, trec: bool, tag: str) -> None:
    from gmr.core.items import modality, text_of
    from gmr.core.nouns import probability

    shown = list(ranking)[:top_k]
    if trec:
        from gmr.core.trec import run_lines

        for line in run_lines(
            {ranking.query.query_id: {place.doc_id: place.score for place in shown}}, tag=tag
        ):
            print_line(line)
        return
    if json:
        for place in shown:
            print_line(
                json_line(
                    {
                        "rank": place.rank,
                        "doc_id": place.doc_id,
                        "score": float(place.score),
                        "probability": probability(place.score) if ranking.in_log_odds else None,
                        "modality": modality(place.document.item),
                        "text": text_of(place.document.item),
                    }
                )
            )
        return
    numbers = ["rank", "score", *(["probability"] if ranking.in_log_odds else [])]
    columns = [*numbers, "kind", "document", "text"]
    kinds = {"t": "text", "i": "picture", "it": "picture + text"}
    rows = [
        [
            str(place.rank),
            f"{place.score:+.3f}",
            *([f"{probability(place.score):.3f}"] if ranking.in_log_odds else []),
            kinds[modality(place.document.item)],
            place.doc_id,
            shorten(text_of(place.document.item), width=60),
        ]
        for place in shown
    ]
    if not any(row[-1] for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    print_table(columns, rows, right=numbers)
    if len(shown) < len(ranking):
        print_note(f"{len(shown)} of {len(ranking)} documents shown; leave --top-k out to see all")
