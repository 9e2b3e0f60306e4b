"""Plans between names, keywords and pictures of the same concept: T→T, T→I, I→T, I→I."""

from gmr.suites.emoji.data import LANGUAGES, picture
from gmr.suites.emoji.scope import Scope
from gmr.suites.pieces import Plan, Words
from gmr.suites.planning import Asked, make_plan


def keywords_to_name(scope: Scope, name: str) -> Plan:
    """English keywords -> the English name."""
    asked = [
        Asked(
            concept,
            (Words(", ".join(scope.concept(concept).keywords["en"]), "en"),),
            _named(scope, concept, "en"),
            _facts(scope, concept, kind="keywords", language="en", document_language="en"),
        )
        for concept in scope.sample(scope.num_queries)
        if scope.concept(concept).keywords["en"]
    ]
    instruction = "Find the name of the emoji that these keywords describe."
    return make_plan(scope, name, "t2t", instruction, asked, documents=scope.names("en"))


def name_to_name(scope: Scope, name: str, *, source: str, target: str) -> Plan:
    """The name in one language -> the name in another."""
    asked = [
        Asked(
            concept,
            (scope.name(concept, source),),
            _named(scope, concept, target, source=source),
            _facts(scope, concept, kind="name", language=source, document_language=target),
        )
        for concept in scope.sample(scope.num_per_language)
    ]
    instruction = "Find the name of the same emoji in another language."
    return make_plan(scope, name, "t2t", instruction, asked, documents=scope.names(target))


def name_to_picture(scope: Scope, name: str, *, language: str) -> Plan:
    """The name -> the picture."""
    vendor = scope.roles.document
    number = scope.num_queries if language == "en" else scope.num_per_language
    asked = [
        Asked(
            concept,
            (scope.name(concept, language),),
            tuple(
                f"{vendor}:{other}"
                for other in scope.showing(scope.emoji.called_as(concept, language), vendor)
            ),
            _facts(scope, concept, kind="name", language=language, document_vendor=vendor),
        )
        for concept in scope.sample(number)
    ]
    instruction = "Find the picture of the emoji with this name."
    depth = 100 if language == "en" else 50
    return make_plan(scope, name, "t2i", instruction, asked, documents=scope.pictures(vendor), depth=depth)


def picture_to_name(scope: Scope, name: str, *, language: str) -> Plan:
    """The picture -> the name in a language."""
    vendor = scope.roles.query
    number = scope.num_queries if language == "en" else scope.num_per_language
    asked = [
        Asked(
            concept,
            (picture(vendor, concept),),
            tuple(
                f"{language}:{other}"
                for other in scope.called(scope.emoji.shown_as(concept, vendor), language)
            ),
            _facts(scope, concept, kind="picture", query_vendor=vendor, document_language=language),
        )
        for concept in scope.sample(number)
    ]
    instruction = "Find the name of the emoji in this picture."
    depth = 100 if language == "en" else 50
    return make_plan(scope, name, "i2t", instruction, asked, documents=scope.names(language), depth=depth)


def picture_to_all_names(scope: Scope, name: str) -> Plan:
    """The picture -> its names in all languages at once: a model that favours a language shows."""
    vendor = scope.roles.query
    asked = [
        Asked(
            concept,
            (picture(vendor, concept),),
            tuple(
                f"{language}:{other}"
                for language in LANGUAGES
                for other in scope.called(scope.emoji.shown_as(concept, vendor), language)
            ),
            _facts(scope, concept, kind="picture", query_vendor=vendor, document_language="all"),
        )
        for concept in scope.sample(scope.num_per_language)
    ]
    instruction = "Find the names of the emoji in this picture, in any language."
    return make_plan(scope, name, "i2t", instruction, asked, documents=scope.names(*LANGUAGES), depth=100)


def picture_to_picture(scope: Scope, name: str, *, vendor: str) -> Plan:
    """One vendor's picture -> the other vendors' pictures of the same concept."""
    others = [other for other in scope.roles.vendors if other != vendor]
    asked = [
        Asked(
            concept,
            (picture(vendor, concept),),
            tuple(
                f"{other}:{found}"
                for other in others
                for found in scope.showing(scope.emoji.shown_as(concept, vendor), other)
            ),
            _facts(
                scope, concept, kind="same concept", query_vendor=vendor, document_vendor="+".join(others)
            ),
        )
        for concept in scope.sample(scope.num_queries)
    ]
    instruction = "Find pictures of the same emoji in another style."
    return make_plan(scope, name, "i2i", instruction, asked, documents=scope.pictures(*others))


def two_pictures_to_picture(scope: Scope, name: str) -> Plan:
    """Two vendors' pictures -> the third one's: what one leaves open the other may show."""
    target = scope.roles.document
    shown = [vendor for vendor in scope.roles.vendors if vendor != target]
    asked = []
    for concept in scope.sample(scope.num_queries):
        meanings = set.intersection(*(scope.emoji.shown_as(concept, vendor) for vendor in shown))
        asked.append(
            Asked(
                concept,
                tuple(picture(vendor, concept) for vendor in shown),
                tuple(f"{target}:{found}" for found in scope.showing(meanings, target)),
                _facts(
                    scope, concept, kind="two pictures", query_vendor="+".join(shown), document_vendor=target
                ),
            )
        )
    instruction = "Both pictures show one emoji. Find its picture in another style."
    return make_plan(scope, name, "i2i", instruction, asked, documents=scope.pictures(target))


def _named(scope: Scope, concept: str, language: str, *, source: str | None = None) -> tuple[str, ...]:
    meanings = scope.emoji.called_as(concept, source) if source else {concept}
    return tuple(f"{language}:{other}" for other in scope.called(meanings, language))


def _facts(scope: Scope, concept: str, **facts: str) -> dict[str, str]:
    return {**facts, "group": scope.concept(concept).group}
