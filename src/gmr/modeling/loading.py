"""Loading a reranker: from a plain checkpoint, a LoRA adapter, a CrossEncoder folder or a folder we saved."""

import logging
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from gmr.core.errors import ModelError
from gmr.modeling.adapters import load_adapter
from gmr.modeling.backbones import BACKBONES
from gmr.modeling.checkpoint import load_backbone, move_model, read_model_config
from gmr.modeling.compilation import compile_layers, compiler_errors
from gmr.modeling.encoder import EncoderModel
from gmr.modeling.folders import (
    HEAD_WEIGHTS,
    SETTINGS,
    ModelFolder,
    is_hub_id,
    read_folder,
    resolve_folder,
)
from gmr.modeling.heads import HeadConfig
from gmr.modeling.model import RerankModel
from gmr.modeling.precision import exact_products
from gmr.modeling.processor import PromptProcessor
from gmr.modeling.quantization import QUANTIZATIONS
from gmr.modeling.self_check import check_forked, check_model, check_packed

logger = logging.getLogger(__name__)

# Published checkpoints keep a head of their own beside the backbone: prefix of its tensors -> head.
_OWN_HEADS = {"jina-reranker-m0": ("score.", HeadConfig(kind="mlp", bias=2.65))}
ENGINES = ("packed", "forked", "padded", "invariant")
# From the fastest to the one that always works, and what each must pass.
LADDER: tuple[str, ...] = ("packed", "forked", "padded")
CHECKS = {"packed": check_packed, "forked": check_forked, "invariant": check_packed}


def load_model(
    name_or_path: str | Path,
    *,
    template: str | None = None,
    dtype: str = "float32",
    device: str | torch.device | None = None,
    adapter: str | Path | None = None,
    max_tokens: int | None = None,
    answers: str | None = None,
    self_check: bool = True,
    readout: str | None = None,
    engine: str = "auto",
    quantize: str | None = None,
    compile: bool = False,
) -> RerankModel:
    """The reranker called ``name_or_path``, in evaluation mode.

    Weights are read from safetensors only, and no code of a model folder is ever run.

    Args:
        name_or_path: ``gmr-nano``, ``gmr-nano-base``, a local folder (plain checkpoint, LoRA adapter,
            CrossEncoder folder, or saved by `save_model`) or a hub id.
        template: name of the prompt template; None for the one that the folder or its family implies.
        dtype: of the backbone's weights: float32, bfloat16, float16, or auto for that of the checkpoint. The
            head is float32 whatever this is.
        device: where to put the model; None for a GPU if there is one.
        adapter: folder or hub id of a LoRA adapter to put on top.
        max_tokens: longest prompt; None for the folder's or template's.
        answers: name of a set of answers, a key of ``ANSWER_SETS``; None for those of the folder or template.
        self_check: whether to score one synthetic pair alone, in a batch and padded on either side, and
            refuse a model whose scores differ.
        readout: a key of ``READOUTS``; None for what the folder says.
        engine: how the model computes many prompts: ``packed``, each shared prefix once and no padding; ``forked``,
            each shared prefix once, from copies of the backbone's cache; ``padded``, whole pairs; ``auto``, the first
            of these whose scores are right on this model; ``invariant``, scores that no other pair of a call
            changes in any bit. The check needs ``self_check``.
        quantize: ``int8`` rounds the weights of the language model's layers, with an adapter merged into them, to a
            quarter of their memory in float32. Such a model scores, and is neither trained nor saved.
        compile: whether ``torch.compile`` compiles the language model's layers. It does so in the self-check, which
            then takes minutes; without the check at the first scores.

    Raises:
        ModelError: if the model cannot be loaded as it is described; the message names the file or tensor at
            fault.
        ConfigError: if the template or the set of answers is unknown.
    """
    folder = read_folder(resolve_folder(name_or_path))
    base = folder
    if folder.base is not None:
        if adapter is not None:
            raise ModelError(f"{folder.path} is an adapter itself; load it on its base, {folder.base}")
        base, adapter = read_folder(resolve_folder(folder.base)), folder.path
    elif adapter is not None:
        folder = read_folder(resolve_folder(adapter))
        adapter = folder.path
    # An adapter that says nothing of its prompt and head (one that PEFT wrote) has those of its base.
    described = folder if folder.settings or folder.answers is not None else base
    config = read_model_config(base.path)
    processor = _load_processor(
        described, base, config, template=template, max_tokens=max_tokens, answers=answers
    )
    head, head_weights = _read_head(described, base, processor)
    backbone = load_backbone(base.path, config, dtype=dtype, own_head=head_weights is not None)
    # An adapter trained on this model names it so: a hub id is portable, the cache folder of a download is not.
    name = folder.base or str(name_or_path)
    backbone.name_or_path = name if is_hub_id(name) else str(base.path.resolve())
    backbone.config.name_or_path = backbone.name_or_path
    if adapter is not None:
        backbone = load_adapter(backbone, Path(adapter), dtype=backbone.dtype)
    kind = _model_class(config, quantize=quantize, compile=compile)
    model = kind(backbone, processor, head=head, readout=readout or _default_readout(described))
    if head_weights is not None:
        _load_head(model, *head_weights)
    if quantize is not None:
        if quantize not in QUANTIZATIONS:
            raise ModelError(f"quantize {quantize!r} is unknown; known are {', '.join(QUANTIZATIONS)}")
        QUANTIZATIONS[quantize](model)  # before the move: a GPU holds the rounded weights alone
    move_model(model, device)
    if answers is None:
        _check_answers(model, described)
    if engine not in ("auto", *ENGINES):
        raise ModelError(f"engine {engine!r} is unknown; known are auto, {', '.join(ENGINES)}")
    if compile:
        if engine == "invariant":
            raise ModelError(
                "engine 'invariant' with compile: which graph computes a layer depends on earlier calls"
            )
        compile_layers(model)
    # With the products that scoring uses, unless that is TF32: a compiler compiles anew for others.
    with compiler_errors(), exact_products(model.device):
        if self_check:
            check_model(model)
        model.engine = choose_engine(model, engine, check=self_check)
    return model


