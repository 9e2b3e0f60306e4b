"""The emoji data folder: concepts, keywords, relations between concepts, and pictures that look alike."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gmr.core.errors import DataError
from gmr.core.files import read_jsonl, shorten
from gmr.suites.albums import Album, Albums
from gmr.suites.pieces import Picture
from gmr.suites.reading import data_folder, list_field, table_field, text_field

VENDORS = ("noto", "twemoji", "openmoji")
LANGUAGES = (
    "en",
    "de",
    "fr",
    "es",
    "it",
    "pt",
    "ru",
    "tr",
    "ar",
    "hi",
    "bn",
    "th",
    "vi",
    "sw",
    "zh",
    "ja",
    "ko",
)
SPLITS = ("train", "dev", "test")
RELATION_TYPES = ("skin", "gender", "hair", "compose")


@dataclass(frozen=True)
class Concept:
    """One emoji.

    Attributes:
        concept_id: its code points, joined by ``-``.
        names: language -> what it is called.
        keywords: language -> words it is found by; may be none.
        group: Unicode's group, such as ``Flags``.
        subgroup: Unicode's subgroup, such as ``country-flag``.
        family: concepts of one family share a split.
        split: ``train``, ``dev`` or ``test``.
    """

    concept_id: str
    names: Mapping[str, str]
    keywords: Mapping[str, tuple[str, ...]]
    group: str
    subgroup: str
    family: str
    split: str


@dataclass(frozen=True)
class Relation:
    """``sources`` changed as the concept ``word`` is called (or put together) make ``target``.

    Attributes:
        kind: one of ``RELATION_TYPES``.
        edit: what changes, such as ``man>woman``.
    """

    kind: str
    sources: tuple[str, ...]
    target: str
    word: str | None
    edit: str
    split: str


@dataclass(frozen=True)
class Emoji:
    """All of the data folder.

    Attributes:
        concepts: by id, in Unicode's order.
        relations: in the order of the file.
        alike: vendor -> concept id -> ids whose pictures by that vendor can hardly be told from its own.
        albums: the pictures, by vendor and concept id.
    """

    concepts: Mapping[str, Concept]
    relations: tuple[Relation, ...]
    alike: Mapping[str, Mapping[str, frozenset[str]]]
    albums: Albums

    def shown_as(self, concept_id: str, vendor: str) -> set[str]:
        """The concepts that the vendor's picture of a concept may stand for: itself and its look-alikes."""
        return {concept_id} | self.alike[vendor].get(concept_id, frozenset())

    def called_as(self, concept_id: str, language: str) -> set[str]:
        """The concepts of that name in a language: itself, and any other of the same name."""
        return self._by_name[language, self.concepts[concept_id].names[language]]

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], set[str]]:
        found: dict[tuple[str, str], set[str]] = defaultdict(set)
        for concept in self.concepts.values():
            for language, name in concept.names.items():
                found[language, name].add(concept.concept_id)
        return found


def picture(vendor: str, concept_id: str) -> Picture:
    """A vendor's picture of a concept."""
    return Picture(vendor, concept_id)


def read_emoji(data_root: Path) -> Emoji:
    """The data of ``data_root/emoji``; pictures are read later.

    Raises:
        DataError: naming file and line of what is missing or wrong.
    """
    folder = data_folder(data_root, "emoji", marker="concepts.jsonl")
    concepts = _read_concepts(folder)
    albums = Albums({vendor: Album(folder / f"images-{vendor}.zip", ".png") for vendor in VENDORS})
    return Emoji(concepts, _read_relations(folder, concepts), _read_alike(folder, concepts), albums)


def _read_concepts(folder: Path) -> dict[str, Concept]:
    keywords = _read_keywords(folder / "keywords_i18n.jsonl.gz")
    path = folder / "concepts.jsonl"
    concepts: dict[str, Concept] = {}
    splits: dict[str, str] = {}
    for number, record in read_jsonl(path):
        where = f"{path}:{number}"
        concept_id = text_field(record, "id", where=where)
        if concept_id in concepts:
            raise DataError(f"{where}: concept {concept_id!r} is given twice")
        names = {"en": text_field(record, "name", where=where), **table_field(record, "names", where=where)}
        missing = [language for language in LANGUAGES if language not in names]
        if missing:
            raise DataError(f"{where}: concept {concept_id!r} has no name in {', '.join(missing)}")
        family, split = (text_field(record, key, where=where) for key in ("family", "split"))
        if split not in SPLITS:
            raise DataError(f"{where}: unknown split {split!r}; there are {', '.join(SPLITS)}")
        if splits.setdefault(family, split) != split:
            raise DataError(f"{where}: family {family!r} lies in the splits {splits[family]} and {split}")
        concepts[concept_id] = Concept(
            concept_id=concept_id,
            names=names,
            keywords={**keywords.get(concept_id, {}), "en": list_field(record, "keywords", where=where)},
            group=text_field(record, "group", where=where),
            subgroup=text_field(record, "subgroup", where=where),
            family=family,
            split=split,
        )
    if not concepts:
        raise DataError(f"{path}: no concepts")
    return concepts


def _read_keywords(path: Path) -> dict[str, dict[str, tuple[str, ...]]]:
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for number, record in read_jsonl(path):
        where = f"{path}:{number}"
        concept_id = text_field(record, "id", where=where)
        languages = [key for key in record if key != "id"]
        found[concept_id] = {language: list_field(record, language, where=where) for language in languages}
    return found


def _read_relations(folder: Path, concepts: Mapping[str, Concept]) -> tuple[Relation, ...]:
    path = folder / "relations.jsonl"
    found: list[Relation] = []
    for number, record in read_jsonl(path):
        where = f"{path}:{number}"
        kind = text_field(record, "type", where=where)
        if kind not in RELATION_TYPES:
            raise DataError(f"{where}: unknown relation {kind!r}; there are {', '.join(RELATION_TYPES)}")
        word = record.get("word")
        if (word is None) != (kind == "compose"):
            raise DataError(f"{where}: a relation {kind!r} with the word {shorten(word)}")
        relation = Relation(
            kind,
            list_field(record, "source", where=where),
            text_field(record, "target", where=where),
            word,
            text_field(record, "edit", where=where),
            text_field(record, "split", where=where),
        )
        named = (*relation.sources, relation.target, *([word] if word is not None else []))
        for concept_id in named:
            if concept_id not in concepts:
                raise DataError(f"{where}: {shorten(concept_id)} is no concept of concepts.jsonl")
        found.append(relation)
    return tuple(found)


def _read_alike(folder: Path, concepts: Mapping[str, Concept]) -> dict[str, dict[str, frozenset[str]]]:
    path = folder / "lookalikes.jsonl"
    found: dict[str, dict[str, frozenset[str]]] = {vendor: {} for vendor in VENDORS}
    for number, record in read_jsonl(path):
        where = f"{path}:{number}"
        pair = [text_field(record, key, where=where) for key in ("a", "b")]
        vendors = record.get("mean_abs_diff")
        if not isinstance(vendors, dict) or not vendors.keys() <= set(VENDORS):
            raise DataError(
                f"{where}: mean_abs_diff must be by vendor ({', '.join(VENDORS)}): {shorten(vendors)}"
            )
        for first, second in (pair, pair[::-1]):
            if first not in concepts:
                raise DataError(f"{where}: {first!r} is no concept of concepts.jsonl")
            for vendor in vendors:
                found[vendor][first] = found[vendor].get(first, frozenset()) | {second}
    return found
