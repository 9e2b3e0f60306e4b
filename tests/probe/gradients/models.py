"""Tiny models for the tests of the probe, loaded once."""

from functools import cache

from gmr.modeling.adapters import add_lora
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from tests.helpers.tiny_checkpoints import tiny_checkpoint


@cache
def tiny_model(architecture: str = "qwen2_5_vl", *, tie: bool = False) -> RerankModel:
    return load_model(tiny_checkpoint(architecture, tie=tie), device="cpu", max_tokens=512)


def adapted_model() -> RerankModel:
    """With LoRA whose second matrices are not zero any more."""
    import torch

    model = load_model(tiny_checkpoint("qwen2_5_vl"), device="cpu", max_tokens=512)
    add_lora(model, rank=2, alpha=4.0, dropout=0.1, targets=None)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05, generator=torch.Generator().manual_seed(0))
    return model.eval()
