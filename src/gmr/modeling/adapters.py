"""Low-rank adapters (LoRA) through PEFT: adding them to a model and reading them from a folder."""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from gmr.core.errors import ModelError
from gmr.modeling.model import RerankModel
from gmr.modeling.quantization import refuse_quantized

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def add_lora(
    model: RerankModel, *, rank: int = 16, alpha: float = 32, dropout: float = 0.0, targets: str | None = None
) -> None:
    """Freeze the backbone of ``model`` and give it trainable low-rank adapters; at first they change nothing.

    Args:
        model: changed in place; its backbone becomes a PEFT model.
        rank: width of the adapters.
        alpha: scale; an adapter's output is multiplied by ``alpha / rank``.
        dropout: share of an adapter's inputs set to zero in training.
        targets: regular expression (full match) of the adapted linear layers; None for those of the language
            model.

    Raises:
        ModelError: if PEFT is not installed, the model has adapters already or int8 weights, or ``targets`` matches no
            layer.
    """
    refuse_quantized(model, use="given adapters")
    peft = _peft()
    if hasattr(model.backbone, "peft_config"):
        raise ModelError("the model has adapters already; merge them, or go on training them")
    config = peft.LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=targets or model.facts.lora_targets,
        task_type="FEATURE_EXTRACTION" if model.facts.is_encoder else "CAUSAL_LM",
    )
    try:
        with _without_deprecations():
            model.backbone = peft.get_peft_model(model.backbone, config)
    except ValueError as error:
        raise ModelError(
            f"no layer of the {model.facts.model_type} backbone matches {config.target_modules!r}"
        ) from error


def read_adapter_base(folder: Path) -> str:
    """Name or path of the base model that the adapter in ``folder`` belongs to."""
    path = folder / ADAPTER_CONFIG
    try:
        base = json.loads(path.read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{path}: no readable base_model_name_or_path ({type(error).__name__})") from error
    if not isinstance(base, str) or not base:
        raise ModelError(
            f"{path}: base_model_name_or_path is {base!r}; give the name or folder of the base model"
        )
    # A relative path is meant from the adapter's own folder, wherever the process was started.
    return str(folder / base) if (folder / base).is_dir() else base


def load_adapter(backbone: Any, folder: Path, *, dtype: Any) -> Any:
    """``backbone`` wrapped in a PEFT model with the adapter of ``folder``.

    Raises:
        ModelError: if PEFT is not installed, the weights are no safetensors file, or tensors are missing or
            too many.
    """
    peft = _peft()
    weights = folder / ADAPTER_WEIGHTS
    if not weights.is_file():
        raise ModelError(
            f"{folder}: no {ADAPTER_WEIGHTS}; adapters are read from safetensors only, never from pickles"
        )
    try:
        with _without_deprecations():
            wrapped = peft.PeftModel.from_pretrained(backbone, str(folder), autocast_adapter_dtype=False)
        with safe_open(str(weights), framework="pt") as file:
            found = set(file.keys())
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"{folder}: the adapter cannot be loaded: {reason}") from error
    expected = set(peft.get_peft_model_state_dict(wrapped))
    # PEFT only warns of these, and scores then come from random adapters.
    if found != expected:
        missing, extra = sorted(expected - found), sorted(found - expected)
        raise ModelError(
            f"{weights}: {len(missing)} tensors are missing {missing[:3]},"
            f" {len(extra)} fit nowhere {extra[:3]};"
            " is this adapter made for another backbone?"
        )
    return wrapped.to(dtype)


@contextmanager
def _without_deprecations() -> Iterator[None]:
    """Inside, nobody is told that PEFT asks transformers for a name that is to go: a user can do nothing about it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, message=".*is_gradient_checkpointing")
        yield


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise ModelError("LoRA adapters need PEFT: pip install 'gmr-rerank[train]'") from error
    return peft
