"""Runs that another sweep has made already: the same recipe on the same data is the same run, whatever its plan."""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gmr.core.config import load_config
from gmr.core.errors import DataError
from gmr.core.files import atomic_write_json, atomic_write_text, parse_json_object, read_text, sha256_file
from gmr.probe.sweep.contents import PLAN, RUNS
from gmr.probe.sweep.files import DONE, MODEL, RECIPE, SPEC, TRAINING, read_result, read_spec
from gmr.probe.sweep.runs import RunSpec
from gmr.train.recipe import Recipe

logger = logging.getLogger(__name__)


class FinishedRuns:
    """The finished runs of other sweeps, by the digest of all that their results depend on.

    Args:
        folders: Of sweeps, or folders of such folders; one that is not there yet holds none.

    Raises:
        DataError: One of them is neither.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._runs: dict[str, Path] = {}
        for folder in folders:
            plans = [path for path in (folder / PLAN, *sorted(folder.glob(f"*/{PLAN}"))) if path.is_file()]
            if not plans and _is_empty(folder):
                logger.warning("%s: no sweep is there yet, so nothing is taken from it", folder)
            elif not plans:
                raise DataError(f"{folder}: neither the folder of a sweep nor a folder of such folders")
            for plan in plans:
                for path in sorted((plan.parent / RUNS).glob(f"*/{DONE}")):
                    key = str(parse_json_object(read_text(path), where=str(path)).get("key"))
                    self._runs.setdefault(key, path.parent)

    def adopt(self, spec: RunSpec, folder: Path) -> bool:
        """Make ``folder`` what the run would have made of it, from an equal run; False where there is none.

        Raises:
            DataError: The equal run has a file that is not as it was left.
        """
        source = self._runs.get(spec.key)
        if source is None or source.resolve() == folder.resolve():
            return False
        theirs = read_spec(source)
        # An equal key leaves room for other steps of logging, which the curves would show.
        is_equal = _unnamed(theirs) == _unnamed(spec) and read_text(source / RECIPE) == theirs.recipe
        if not is_equal or (spec.keep_model and not (source / MODEL).is_dir()):
            return False
        if read_result(source, theirs) is None:
            return False
        others = [SPEC, DONE, RECIPE, TRAINING, *([] if spec.keep_model else [MODEL])]
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns(*others, ".*"))
        atomic_write_json(folder / SPEC, spec.to_json())
        atomic_write_text(folder / RECIPE, spec.recipe)
        record = parse_json_object(read_text(source / DONE), where=str(source / DONE))
        record["files"][RECIPE] = sha256_file(folder / RECIPE)
        atomic_write_json(folder / DONE, record)  # last, as a run does
        logger.info("%s: taken from %s", folder.name, source)
        return True


def _is_empty(folder: Path) -> bool:
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def _unnamed(spec: RunSpec) -> Recipe:
    return replace(load_config(spec.recipe, Recipe, where=spec.name), name="", about="")
