"""A small benchmark with made-up scores: graded judgments, pictures, languages, ties, gaps, and hostile names."""

import numpy as np

from gmr.core.items import Text
from gmr.core.nouns import Document, Query
from gmr.core.tasks import RerankTask
from gmr.evaluation import evaluate_run
from gmr.evaluation.cost import Cost
from gmr.reports.benchmark import build_benchmark_report
from gmr.suites.baselines import chance_run, first_stage_run
from tests.reports.samples import glyph

BASELINES = {"chance", "first stage"}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def made_task(name, task_type="t2t", *, num_queries=8, num_candidates=12, seed=0, measure="ndcg@10"):
    """Query ``i`` has two relevant documents, one of grade 2, and the last query none among its candidates."""
    generator = np.random.default_rng([seed, num_queries])
    has_pictures = task_type == "t2i"
    queries, corpus, qrels, stage, metadata = {}, {}, {}, {}, {}
    for i in range(num_queries):
        query_id = f"{name}/q{i}"
        queries[query_id] = Query(query_id, (Text(f"query {i} of {name}"),), "find it")
        ids = [f"{name}/d{i}.{j}" for j in range(num_candidates)]
        for j, doc_id in enumerate(ids):
            item = (glyph(LETTERS[(i + j) % 26]),) if has_pictures else (Text(f"document {j} of {doc_id}"),)
            corpus[doc_id] = Document(doc_id, item)
        stage[query_id] = {doc_id: -float(j) for j, doc_id in enumerate(ids)}
        first, second = generator.choice(num_candidates, size=2, replace=False)
        qrels[query_id] = {ids[first]: 2, ids[second]: 1}
        metadata[query_id] = {"language": "de" if i % 2 else "en", "kind": f"kind {i % 3}"}
    lost = f"{name}/lost"
    corpus[lost] = Document(lost, (Text("lost"),))
    qrels[query_id] = {lost: 1}
    return RerankTask(name, task_type, queries, corpus, qrels, stage, measure, metadata)


def made_run(task, skill, seed):
    generator = np.random.default_rng(seed)
    return {
        query_id: {
            doc_id: float(generator.normal() + skill * task.qrels[query_id].get(doc_id, 0))
            for doc_id in scores
        }
        for query_id, scores in task.first_stage.items()
    }


def made_tasks():
    return [
        made_task("names", "t2t", seed=1),
        made_task("sounds", "t2t", num_queries=5, seed=2),
        made_task("looks", "t2i", num_queries=6, num_candidates=7, seed=3),
    ]


def made_results(tasks, models=(("good", 2.0), ("fair", 1.0))):
    results = {
        "chance": [evaluate_run(chance_run(task), task, expected_under_ties=True) for task in tasks],
        "first stage": [evaluate_run(first_stage_run(task), task) for task in tasks],
    }
    for number, (name, skill) in enumerate(models):
        results[name] = [
            evaluate_run(made_run(task, skill, (number, place)), task) for place, task in enumerate(tasks)
        ]
    return results


def made_costs(tasks, models=("good", "fair")):
    return {
        name: {task.name: Cost(100, 2.0 + number, 1.5, 5000, 2500, 7) for task in tasks}
        for number, name in enumerate(models)
    }


def made_report(**options):
    tasks = made_tasks()
    defaults = {
        "suite": "made-up",
        "baselines": BASELINES,
        "costs": made_costs(tasks),
        "facts": {"weights": "none"},
        "environment": {"python": "3"},
        "descriptions": {"good": "Adds twice the grade to noise."},
    }
    return build_benchmark_report(tasks, made_results(tasks), **{**defaults, **options})
