"""A backbone that reads prompts for their hidden states alone, as embedders do."""

from pathlib import Path

import torch

from gmr.modeling.adapters import load_adapter
from gmr.modeling.checkpoint import load_backbone, move_model, read_model_config
from gmr.modeling.folders import read_folder, resolve_folder
from gmr.modeling.model import RerankModel
from gmr.modeling.processor import PromptProcessor
from gmr.modeling.templates import Template


def load_reader(
    name_or_path: str | Path,
    *,
    template: Template,
    dtype: str = "float32",
    device: str | torch.device | None = None,
    max_tokens: int | None = None,
) -> RerankModel:
    """A model that reads prompts of ``template`` for their hidden states; it has no answers, and no scores.

    Args:
        name_or_path: as for `load_model`: a plain checkpoint, with or without a language-model head, or a LoRA adapter.
        template: prompt without answers.
        dtype: of the weights: float32, bfloat16, float16, or auto for that of the checkpoint.
        device: where to put the model; None for a GPU if there is one.
        max_tokens: longest prompt; None for the template's.

    Raises:
        ModelError: if the model cannot be loaded as it is described.
    """
    folder = read_folder(resolve_folder(name_or_path))
    base = folder if folder.base is None else read_folder(resolve_folder(folder.base))
    config = read_model_config(base.path)
    processor = PromptProcessor.from_pretrained(
        folder.path if folder.has_tokenizer else base.path,
        template=template,
        max_tokens=template.max_tokens if max_tokens is None else max_tokens,
        config=config.to_dict(),
    )
    backbone = load_backbone(base.path, config, dtype=dtype, own_head=False, needs_head=False)
    if folder.base is not None:
        backbone = load_adapter(backbone, folder.path, dtype=backbone.dtype)
    model = RerankModel(backbone, processor)
    move_model(model, device)
    return model
