"""The facts in which the supported families of backbones differ. Another image-text LLM is one more entry."""

from dataclasses import dataclass
from typing import Any

from gmr.core.errors import ModelError


@dataclass(frozen=True)
class Backbone:
    """What the loading, training and inference code has to know about one ``model_type`` of transformers.

    Attributes:
        model_type: ``model_type`` of ``config.json``.
        architecture: name of the transformers class with the language-model head.
        vision: path of the vision tower inside the class with the head; None for a text-only family.
        language: path of the text model inside the class with the head.
        lora_targets: regular expression (full match) of the linear layers that LoRA adapts: those of the
            language model, never the tower's, whose layers share some of the names.
        processor_class: name of the transformers processor, written into saved folders; None for text only.
    """

    model_type: str
    architecture: str
    vision: str | None
    language: str
    lora_targets: str
    processor_class: str | None

    @property
    def takes_pictures(self) -> bool:
        """True where there is a vision tower."""
        return self.vision is not None


_LAYERS = r"layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)"


def _vision_language(model_type: str, architecture: str, processor_class: str) -> Backbone:
    return Backbone(
        model_type=model_type,
        architecture=architecture,
        vision="model.visual",
        language="model.language_model",
        lora_targets=rf".*language_model\.{_LAYERS}",
        processor_class=processor_class,
    )


BACKBONES: dict[str, Backbone] = {
    "qwen2_vl": _vision_language("qwen2_vl", "Qwen2VLForConditionalGeneration", "Qwen2VLProcessor"),
    "qwen2_5_vl": _vision_language("qwen2_5_vl", "Qwen2_5_VLForConditionalGeneration", "Qwen2_5_VLProcessor"),
    "qwen3_vl": _vision_language("qwen3_vl", "Qwen3VLForConditionalGeneration", "Qwen3VLProcessor"),
    "qwen3": Backbone(
        model_type="qwen3",
        architecture="Qwen3ForCausalLM",
        vision=None,
        language="model",
        lora_targets=rf".*model\.{_LAYERS}",
        processor_class=None,
    ),
}


def backbone_facts(config: Any, *, where: str) -> Backbone:
    """Facts of the family that ``config`` (a transformers configuration) belongs to.

    Raises:
        ModelError: if the family is not one we know, or has attention layers that see only a part of the
            prompt.
    """
    facts = BACKBONES.get(config.model_type)
    if facts is None:
        raise ModelError(
            f"{where}: model_type {config.model_type!r} is not supported;"
            f" supported are {', '.join(BACKBONES)}"
        )
    layers = set(getattr(config.get_text_config(), "layer_types", None) or ["full_attention"])
    if layers != {"full_attention"}:
        raise ModelError(
            f"{where}: layer types {sorted(layers)} found, only full_attention is supported;"
            " set use_sliding_window to false in config.json if the model was not trained with it"
        )
    return facts
