"""Where a result was made: versions, commit and machine, so that it can be traced."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import gmr

PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "peft", "safetensors", "numpy", "pillow")


def versions() -> dict[str, str]:
    """Versions of Python, of this package and of those that numbers depend on; absent ones are left out."""
    found = {"python": platform.python_version(), "gmr": gmr.__version__}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """Commit of the source tree this package runs from, ``+changes`` when files differ; None without one."""
    root = Path(gmr.__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return f"{commit}+changes" if _git(root, "status", "--porcelain", "--untracked-files=no") else commit
    except (OSError, subprocess.SubprocessError):
        return None


def source() -> dict[str, str]:
    """`versions`, with the ``commit`` of the source tree where there is one."""
    commit = git_commit()
    return versions() | ({"commit": commit} if commit else {})


def environment() -> dict[str, str]:
    """`source` and `machine`: where a result that depends on both was made."""
    return source() | machine()


def machine() -> dict[str, str]:
    """The machine in words: system, processor, usable cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"system": f"{platform.system()} {platform.machine()}", "CPU cores": str(cores)}


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
