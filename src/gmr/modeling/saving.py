"""Saving a reranker as a folder that three libraries read: this one, sentence-transformers and transformers.

The folder is a sentence-transformers CrossEncoder (`modules.json` and the files it names), a plain
transformers checkpoint or a PEFT adapter, and has our own `gmr.json` beside it.
"""

import copy
import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gmr.core.errors import DataError, ModelError, NotFiniteError
from gmr.core.files import umask
from gmr.modeling.adapters import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from gmr.modeling.checkpoint import DTYPES, no_progress_bar
from gmr.modeling.folders import HEAD_WEIGHTS, SETTINGS, is_hub_id, resolve_folder
from gmr.modeling.heads import AnswerRows
from gmr.modeling.model import RerankModel
from gmr.modeling.model_card import model_card
from gmr.modeling.quantization import refuse_quantized
from gmr.modeling.templates import Slot, TokenId

# The version the files for sentence-transformers are written for, named where it is not installed.
_SENTENCE_TRANSFORMERS = "6.2.0"


def save_model(
    model: RerankModel,
    folder: str | Path,
    *,
    dtype: str | None = None,
    merge_adapter: bool = False,
    base_model: str | None = None,
    objective: str | None = None,
) -> Path:
    """Write ``model`` to ``folder``, whole or not at all; a model saved there before is replaced.

    sentence-transformers gives the same scores where it has a form for the model: a head of answer rows with
    one positive and one negative answer (or the positive one alone as readout) and a prompt that is all text.

    Args:
        model: not changed.
        folder: where; its parents are created.
        dtype: of the weights on disk: float32, bfloat16 or float16; None for the model's own.
        merge_adapter: for a model with LoRA, write a plain checkpoint with the adapter merged into it.
        base_model: what the model card and an adapter say the model was made from; None for what the model
            knows.
        objective: what the model card says it was trained by.

    Returns:
        ``folder``.

    Raises:
        ModelError: if a weight is not finite in ``dtype`` or is int8, or the folder holds something else than a model.
        DataError: if the folder cannot be written.
    """
    refuse_quantized(model, use="saved")
    folder = Path(folder)
    if (
        folder.exists()
        and not (folder / SETTINGS).is_file()
        and (not folder.is_dir() or any(folder.iterdir()))
    ):
        raise ModelError(f"{folder}: exists and is no model saved by gmr; give a new folder")
    if dtype is not None and dtype not in DTYPES:
        raise ModelError(f"dtype {dtype!r} is unknown; known are {', '.join(DTYPES)}")
    base_model = base_model or str(model.config.name_or_path or "")
    adapter = hasattr(model.backbone, "peft_config") and not merge_adapter
    target = DTYPES[dtype] if dtype else model.dtype
    temporary: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        if adapter:
            _save_adapter(model, temporary, dtype=target, base_model=base_model)
        else:
            _save_checkpoint(model, temporary, dtype=target)
        head = {name: tensor.contiguous().cpu() for name, tensor in model.head.state_dict().items()}
        if head:
            save_file(head, str(temporary / HEAD_WEIGHTS))
        _save_processor(model, temporary)
        interchangeable = is_interchangeable(model, adapter=adapter)
        if interchangeable:
            _save_cross_encoder(model, temporary)
        card = model_card(
            model,
            name=folder.name,
            base_model=base_model,
            objective=objective,
            adapter=adapter,
            interchangeable=interchangeable,
        )
        (temporary / "README.md").write_text(card, encoding="utf-8")
        _replace_folder(folder, temporary)
    except OSError as error:
        raise DataError(f"{folder}: the model cannot be written ({error.strerror or error})") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder


def is_interchangeable(model: RerankModel, *, adapter: bool) -> bool:
    """Whether sentence-transformers has a form for this head and prompt, so that its scores are ours.

    Args:
        model: the reranker.
        adapter: whether it is saved as an adapter, whose language-model head is the base model's own.
    """
    answers = model.processor.answer_ids
    negatives = (1,) if model.readout == "yes_minus_no" else (0, 1)
    return (
        isinstance(model.head, AnswerRows)
        and not model.facts.is_encoder
        and model.readout in ("yes_minus_no", "yes")
        and not (adapter and model.head.rows is not None)
        and len(answers.positive) == 1
        and len(answers.negative) in negatives
        and not any(isinstance(segment, TokenId) for segment in model.processor.template.segments)
    )


def _save_adapter(model: RerankModel, folder: Path, *, dtype: torch.dtype, base_model: str) -> None:
    model.backbone.save_pretrained(str(folder))
    weights = folder / ADAPTER_WEIGHTS
    tensors = load_file(str(weights))
    _check_finite(tensors.items(), dtype)
    save_file(
        {name: tensor.to(dtype) for name, tensor in tensors.items()}, str(weights), metadata={"format": "pt"}
    )
    config = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    # A relative path would depend on where the reader is started, and other libraries know no packaged names.
    name = base_model if is_hub_id(base_model) else str(resolve_folder(base_model).resolve())
    config["base_model_name_or_path"] = name
    _write_json(folder / ADAPTER_CONFIG, config)


