"""The files of a pinned data set: a local mirror, or a snapshot from the hub; never a branch that may have moved."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gmr.core.errors import DataError
from gmr.core.files import read_text
from gmr.suites.mrb.spec import Origin

logger = logging.getLogger(__name__)

TABLES = ("README.md", "*.json", "*.jsonl", "*.jsonl.gz", "*.parquet", "*.tsv", "*.tsv.gz", "*.txt", "*.trec")
"""What is downloaded unless a task says otherwise: tables, no pictures and no archives."""

INFO_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Snapshot:
    """Files on this machine.

    Attributes:
        folder: where they are.
        kind: ``"folder"`` (named by the task), ``"mirror"`` (below the data root) or ``"hub"``.
        dataset: id on the hub; None for a folder.
        revision: the commit they are known to be of; None when nothing tells.
    """

    folder: Path
    kind: str
    dataset: str | None
    revision: str | None


def find_snapshot(
    origin: Origin,
    *,
    name: str,
    data_root: Path | None = None,
    files: Sequence[str] = (),
    allow_unpinned: bool = False,
) -> Snapshot:
    """The files of an origin: its folder, else ``data_root/<dataset>``, else from the hub or its local cache.

    Args:
        origin: data set and revision, or a folder.
        name: the task, for errors.
        data_root: folder of mirrors.
        files: patterns of what to download; ``TABLES`` by default.
        allow_unpinned: accept a data set without a revision, or a mirror of another one.

    Raises:
        DataError: for a folder that is not there, an unpinned data set, a mirror of another revision, and what
            cannot be downloaded, with the place to put it.
    """
    if origin.folder is not None or origin.dataset is None:
        folder = Path(origin.folder or "")
        if not folder.is_dir():
            raise DataError(f"{name}: no such folder: {folder}")
        return Snapshot(folder, "folder", None, None)
    if not origin.is_pinned and not allow_unpinned:
        raise DataError(
            f"{name}: no revision of {origin.dataset} is pinned, so its content may change; "
            "--allow-unpinned takes it as it is"
        )
    mirror = None if data_root is None else data_root / origin.dataset
    if mirror is not None and mirror.is_dir():
        found = mirror_revision(mirror)
        if origin.is_pinned and found not in (None, origin.revision) and not allow_unpinned:
            raise DataError(
                f"{name}: {mirror} is a copy of revision {found}, the task is pinned to {origin.revision}; "
                "--allow-unpinned takes it as it is"
            )
        return Snapshot(mirror, "mirror", origin.dataset, found)
    place = mirror or Path("DIR") / origin.dataset
    return _from_hub(origin.dataset, origin.revision, tuple(files) or TABLES, name=name, place=place)


def mirror_revision(folder: Path) -> str | None:
    """The commit that the hub's client noted when it downloaded into ``folder``; None when nothing tells.

    Raises:
        DataError: when files of several commits are mixed there.
    """
    # One small file beside each downloaded one; its first line is the commit.
    notes = sorted((folder / ".cache" / "huggingface" / "download").rglob("*.metadata"))
    commits = {read_text(note).partition("\n")[0].strip() for note in notes} - {""}
    if len(commits) > 1:
        raise DataError(f"{folder}: files of several revisions are mixed: {', '.join(sorted(commits))}")
    return commits.pop() if commits else None


def _from_hub(
    dataset: str, revision: str | None, files: Sequence[str], *, name: str, place: Path
) -> Snapshot:
    import huggingface_hub
    from huggingface_hub import errors

    at = f" at revision {revision}" if revision else ""
    try:
        # Asked first because it fails at once without a network, where a download would retry for half a minute.
        info = huggingface_hub.dataset_info(dataset, revision=revision, timeout=INFO_TIMEOUT_S)
        revision, is_online = info.sha or revision, True
    except errors.GatedRepoError:
        raise DataError(
            f"{name}: {dataset} wants its terms to be accepted on the hub by who is logged in; "
            f"or put a copy into {place} (--data-root {_root(place, dataset)})"
        ) from None
    except errors.RevisionNotFoundError:
        raise DataError(f"{name}: the hub has no revision {revision} of {dataset}") from None
    except errors.RepositoryNotFoundError:
        raise DataError(f"{name}: the hub has no data set {dataset}, or it is private") from None
    except Exception as error:  # of whatever client library the hub's client uses
        logger.debug("%s: the hub cannot be asked (%s)", dataset, error)
        is_online = False
    try:
        folder = huggingface_hub.snapshot_download(
            dataset,
            repo_type="dataset",
            revision=revision,
            allow_patterns=list(files),
            local_files_only=not is_online,
        )
    except Exception as error:
        logger.debug("%s: not downloaded (%s)", dataset, error)
        raise DataError(
            f"{name}: {dataset}{at} is neither here nor to be downloaded ({type(error).__name__}); "
            f"put a copy of the data set into {place} and give --data-root {_root(place, dataset)}"
        ) from None
    return Snapshot(Path(folder), "hub", dataset, revision)


def _root(place: Path, dataset: str) -> Path:
    for _ in dataset.split("/"):
        place = place.parent
    return place
