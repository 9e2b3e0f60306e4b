"""What makes two models the same: everything that the keys and values of a prompt depend on, as one digest."""

import hashlib
import json

import torch
import transformers

from gmr.modeling.model import RerankModel


def model_digest(model: RerankModel) -> str:
    """SHA-256 (64 hex digits) of configuration, image processor, versions, and every weight with its name and type.

    All weights are read, which takes its time for a large model. One that is trained further has another digest.
    """
    processor = model.processor.image_processor
    config = model.config.to_dict()
    # Where the folder lies, and what wrote it, makes no other model.
    for name in ("_name_or_path", "name_or_path", "transformers_version"):
        config.pop(name, None)
    facts = {
        "config": config,
        "image_processor": None if processor is None else processor.to_dict(),
        "torch": torch.__version__.partition("+")[0],
        "transformers": transformers.__version__,
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
