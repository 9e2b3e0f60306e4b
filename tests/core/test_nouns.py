"""Names and tables that every floor above relies on."""

import math

import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmr.core.errors import DataError
from gmr.core.items import as_item
from gmr.core.nouns import (
    TASK_TYPES,
    Document,
    Query,
    RankedDocument,
    Ranking,
    check_pictures,
    display_type,
    probability,
    task_group,
)


def test_the_nine_task_types_fall_into_the_three_groups_of_the_benchmark():
    groups = {
        group: [t for t in TASK_TYPES if task_group(t) == group] for group in ("single", "cross", "fused")
    }
    assert groups == {
        "single": ["t2t", "i2i"],
        "cross": ["t2i", "t2vd", "i2t"],
        "fused": ["t2it", "it2t", "it2i", "it2it"],
    }


def test_task_types_are_shown_as_papers_write_them():
    assert [display_type(t) for t in ("t2it", "t2vd", "it2it")] == ["T→IT", "T→VD", "IT→IT"]


@pytest.mark.parametrize("ask", [task_group, display_type])
@pytest.mark.parametrize("unknown", ["", "t2", "T2T", "i2it", "t→t"])
def test_an_unknown_task_type_is_refused_with_the_known_ones(ask, unknown):
    with pytest.raises(DataError, match=f"unknown task type {unknown!r}; known are t2t, i2i, .*, it2it$"):
        ask(unknown)


@given(st.floats(-700, 700))
def test_probability_is_the_sigmoid_and_mirrors(score):
    assert math.isclose(probability(score), 0.5 * (1 + math.tanh(score / 2)), abs_tol=1e-12)
    assert math.isclose(probability(score) + probability(-score), 1, abs_tol=1e-12)


def test_probability_of_extreme_scores_is_a_probability():
    assert [probability(score) for score in (-1e9, 0.0, 1e9)] == [0.0, 0.5, 1.0]


def test_a_ranking_is_a_sequence_of_its_documents():
    documents = tuple(RankedDocument(i, f"d{i}", -i, Document(f"d{i}", as_item("x"))) for i in (1, 2, 3))
    ranking = Ranking(Query("q", as_item("x")), documents)
    assert list(ranking) == list(documents)
    assert len(ranking) == 3
    assert ranking[0].rank == 1
    assert ranking[-1].doc_id == "d3"


@pytest.mark.parametrize("noun", [Query, Document])
@pytest.mark.parametrize("identifier", ["", None, 3])
def test_an_id_is_a_non_empty_string(noun, identifier):
    with pytest.raises(DataError, match="the id must be a non-empty string"):
        noun(identifier, as_item("x"))


@pytest.mark.parametrize("noun", [Query, Document])
@pytest.mark.parametrize("item", ["text", (), ["a"], ("a",), None])
def test_an_unspelled_item_is_refused_by_id(noun, item):
    with pytest.raises(DataError, match=r"'x7': .* is not an item; spell it with as_item"):
        noun("x7", item)


def test_an_instruction_is_a_string_without_lone_surrogates():
    assert Query("q", as_item("x"), "find\ud800 it").instruction == "find\ufffd it"
    with pytest.raises(DataError, match="query 'q': instruction 3 is no string"):
        Query("q", as_item("x"), 3)


def test_a_broken_picture_is_named_with_its_query_or_document(tmp_path):
    whole, broken = tmp_path / "whole.png", tmp_path / "broken.png"
    PIL.Image.new("RGB", (8, 8)).save(whole)
    broken.write_bytes(whole.read_bytes()[:-14])
    good = Document("good", as_item([whole, "text"]))
    check_pictures(Query("q", as_item(whole)), good)
    with pytest.raises(DataError, match=r"^document 'bad': .*broken\.png: image is cut short"):
        check_pictures(good, Document("bad", as_item(["text", broken])))
    with pytest.raises(DataError, match=r"^query 'q': .*broken\.png: image is cut short"):
        check_pictures(Query("q", as_item(broken)), good)
