"""Plans whose documents are pages of pictures, or pictures with words: T→VD, T→IT."""

from itertools import product

from gmr.suites.draws import lot
from gmr.suites.emoji.data import picture
from gmr.suites.emoji.scope import Scope, relation_id
from gmr.suites.pieces import Page, Pieces, Plan, Words
from gmr.suites.planning import Asked, make_plan

# Every concept is on one page of each round, so several pages answer a query.
PLAIN_ROUNDS, PLAIN_CELLS = 4, 9
CAPTIONED_ROUNDS, CAPTIONED_CELLS = 3, 6


def name_to_page(scope: Scope, name: str, *, captions: bool, other_languages: bool = False) -> Plan:
    """The name -> the pages that show the picture, under captions in English or none.

    Args:
        scope: the split.
        name: of the task.
        captions: whether pictures have their English names under them; then only the name tells look-alikes apart.
        other_languages: ask in the sixteen languages beside English, by lot.
    """
    vendor = scope.roles.document
    documents, shown_on = _pages(scope, captions=captions)
    asked = []
    for concept in scope.sample(scope.num_queries):
        language = scope.language(name, concept) if other_languages else "en"
        meanings = scope.emoji.called_as(concept, language)
        found = meanings if captions else scope.showing(meanings, vendor)
        pages = {page: None for other in sorted(found) for page in shown_on.get(other, ())}
        asked.append(
            Asked(
                concept,
                (scope.name(concept, language),),
                tuple(pages),
                {"kind": "name", "language": language, "document_vendor": vendor}
                | {"group": scope.concept(concept).group},
            )
        )
    instruction = "Find the page that shows the emoji with this name."
    return make_plan(scope, name, "t2vd", instruction, asked, documents=documents)


def _pages(scope: Scope, *, captions: bool) -> tuple[dict[str, Pieces], dict[str, list[str]]]:
    """Pages by id, and the pages that each concept is on."""
    rounds, size = (CAPTIONED_ROUNDS, CAPTIONED_CELLS) if captions else (PLAIN_ROUNDS, PLAIN_CELLS)
    documents: dict[str, Pieces] = {}
    shown_on: dict[str, list[str]] = {}
    for turn in range(rounds):
        kind = "captioned" if captions else "plain"
        order = sorted(scope.ids, key=lambda name, turn=turn, kind=kind: lot(scope.split, kind, turn, name))  # type: ignore[misc]
        for start in range(0, len(order), size):
            shown = order[start : start + size]
            page_id = f"page:{turn}.{start // size:03d}"
            texts = tuple(scope.name(name).text for name in shown) if captions else ()
            cells = tuple(picture(scope.roles.document, name) for name in shown)
            documents[page_id] = (Page(cells, captions=texts),)
            for name in shown:
                shown_on.setdefault(name, []).append(page_id)
    return documents, shown_on


def name_to_entry(scope: Scope, name: str) -> Plan:
    """The English name -> an entry of Unicode's group and the picture; the words never say which emoji it is."""
    vendor = scope.roles.document
    documents: dict[str, Pieces] = {}
    for concept_id in scope.ids:
        concept = scope.concept(concept_id)
        heading = Words(f"{concept.group}: {concept.subgroup.replace('-', ' ')}", "en")
        documents[f"entry:{concept_id}"] = (heading, picture(vendor, concept_id))
    asked = [
        Asked(
            concept_id,
            (scope.name(concept_id),),
            tuple(
                f"entry:{found}" for found in scope.showing(scope.emoji.called_as(concept_id, "en"), vendor)
            ),
            {"kind": "name", "language": "en", "document_vendor": vendor}
            | {"group": scope.concept(concept_id).group},
        )
        for concept_id in scope.sample(scope.num_queries)
    ]
    instruction = "Find the entry, a heading with a picture, of the emoji with this name."
    return make_plan(scope, name, "t2it", instruction, asked, documents=documents)


def name_to_named_picture(scope: Scope, name: str) -> Plan:
    """The name in another language -> the picture with its English name."""
    vendor = scope.roles.document
    documents = named_pictures(scope, vendor)
    asked = []
    for concept_id in scope.sample(scope.num_queries):
        language = scope.language(name, concept_id)
        meanings = scope.emoji.called_as(concept_id, language)
        asked.append(
            Asked(
                concept_id,
                (scope.name(concept_id, language),),
                tuple(f"named:{found}" for found in scope.called(meanings, "en")),
                {"kind": "name", "language": language, "document_language": "en", "document_vendor": vendor}
                | {"group": scope.concept(concept_id).group},
            )
        )
    instruction = "Find the picture with English name of the emoji that has this name in another language."
    return make_plan(scope, name, "t2it", instruction, asked, documents=documents)


def named_pictures(scope: Scope, vendor: str) -> dict[str, Pieces]:
    """Documents: the picture of each concept of the split, then its English name."""
    return {f"named:{name}": (picture(vendor, name), scope.name(name)) for name in scope.ids}


def names_to_change(scope: Scope, name: str) -> Plan:
    """Two names in order -> two pictures in order, interleaved with "then": which one comes first counts."""
    vendor = scope.roles.change
    documents: dict[str, Pieces] = {}
    doc_of: dict[tuple[str, str], str] = {}
    for relation in scope.relations("skin", "gender"):
        source = relation.sources[0]
        if relation.target not in scope.emoji.shown_as(source, vendor):
            doc_id = f"change:{relation_id(relation)}"
            documents[doc_id] = (picture(vendor, source), Words("then"), picture(vendor, relation.target))
            doc_of[source, relation.target] = doc_id
    asked = []
    for (source, target), doc_id in list(doc_of.items())[: scope.num_queries]:
        alike = product(*(sorted(scope.emoji.shown_as(end, vendor)) for end in (source, target)))
        same = [doc_of[ends] for ends in alike if ends in doc_of]
        words = f"{scope.name(source).text}, then {scope.name(target).text}"
        asked.append(
            Asked(
                doc_id.removeprefix("change:"),
                (Words(words, "en"),),
                tuple(same),
                {"kind": "change", "language": "en", "document_vendor": vendor},
            )
        )
    instruction = "Find the two pictures that show these emoji in this order."
    return make_plan(scope, name, "t2it", instruction, asked, documents=documents)
