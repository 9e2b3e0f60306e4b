"""Makes the frozen first stages of a suite: ``python -m gmr.suites.build SUITE DATA_ROOT OUTPUT_FOLDER``.

What finds candidates is given queries and documents alone (`gmr.suites.pieces.Search`): no judgment reaches it.
"""

import argparse
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from gmr.core.errors import DataError, GmrError
from gmr.suites.albums import Albums
from gmr.suites.frozen import write_frozen
from gmr.suites.pieces import Plan
from gmr.suites.retrieval import Retriever
from gmr.suites.tasks import search_digest

logger = logging.getLogger(__name__)
Prepared = tuple[Iterable[Plan], Albums, Retriever]


def _emoji(data_root: Path) -> Prepared:
    from gmr.suites.emoji import tasks
    from gmr.suites.emoji.data import read_emoji

    emoji = read_emoji(data_root)
    made = (
        plan for split in tasks.SPLITS for plan in tasks.plans(emoji, split, list(tasks.task_types(split)))
    )
    return made, emoji.albums, tasks.retriever(emoji)


def _stamps(data_root: Path) -> Prepared:
    from gmr.suites.stamps import tasks
    from gmr.suites.stamps.data import read_stamps

    stamps = read_stamps(data_root)
    made = (
        plan for split in tasks.SPLITS for plan in tasks.plans(stamps, split, list(tasks.task_types(split)))
    )
    return made, stamps.albums, tasks.retriever(stamps)


def _xquad(data_root: Path) -> Prepared:
    from gmr.suites import xquad

    made = xquad.plans(data_root, list(xquad.task_types("test")))
    return made, Albums({}), xquad.retriever()


BUILDERS: dict[str, Callable[[Path], Prepared]] = {"emoji": _emoji, "stamps": _stamps, "xquad": _xquad}


def build(suite: str, data_root: Path, folder: Path) -> None:
    """Write one file for each task of the suite, all splits, and the table of their digests.

    Raises:
        DataError: there is no such suite with frozen first stages, or its data cannot be read.
    """
    if suite not in BUILDERS:
        raise DataError(f"unknown suite {suite!r}; first stages are built for {', '.join(BUILDERS)}")
    plans, albums, retriever = BUILDERS[suite](data_root)
    runs = {}
    for plan in plans:
        run = retriever.run(plan.search)
        runs[plan.name] = (run, search_digest(plan.search, albums), sorted(plan.search.documents))
        logger.info("%s: %d queries, %d documents", plan.name, len(run), len(plan.search.documents))
    write_frozen(folder, runs)


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m gmr.suites.build", description=(__doc__ or "").strip())
    parser.add_argument("suite", choices=BUILDERS)
    parser.add_argument("data_root", type=Path, help="holds the suite's folder")
    parser.add_argument("folder", type=Path, help="where the first stages are written")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("bm25s").setLevel(logging.WARNING)
    try:
        build(arguments.suite, arguments.data_root, arguments.folder)
    except GmrError as error:
        parser.exit(error.exit_code, f"error: {error}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
