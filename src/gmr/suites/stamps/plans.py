"""Plans between captions in many languages and pictures: T→I, I→T, I→I, T→T, T→IT, IT→T."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from gmr.suites.draws import chance, lot, spread
from gmr.suites.pieces import Pieces, Plan, Search, Words
from gmr.suites.stamps.data import Stamp, Stamps

# A language is asked for when most stamps have a caption in it: 57 beside English.
MIN_CAPTIONS = 900
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
    queries: dict[str, Pieces] = {}
    relevant: dict[str, tuple[str, ...]] = {}
    facts: dict[str, dict[str, str]] = {}
    for stamp_id, language in _asked(scope, name, languages):
        query_id = f"{_short(name)}:{stamp_id}"
        queries[query_id] = (Words(scope.stamp(stamp_id).captions[language], language),)
        meanings = scope.stamps.captioned(stamp_id, language)
        relevant[query_id] = scope.shown("image", meanings)
        facts[query_id] = _facts(scope, stamp_id, language=language)
    instruction = "Find the picture with this caption."
    return _plan(
        scope, name, "t2i", instruction, Search(queries, scope.pictures()), relevant=relevant, facts=facts
    )


def picture_to_caption(scope: Scope, name: str, *, languages: tuple[str, ...]) -> Plan:
    """The picture -> its captions in some languages; in several at once, one that favours a language shows."""
    documents = scope.captions(*languages)
    queries: dict[str, Pieces] = {}
    relevant: dict[str, tuple[str, ...]] = {}
    facts: dict[str, dict[str, str]] = {}
    for stamp_id in scope.sample(languages):
        query_id = f"{_short(name)}:{stamp_id}"
        queries[query_id] = (scope.stamp(stamp_id).picture,)
        relevant[query_id] = scope.about(scope.stamps.same(stamp_id), *languages)
        facts[query_id] = _facts(scope, stamp_id, document_language="+".join(languages))
    several = len(languages) > 1
    instruction = (
        "Find captions of this picture, in any language." if several else "Find the caption of this picture."
    )
    search = Search(queries, documents, depth=100 if several else 50)
    return _plan(scope, name, "i2t", instruction, search, relevant=relevant, facts=facts)


def picture_to_picture(scope: Scope, name: str) -> Plan:
    """The picture -> other pictures of the same thing, where there are others."""
    groups = {frozenset(scope.stamps.same(stamp_id) & set(scope.ids)): None for stamp_id in scope.ids}
    several = [sorted(group, key=lambda stamp_id: lot(name, stamp_id)) for group in groups if len(group) > 1]
    # A picture that is asked about is no document: it would be found by being the same file.
    asked = {first: rest for first, *rest in several}
    documents = {doc_id: pieces for doc_id, pieces in scope.pictures().items() if doc_id[6:] not in asked}
    queries: dict[str, Pieces] = {}
    relevant: dict[str, tuple[str, ...]] = {}
    facts: dict[str, dict[str, str]] = {}
    for stamp_id, rest in asked.items():
        query_id = f"{_short(name)}:{stamp_id}"
        queries[query_id] = (scope.stamp(stamp_id).picture,)
        relevant[query_id] = tuple(f"image:{other}" for other in rest)
        facts[query_id] = _facts(scope, stamp_id)
    instruction = "Find another picture of the same thing."
    return _plan(scope, name, "i2i", instruction, Search(queries, documents), relevant=relevant, facts=facts)


def caption_to_caption(scope: Scope, name: str, *, languages: tuple[str, ...]) -> Plan:
    """The caption in one of several languages -> the English caption."""
    documents = scope.captions("en")
    queries: dict[str, Pieces] = {}
    relevant: dict[str, tuple[str, ...]] = {}
    facts: dict[str, dict[str, str]] = {}
    for stamp_id, language in _asked(scope, name, languages):
        query_id = f"{_short(name)}:{stamp_id}"
        queries[query_id] = (Words(scope.stamp(stamp_id).captions[language], language),)
        relevant[query_id] = scope.about(scope.stamps.captioned(stamp_id, language), "en")
        facts[query_id] = _facts(scope, stamp_id, language=language, document_language="en")
    instruction = "Find the English caption that says the same."
    return _plan(scope, name, "t2t", instruction, Search(queries, documents), relevant=relevant, facts=facts)


def caption_to_entry(scope: Scope, name: str, *, languages: tuple[str, ...]) -> Plan:
    """The caption in one of several languages -> an entry of category and picture."""
    documents: dict[str, Pieces] = {
        f"entry:{stamp_id}": (
            Words(f"Category: {scope.stamp(stamp_id).category}", "en"),
            scope.stamp(stamp_id).picture,
        )
        for stamp_id in scope.ids
    }
    queries: dict[str, Pieces] = {}
    relevant: dict[str, tuple[str, ...]] = {}
    facts: dict[str, dict[str, str]] = {}
    for stamp_id, language in _asked(scope, name, languages):
        query_id = f"{_short(name)}:{stamp_id}"
        queries[query_id] = (Words(scope.stamp(stamp_id).captions[language], language),)
        meanings = scope.stamps.captioned(stamp_id, language)
        relevant[query_id] = scope.shown("entry", meanings)
        facts[query_id] = _facts(scope, stamp_id, language=language)
    instruction = "Find the entry, a category with a picture, that has this caption."
    return _plan(scope, name, "t2it", instruction, Search(queries, documents), relevant=relevant, facts=facts)


def picture_and_language_to_caption(scope: Scope, name: str) -> Plan:
    """A picture and the name of a language -> the caption in that language, among those in eighteen."""
    languages = tuple(LANGUAGE_NAMES)
    documents = scope.captions(*languages)
    queries: dict[str, Pieces] = {}
    relevant: dict[str, tuple[str, ...]] = {}
    facts: dict[str, dict[str, str]] = {}
    for stamp_id, language in _asked(scope, name, languages):
        query_id = f"{_short(name)}:{stamp_id}"
        queries[query_id] = (scope.stamp(stamp_id).picture, Words(f"in {LANGUAGE_NAMES[language]}"))
        relevant[query_id] = scope.about(scope.stamps.same(stamp_id), language)
        facts[query_id] = _facts(scope, stamp_id, document_language=language)
    instruction = "Find the caption of this picture in the language that is asked for."
    search = Search(queries, documents, depth=100)
    return _plan(scope, name, "it2t", instruction, search, relevant=relevant, facts=facts)


def _asked(scope: Scope, name: str, languages: tuple[str, ...]) -> list[tuple[str, str]]:
    """Stamps with the language each is asked for in: by lot among those it has a caption in; equal texts once."""
    found: dict[tuple[str, str], str] = {}
    for stamp_id in scope.sample(languages):
        spoken = [language for language in languages if language in scope.stamp(stamp_id).captions]
        if spoken:
            language = spoken[chance(scope.split, name, stamp_id, out_of=len(spoken))]
            found.setdefault((scope.stamp(stamp_id).captions[language], language), stamp_id)
    return [(stamp_id, language) for (_, language), stamp_id in found.items()]


def _short(name: str) -> str:
    return name.removeprefix("stamps-")


def _facts(scope: Scope, stamp_id: str, **facts: str) -> dict[str, str]:
    return {**facts, "category": scope.stamp(stamp_id).category}


def _plan(
    scope: Scope,
    name: str,
    task_type: str,
    instruction: str,
    search: Search,
    *,
    relevant: Mapping[str, tuple[str, ...]],
    facts: Mapping[str, Mapping[str, str]],
) -> Plan:
    full = name if scope.split == "test" else f"{name}-{scope.split}"
    search = replace(search, depth=min(search.depth, scope.max_depth))
    return Plan(full, task_type, instruction, search, relevant, facts)
