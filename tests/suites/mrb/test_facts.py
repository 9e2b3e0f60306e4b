"""What ``mrb.toml`` says: the suites are what their rules give, and facts taken from mteb are mteb's."""

from collections import Counter

import pytest

from gmr.suites.mrb.rules import CEILING, MIN_RELEVANT, mini_suite, open_suite, reason_left_out
from gmr.suites.mrb.spec import load_specs, read_specs, suite_specs


def names(suite):
    return [spec.name for spec in suite_specs(suite)]


def types(suite):
    return Counter(spec.task_type for spec in suite_specs(suite))


def test_umrb_has_its_47_sets_in_nine_types():
    assert types("mrb-umrb") == {
        "t2t": 16, "i2i": 1, "t2i": 4, "i2t": 4, "t2vd": 10, "t2it": 2, "it2t": 5, "it2i": 2, "it2it": 3,
    }  # fmt: skip


def test_the_rule_gives_the_forty_sets_of_the_open_suite():
    assert open_suite(suite_specs("mrb-umrb")) == names("mrb-open")
    assert len(names("mrb-open")) == 40


def test_the_open_suite_has_the_sizes_of_types_that_the_paper_names():
    sizes = types("mrb-open")
    assert (sizes["t2t"], sizes["t2vd"], sizes["it2it"], sizes.total()) == (14, 5, 3, 40)
    assert len(sizes) == 9


def test_the_thresholds_of_the_rule_are_not_at_an_edge():
    specs = suite_specs("mrb-umrb")
    strengths = sorted(spec.published for spec in specs if spec.published is not None)
    below = max(value for value in strengths if value < CEILING)
    above = min(value for value in strengths if value >= CEILING)
    assert (below, above) == (87.24, 92.6)
    sizes = sorted(spec.num_relevant for spec in specs)
    assert max(size for size in sizes if size < MIN_RELEVANT) == 100
    assert min(size for size in sizes if size >= MIN_RELEVANT) == 280


def test_what_is_left_out_has_a_reason():
    reasons = {spec.name: reason_left_out(spec) for spec in suite_specs("mrb-umrb")}
    left_out = {name: reason for name, reason in reasons.items() if reason}
    assert left_out.keys() == set(names("mrb-umrb")) - set(names("mrb-open"))
    assert left_out["fever"] == "published first stage 92.6 ≥ 90"
    assert left_out["vidore-ai"] == "100 relevant judgments < 200"


def test_the_mini_suite_is_what_its_rule_gives_and_has_every_type():
    assert mini_suite(suite_specs("mrb-open")) == names("mrb-open-mini")
    assert types("mrb-open-mini").keys() == types("mrb-umrb").keys()
    mini = read_specs().suites["mrb-open-mini"]
    assert (mini.limit, mini.depth) == (100, 20)


def test_the_sixteenth_text_set_is_what_the_published_mean_leaves():
    published = [spec.published for spec in suite_specs("mrb-umrb") if spec.task_type == "t2t"]
    assert sum(published) / 16 == pytest.approx(55.93, abs=0.005)


def test_every_set_of_ours_is_pinned():
    """A set whose revision is not known would have to say so, and would be refused without --allow-unpinned."""
    assert all(spec.is_pinned for spec in load_specs().values())


def test_the_measures_of_umrb_follow_its_rule():
    for spec in suite_specs("mrb-umrb"):
        if spec.task_type == "t2t" and spec.name != "webqa-t2t":
            expected = "ndcg@10"
        elif spec.task_type == "t2vd":
            expected = "ndcg@5"
        else:
            is_ten = spec.name in ("fashion200k-t2i", "fashion200k-i2t", "fashioniq", "okvqa")
            expected = "hit@10" if is_ten else "hit@5"
        assert spec.umrb_measure == expected, spec.name


@pytest.mark.slow  # importing mteb
def test_facts_are_those_of_the_installed_mteb():
    mteb = pytest.importorskip("mteb")
    if not mteb.__version__.startswith("2.26."):
        pytest.skip(f"mrb.toml states the facts of mteb 2.26, this is {mteb.__version__}")
    for spec in load_specs().values():
        metadata = mteb.get_task(spec.mteb).metadata
        measure, _, cutoff = metadata.main_score.rpartition("_at_")
        assert spec.measure == f"{ {'ndcg': 'ndcg', 'hit_rate': 'hit'}[measure] }@{cutoff}", spec.name
        assert [spec.split] == list(metadata.eval_splits), spec.name
        assert spec.licence == {"not specified": "unknown"}.get(metadata.license, metadata.license), spec.name
        assert spec.source == metadata.reference, spec.name
        if spec.parts:
            parts = [
                mteb.get_task(f"CQADupstack{part.capitalize()}Retrieval").metadata for part in spec.parts
            ]
            origins = list(spec.parts.values())
        else:
            parts, origins = [metadata], list(spec.origins.values())
            if spec.name != "fashion200k-i2t":  # mteb gives that of the other direction
                assert metadata.prompt == {"query": spec.instruction}, spec.name
        for origin, part in zip(origins, parts, strict=True):
            assert part.dataset == {"path": origin.dataset, "revision": origin.revision}, spec.name
        counts = Counter()
        for part in parts:
            counts.update(_counts(part.descriptive_stats[spec.split], spec.language))
        for count in ("num_queries", "num_documents", "num_relevant"):
            if getattr(spec, count) is not None:
                assert counts[count] == getattr(spec, count), (spec.name, count)
        missing = metadata.descriptive_stats[spec.split]["relevant_docs_statistics"] if not spec.parts else {}
        assert spec.num_absent == missing.get("num_missing_corpus_ids"), spec.name


def _counts(statistics, language):
    if language is not None:
        of_language = statistics["hf_subset_descriptive_stats"][language]
        num_queries = of_language["queries_text_statistics"]["unique_texts"]
        return {"num_queries": num_queries, "num_documents": of_language["num_samples"] - num_queries}
    judged = statistics["relevant_docs_statistics"]
    num_queries = round(judged["num_relevant_docs"] / judged["average_relevant_docs_per_query"])
    return {
        "num_queries": statistics.get("num_queries", num_queries),
        "num_documents": statistics.get("num_documents", statistics["num_samples"] - num_queries),
        "num_relevant": judged["num_relevant_docs"],
    }
