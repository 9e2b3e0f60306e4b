"""A backbone from a folder of safetensors: its configuration, its weights, its place in memory."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError, safe_open

from gmr.core.errors import ModelError
from gmr.modeling.backbones import architecture_name, backbone_facts
from gmr.modeling.folders import read_json
from gmr.modeling.model import RerankModel

logger = logging.getLogger(__name__)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_QUIET_BELOW_BYTES = 2**30
# The language-model head, which embedding models are published without.
HEAD = "lm_head.weight"


def read_model_config(path: Path) -> Any:
    """Configuration of the checkpoint in ``path``, of a supported family."""
    where = path / "config.json"
    raw = read_json(where)
    if not isinstance(raw, dict) or "model_type" not in raw:
        raise ModelError(f"{where}: no model_type")
    try:
        # From the dictionary, never by AutoConfig from the folder: an auto_map in it is not even looked at.
        raw.pop("auto_map", None)
        config = transformers.AutoConfig.for_model(**raw)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelError(f"{where}: {_first_line(error)}") from error
    backbone_facts(config, where=str(where))
    return config


def move_model(model: RerankModel, device: str | torch.device | None) -> None:
    """``model`` on ``device``, None for a GPU if there is one, in evaluation mode."""
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        model.to(device).eval()
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"the model does not fit into the memory of {device}: {_first_line(error)}"
        ) from error
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ModelError(f"device {str(device)!r} cannot be used: {_first_line(error)}") from error


def load_backbone(path: Path, config: Any, *, dtype: str, own_head: bool, needs_head: bool = True) -> Any:
    """The backbone with every tensor it describes read from the folder; zeros for a head that nobody needs."""
    if dtype != "auto" and dtype not in DTYPES:
        raise ModelError(f"dtype {dtype!r} is unknown; known are auto, {', '.join(DTYPES)}")
    facts = backbone_facts(config, where=str(path))
    name = architecture_name(config)
    architecture = getattr(transformers, name)
    # The pooler is a head for another task: it would be trained on nothing.
    options = {"add_pooling_layer": False} if name == "BertModel" else {}
    _check_size(path, architecture, config)
    try:
        size = sum(file.stat().st_size for file in path.glob("model*.safetensors"))
        with no_progress_bar(size), _no_report():
            backbone, report = architecture.from_pretrained(
                str(path),
                config=config,
                dtype=DTYPES.get(dtype, "auto"),
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
                **options,
            )
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{path}: the weights cannot be loaded: {_first_line(error)}") from error
    missing = sorted(report["missing_keys"])
    if not needs_head and HEAD in missing:
        torch.nn.init.zeros_(backbone.get_output_embeddings().weight)
        missing.remove(HEAD)
    if missing:
        raise ModelError(
            f"{path}: {len(missing)} tensors that {name} needs are not in the checkpoint"
            f" ({', '.join(missing[:4])}{', ...' if len(missing) > 4 else ''});"
            " it is incomplete or of another family"
        )
    unexpected = [] if own_head or facts.is_encoder else sorted(report["unexpected_keys"])
    if unexpected:
        logger.warning("%s: %d tensors are not used: %s", path, len(unexpected), ", ".join(unexpected[:4]))
    return backbone


def _check_size(path: Path, architecture: Any, config: Any) -> None:
    """Refuses a config that describes far more parameters than the files hold, before taking memory."""
    held = 0
    for file in sorted(path.glob("model*.safetensors")):
        try:
            with safe_open(str(file), framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118 (a safe_open file is no mapping)
                    size = 1
                    for side in tensors.get_slice(name).get_shape():
                        size *= side
                    held += size
        except (OSError, SafetensorError) as error:
            raise ModelError(f"{file}: not a readable safetensors file: {_first_line(error)}") from error
    try:
        with torch.device("meta"):
            described = sum(parameter.numel() for parameter in architecture(config).parameters())
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RuntimeError,
        ZeroDivisionError,
        IndexError,
    ) as error:
        raise ModelError(
            f"{path / 'config.json'}: no model can be built from it: {_first_line(error)}"
        ) from error
    if described > 2 * held:
        raise ModelError(
            f"{path}: config.json describes {described:,} parameters, the safetensors files hold {held:,};"
            " the checkpoint is incomplete (are all shards of the index there?)"
        )


@contextmanager
def no_progress_bar(num_bytes: int = 0) -> Iterator[None]:
    """No progress bar of transformers inside, unless ``num_bytes`` of weights take more than a moment."""
    bars = transformers.utils.logging
    if num_bytes > _QUIET_BELOW_BYTES or not bars.is_progress_bar_enabled():
        yield
        return
    bars.disable_progress_bar()
    try:
        yield
    finally:
        bars.enable_progress_bar()


@contextmanager
def _no_report() -> Iterator[None]:
    """No table of transformers inside of what is missing or not used: that is said here, in one line."""
    logs = transformers.utils.logging
    before = logs.get_verbosity()
    logs.set_verbosity(max(before, logging.ERROR))
    try:
        yield
    finally:
        logs.set_verbosity(before)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
