"""What kept values depend on besides weights and content, as the beginning of their keys."""

import torch

from gmr.modeling.images import settings_digest
from gmr.modeling.model import RerankModel


def circumstances(model: RerankModel) -> str:
    """How pictures are read and in which type the model computes now: the same words whenever both are the same."""
    device = model.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else model.dtype
    settings = settings_digest(model.processor.image_processor)
    return f"{settings}/{str(dtype).removeprefix('torch.')}/"