def _model_class(config: Any, *, quantize: str | None, compile: bool) -> type[RerankModel]:
    """The class for a backbone of this configuration."""
    if not BACKBONES[config.model_type].is_encoder:
        return RerankModel
    if quantize is not None or compile:
        raise ModelError(f"a {config.model_type} model is neither quantized nor compiled: leave out both")
    return EncoderModel


def choose_engine(model: RerankModel, engine: str, *, check: bool) -> str:
    """The engine asked for; for ``auto`` the fastest whose scores are right.

    Raises:
        ModelError: the scores of the engine asked for are wrong on this model.
    """
    rungs = LADDER if model.packs else LADDER[1:]
    if model.facts.is_encoder:
        rungs = LADDER[2:]
        if engine in LADDER[:2]:
            raise ModelError(
                f"engine {engine!r}: a {model.facts.model_type} model sees a pair as a whole, and nothing can"
                " be shared; use padded"
            )
    wanted = rungs if engine == "auto" else (engine,)
    if not check:
        return wanted[0]
    faults: dict[str, Exception] = {}
    for name in wanted:
        try:
            if name in CHECKS:
                CHECKS[name](model)
        except (ModelError, NotImplementedError) as error:
            faults[name] = error
            model.packs = model.packs and name == "forked"
            continue
        if faults:
            told = "; ".join(f"{fault}: {why}" for fault, why in faults.items())
            logger.warning("engine %r is used, which is slower: %s", name, told)
        return name
    if engine == "invariant":  # then it computes whole pairs one by one, which is as invariant
        return engine
    fault = faults[engine]
    raise ModelError(f"engine {engine!r} cannot be used with this model: {fault}") from fault


def _load_processor(
    described: ModelFolder,
    base: ModelFolder,
    config: Any,
    *,
    template: str | None,
    max_tokens: int | None,
    answers: str | None,
) -> PromptProcessor:
    """The processor, from the folder that describes the model where it holds a tokenizer, else from its base."""
    return PromptProcessor.from_pretrained(
        described.path if described.has_tokenizer else base.path,
        template=template or described.settings.get("template"),
        max_tokens=max_tokens if max_tokens is not None else described.settings.get("max_tokens"),
        answers=answers,
        config=config.to_dict(),
    )


def _read_head(
    described: ModelFolder, base: ModelFolder, processor: PromptProcessor
) -> tuple[HeadConfig | None, tuple[Path, str] | None]:
    """The head's options, None for the model's default, and the file and name prefix of its own weights, if any."""
    if "head" in described.settings:
        try:
            head = HeadConfig(**described.settings["head"])
        except TypeError as error:
            raise ModelError(f"{described.path / SETTINGS}: head: {error}") from error
        path = described.path / HEAD_WEIGHTS
        return head, (path, "") if path.is_file() else None
    own = _OWN_HEADS.get(processor.template.name)
    if own is None:
        return None, None
    prefix, head = own
    return head, (base.path, prefix)


def _load_head(model: RerankModel, path: Path, prefix: str) -> None:
    """Fill the head of ``model`` from the tensors called ``prefix...`` in a file or a folder's files."""
    paths = sorted(path.glob("model*.safetensors")) if path.is_dir() else [path]
    found: dict[str, torch.Tensor] = {}
    for file in paths:
        with safe_open(str(file), framework="pt") as tensors:
            found |= {name: tensors.get_tensor(name) for name in tensors.keys() if name.startswith(prefix)}  # noqa: SIM118
    wanted = set(model.head.state_dict())
    if set(found) != wanted:
        raise ModelError(
            f"{path}: the head {model.head_config.kind} needs the tensors {sorted(wanted)},"
            f" found {sorted(found)}"
        )
    try:
        model.head.load_state_dict({name: tensor.float() for name, tensor in found.items()})
    except RuntimeError as error:
        raise ModelError(f"{path}: the head does not fit: {str(error).splitlines()[-1].strip()}") from error


def _default_readout(folder: ModelFolder) -> str:
    """What the folder says: a LogitScore without a false token reads the true logit alone."""
    if folder.answers is not None and folder.answers[1] is None:
        return "yes"
    readout: str = folder.settings.get("readout", "yes_minus_no")
    return readout


def _check_answers(model: RerankModel, folder: ModelFolder) -> None:
    """Compares the answer ids of a CrossEncoder folder with those of the template."""
    if folder.answers is None:
        return
    true_id, false_id = folder.answers
    answers, name = model.processor.answer_ids, model.processor.template.name
    expected = (answers.positive, answers.negative if false_id is not None else ())
    if expected != ((true_id,), () if false_id is None else (false_id,)):
        raise ModelError(
            f"{folder.path / 'modules.json'}: LogitScore reads the tokens {true_id} and {false_id},"
            f" the answers of template {name!r} are {answers.positive} and {answers.negative};"
            " give template= as the model was trained"
        )
