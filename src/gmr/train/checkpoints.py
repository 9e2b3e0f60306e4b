"""Checkpoints to trust: a manifest of hashes written last, the newest good one chosen, changes refused.

A crash may leave a folder half-written, a disk may cut or flip bytes, and neither shows in the weights that a
damaged file loads to. So a checkpoint counts only when every file has the size and sha256 of its manifest.
"""

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gmr.core.errors import ConfigError, DataError
from gmr.core.files import atomic_write_json, sha256_file

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
PREFIX = "checkpoint-"
MIN_KEPT = 2
"""Rotation never leaves fewer verified checkpoints than this: one may turn out damaged when it is needed."""


@dataclass(frozen=True)
class Selection:
    """The checkpoint to resume from and the newer ones that were passed over.

    Attributes:
        folder: The newest checkpoint that verifies; None when there is none.
        skipped: Name and reason of each newer checkpoint, newest first.
    """

    folder: Path | None
    skipped: tuple[tuple[str, str], ...]


def checkpoint_folders(run_dir: Path) -> list[Path]:
    """The checkpoint folders of a run, oldest first, whatever their state."""
    if not run_dir.is_dir():
        return []
    folders = [
        path for path in run_dir.iterdir() if re.fullmatch(rf"{PREFIX}\d+", path.name) and path.is_dir()
    ]
    return sorted(folders, key=checkpoint_step)


def checkpoint_step(folder: Path) -> int:
    """The training step in a checkpoint folder's name."""
    return int(folder.name.removeprefix(PREFIX))


def write_manifest(folder: Path, *, identity: Mapping[str, Any]) -> None:
    """Seal a checkpoint: flush every file to disk, then write sizes, hashes and the identity of the run.

    Args:
        folder: A complete checkpoint.
        identity: What must be unchanged for a resumed run to be the same run; JSON values by dotted name.
    """
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != MANIFEST:
            _flush(path)
            name = path.relative_to(folder).as_posix()
            files[name] = {"size": path.stat().st_size, "sha256": sha256_file(path)}
    content = {"format": 1, "step": checkpoint_step(folder), "files": files, "identity": dict(identity)}
    _flush(folder)
    atomic_write_json(folder / MANIFEST, {**content, "sha256": _digest(content)})


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a checkpoint, its own hash checked.

    Raises:
        DataError: It is missing, not JSON, or not as it was written.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{folder}: no {MANIFEST}, so the checkpoint was not finished") from None
    except ValueError:
        raise DataError(f"{path}: not valid JSON") from None
    if not isinstance(manifest, dict) or manifest.pop("sha256", None) != _digest(manifest):
        raise DataError(f"{path}: not as it was written")
    return manifest


def find_fault(folder: Path) -> str | None:
    """Why a checkpoint cannot be used, or None when every file is as its manifest says."""
    try:
        files = read_manifest(folder)["files"]
    except DataError as error:
        return str(error)
    for name, expected in files.items():
        path = folder / name
        if not path.is_file():
            return f"{path}: missing"
        size = path.stat().st_size
        if size != expected["size"]:
            return f"{path}: {size} bytes, {expected['size']} were written"
        if sha256_file(path) != expected["sha256"]:
            return f"{path}: its sha256 is not the one written"
    return None


def newest_good(run_dir: Path) -> Selection:
    """The newest checkpoint that verifies, and which newer ones do not and why."""
    skipped: list[tuple[str, str]] = []
    for folder in reversed(checkpoint_folders(run_dir)):
        fault = find_fault(folder)
        if fault is None:
            return Selection(folder, tuple(skipped))
        logger.warning("checkpoint %s is skipped: %s", folder.name, fault)
        skipped.append((folder.name, fault))
    return Selection(None, tuple(skipped))


def changes(saved: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """What differs between two identities, one ``name: old -> new`` each, by name."""
    # Through JSON, since that is what the saved values went through: a tuple comes back as a list.
    current = json.loads(json.dumps(dict(current)))
    names = sorted({*saved, *current})
    return [
        f"{name}: {saved.get(name, 'absent')!r} -> {current.get(name, 'absent')!r}"
        for name in names
        if saved.get(name) != current.get(name)
    ]


def refuse_changes(where: Path, saved: Mapping[str, Any], current: Mapping[str, Any], *, force: bool) -> None:
    """Check that a run resumed here would be the run that was begun.

    Args:
        where: What is resumed, for the message.
        saved: The identity of the run that was begun.
        current: The identity that the run would have now.
        force: Only warn.

    Raises:
        ConfigError: Data, recipe, base model or package versions changed, and ``force`` is off.
    """
    found = changes(saved, current)
    if found and not force:
        raise ConfigError(
            f"{where}: cannot resume, this is not the same run any more ({'; '.join(found)}); "
            "use another output directory, or resume by force (--resume force)"
        )
    for change in found:
        logger.warning("resuming %s although it changed: %s", where, change)


def discard(folder: Path) -> None:
    """Delete a checkpoint so that a crash on the way cannot leave one that looks whole."""
    (folder / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(folder)


def rotate(run_dir: Path, *, keep: int, protected: Collection[Path] = (), verified: set[Path]) -> None:
    """Delete the oldest checkpoints, keeping the ``keep`` newest good ones, at least two.

    Args:
        run_dir: The run directory.
        keep: How many good checkpoints stay.
        protected: Folders that stay in any case, such as the best one.
        verified: Folders this process has verified or written; new findings are added, so that nothing is
            read twice.
    """
    kept = 0
    for folder in reversed(checkpoint_folders(run_dir)):
        if kept >= max(keep, MIN_KEPT):
            if folder not in protected:
                discard(folder)
            continue
        if folder in verified or find_fault(folder) is None:
            verified.add(folder)
            kept += 1


def _digest(manifest: Mapping[str, Any]) -> str:
    """Sha256 of a manifest's content in one canonical spelling."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _flush(path: Path) -> None:
    """Push a file or folder from the page cache to the disk, as far as the file system does that."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        logger.debug("%s cannot be flushed here", path)
    finally:
        os.close(descriptor)
