"""What makes two models the same: everything that their scores depend on, part by part, and as one digest."""

import hashlib
import json
from dataclasses import asdict
from typing import Any

import torch
import transformers
from torch import nn

from gmr.modeling.model import RerankModel

# What the keys and values of a document depend on, in its own prompt.
STATES = ("config", "adapter", "image_processor", "torch", "transformers", "weights")


def model_digest(model: RerankModel) -> str:
    """SHA-256 (64 hex digits) of configuration, adapter, image processor, versions, and every weight.

    All weights are read, which takes its time for a large model. One that is trained further has another digest.
    """
    return facts_digest({name: fact for name, fact in model_facts(model).items() if name in STATES})


def facts_digest(facts: dict[str, str]) -> str:
    """SHA-256 (64 hex digits) of named facts, in whatever order they come."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def model_facts(model: RerankModel) -> dict[str, str]:
    """What a score depends on, by name: digests of what is large, and in words what is short.

    Returns:
        ``weights``, ``dtype``, ``config``, ``adapter``, ``head``, ``template``, ``tokenizer``, ``image_processor``,
        ``max_tokens``, ``compiled``, ``torch``, ``transformers``.
    """
    processor = model.processor
    config = model.config.to_dict()
    # Where the folder lies, and what wrote it, makes no other model.
    for name in ("_name_or_path", "name_or_path", "transformers_version"):
        config.pop(name, None)
    adapters = {
        name: {key: value for key, value in adapter.to_dict().items() if key != "base_model_name_or_path"}
        for name, adapter in getattr(model.backbone, "peft_config", {}).items()
    }
    # Several may be there, and which of them count, and how much, is said in the layers.
    states = ("active_adapters", "merged_adapters", "disable_adapters", "scaling")
    in_use = {
        name: [repr(getattr(module, state)) for state in states]
        for name, module in (model.backbone.named_modules() if adapters else ())
        if all(hasattr(module, state) for state in states)
    }
    image_processor = processor.image_processor
    return {
        "weights": hash_weights(model, hashlib.sha256()).hexdigest(),
        "dtype": str(model.dtype).removeprefix("torch."),
        "config": _digest(config),
        "adapter": _digest([adapters, in_use]) if adapters else "none",
        "head": _digest([model.head_config.to_json(), model.readout, model.answer_ids, model.num_positive]),
        "template": f"{processor.template.name} {_digest([_spelled(each) for each in _template(processor.template)])}",
        "tokenizer": hashlib.sha256(processor.tokenizer.backend_tokenizer.to_str().encode()).hexdigest(),
        "image_processor": "none" if image_processor is None else _digest(image_processor.to_dict()),
        "max_tokens": str(processor.max_tokens),
        "compiled": str(model.layers[0]._compiled_call_impl is not None),
        "torch": torch.__version__.partition("+")[0],
        "transformers": transformers.__version__,
    }


def hash_weights(model: nn.Module, sha: Any) -> Any:
    """``sha``, a hash of hashlib, with every weight and buffer in it: name, type, shape and bytes."""
    for name, tensor in sorted(model.state_dict().items()):
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        sha.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return sha


def _template(template: Any) -> list[Any]:
    facts = asdict(template)
    # As a dictionary, a control token and a token id would not tell what they are.
    return [*template.segments, {name: value for name, value in facts.items() if name != "segments"}]


def _spelled(value: Any) -> str:
    return repr(sorted(value.items()) if isinstance(value, dict) else value)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
