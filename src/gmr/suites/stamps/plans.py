"""Plans between captions in many languages and pictures: T→I, I→T, I→I, T→T, T→IT, IT→T."""

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property

from gmr.suites.draws import chance, lot, spread
from gmr.suites.pieces import Pieces, Plan, Words
from gmr.suites.planning import Asked, make_plan
from gmr.suites.stamps.data import Stamp, Stamps

# What the languages are called where a query asks for one; the largest of them.
LANGUAGE_NAMES: dict[str, str] = {
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "pt": "Portuguese",
    "it": "Italian",
    "nl": "Dutch",
    "pl": "Polish",
    "cs": "Czech",
    "ru": "Russian",
    "uk": "Ukrainian",
    "el": "Greek",
    "hu": "Hungarian",
    "tr": "Turkish",
    "hi": "Hindi",
    "vi": "Vietnamese",
    "id": "Indonesian",
    "ja": "Japanese",
    "ko": "Korean",
}


@dataclass(frozen=True)
class Scope:
    """One split of the data, and how much is asked of it.

    Attributes:
        stamps: all of the data.
        split: whose stamps are asked for, and are the documents.
        num_queries: of a task, at most.
        num_per_language: queries of a task in one language, at most.
        max_depth: candidates of a query, at most.
    """

    stamps: Stamps
    split: str
    num_queries: int
    num_per_language: int
    max_depth: int
    ids: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        inside = (s.stamp_id for s in self.stamps.stamps.values() if s.split == self.split)
        object.__setattr__(self, "ids", tuple(inside))

    def stamp(self, stamp_id: str) -> Stamp:
        """The stamp of an id."""
        return self.stamps.stamps[stamp_id]

    def caption(self, stamp_id: str, language: str) -> Pieces:
        """The caption of a stamp in a language that it has one in."""
        return (Words(self.stamp(stamp_id).captions[language], language),)

    def sample(self, languages: tuple[str, ...]) -> list[str]:
        """Stamps with a caption in some language, one of each category first; the same in all tasks of one number."""
        inside = [name for name in self.ids if self.stamp(name).captions.keys() & set(languages)]
        names = spread(inside, lambda name: self.stamp(name).category, key=f"{self.split}:stamps")
        return names[: self.num_queries if len(languages) > 1 else self.num_per_language]

    def pictures(self) -> dict[str, Pieces]:
        """Documents: the pictures of the split."""
        return {f"image:{name}": (self.stamp(name).picture,) for name in self.ids}

    def captions(self, *languages: str) -> dict[str, Pieces]:
        """Documents: the captions of the split in some languages, equal ones once."""
        return {
            f"{language}:{first}": (Words(text, language),)
            for language in languages
            for text, first in self._first_with[language].items()
        }

    def about(self, meanings: set[str], *languages: str) -> tuple[str, ...]:
        """The caption documents in some languages that are captions of some stamps of the split."""
        found: dict[str, None] = {}
        for language in languages:
            for name in self._inside(meanings):
                text = self.stamp(name).captions.get(language)
                if text is not None:
                    found[f"{language}:{self._first_with[language][text]}"] = None
        return tuple(found)

    def shown(self, kind: str, meanings: set[str]) -> tuple[str, ...]:
        """The documents of a kind (``image``, ``entry``) of some stamps, those of the split."""
        return tuple(f"{kind}:{name}" for name in self._inside(meanings))

    def _inside(self, names: set[str]) -> list[str]:
        return sorted(names & self._places.keys(), key=self._places.__getitem__)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.ids)}

    @cached_property
    def _first_with(self) -> dict[str, dict[str, str]]:
        """Language -> caption -> the first stamp of the split with it."""
        found: dict[str, dict[str, str]] = defaultdict(dict)
        for name in self.ids:
            for language, text in self.stamp(name).captions.items():
                found[language].setdefault(text, name)
        return found


def caption_to_picture(scope: Scope, name: str, *, languages: tuple[str, ...]) -> Plan:
    """The caption -> the pictures it is about; in one language, or in one of several by lot."""
    asked = [
        Asked(
            stamp_id,
            scope.caption(stamp_id, language),
            scope.shown("image", scope.stamps.captioned(stamp_id, language)),
            _facts(scope, stamp_id, language=language),
        )
        for stamp_id, language in _by_lot(scope, name, languages)
    ]
    instruction = "Find the picture with this caption."
    return make_plan(scope, name, "t2i", instruction, asked, documents=scope.pictures())


