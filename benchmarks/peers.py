"""What others compute for the same pairs on the same weights: whole prompts, every picture once for every pair."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gmr.core.items import Image, Text
from gmr.inference.scoring import Pair
from gmr.modeling.model import RerankModel
from gmr.modeling.processor import Prompt

PADDED_ROWS = 32


def cross_encoder(folder: Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Any:
    """The folder of `save_model` as sentence-transformers loads it."""
    from sentence_transformers import CrossEncoder

    return CrossEncoder(str(folder), device=device, model_kwargs={"dtype": dtype})


def predict(peer: Any, pairs: Sequence[Pair], *, batch_size: int) -> Any:
    """Log-odds by `CrossEncoder.predict`."""
    return peer.predict(
        [(plain(query.item), plain(document.item)) for query, document in pairs],
        batch_size=batch_size,
        prompt=pairs[0][0].instruction,
        activation_fn=torch.nn.Identity(),
        show_progress_bar=False,
    )


def plain(item: Any) -> Any:
    """An item as sentence-transformers takes it."""
    texts = [part.text for part in item if isinstance(part, Text)]
    images = [part.source for part in item if isinstance(part, Image)]
    if not images:
        return texts[0]
    return {"image": images[0], "text": texts[0]} if texts else images[0]


def padded(causal_model: Any, model: RerankModel, pairs: Sequence[Pair]) -> list[float]:
    """Log-odds by transformers alone: batches of 32 whole prompts of similar length, padded on the left."""
    prompts = model.processor.encode_many(pairs)
    order = sorted(range(len(prompts)), key=lambda row: -len(prompts[row].input_ids))
    scores = [0.0] * len(prompts)
    for start in range(0, len(order), PADDED_ROWS):
        rows = order[start : start + PADDED_ROWS]
        found = whole_vocabulary(causal_model, model, [prompts[row] for row in rows])
        for row, score in zip(rows, found.tolist(), strict=True):
            scores[row] = score
    return scores


def one_at_a_time(causal_model: Any, model: RerankModel, pairs: Sequence[Pair]) -> list[float]:
    """Log-odds the way the script of Qwen3-VL-Reranker goes: each pair rendered, preprocessed and scored alone."""
    return [float(whole_vocabulary(causal_model, model, [model.processor.encode(*pair)])) for pair in pairs]


@torch.inference_mode()
def whole_vocabulary(causal_model: Any, model: RerankModel, prompts: Sequence[Prompt]) -> Tensor:
    """Log-odds ``(prompts,)`` from all logits of the last position.

    Args:
        causal_model: as transformers built it, with none of our attention.
        model: lends its processor and the ids of its answers.
        prompts: one batch; a picture that occurs twice is preprocessed and encoded twice.
    """
    texts = [dataclasses.replace(prompt, images=(), grids=()) for prompt in prompts]
    inputs = model.processor.collate(texts)
    images = [image for prompt in prompts for image in prompt.images]
    if images:
        pixel_values, grids = model.processor.preprocess(images)
        is_picture = inputs["input_ids"] == model.processor.image_token_id
        inputs |= {
            "pixel_values": pixel_values.to(causal_model.dtype),
            "image_grid_thw": grids,
            "mm_token_type_ids": is_picture.int(),
        }
    inputs = {name: tensor.to(causal_model.device) for name, tensor in inputs.items()}
    logits = causal_model(**inputs, use_cache=False, logits_to_keep=1).logits[:, -1].float()
    yes, no = model.answer_ids
    return logits[:, yes] - logits[:, no]
