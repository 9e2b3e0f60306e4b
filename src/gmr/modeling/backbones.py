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
        is_encoder: whether every token sees all others and the score is read at the first: BERT and its like.
    """

    model_type: str
    architecture: str
    vision: str | None
    language: str
    lora_targets: str
    processor_class: str | None
    is_encoder: bool = False

    @property
    def takes_pictures(self) -> bool:
        """True where there is a vision tower."""
        return self.vision is not None


# A token sees all tokens before it: the only kind that packed sequences compute.
PLAIN_LAYERS = frozenset({"full_attention"})
# Kinds whose state after a prefix a cache holds; another kind is refused.
CACHED_LAYERS = PLAIN_LAYERS | {"sliding_attention", "linear_attention"}

_LAYERS = (
    r"layers\.\d+\.(self_attn\.[qkvo]_proj|linear_attn\.(in_proj_(qkv|z)|out_proj)|mlp\.(gate|up|down)_proj)"
)


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
    "qwen3_5": _vision_language("qwen3_5", "Qwen3_5ForConditionalGeneration", "Qwen3VLProcessor"),
    "qwen3": Backbone(
        model_type="qwen3",
        architecture="Qwen3ForCausalLM",
        vision=None,
        language="model",
        lora_targets=rf".*model\.{_LAYERS}",
        processor_class=None,
    ),
    "bert": Backbone(
        model_type="bert",
        architecture="BertModel",
        vision=None,
        language="encoder",
        lora_targets=(
            r"(.*\.)?encoder\.layer\.\d+\."
            r"(attention\.self\.(query|key|value)|(attention\.output|intermediate|output)\.dense)"
        ),
        processor_class=None,
        is_encoder=True,
    ),
}
# Checkpoints of an encoder that bring a masked-language-model head, and the class that has that head alone.
_LANGUAGE_HEADS = {"BertForMaskedLM": "BertForMaskedLM", "BertForPreTraining": "BertForMaskedLM"}


def backbone_facts(config: Any, *, where: str) -> Backbone:
    """Facts of the family that ``config`` (a transformers configuration) belongs to.

    Raises:
        ModelError: if the family is not one we know, or has layers of a kind we do not.
    """
    facts = BACKBONES.get(config.model_type)
    if facts is None:
        raise ModelError(
            f"{where}: model_type {config.model_type!r} is not supported;"
            f" supported are {', '.join(BACKBONES)}"
        )
    unknown = layer_types(config) - CACHED_LAYERS
    if unknown:
        raise ModelError(
            f"{where}: layer types {sorted(unknown)} found, only {', '.join(sorted(CACHED_LAYERS))} are supported"
        )
    return facts


def architecture_name(config: Any) -> str:
    """Name of the transformers class that a checkpoint of a known family is loaded as."""
    named = getattr(config, "architectures", None) or ()
    found = next((_LANGUAGE_HEADS[name] for name in named if name in _LANGUAGE_HEADS), None)
    return found or BACKBONES[config.model_type].architecture


def layer_types(config: Any) -> frozenset[str]:
    """Kinds of layers that the text model of a transformers configuration has."""
    return frozenset(getattr(config.get_text_config(), "layer_types", None) or PLAIN_LAYERS)
