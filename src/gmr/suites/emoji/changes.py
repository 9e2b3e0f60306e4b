"""Plans whose queries change pictures or put them together: IT→T, IT→I, IT→IT, and I→I with several pictures."""

from collections.abc import Callable

from gmr.suites.emoji.data import LANGUAGES, Relation, picture
from gmr.suites.emoji.entries import named_pictures
from gmr.suites.emoji.scope import Scope, relation_id
from gmr.suites.pieces import Piece, Pieces, Plan, Words
from gmr.suites.planning import Asked, make_plan

Pose = Callable[[Scope, Relation, str], Pieces]
"""The query of a relation, its words in a language."""
Answers = Callable[[Scope, Relation, str], tuple[str, ...]]
"""The documents that answer it."""
EDITS = ("skin", "gender", "hair")
# Most compositions are couples that differ in skin tone alone: more of them would say little more.
MAX_JOINED = 60
CHANGED = "Find {what} of the emoji in the picture after the change that the words ask for."
JOINED = "Find {what} of the emoji that these pictures make when they are put together."


def change_to_name(scope: Scope, name: str, *, other_languages: bool = False) -> Plan:
    """A picture and a word -> the name after the change; in another language, the name in that language."""
    languages = LANGUAGES[1:] if other_languages else ("en",)
    what = "the name, in the language of the words," if other_languages else "the name"
    asked = _asked(scope, name, _words, _in_language, other_languages=other_languages)
    return make_plan(scope, name, "it2t", CHANGED.format(what=what), asked, documents=scope.names(*languages))


def change_to_picture(scope: Scope, name: str, *, other_languages: bool = False) -> Plan:
    """A picture and a word -> the picture after the change, by the same vendor."""
    asked = _asked(scope, name, _words, _as_shown, other_languages=other_languages)
    documents = scope.pictures(scope.roles.change)
    return make_plan(scope, name, "it2i", CHANGED.format(what="the picture"), asked, documents=documents)


def change_to_named_picture(scope: Scope, name: str, *, other_languages: bool = False) -> Plan:
    """A picture and a word -> the picture after the change, with its English name."""
    asked = _asked(scope, name, _words, _named, other_languages=other_languages)
    documents = named_pictures(scope, scope.roles.change)
    instruction = CHANGED.format(what="the picture and English name")
    return make_plan(scope, name, "it2it", instruction, asked, documents=documents)


def picture_change_to_picture(scope: Scope, name: str) -> Plan:
    """A picture and a picture of what changes it (a swatch, a man) -> the picture after the change."""
    instruction = "Find the first emoji after the change that the second picture shows."
    asked = _asked(scope, name, _swatch, _as_shown)
    return make_plan(scope, name, "i2i", instruction, asked, documents=scope.pictures(scope.roles.change))


def parts_to_picture(scope: Scope, name: str) -> Plan:
    """Several pictures -> the picture of what they make together."""
    return _joined(scope, name, "i2i", _side_by_side)


def interleaved_parts_to_picture(scope: Scope, name: str) -> Plan:
    """Pictures with "plus" between them -> the picture of what they make together."""
    return _joined(scope, name, "it2i", _interleaved)


def interleaved_parts_to_name(scope: Scope, name: str) -> Plan:
    """Pictures with "plus" between them -> the name of what they make together."""
    return _joined(scope, name, "it2t", _interleaved)


def _joined(scope: Scope, name: str, task_type: str, pose: Pose) -> Plan:
    is_text = task_type == "it2t"
    answers = _in_language if is_text else _as_shown
    documents = scope.names("en") if is_text else scope.pictures(scope.roles.change)
    instruction = JOINED.format(what="the name" if is_text else "the picture")
    asked = _asked(scope, name, pose, answers, kinds=("compose",))[:MAX_JOINED]
    return make_plan(
        scope, name, task_type, instruction, asked, documents=documents, depth=100, by_parts=True
    )


def _asked(
    scope: Scope,
    name: str,
    pose: Pose,
    answers: Answers,
    *,
    kinds: tuple[str, ...] = EDITS,
    other_languages: bool = False,
) -> list[Asked]:
    vendor = scope.roles.change
    asked: dict[Pieces, Asked] = {}
    for relation in scope.relations(*kinds):
        if scope.emoji.shown_as(relation.target, vendor).intersection(relation.sources):
            continue
        language = scope.language(name, relation_id(relation)) if other_languages else "en"
        pieces = pose(scope, relation, language)
        found = answers(scope, relation, language)
        if pieces in asked:  # the same question by two relations: both answers are right
            first = asked[pieces]
            merged = tuple(dict.fromkeys((*first.relevant, *found)))
            asked[pieces] = Asked(first.name, pieces, merged, first.facts)
        elif len(asked) < scope.num_queries:
            facts = {"kind": relation.kind, "edit": relation.edit, "query_vendor": vendor}
            facts["group"] = scope.concept(relation.target).group
            if any(isinstance(piece, Words) and piece.language for piece in pieces):
                facts["language"] = language
            asked[pieces] = Asked(relation_id(relation), pieces, found, facts)
    return list(asked.values())


def _words(scope: Scope, relation: Relation, language: str) -> Pieces:
    return (
        picture(scope.roles.change, relation.sources[0]),
        scope.name(relation.word or relation.target, language),
    )


def _swatch(scope: Scope, relation: Relation, _language: str) -> Pieces:
    vendor = scope.roles.change
    return (picture(vendor, relation.sources[0]), picture(vendor, relation.word or relation.target))


def _side_by_side(scope: Scope, relation: Relation, _language: str) -> Pieces:
    return tuple(picture(scope.roles.change, source) for source in relation.sources)


def _interleaved(scope: Scope, relation: Relation, _language: str) -> Pieces:
    pieces: list[Piece] = []
    for source in relation.sources:
        pieces += [Words("plus"), picture(scope.roles.change, source)]
    return tuple(pieces[1:])


def _as_shown(scope: Scope, relation: Relation, _language: str) -> tuple[str, ...]:
    vendor = scope.roles.change
    return tuple(f"{vendor}:{found}" for found in scope.showing([relation.target], vendor))


def _in_language(scope: Scope, relation: Relation, language: str) -> tuple[str, ...]:
    return tuple(f"{language}:{found}" for found in scope.called([relation.target], language))


def _named(scope: Scope, relation: Relation, _language: str) -> tuple[str, ...]:
    return tuple(f"named:{found}" for found in scope.called([relation.target], "en"))
