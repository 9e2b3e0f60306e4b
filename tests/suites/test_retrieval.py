"""Facts about the first stage of the suites: it is given no judgment, and what it finds follows from what it sees."""

import dataclasses
import inspect
import io
import zipfile

import pytest

from gmr.suites.albums import Album, Albums
from gmr.suites.pieces import Page, Picture, Plan, Search, Words
from gmr.suites.retrieval import Examples, Retriever
from tests.suites.tiny import COLOURS, SHAPES, picture

pytest.importorskip("bm25s")


@pytest.fixture(scope="module")
def albums(tmp_path_factory):
    folder = tmp_path_factory.mktemp("albums")
    for number, name in enumerate(("old", "new")):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for colour in COLOURS:
                for shape in SHAPES:
                    archive.writestr(f"{colour}-{shape}.png", picture(colour, shape, inset=8 + 6 * number))
        (folder / f"{name}.zip").write_bytes(buffer.getvalue())
    return Albums({name: Album(folder / f"{name}.zip", ".png") for name in ("old", "new")})


KNOWN = [f"{colour}-{shape}" for colour in COLOURS[:6] for shape in SHAPES]
UNKNOWN = [f"{colour}-{shape}" for colour in COLOURS[6:] for shape in SHAPES]
EXAMPLES = Examples(
    texts={
        "en": [name.replace("-", " ") for name in KNOWN],
        "xx": [f"x{name.replace('-', ' x')}" for name in KNOWN],
    },
    names=[name.replace("-", " ") for name in KNOWN],
    pictures={
        "old": [Picture("old", name) for name in KNOWN],
        "new": [Picture("new", name) for name in KNOWN],
    },
)


def _first(albums, queries, documents, *, examples=EXAMPLES, **options):
    run = Retriever(albums, examples).run(Search(queries, documents, **options))
    return {query_id: next(iter(scores)) for query_id, scores in run.items()}


def test_what_finds_candidates_is_given_no_judgment():
    assert list(inspect.signature(Retriever.run).parameters) == ["self", "search"]
    assert {field.name for field in dataclasses.fields(Search)} == {
        "queries",
        "documents",
        "depth",
        "by_parts",
    }
    assert "relevant" in {field.name for field in dataclasses.fields(Plan)}


def test_text_finds_text_of_the_same_language_by_its_words(albums):
    documents = {name: (Words(name.replace("-", " "), "en"),) for name in UNKNOWN}
    queries = {name: (Words(f"a {name.replace('-', ' ')} please", "en"),) for name in UNKNOWN}
    assert _first(albums, queries, documents) == {name: name for name in UNKNOWN}


def test_a_picture_finds_the_same_thing_by_another_vendor(albums):
    documents = {name: (Picture("new", name),) for name in UNKNOWN}
    queries = {name: (Picture("old", name),) for name in UNKNOWN}
    found = _first(albums, queries, documents)
    assert sum(found[name] == name for name in UNKNOWN) > len(UNKNOWN) // 2
    assert {name: other.partition("-")[0] for name, other in found.items()} == {
        name: name.partition("-")[0] for name in UNKNOWN
    }


def test_text_finds_pictures_through_known_ones(albums):
    documents = {name: (Picture("new", name),) for name in KNOWN}
    queries = {name: (Words(name.replace("-", " "), "en"),) for name in KNOWN}
    found = _first(albums, queries, documents)
    assert sum(found[name] == name for name in KNOWN) > len(KNOWN) // 2
    assert _first(albums, queries, documents, examples=Examples()) != found


def test_lent_pictures_are_of_other_albums_than_the_documents(albums):
    documents = {name: (Picture("new", name),) for name in KNOWN}
    queries = {"q": (Words("red ball", "en"),)}
    with_both = Retriever(albums, EXAMPLES).run(Search(queries, documents))
    old_alone = dataclasses.replace(EXAMPLES, pictures={"old": EXAMPLES.pictures["old"]})
    # "new" is still what its documents are centred by, so only orders are compared
    assert (
        list(with_both["q"])[:1]
        == list(Retriever(albums, old_alone).run(Search(queries, documents))["q"])[:1]
    )


def test_pictures_find_texts_and_texts_those_of_another_language_through_known_ones(albums):
    documents = {name: (Words(f"x{name.replace('-', ' x')}", "xx"),) for name in KNOWN}
    seen = {name: (Picture("old", name),) for name in KNOWN}
    read = {name: (Words(name.replace("-", " "), "en"),) for name in KNOWN}
    for queries in (seen, read):
        found = _first(albums, queries, documents)
        assert sum(found[name] == name for name in KNOWN) > len(KNOWN) // 2


def test_words_find_documents_in_their_own_language_when_there_are_such(albums):
    documents = {
        f"{code}:{name}": (Words(f"{code} {name}", code),) for code in ("en", "xx") for name in KNOWN
    }
    run = Retriever(albums, EXAMPLES).run(
        Search({"q": (Picture("old", KNOWN[0]), Words("en ball", "en"))}, documents, depth=10)
    )
    assert all(doc_id.startswith("en:") for doc_id in run["q"])


def test_a_page_is_as_near_as_the_nearest_picture_on_it(albums):
    pages = {
        f"page:{start}": (Page(tuple(Picture("new", n) for n in UNKNOWN[start : start + 3])),)
        for start in (0, 3)
    }
    alone = {f"alone:{name}": (Picture("new", name),) for name in UNKNOWN}
    run = Retriever(albums, EXAMPLES).run(Search({"q": (Picture("old", UNKNOWN[4]),)}, pages | alone))
    assert run["q"]["page:3"] == max(run["q"][f"alone:{name}"] for name in UNKNOWN[3:])


def test_words_that_join_pictures_are_not_searched_for(albums):
    documents = {name: (Words(name.replace("-", " "), "en"),) for name in KNOWN}
    plain = (Picture("old", KNOWN[0]), Picture("old", KNOWN[4]))
    joined = (plain[0], Words("green box bar"), plain[1])
    found = Retriever(albums, EXAMPLES)
    assert found.run(Search({"q": plain}, documents)) == found.run(Search({"q": joined}, documents))


def test_parts_are_looked_for_by_the_names_of_the_nearest_known_pictures(albums):
    documents = {"both": (Words("red green", "en"),), "one": (Words("blue", "en"),)}
    queries = {"q": (Picture("old", "red-ball"), Picture("old", "green-box"))}
    assert _first(albums, queries, documents, by_parts=True) == {"q": "both"}


def test_every_query_has_as_many_candidates_filled_by_lot(albums):
    documents = {f"d{number}": (Words(f"w{number}", "en"),) for number in range(40)}
    queries = {f"q{number}": (Words("w1 w2", "en"),) for number in range(5)}
    run = Retriever(albums, Examples()).run(Search(queries, documents, depth=10))
    assert {len(scores) for scores in run.values()} == {10}
    filled = [frozenset(doc_id for doc_id, score in scores.items() if score == 0) for scores in run.values()]
    assert len(set(filled)) == 5


def test_the_order_of_queries_and_documents_changes_nothing(albums):
    documents = {name: (Picture("new", name),) for name in KNOWN}
    queries = {name: (Words(name.replace("-", " "), "en"),) for name in KNOWN}
    run = Retriever(albums, EXAMPLES).run(Search(queries, documents, depth=5))
    turned = Retriever(albums, EXAMPLES).run(
        Search(dict(reversed(queries.items())), dict(reversed(documents.items())), depth=5)
    )
    assert turned == run
