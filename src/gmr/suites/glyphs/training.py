"""Training data of the suite for reranking: made when asked for, by index, from the training characters and faces."""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import overload

from gmr.core.nouns import TASK_TYPES, Query
from gmr.core.tasks import LazyDocuments, TrainingExample, TrainingSet
from gmr.suites.draws import chance
from gmr.suites.glyphs.candidates import is_candidate
from gmr.suites.glyphs.characters import Character, characters
from gmr.suites.glyphs.faces import DESIGNS, NUM_PLACES, NUM_VARIANTS
from gmr.suites.glyphs.items import document, has_picture
from gmr.suites.glyphs.neighbours import Neighbours
from gmr.suites.glyphs.operations import operations
from gmr.suites.glyphs.plans import instruction_of, plans, query_item
from gmr.suites.glyphs.queries import Faces, QueryPlan

TRAIN_DESIGNS = ("sans", "mono")
NUM_HARD_PER_KIND = 3
QUERIES_PER_TASK_AND_ROUND = 800
POOL_SIZE = 1500
FACE_KINDS = ("style", "restyle")
"""Kinds of queries whose answer depends on the face."""


def varied(doc_id: str, *key: object, num_variants: int = NUM_VARIANTS) -> str:
    """The id of a picture moved, scaled or reshaped (three in five stay plain); ids of texts are unchanged."""
    if not has_picture(doc_id):
        return doc_id
    variant = chance("variant", doc_id, *key, out_of=num_variants * 5 // 2)
    return doc_id if variant >= num_variants else f"{doc_id}~{variant}"


@dataclass(frozen=True)
class _Source:
    """What an example is made from; cheap, so that all examples can be laid out before any picture is drawn."""

    example_id: str
    task_type: str
    plan: QueryPlan
    pool: str


class GlyphExamples(Sequence[TrainingExample]):
    """Training examples of the suite, built when they are indexed."""

    def __init__(self, sources: Sequence[_Source], neighbours: Neighbours) -> None:
        self._sources = sources
        self._neighbours = neighbours

    def __len__(self) -> int:
        return len(self._sources)

    @overload
    def __getitem__(self, index: int) -> TrainingExample: ...
    @overload
    def __getitem__(self, index: slice) -> "GlyphExamples": ...
    def __getitem__(self, index: int | slice) -> "TrainingExample | GlyphExamples":
        if isinstance(index, slice):
            return GlyphExamples(self._sources[index], self._neighbours)
        source = self._sources[index]
        plan, key = source.plan, source.example_id
        # Where the face is asked for, a reshaped picture would be a wrong example: bold strokes are heavy ones.
        num_variants = NUM_PLACES if plan.kind in FACE_KINDS else NUM_VARIANTS

        def vary(doc_id: str) -> str:
            return varied(doc_id, key, num_variants=num_variants)

        spec = tuple((kind, vary(value) if kind == "image" else value) for kind, value in plan.spec)
        query = Query(key, query_item(spec), instruction_of(source.task_type, plan.kind))
        negatives = dict.fromkeys(map(vary, self._hard_ids(plan)))
        return TrainingExample(
            key,
            query,
            (document(vary(plan.answer)),),
            LazyDocuments(negatives, document),
            source.pool,
        )

    def _hard_ids(self, plan: QueryPlan) -> Iterator[str]:
        """Traps, then the nearest characters of each kind of nearness."""
        rows, position = self._neighbours.rows, self._neighbours.position
        target = rows[position[plan.target]]
        for point in plan.traps:
            if point in position and is_candidate(rows[position[point]], plan, target):
                yield plan.make(point)
        yield from plan.extra
        for near in (self._neighbours.by_block, self._neighbours.by_words, self._neighbours.by_pixels):
            fitting = (row for row in near(plan.target) if is_candidate(row, plan, target))
            for row in itertools.islice(fitting, NUM_HARD_PER_KIND):
                doc_id = plan.make(row.code_point)
                if doc_id != plan.answer:
                    yield doc_id


@dataclass(frozen=True)
class GlyphTrainingSet(TrainingSet):
    """A training set that is a function of the frozen tables; it is described by them, not by drawing it all."""

    description: str = ""

    def __post_init__(self) -> None:
        """Nothing to check: ids are counted, pools are the task types."""

    def fingerprint(self) -> str:
        """SHA-256 of the frozen characters and of what was asked for."""
        table = (files("gmr.suites.glyphs") / "data" / "characters.tsv").read_bytes()
        return hashlib.sha256(hashlib.sha256(table).digest() + self.description.encode()).hexdigest()


@lru_cache(maxsize=4)
def training_set(
    *, rounds: int = 3, task_types: tuple[str, ...] = TASK_TYPES, limit: int | None = None
) -> TrainingSet:
    """Examples of all nine task types in turn, from characters and faces that no test shows.

    Args:
        rounds: how often the characters are gone through; each round asks in other faces and of other kinds.
        task_types: which task types.
        limit: number of examples to keep, all task types alike.
    """
    everything = characters()
    rows = [row for row in everything.values() if row.split == "train"]
    seen = {row.code_point: row for row in rows}
    changes = [change for change in operations(rows) if change.mark is None or change.mark in seen]
    faces = Faces(TRAIN_DESIGNS)
    usable = [row for row in rows if set(DESIGNS["sans"]) <= row.faces]
    queues: list[list[_Source]] = []
    pools: dict[str, dict[str, None]] = {}
    for round_number in range(rounds):
        streams = plans(usable, seen, changes, faces, f"train:{round_number}")
        for task_type in task_types:
            taken = itertools.islice(streams[task_type], QUERIES_PER_TASK_AND_ROUND)
            queue = [
                _Source(
                    f"{task_type}-train-{round_number}-{number}", task_type, plan, _pool_of(task_type, plan)
                )
                for number, plan in enumerate(taken)
            ]
            queues.append(queue)
            for source in queue:
                pool = pools.setdefault(source.pool, {})
                if source.plan.kind == "style":
                    # Whatever is drawn in the asked face is right here, so others come from other faces.
                    pool.setdefault(source.plan.make(source.plan.target))
                elif len(pool) < POOL_SIZE:
                    pool.setdefault(source.plan.answer)
    sources = [source for row in itertools.zip_longest(*queues) for source in row if source is not None][
        :limit
    ]
    return GlyphTrainingSet(
        GlyphExamples(sources, Neighbours(rows)),
        {
            name: LazyDocuments([_in_pool(doc_id, name) for doc_id in ids], document)
            for name, ids in pools.items()
        },
        f"rounds={rounds} task_types={','.join(task_types)} limit={limit} variants={NUM_VARIANTS}",
    )


def _pool_of(task_type: str, plan: QueryPlan) -> str:
    """Name of the pool of random negatives: the task type, apart by asked face where the face is what counts."""
    return f"not {plan.answer.split('-', 2)[2]}" if plan.kind == "style" else task_type


def _in_pool(doc_id: str, pool: str) -> str:
    """As many of a pool are varied as of an example's own: else a varied picture would hardly ever be a wrong one."""
    # A pool that is not named after a task type holds what is not drawn in some face.
    return varied(doc_id, "pool", num_variants=NUM_VARIANTS if pool in TASK_TYPES else NUM_PLACES)


def train_characters() -> list[Character]:
    """Characters that may be trained on."""
    return [row for row in characters().values() if row.split == "train"]
