"""What a model folder is: where a name points, what its files say, and what is refused unread."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from gmr.core.errors import ModelError
from gmr.modeling.adapters import ADAPTER_CONFIG, read_adapter_base
from gmr.modeling.settings import read_settings

PACKAGED = ("gmr-nano", "gmr-nano-base")
SETTINGS, HEAD_WEIGHTS = "gmr.json", "gmr_head.safetensors"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# What a download may bring: data only, no code and no pickles.
_DOWNLOADED = ["*.json", "*.safetensors", "*.jinja", "*.txt"]
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")


@dataclass(frozen=True)
class ModelFolder:
    """A folder with a reranker or a plain checkpoint.

    Attributes:
        path: the folder.
        settings: contents of ``gmr.json``; empty if it is not one of ours.
        answers: token ids (true, false) that a CrossEncoder folder scores by; false is None for a readout of
            the true logit alone. None if it is no CrossEncoder folder.
        base: name or path of the base model where the folder holds an adapter; else None.
    """

    path: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    answers: tuple[int, int | None] | None = None
    base: str | None = None

    @property
    def has_tokenizer(self) -> bool:
        """Whether the folder holds a tokenizer."""
        return (self.path / "tokenizer_config.json").is_file()


def resolve_folder(name_or_path: str | Path) -> Path:
    """Local folder of a model: itself, one in this package, or a download from the hub (no code, no pickles).

    Raises:
        ModelError: if there is no such folder and the name is no hub id, or the download fails.
    """
    name = str(name_or_path)
    if name in PACKAGED:
        folder = Path(str(files("gmr") / "weights" / name))
        if not folder.is_dir():
            raise ModelError(f"{name} is not in this installation of gmr (no folder {folder})")
        return folder
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise ModelError(f"{name}: a folder with config.json and model.safetensors is needed, this is a file")
    if isinstance(name_or_path, Path) or not is_hub_id(name):
        raise ModelError(
            f"{name}: no such folder; a model is a folder with config.json and model.safetensors, a hub id"
            f" like 'vec-ai/lychee-rerank-mm', or one of {', '.join(PACKAGED)}"
        )
    return _download(name)


def is_hub_id(name: str) -> bool:
    """True for ``owner/name`` that is no folder here."""
    return _HUB_ID.fullmatch(name) is not None and not Path(name).is_dir()


def read_folder(path: Path) -> ModelFolder:
    """What the files of a model folder say, before any weight is read.

    Raises:
        ModelError: if a file is unreadable or malformed, or the weights are pickles; the message names it.
    """
    settings = read_settings(path / SETTINGS)
    base = read_adapter_base(path) if (path / ADAPTER_CONFIG).is_file() else None
    if base is None:
        _check_weights(path)
    answers = None
    # In a folder of ours the settings say more than the files for sentence-transformers do.
    if not settings and (path / "modules.json").is_file():
        answers = _read_logit_score(path)
    return ModelFolder(path, settings, answers, base)


def read_json(path: Path) -> Any:
    """Contents of a JSON file.

    Raises:
        ModelError: if it is missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: {(error.strerror or 'unreadable').lower()}") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not valid JSON ({error})") from error


def _check_weights(path: Path) -> None:
    if not (path / "config.json").is_file():
        # A run directory of ours holds its model one folder down.
        hint = f"; did you mean {path / 'model'}?" if (path / "model" / "config.json").is_file() else ""
        raise ModelError(
            f"{path}: no config.json; a folder with config.json and model.safetensors is needed{hint}"
        )
    if any(path.glob("model*.safetensors")):
        return
    pickles = sorted(found.name for pattern in _PICKLES for found in path.glob(pattern))
    if pickles:
        raise ModelError(
            f"{path / pickles[0]}: weights in pickle files can run code and are never read;"
            " convert them once, in a sandbox, with model.save_pretrained(folder, safe_serialization=True)"
        )
    raise ModelError(f"{path}: no weights; model.safetensors or model.safetensors.index.json is needed")


def _read_logit_score(path: Path) -> tuple[int, int | None] | None:
    """The answer ids of a CrossEncoder folder; None for the folder of an embedder."""
    modules = read_json(path / "modules.json")
    try:
        folders = [module["path"] for module in modules if module["type"].endswith(".LogitScore")]
    except (TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"{path / 'modules.json'}: a list of modules with type and path is needed"
        ) from error
    if not folders and any(module["type"].endswith(".Pooling") for module in modules):
        return None  # an embedder: its backbone is a plain checkpoint to start from
    if len(folders) != 1:
        raise ModelError(f"{path / 'modules.json'}: {len(folders)} LogitScore modules; exactly one is needed")
    where = path / Path(folders[0]).name / "config.json"
    config = read_json(where)
    true_id, false_id = config.get("true_token_id"), config.get("false_token_id")
    if not isinstance(true_id, int) or not isinstance(false_id, int | None):
        raise ModelError(
            f"{where}: true_token_id is {true_id!r} and false_token_id {false_id!r}; ids are needed"
        )
    return true_id, false_id


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(snapshot_download(name, allow_patterns=_DOWNLOADED))
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise ModelError(
            f"{name}: neither a folder here nor a download from the hub ({type(error).__name__});"
            " check the name and the connection, or give a local folder"
        ) from error