def picture_to_caption(scope: Scope, name: str, *, languages: tuple[str, ...]) -> Plan:
    """The picture -> its captions in some languages; in several at once, one that favours a language shows."""
    asked = [
        Asked(
            stamp_id,
            (scope.stamp(stamp_id).picture,),
            scope.about(scope.stamps.same(stamp_id), *languages),
            _facts(scope, stamp_id, document_language="+".join(languages)),
        )
        for stamp_id in scope.sample(languages)
    ]
    documents = scope.captions(*languages)
    if len(languages) > 1:
        instruction, depth = "Find captions of this picture, in any language.", 100
    else:
        instruction, depth = "Find the caption of this picture.", 50
    return make_plan(scope, name, "i2t", instruction, asked, documents=documents, depth=depth)


def picture_to_picture(scope: Scope, name: str) -> Plan:
    """The picture -> other pictures of the same thing, where there are others."""
    groups = {frozenset(scope.stamps.same(stamp_id) & set(scope.ids)): None for stamp_id in scope.ids}
    several = [sorted(group, key=lambda stamp_id: lot(name, stamp_id)) for group in groups if len(group) > 1]
    # A picture that is asked about is no document: it would be found by being the same file.
    first = {f"image:{stamp_id}" for stamp_id, *_ in several}
    documents = {doc_id: pieces for doc_id, pieces in scope.pictures().items() if doc_id not in first}
    asked = [
        Asked(
            stamp_id,
            (scope.stamp(stamp_id).picture,),
            tuple(f"image:{other}" for other in rest),
            _facts(scope, stamp_id),
        )
        for stamp_id, *rest in several
    ]
    instruction = "Find another picture of the same thing."
    return make_plan(scope, name, "i2i", instruction, asked, documents=documents)


def caption_to_caption(scope: Scope, name: str, *, languages: tuple[str, ...]) -> Plan:
    """The caption in one of several languages -> the English caption."""
    asked = [
        Asked(
            stamp_id,
            scope.caption(stamp_id, language),
            scope.about(scope.stamps.captioned(stamp_id, language), "en"),
            _facts(scope, stamp_id, language=language, document_language="en"),
        )
        for stamp_id, language in _by_lot(scope, name, languages)
    ]
    instruction = "Find the English caption that says the same."
    return make_plan(scope, name, "t2t", instruction, asked, documents=scope.captions("en"))


def caption_to_entry(scope: Scope, name: str, *, languages: tuple[str, ...]) -> Plan:
    """The caption in one of several languages -> an entry of category and picture."""
    documents: dict[str, Pieces] = {
        f"entry:{stamp_id}": (
            Words(f"Category: {scope.stamp(stamp_id).category}", "en"),
            scope.stamp(stamp_id).picture,
        )
        for stamp_id in scope.ids
    }
    asked = [
        Asked(
            stamp_id,
            scope.caption(stamp_id, language),
            scope.shown("entry", scope.stamps.captioned(stamp_id, language)),
            _facts(scope, stamp_id, language=language),
        )
        for stamp_id, language in _by_lot(scope, name, languages)
    ]
    instruction = "Find the entry, a category with a picture, that has this caption."
    return make_plan(scope, name, "t2it", instruction, asked, documents=documents)


def picture_and_language_to_caption(scope: Scope, name: str) -> Plan:
    """A picture and the name of a language -> the caption in that language, among those in eighteen."""
    languages = tuple(LANGUAGE_NAMES)
    asked = [
        Asked(
            stamp_id,
            (scope.stamp(stamp_id).picture, Words(f"in {LANGUAGE_NAMES[language]}")),
            scope.about(scope.stamps.same(stamp_id), language),
            _facts(scope, stamp_id, document_language=language),
        )
        for stamp_id, language in _by_lot(scope, name, languages)
    ]
    instruction = "Find the caption of this picture in the language that is asked for."
    documents = scope.captions(*languages)
    return make_plan(scope, name, "it2t", instruction, asked, documents=documents, depth=100)


def _by_lot(scope: Scope, name: str, languages: tuple[str, ...]) -> list[tuple[str, str]]:
    """Stamps with the language each is asked for in: by lot among those it has a caption in; equal texts once."""
    found: dict[tuple[str, str], str] = {}
    for stamp_id in scope.sample(languages):
        # `sample` takes no stamp without a caption in one of them.
        spoken = [language for language in languages if language in scope.stamp(stamp_id).captions]
        language = spoken[chance(scope.split, name, stamp_id, out_of=len(spoken))]
        found.setdefault((scope.stamp(stamp_id).captions[language], language), stamp_id)
    return [(stamp_id, language) for (_, language), stamp_id in found.items()]


def _facts(scope: Scope, stamp_id: str, **facts: str) -> dict[str, str]:
    return {**facts, "category": scope.stamp(stamp_id).category}
