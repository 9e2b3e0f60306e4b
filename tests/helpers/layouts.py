"""A task written in the layouts of the hub, as their publishers do: Parquet and JSONL, with and without README."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import parquet

from gmr.core.items import Image, images_of, text_of
from gmr.core.tasks import RerankTask

PICTURE = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])


def write_parquet(path: Path, rows: Iterable[Mapping[str, Any]], *, group: int = 2) -> None:
    """Rows as Parquet with several row groups; a column ``image`` as the hub stores pictures."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {
        name: pyarrow.array(
            [row.get(name) for row in rows],
            type=PICTURE if name == "image" else None,
        )
        for name in names
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.table(columns), path, row_group_size=group)


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_card(folder: Path, tables: Mapping[str, Mapping[str, str]]) -> None:
    """A README whose head declares tables: name -> split -> pattern."""
    lines = ["---", "license: mit", "configs:"]
    for name, splits in tables.items():
        lines += [f"- config_name: {name}", "  data_files:"]
        for split, pattern in splits.items():
            lines += [f"  - split: {split}", f"    path: {pattern}"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text("\n".join([*lines, "---", "# A data set", ""]), encoding="utf-8")


def picture_cell(item: Any) -> dict[str, Any] | None:
    """A picture as the hub's Parquet holds it: its bytes and a name that leads nowhere."""
    pictures = images_of(item)
    return {"bytes": pictures[0].source, "path": "gone.png"} if pictures else None


def rows_of(task: RerankTask) -> dict[str, list[dict[str, Any]]]:
    """The tables of a task in mteb's columns."""

    def cells(item: Any) -> dict[str, Any]:
        return {"text": text_of(item) or None, "image": picture_cell(item)}

    return {
        "corpus": [{"id": d.doc_id, "modality": "?", **cells(d.item)} for d in task.corpus.values()],
        "queries": [{"id": q.query_id, "modality": "?", **cells(q.item)} for q in task.queries.values()],
        "qrels": [
            {"query-id": query_id, "corpus-id": doc_id, "score": grade}
            for query_id, grades in task.qrels.items()
            for doc_id, grade in grades.items()
        ],
        "top_ranked": [
            {"query-id": query_id, "corpus-ids": [d.doc_id for d in task.candidates(query_id)]}
            for query_id in task.first_stage
        ],
    }


def write_mteb(
    task: RerankTask, folder: Path, *, prefix: str = "", card: bool = True, ranked: bool = True
) -> None:
    """mteb's layout as the hub writes it: ``corpus/test-00000-of-00001.parquet`` and so on."""
    tables = rows_of(task)
    if not ranked:
        del tables["top_ranked"]
    for name, rows in tables.items():
        write_parquet(folder / f"{prefix}{name}" / "test-00000-of-00001.parquet", rows)
    if card:
        write_card(folder, {f"{prefix}{name}": {"test": f"{prefix}{name}/test-*"} for name in tables})


def write_mbeir(task: RerankTask, folder: Path, *, config: str, instructions: str | None = None) -> None:
    """M-BEIR's layout; the ids of the task are those of the data set (``8:1``)."""

    def picture(item: Any, name: str) -> str | None:
        if not (pictures := images_of(item)):
            return None
        path = f"mbeir_images/{name.replace(':', '_')}.png"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(Image(pictures[0].source).source)
        return path

    stem = f"mbeir_{config}"
    write_jsonl(
        folder / f"query/test/{stem}_test.jsonl",
        (
            {
                "qid": q.query_id,
                "query_txt": text_of(q.item) or None,
                "query_img_path": picture(q.item, f"q{q.query_id}"),
                "query_modality": "image,text",
                "query_src_content": None,
                "pos_cand_list": [d for d, grade in task.qrels[q.query_id].items() if grade > 0],
                "neg_cand_list": [],
                "task_id": int(config.rpartition("_task")[2]),
            }
            for q in task.queries.values()
        ),
    )
    write_jsonl(
        folder / f"cand_pool/local/{stem}_cand_pool.jsonl",
        (
            {
                "txt": text_of(d.item) or None,
                "img_path": picture(d.item, f"d{d.doc_id}"),
                "modality": "image",
                "did": d.doc_id,
                "src_content": None,
            }
            for d in task.corpus.values()
        ),
    )
    qrels = folder / f"qrels/test/{stem}_test_qrels.txt"
    qrels.parent.mkdir(parents=True, exist_ok=True)
    qrels.write_text(
        "".join(f"{q} 0 {d} {grade} 7\n" for q, grades in task.qrels.items() for d, grade in grades.items())
    )
    if instructions is not None:
        (folder / "instructions").mkdir(exist_ok=True)
        (folder / "instructions/query_instructions.tsv").write_text(instructions)
