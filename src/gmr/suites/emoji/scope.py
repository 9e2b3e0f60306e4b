"""What the plans of one split are made from."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from gmr.suites.draws import chance, spread
from gmr.suites.emoji.data import LANGUAGES, Concept, Emoji, Relation, picture
from gmr.suites.pieces import Pieces, Words


@dataclass(frozen=True)
class Roles:
    """Which vendor draws what: queries, documents, and both sides where a picture is changed."""

    vendors: tuple[str, ...]
    query: str
    document: str
    change: str


@dataclass(frozen=True)
class Scope:
    """One split of the data, and how much is asked of it.

    Attributes:
        emoji: all of the data; queries may start from concepts of other splits (a microphone).
        split: whose concepts are the answers and the documents.
        roles: which vendor draws what.
        num_queries: of a task, at most.
        num_per_language: queries of a task in one language of seventeen, at most.
        max_depth: candidates of a query, at most.
    """

    emoji: Emoji
    split: str
    roles: Roles
    num_queries: int
    num_per_language: int
    max_depth: int
    ids: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        inside = (c.concept_id for c in self.emoji.concepts.values() if c.split == self.split)
        object.__setattr__(self, "ids", tuple(inside))

    def concept(self, concept_id: str) -> Concept:
        """The concept of an id, of any split."""
        return self.emoji.concepts[concept_id]

    def sample(self, number: int) -> list[str]:
        """Concepts to ask for, one of each family first; the same ones in every task, so that tasks compare."""
        return self._in_turn[:number]

    @cached_property
    def _in_turn(self) -> list[str]:
        return spread(self.ids, lambda name: self.concept(name).family, key=f"{self.split}:concepts")

    def relations(self, *kinds: str) -> list[Relation]:
        """Relations of some kinds, one of each target's family first, whose sources can be told from all others.

        A picture that looks like another's, or that the change leaves as it is, asks for no one answer.
        """
        vendor = self.roles.change
        usable = {
            relation_id(relation): relation
            for relation in self.emoji.relations
            if relation.kind in kinds
            and relation.split == self.split
            and all(len(self.emoji.shown_as(source, vendor)) == 1 for source in relation.sources)
        }
        families = {name: self.concept(relation.target).family for name, relation in usable.items()}
        names = spread(usable, families.__getitem__, key=f"{self.split}:{'+'.join(kinds)}")
        return [usable[name] for name in names]

    def language(self, *key: str) -> str:
        """One of the sixteen languages beside English, by lot."""
        return LANGUAGES[1 + chance(self.split, *key, out_of=len(LANGUAGES) - 1)]

    def name(self, concept_id: str, language: str = "en") -> Words:
        """What a concept is called."""
        return Words(self.concept(concept_id).names[language], language)

    def names(self, *languages: str) -> dict[str, Pieces]:
        """Documents: the names of all concepts of the split in some languages."""
        return {f"{code}:{name}": (self.name(name, code),) for code in languages for name in self.ids}

    def pictures(self, *vendors: str) -> dict[str, Pieces]:
        """Documents: the pictures of all concepts of the split by some vendors."""
        return {f"{vendor}:{name}": (picture(vendor, name),) for vendor in vendors for name in self.ids}

    def showing(self, meanings: Iterable[str], vendor: str) -> list[str]:
        """The concepts of the split whose pictures by a vendor show (what can hardly be told from) some concepts."""
        shown = {other for meaning in meanings for other in self.emoji.shown_as(meaning, vendor)}
        return self._inside(shown)

    def called(self, meanings: Iterable[str], language: str) -> list[str]:
        """The concepts of the split that are called in a language as some concepts are."""
        named = {other for meaning in meanings for other in self.emoji.called_as(meaning, language)}
        return self._inside(named)

    def _inside(self, names: set[str]) -> list[str]:
        return sorted(names & self._places.keys(), key=self._places.__getitem__)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.ids)}


def relation_id(relation: Relation) -> str:
    """A name of a relation: its sources and its target."""
    return f"{'+'.join(relation.sources)}>{relation.target}"
