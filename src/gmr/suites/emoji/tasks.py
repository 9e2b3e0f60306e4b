"""The suite's tasks by name, and how they are made for a split."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from gmr.core.tasks import RerankTask
from gmr.suites.emoji import changes, entries, names
from gmr.suites.emoji.data import LANGUAGES, VENDORS, Emoji, read_emoji
from gmr.suites.emoji.scope import Roles, Scope
from gmr.suites.pieces import Picture, Plan
from gmr.suites.planning import PlanMaker, full_name, language_name, make_plans, split_types
from gmr.suites.retrieval import JOINING_LANGUAGE, Examples, Retriever
from gmr.suites.tasks import make_tasks

SPLITS: dict[str, str] = {
    "test": "concepts never trained on; documents in OpenMoji's style, never trained on",
    "dev": "concepts never trained on, as test but fewer",
}
# Languages of names that are asked for in other languages: each of the seventeen is in a pair.
LANGUAGE_PAIRS = (
    ("en", "zh"),
    ("zh", "en"),
    ("de", "ru"),
    ("ar", "fr"),
    ("hi", "bn"),
    ("ja", "ko"),
    ("es", "pt"),
    ("th", "vi"),
    ("sw", "it"),
    ("tr", "de"),
)


PLANS: dict[str, PlanMaker[Scope]] = {
    "emoji-t2t": PlanMaker("t2t", names.keywords_to_name),
    **{
        f"emoji-t2t-{source}-{target}": PlanMaker(
            "t2t", partial(names.name_to_name, source=source, target=target)
        )
        for source, target in LANGUAGE_PAIRS
    },
    "emoji-i2i-noto": PlanMaker("i2i", partial(names.picture_to_picture, vendor="noto")),
    "emoji-i2i-twemoji": PlanMaker("i2i", partial(names.picture_to_picture, vendor="twemoji")),
    "emoji-i2i-openmoji": PlanMaker("i2i", partial(names.picture_to_picture, vendor="openmoji")),
    "emoji-i2i-two": PlanMaker("i2i", names.two_pictures_to_picture),
    "emoji-i2i-change": PlanMaker("i2i", changes.picture_change_to_picture),
    "emoji-i2i-compose": PlanMaker("i2i", changes.parts_to_picture),
    **{
        language_name("emoji-t2i", language): PlanMaker(
            "t2i", partial(names.name_to_picture, language=language)
        )
        for language in LANGUAGES
    },
    "emoji-t2vd": PlanMaker("t2vd", partial(entries.name_to_page, captions=False)),
    "emoji-t2vd-captions": PlanMaker("t2vd", partial(entries.name_to_page, captions=True)),
    "emoji-t2vd-multilingual": PlanMaker(
        "t2vd", partial(entries.name_to_page, captions=True, other_languages=True)
    ),
    **{
        language_name("emoji-i2t", language): PlanMaker(
            "i2t", partial(names.picture_to_name, language=language)
        )
        for language in LANGUAGES
    },
    "emoji-i2t-multilingual": PlanMaker("i2t", names.picture_to_all_names),
    "emoji-t2it": PlanMaker("t2it", entries.name_to_entry),
    "emoji-t2it-multilingual": PlanMaker("t2it", entries.name_to_named_picture),
    "emoji-t2it-change": PlanMaker("t2it", entries.names_to_change),
    "emoji-it2t": PlanMaker("it2t", changes.change_to_name),
    "emoji-it2t-multilingual": PlanMaker("it2t", partial(changes.change_to_name, other_languages=True)),
    "emoji-it2t-compose": PlanMaker("it2t", changes.interleaved_parts_to_name),
    "emoji-it2i": PlanMaker("it2i", changes.change_to_picture),
    "emoji-it2i-multilingual": PlanMaker("it2i", partial(changes.change_to_picture, other_languages=True)),
    "emoji-it2i-compose": PlanMaker("it2i", changes.interleaved_parts_to_picture),
    "emoji-it2it": PlanMaker("it2it", changes.change_to_named_picture),
    "emoji-it2it-multilingual": PlanMaker(
        "it2it", partial(changes.change_to_named_picture, other_languages=True)
    ),
}
TEST_ROLES = Roles(VENDORS, query="noto", document="openmoji", change="noto")


def scope_of(emoji: Emoji, split: str) -> Scope:
    """How much is asked of a split: up to 150 queries a task in ``test``, 100 in one language of many."""
    if split == "test":
        return Scope(emoji, split, TEST_ROLES, num_queries=150, num_per_language=100, max_depth=100)
    return Scope(emoji, split, TEST_ROLES, num_queries=40, num_per_language=20, max_depth=30)


def task_types(split: str) -> dict[str, str]:
    """Task type by name of the task."""
    return split_types(PLANS, split)


def plans(emoji: Emoji, split: str, wanted: Sequence[str]) -> list[Plan]:
    """The plans of some tasks (by full name) of a split, those without any query left out."""
    makers = {name: maker for name, maker in PLANS.items() if full_name(name, split) in wanted}
    return make_plans(makers, scope_of(emoji, split))


def retriever(emoji: Emoji) -> Retriever:
    """The first stage: the training concepts with their names, keywords and pictures join what does not meet."""
    known = [concept for concept in emoji.concepts.values() if concept.split == "train"]
    return Retriever(
        emoji.albums,
        Examples(
            texts={
                language: [" ".join((c.names[language], *c.keywords.get(language, ()))) for c in known]
                for language in LANGUAGES
            },
            names=[concept.names[JOINING_LANGUAGE] for concept in known],
            pictures={v: [Picture(v, concept.concept_id) for concept in known] for v in VENDORS},
        ),
    )


def load_tasks(
    data_root: Path, split: str, wanted: Sequence[str], *, limit: int | None = None
) -> list[RerankTask]:
    """The tasks of a split by name.

    Raises:
        DataError: naming file and line of what is missing or wrong in the data.
    """
    emoji = read_emoji(data_root)
    made = plans(emoji, split, wanted)
    return make_tasks("emoji", made, emoji.albums, lambda: retriever(emoji), limit=limit)
