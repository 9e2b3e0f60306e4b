"""Our numbers are trec_eval's: its own expected outputs, and its library on thousands of random runs."""

import random

import pytest

from gmr.metrics.measures import evaluate
from gmr.metrics.order import canonical_order
from tests.conftest import shared_fixture

CUTOFFS = (5, 10, 15, 20, 30, 100, 200, 500, 1000)
# our name to the name trec_eval prints
PRINTED = {
    "ap": "map",
    "rr": "recip_rank",
    "ndcg": "ndcg",
    **{f"ndcg@{k}": f"ndcg_cut_{k}" for k in CUTOFFS},
    **{f"ap@{k}": f"map_cut_{k}" for k in CUTOFFS},
    **{f"recall@{k}": f"recall_{k}" for k in CUTOFFS},
    **{f"p@{k}": f"P_{k}" for k in CUTOFFS},
    **{f"hit@{k}": f"success_{k}" for k in (1, 5, 10)},
}


def read_columns(path, value_column, kind):
    table = {}
    for line in path.read_text().splitlines():
        fields = line.split()
        table.setdefault(fields[0], {})[fields[2]] = kind(fields[value_column])
    return table


def read_expected(path):
    return {
        (measure, query_id): value
        for measure, query_id, value in map(str.split, path.read_text().splitlines())
    }


@pytest.mark.parametrize(
    ("run_file", "expected_file"),
    [("results.test", "out.test.aq"), ("results.trunc", "out.test.aqc")],
)
def test_every_measure_prints_the_digits_of_trec_eval(run_file, expected_file):
    run = read_columns(shared_fixture(f"trec_eval/{run_file}"), 4, float)
    qrels = read_columns(shared_fixture("trec_eval/qrels.test"), 3, int)
    expected = read_expected(shared_fixture(f"trec_eval/{expected_file}"))
    values = evaluate(run, qrels, PRINTED)
    compared = 0
    for measure, printed_name in PRINTED.items():
        per_query = values[measure]
        for query_id, value in {**per_query, "all": sum(per_query.values()) / len(per_query)}.items():
            assert f"{value:.4f}" == expected[printed_name, query_id], (measure, query_id)
            compared += 1
    assert compared == len(PRINTED) * 4


def test_a_run_cut_at_100_documents_prints_what_trec_eval_M100_prints():
    run = read_columns(shared_fixture("trec_eval/results.trunc"), 4, float)
    cut = {q: {d: scores[d] for d in canonical_order(scores)[:100]} for q, scores in run.items()}
    qrels = read_columns(shared_fixture("trec_eval/qrels.test"), 3, int)
    expected = read_expected(shared_fixture("trec_eval/out.test.aqcM"))
    for measure, per_query in evaluate(cut, qrels, PRINTED).items():
        for query_id, value in per_query.items():
            assert f"{value:.4f}" == expected[PRINTED[measure], query_id], (measure, query_id)


def random_case(generator):
    """A run of a few documents, most with ties, and graded judgments that also name documents it lacks."""
    doc_ids = [f"d{i:02d}" for i in range(generator.randint(1, 40))]
    levels = generator.choice([1, 3, 10, 1000])
    # multiples of 1/8 up to 125 are exact in float32, which is what the library compares
    scores = {doc_id: generator.randint(-levels, levels) / 8 for doc_id in doc_ids}
    judged = {
        doc_id: generator.choice([-1, 0, 0, 0, 1, 1, 2, 3])
        for doc_id in [*doc_ids, "x1", "x2", "x3"]
        if generator.random() < 0.7
    }
    judged["x0"] = 1
    return scores, judged


def library_values(run, qrels):
    pytrec_eval = pytest.importorskip("pytrec_eval")
    cutoffs = "1,3,10,30"
    names = {"map", "ndcg", "recip_rank"}
    names |= {f"{name}.{cutoffs}" for name in ("ndcg_cut", "map_cut", "recall", "P", "success")}
    return pytrec_eval.RelevanceEvaluator(qrels, names).evaluate(run)


LIBRARY_NAMES = {
    "ap": "map",
    "ndcg": "ndcg",
    "rr": "recip_rank",
    **{
        f"{ours}@{k}": f"{theirs}_{k}"
        for k in (1, 3, 10, 30)
        for ours, theirs in {
            "ndcg": "ndcg_cut",
            "ap": "map_cut",
            "recall": "recall",
            "p": "P",
            "hit": "success",
        }.items()
    },
}


