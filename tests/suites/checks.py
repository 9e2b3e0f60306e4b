"""What holds for every suite whose tasks are made from plans."""

import hashlib
import json

from gmr.core.items import modality
from gmr.core.nouns import check_pictures
from gmr.suites.frozen import FrozenRuns

# A page is one picture.
MODALITIES = {"t": "t", "i": "i", "vd": "i", "it": "it"}


def check_items(tasks):
    """Items are of the type of their task, and their pictures open."""
    for task in tasks:
        query, document = task.task_type.split("2")
        assert {modality(q.item) for q in task.queries.values()} == {MODALITIES[query]}, task.name
        assert {modality(d.item) for d in task.corpus.values()} == {MODALITIES[document]}, task.name
        check_pictures(*task.queries.values(), *task.corpus.values())


def digest_of_judgments(plans):
    """SHA-256 (64 hex digits) of the documents that answer each query of plans, in any order of plans and queries."""
    rows = sorted(
        [name, query_id, *plan.relevant[query_id]]
        for name, plan in plans.items()
        for query_id in plan.relevant
    )
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def read_frozen(suite, plan):
    """The frozen first stage of a plan, whatever data it was made for."""
    frozen = FrozenRuns(suite)
    return frozen.read(
        plan.name,
        frozen.table[plan.name].made_for,
        query_ids=list(plan.search.queries),
        doc_ids=sorted(plan.search.documents),
    )


def count_missed(suite, plans):
    """Queries none of whose answers is among their candidates: a first stage that knew the answers would miss none."""
    missed = 0
    for plan in plans.values():
        run = read_frozen(suite, plan)
        missed += sum(not set(plan.relevant[query_id]) & set(run[query_id]) for query_id in run)
    return missed
