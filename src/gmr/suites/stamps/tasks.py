"""The suite's tasks by name, and how they are made for a split."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from gmr.core.tasks import RerankTask
from gmr.suites.pieces import Plan
from gmr.suites.planning import PlanMaker, full_name, language_name, make_plans, split_types
from gmr.suites.retrieval import Examples, Retriever
from gmr.suites.stamps import plans as making
from gmr.suites.stamps.data import ALBUM, Stamps, read_stamps
from gmr.suites.stamps.plans import Scope
from gmr.suites.tasks import make_tasks

SPLITS: dict[str, str] = {
    "test": "captions never trained on",
    "dev": "captions never trained on, as test but fewer",
}
# Each a task of its own; all of the others are asked for in the tasks named multilingual.
LANGUAGES = ("en", "de", "es", "ru", "el", "hi", "ja", "ko", "vi", "id")
"""Captions in 900 stamps or more, in as many scripts as there are."""
# Languages with captions for 900 of the 950 stamps or more, beside English and its varieties.
ALL_LANGUAGES = (
    *(
        "ach",
        "af",
        "am",
        "an",
        "ast",
        "be",
        "bg",
        "ca",
        "ca@valencia",
        "cs",
        "da",
        "de",
        "el",
        "eo",
        "es",
        "eu",
    ),
    *(
        "ff",
        "fi",
        "fr",
        "ga",
        "gd",
        "gl",
        "gu",
        "hi",
        "hr",
        "hu",
        "hy",
        "id",
        "is",
        "it",
        "iu",
        "ja",
        "ka",
        "ko",
    ),
    *(
        "lv",
        "ml",
        "nb",
        "nl",
        "nn",
        "pl",
        "pt",
        "pt_BR",
        "ro",
        "ru",
        "sk",
        "sl",
        "son",
        "sq",
        "sr",
        "sr@latin",
    ),
    *("sv", "tr", "uk", "vec", "vi"),
)


PLANS: dict[str, PlanMaker[Scope]] = {
    "stamps-t2t-multilingual": PlanMaker("t2t", partial(making.caption_to_caption, languages=ALL_LANGUAGES)),
    "stamps-i2i": PlanMaker("i2i", making.picture_to_picture),
    **{
        language_name("stamps-t2i", language): PlanMaker(
            "t2i", partial(making.caption_to_picture, languages=(language,))
        )
        for language in LANGUAGES
    },
    "stamps-t2i-multilingual": PlanMaker("t2i", partial(making.caption_to_picture, languages=ALL_LANGUAGES)),
    **{
        language_name("stamps-i2t", language): PlanMaker(
            "i2t", partial(making.picture_to_caption, languages=(language,))
        )
        for language in LANGUAGES
    },
    "stamps-i2t-multilingual": PlanMaker("i2t", partial(making.picture_to_caption, languages=LANGUAGES)),
    "stamps-t2it-multilingual": PlanMaker("t2it", partial(making.caption_to_entry, languages=ALL_LANGUAGES)),
    "stamps-it2t-language": PlanMaker("it2t", making.picture_and_language_to_caption),
}


def task_types(split: str) -> dict[str, str]:
    """Task type by name of the task."""
    return split_types(PLANS, split)


def scope_of(stamps: Stamps, split: str) -> Scope:
    """How much is asked of a split: up to 200 queries a task in ``test``, 100 in one language."""
    if split == "test":
        return Scope(stamps, split, num_queries=200, num_per_language=100, max_depth=100)
    return Scope(stamps, split, num_queries=40, num_per_language=20, max_depth=30)


def plans(stamps: Stamps, split: str, wanted: Sequence[str]) -> list[Plan]:
    """The plans of some tasks (by full name) of a split, those without any query left out."""
    makers = {name: maker for name, maker in PLANS.items() if full_name(name, split) in wanted}
    return make_plans(makers, scope_of(stamps, split))


def retriever(stamps: Stamps) -> Retriever:
    """The first stage: training stamps with their pictures and captions join pictures and texts."""
    known = [stamp for stamp in stamps.stamps.values() if stamp.split == "train"]
    languages = sorted({language for stamp in known for language in stamp.captions})
    return Retriever(
        stamps.albums,
        Examples(
            texts={language: [stamp.captions.get(language, "") for stamp in known] for language in languages},
            names=[stamp.captions["en"] for stamp in known],
            pictures={ALBUM: [stamp.picture for stamp in known]},
        ),
    )


def load_tasks(
    data_root: Path, split: str, wanted: Sequence[str], *, limit: int | None = None
) -> list[RerankTask]:
    """The tasks of a split by name.

    Raises:
        DataError: naming file and line of what is missing or wrong in the data.
    """
    stamps = read_stamps(data_root)
    made = plans(stamps, split, wanted)
    return make_tasks("stamps", made, stamps.albums, lambda: retriever(stamps), limit=limit)