@pytest.mark.parametrize("feed", ["ranks", "scores"])
def test_two_thousand_random_runs_with_ties_equal_pytrec_eval(feed):
    """``ranks``: after our order the library must agree; ``scores``: our tie rule is the library's own."""
    generator = random.Random(20261123)
    cases = {f"q{i}": random_case(generator) for i in range(2000)}
    run = {query_id: scores for query_id, (scores, _) in cases.items()}
    qrels = {query_id: judged for query_id, (_, judged) in cases.items()}
    num_tied = sum(len(set(scores.values())) < len(scores) for scores in run.values())
    assert num_tied > 1000
    fed = run
    if feed == "ranks":
        fed = {
            query_id: {doc_id: float(-place) for place, doc_id in enumerate(canonical_order(scores))}
            for query_id, scores in run.items()
        }
    theirs = library_values(fed, qrels)
    ours = evaluate(run, qrels, LIBRARY_NAMES)
    worst = max(
        abs(value - theirs[query_id][LIBRARY_NAMES[measure]])
        for measure, per_query in ours.items()
        for query_id, value in per_query.items()
    )
    assert worst <= 1e-9


def test_reciprocal_rank_with_a_cutoff_is_that_of_the_run_cut_there():
    generator = random.Random(3)
    cases = {f"q{i}": random_case(generator) for i in range(200)}
    qrels = {query_id: judged for query_id, (_, judged) in cases.items()}
    run = {query_id: scores for query_id, (scores, _) in cases.items()}
    cut = {q: {d: scores[d] for d in canonical_order(scores)[:3]} for q, scores in run.items()}
    theirs = library_values(cut, qrels)
    ours = evaluate(run, qrels, ["rr@3"])["rr@3"]
    assert ours == pytest.approx(
        {query_id: values["recip_rank"] for query_id, values in theirs.items()}, abs=1e-9
    )
    assert set(ours.values()) == {0.0, 1 / 3, 1 / 2, 1.0}


@pytest.mark.parametrize("run_file", ["results.test", "results.trunc"])
@pytest.mark.parametrize("qrels_file", ["qrels.test", "qrels.rel_level"])
def test_every_measure_equals_the_library_to_1e_9_on_the_files_of_trec_eval(run_file, qrels_file):
    run = read_columns(shared_fixture(f"trec_eval/{run_file}"), 4, float)
    qrels = read_columns(shared_fixture(f"trec_eval/{qrels_file}"), 3, int)
    num_tied = sum(len(scores) - len(set(scores.values())) for scores in run.values())
    assert num_tied > 0
    pytrec_eval = pytest.importorskip("pytrec_eval")
    cutoffs = ",".join(map(str, CUTOFFS))
    names = {"map", "ndcg", "recip_rank", "success.1,5,10"}
    names |= {f"{name}.{cutoffs}" for name in ("ndcg_cut", "map_cut", "recall", "P")}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, names).evaluate(run)
    ours = evaluate(run, qrels, PRINTED)
    assert set(theirs) == set(run) & set(qrels)
    for measure, per_query in ours.items():
        assert list(per_query) == list(qrels)
        for query_id, value in per_query.items():
            # The library drops what the run does not answer; trec_eval -c and we count it 0.
            expected = theirs[query_id][PRINTED[measure]] if query_id in run else 0.0
            assert abs(value - expected) <= 1e-9, (measure, query_id)


def test_relevance_from_grade_2_upwards_prints_what_trec_eval_l2_prints():
    """Ours is relevant from 1 upwards: judgments lowered by one, which nDCG, a measure of grades, is left out of."""
    run = read_columns(shared_fixture("trec_eval/results.test"), 4, float)
    graded = read_columns(shared_fixture("trec_eval/qrels.rel_level"), 3, int)
    lowered = {q: {d: grade - 1 for d, grade in judged.items()} for q, judged in graded.items()}
    expected = read_expected(shared_fixture("trec_eval/out.test.aql"))
    binary = [measure for measure in PRINTED if not measure.startswith("ndcg")]
    compared = 0
    for measure, per_query in evaluate(run, lowered, binary).items():
        for query_id, value in per_query.items():
            assert f"{value:.4f}" == expected[PRINTED[measure], query_id], (measure, query_id)
            compared += 1
    assert compared >= 2 * len(binary)
