"""Makes the frozen tables of the suite: ``python -m gmr.suites.glyphs.build OUTPUT_FOLDER``.

The committed tables are what every user ranks; a rebuild on another machine may differ where pixels decide
(look-alikes, near pictures, the first stage), which is why they are frozen.
"""

import gzip
import itertools
import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gmr.suites.glyphs.candidates import choose_candidates
from gmr.suites.glyphs.characters import Character
from gmr.suites.glyphs.first_stage import FirstStage
from gmr.suites.glyphs.items import item_of
from gmr.suites.glyphs.neighbours import Neighbours
from gmr.suites.glyphs.operations import operations
from gmr.suites.glyphs.plans import instruction_of, plans, query_item
from gmr.suites.glyphs.queries import Faces
from gmr.suites.glyphs.selection import select_characters, write_characters

logger = logging.getLogger(__name__)
NUM_QUERIES = {"test": 120, "known": 100, "dev": 32}


def split_lines(
    split: str,
    rows: Sequence[Character],
    everything: Mapping[int, Character],
    faces: Faces,
    stage: FirstStage,
) -> Iterator[dict[str, object]]:
    """One record per query of a split: parts, kind, right answer, candidates with their first-stage scores."""
    neighbours = Neighbours(rows)
    changes = operations(everything.values())
    for task, stream in plans(rows, everything, changes, faces, split).items():
        for number, plan in enumerate(itertools.islice(stream, NUM_QUERIES[split])):
            target = everything[plan.target]
            traps = [everything[point] for point in plan.traps]
            ids = choose_candidates(plan, target, traps, neighbours, f"{split}:{task}")
            item = query_item(plan.spec)
            scores = {doc_id: round(stage.score(item, item_of(doc_id)), 5) for doc_id in ids}
            yield {
                "task": task,
                "query_id": f"{task}-{split}-{number:03d}",
                "kind": plan.kind,
                "instruction": instruction_of(task, plan.kind),
                "query": [list(part) for part in plan.spec],
                "answer": plan.answer,
                "first_stage": dict(sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))),
            }
        logger.info("%s %s done", split, task)


def build(folder: Path) -> None:
    """Writes ``characters.tsv`` and ``test|known|dev.jsonl.gz`` into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    table = select_characters()
    write_characters(table, folder / "characters.tsv")
    everything = {row.code_point: row for row in table}
    unseen, seen = Faces(("serif",), ("stix",)), Faces(("sans", "mono"))
    by_split = {name: [row for row in table if row.split == name] for name in ("train", "dev", "test")}
    testable = [row for row in by_split["train"] if {"serif", "serif-bold", "serif-italic"} <= row.faces]
    stage = FirstStage(table)
    parts = {"test": (by_split["test"], unseen), "known": (testable, unseen), "dev": (by_split["dev"], seen)}
    for split, (rows, faces) in parts.items():
        lines = [
            json.dumps(line, ensure_ascii=False)
            for line in split_lines(split, rows, everything, faces, stage)
        ]
        data = ("\n".join(lines) + "\n").encode()
        # mtime 0: the same bytes at every build
        (folder / f"{split}.jsonl.gz").write_bytes(gzip.compress(data, 9, mtime=0))
        logger.info("%s: %d queries", split, len(lines))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    build(Path(sys.argv[1]))