def _save_checkpoint(model: RerankModel, folder: Path, *, dtype: torch.dtype) -> None:
    backbone: Any = model.backbone
    trained_rows = model.head.rows if isinstance(model.head, AnswerRows) else None
    # Weights that change on the way out (merged, converted, trained rows) are changed in a copy.
    if hasattr(backbone, "peft_config"):
        backbone = copy.deepcopy(backbone).merge_and_unload()
    elif backbone.dtype != dtype or trained_rows is not None:
        backbone = copy.deepcopy(backbone)
    _check_finite(backbone.named_parameters(), dtype)
    backbone.to(dtype)
    if trained_rows is not None:
        _write_rows(backbone, model.answer_ids, trained_rows)
    with no_progress_bar():
        backbone.save_pretrained(str(folder))


def _write_rows(backbone: Any, answer_ids: Iterable[int], rows: Tensor) -> None:
    """Put trained answer ``rows`` into the language-model head, where other libraries read the scores."""
    head = backbone.get_output_embeddings()
    if head is None:  # an encoder: its rows are in our own file alone
        return
    if head.weight is backbone.get_input_embeddings().weight:
        # Tied to the input embeddings, the head would change what the words "yes" and "no" mean in a prompt.
        head.weight = nn.Parameter(head.weight.detach().clone())
        for config in {id(c): c for c in (backbone.config, backbone.config.get_text_config())}.values():
            config.tie_word_embeddings = False
    with torch.no_grad():
        head.weight[list(answer_ids)] = rows.to(head.weight)


def _check_finite(tensors: Iterable[tuple[str, Tensor]], dtype: torch.dtype) -> None:
    largest = torch.finfo(dtype).max
    for name, tensor in tensors:
        # A NaN fails this comparison too.
        if tensor.numel() and not float(tensor.detach().abs().max()) <= largest:
            raise NotFiniteError(
                f"{name}: not finite in {str(dtype).removeprefix('torch.')}; the model is not saved"
            )


def _save_processor(model: RerankModel, folder: Path) -> None:
    """Tokenizer, image processor and chat template for all, and ``gmr.json`` for us."""
    model.processor.save_pretrained(folder)
    path = folder / SETTINGS
    settings = json.loads(path.read_text(encoding="utf-8"))
    _write_json(path, settings | {"readout": model.readout, "head": model.head_config.to_json()})
    path = folder / "preprocessor_config.json"
    if path.is_file() and model.facts.processor_class:
        settings = json.loads(path.read_text(encoding="utf-8"))
        _write_json(path, settings | {"processor_class": model.facts.processor_class})


def _save_cross_encoder(model: RerankModel, folder: Path) -> None:
    """The files by which sentence-transformers builds Transformer and LogitScore."""
    modules = (
        "sentence_transformers.base.modules.transformer.Transformer",
        ("sentence_transformers.cross_encoder.modules.logit_score.LogitScore"),
    )
    _write_json(
        folder / "modules.json",
        [
            {"idx": index, "name": str(index), "path": path, "type": kind}
            for index, (path, kind) in enumerate(zip(("", "1_LogitScore"), modules, strict=True))
        ],
    )
    method = {"method": "forward", "method_output_name": "logits"}
    modalities = ("text", "image") if model.facts.takes_pictures else ("text",)
    _write_json(
        folder / "sentence_bert_config.json",
        {
            "transformer_task": "any-to-any" if model.facts.takes_pictures else "text-generation",
            "modality_config": dict.fromkeys(modalities, method)
            | {"message": {**method, "format": "structured"}},
            "module_output_name": "causal_logits",
            "processing_kwargs": {"chat_template": {"add_generation_prompt": True}},
            "unpad_inputs": False,
        },
    )
    (folder / "1_LogitScore").mkdir()
    false_ids = model.processor.answer_ids.negative if model.readout == "yes_minus_no" else (None,)
    _write_json(
        folder / "1_LogitScore" / "config.json",
        {
            "true_token_id": model.processor.answer_ids.positive[0],
            "false_token_id": false_ids[0],
            "module_input_name": "causal_logits",
        },
    )
    template = model.processor.template
    takes_instruction = any(
        isinstance(part, Slot) and part.side == "instruction" for part in template.segments
    )
    prompts = {"default": template.default_instruction} if takes_instruction else {}
    _write_json(
        folder / "config_sentence_transformers.json",
        {
            "model_type": "CrossEncoder",
            "__version__": {
                "sentence_transformers": _version("sentence-transformers") or _SENTENCE_TRANSFORMERS,
                "transformers": version("transformers"),
                "pytorch": version("torch"),
            },
            "activation_fn": "torch.nn.modules.activation.Sigmoid",
            "prompts": prompts,
            "default_prompt_name": "default" if prompts else None,
        },
    )


def _replace_folder(folder: Path, temporary: Path) -> None:
    """Rename ``temporary`` to ``folder``; a reader finds the old one or the new one."""
    # mkdtemp makes the folder private, and safetensors its files: give them the rights that open() would.
    for path in (temporary, *temporary.rglob("*")):
        os.chmod(path, (0o777 if path.is_dir() else 0o666) & ~umask())
    if not folder.exists():
        os.replace(temporary, folder)
        return
    old = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.old."))
    os.replace(folder, old)
    os.replace(temporary, folder)
    shutil.rmtree(old)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
