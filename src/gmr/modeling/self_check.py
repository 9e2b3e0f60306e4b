"""A model proves at load that its scores are its own: not those of the batch, the padding or another token.

Every fault here has been seen in published code, and none raises an error: scores are merely wrong.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any, Literal

import PIL.Image
import torch
from torch import Tensor

from gmr.core.errors import ModelError
from gmr.core.items import Image, Item, Text
from gmr.core.nouns import Document, Query
from gmr.modeling.backbones import layer_types
from gmr.modeling.device_layout import KeptLayers, to_device
from gmr.modeling.forked_cache import collate_rests, fork, prefill
from gmr.modeling.layout import Layout
from gmr.modeling.model import RerankModel
from gmr.modeling.packed_batch import collate_packed
from gmr.modeling.packing import PackedSequence, Part, common_length, cut_prompt, keyed_ids, pack
from gmr.modeling.positions import picture_positions
from gmr.modeling.processor import Prompt
from gmr.modeling.templates import Slot

# Largest difference of an answer logit between two batches, for logits of size 1. float32: measured 9e-6 at
# most. Half precision differs by rounding alone, in bfloat16 by up to 9e-2 on scores that spread by 1.6;
# wrong masks or positions give 2 to 5 there. So in half precision small faults can pass, and large ones
# cannot.
TOLERANCE = {torch.float32: 1e-5, torch.float16: 1e-1, torch.bfloat16: 4e-1}
_EXTRA_PADDING = 5


def check_model(model: RerankModel) -> None:
    """Score two short synthetic pairs in every way that must not matter.

    Two prompts, with pictures where the template takes them, are scored alone, in a batch, padded on the
    left and padded on the right. Five forward passes of about a hundred tokens each.

    Raises:
        ModelError: saying what differed, by how much, and how much is allowed.
    """
    _check_answers(model)
    _check_tail(model)
    model.eval()
    prompts = _synthetic_prompts(model)
    with torch.inference_mode():
        alone = torch.cat([_logits(model, [prompt], side="left") for prompt in prompts])
        _check_head(model, prompts[0], alone[0])
        for side in ("left", "right"):
            padded = _logits(model, prompts, side=side, extra=_EXTRA_PADDING)
            _compare(model, alone, padded, what=f"alone and in a batch padded on the {side}")
        if model.facts.takes_pictures:
            _check_positions(model, prompts)


def check_packed(model: RerankModel) -> None:
    """Score synthetic pairs that share a prefix in a packed sequence, and again with the prefix kept from it.

    Three queries or documents of different lengths, with pictures where the template takes them. A wrong mask, a wrong
    position or a wrong prefix shows as a difference far above rounding.

    Raises:
        ModelError: saying what differed, by how much, and how much is allowed.
        NotImplementedError: the backbone asks for attention that is not plain causal attention.
    """
    model.eval()
    if not model.packs:
        kinds = ", ".join(sorted(layer_types(model.config)))
        raise ModelError(f"its layers are {kinds}; packed sequences compute full_attention only")
    prompts = _synthetic_group(model)
    placeholder = model.processor.image_token_id
    shared = _num_shared(model, prompts)
    kept: KeptLayers = {}
    with torch.inference_mode():
        alone = torch.cat([_logits(model, [prompt], side="left") for prompt in prompts])
        # Two parts, so that what one of them may not see is there to be seen.
        first = pack([Part(prompts, shared), Part(prompts[:1], 0)], placeholder=placeholder)
        layout, inputs = _packed_inputs(model, first)
        write = ((*first.prefixes[0], kept),)
        packed = model(layout=to_device(layout, model.device, write=write), **inputs)
        _compare(model, torch.cat([alone, alone[:1]]), packed, what="alone and in a packed sequence")
        second = pack([Part(prompts[1:], shared, is_kept=True)], placeholder=placeholder)
        layout, inputs = _packed_inputs(model, second)
        again = model(layout=to_device(layout, model.device, read=(kept,)), **inputs)
        _compare(model, alone[1:], again, what="alone and after a kept prefix")


def check_forked(model: RerankModel) -> None:
    """Score synthetic pairs that share a prefix after copies of the backbone's cache of it, twice from the same cache.

    Raises:
        ModelError: saying what differed, by how much, and how much is allowed.
    """
    model.eval()
    prompts = _synthetic_group(model)
    placeholder = model.processor.image_token_id
    shared = _num_shared(model, prompts)

    def pictures(start: int, end: int | None, *rows: Prompt) -> dict[str, Any]:
        cut = [cut_prompt(prompt, start, end or len(prompt.input_ids), placeholder) for prompt in rows]
        found = model.processor.collate_pictures(cut)
        return {name: tensor.to(model.device) for name, tensor in found.items()}

    with torch.inference_mode():
        alone = torch.cat([_logits(model, [prompt], side="left") for prompt in prompts])
        cache = prefill(model, prompts[0], shared, **pictures(0, shared, prompts[0]))
        for rows in (slice(0, 3), slice(1, 3)):
            batch = collate_rests(model.processor, prompts[rows], shared)
            forked = model(
                **{name: tensor.to(model.device) for name, tensor in batch.items()},
                **pictures(shared, None, *prompts[rows]),
                past_key_values=fork(cache, len(prompts[rows])),
            )
            _compare(model, alone[rows], forked, what="alone and after a forked cache")


def _num_shared(model: RerankModel, prompts: Sequence[Prompt]) -> int:
    """Tokens that all prompts begin with."""
    numbers = {image.key: -1 - n for n, image in enumerate(i for p in prompts for i in p.images)}
    keyed = [keyed_ids(prompt, model.processor.image_token_id, numbers) for prompt in prompts]
    return min(common_length(keyed[0], other) for other in keyed[1:])


def _packed_inputs(model: RerankModel, packed: PackedSequence) -> tuple[Layout, dict[str, Any]]:
    batch = collate_packed(model.processor, packed)
    layout: Layout = batch.pop("layout")
    return layout, {name: tensor.to(model.device) for name, tensor in batch.items()}


def _check_answers(model: RerankModel) -> None:
    """The answer ids must spell the template's answers, positive ones first."""
    processor = model.processor
    template = processor.template
    wanted = (*template.positive, *template.negative)
    backend = processor.tokenizer.backend_tokenizer
    spelled = tuple(backend.decode([token]) for token in model.answer_ids)
    same = tuple(map(_plain, spelled)) == tuple(map(_plain, wanted))
    if not same or model.num_positive != len(template.positive):
        raise ModelError(
            f"self-check: the answer tokens spell {spelled}, the template's answers are {wanted}"
        )
    embeddings = len(model.causal_model.get_input_embeddings().weight)
    if not 0 <= processor.pad_token_id < embeddings:
        raise ModelError(
            f"self-check: padding token {processor.pad_token_id} has no embedding (there are {embeddings})"
        )


def _check_tail(model: RerankModel) -> None:
    """A prompt that was cut must still end where the score is read."""
    processor = model.processor
    if "t" not in _accepted(model, "document"):
        return
    query = Query("q", _item(model, "query", words=1, picture=False))
    whole, other = (processor.encode(query, Document("d", (Text(text),))) for text in "ab")
    cut = processor.encode(query, Document("d", (Text("a b " * processor.max_tokens),)))
    # The tail is what two documents leave alike; in a compact template it is a single token.
    alike = takewhile(
        lambda ids: ids[0] == ids[1], zip(whole.input_ids[::-1], other.input_ids[::-1], strict=False)
    )
    num_tail = min(4, sum(1 for _ in alike))
    if len(cut.input_ids) > processor.max_tokens or cut.input_ids[-num_tail:] != whole.input_ids[-num_tail:]:
        raise ModelError(
            f"self-check: a document too long for max_tokens = {processor.max_tokens} costs the prompt"
            f" its tail ({cut.input_ids[-num_tail:]} instead of {whole.input_ids[-num_tail:]})"
        )


def _check_head(model: RerankModel, prompt: Prompt, logits: Tensor) -> None:
    """Logits must be float32, and a frozen head's those of the language-model head."""
    if logits.dtype != torch.float32:
        raise ModelError(f"self-check: the answer logits are {logits.dtype}, float32 is needed")
    if model.head_config.kind != "answer_rows" or model.head_config.trainable or model.facts.is_encoder:
        return
    inputs = _inputs(model, [prompt], side="left")
    hidden = model.last_hidden_states(**inputs)[:, -1]
    vocabulary = model.causal_model.get_output_embeddings()(hidden).float()[0]
    _compare(model, logits, vocabulary[list(model.answer_ids)], what="from the head and from the vocabulary")


def _check_positions(model: RerankModel, prompts: Sequence[Prompt]) -> None:
    """Our positions must be those that the model computes for itself."""
    inputs = _inputs(model, prompts, side="left")
    grids = inputs["image_grid_thw"][inputs["image_index"]] if "image_index" in inputs else None
    token = model.config.image_token_id
    ours = picture_positions(
        inputs["input_ids"],
        inputs["attention_mask"],
        grids,
        image_token_id=token,
        merge_size=model.config.vision_config.spatial_merge_size,
    )
    theirs, _ = model.base_model.get_rope_index(
        inputs["input_ids"],
        (inputs["input_ids"] == token).int(),
        image_grid_thw=grids,
        attention_mask=inputs["attention_mask"],
    )
    real = inputs["attention_mask"].bool()
    if not torch.equal(ours[:, real], theirs[:, real]):
        raise ModelError(
            f"self-check: positions of pictures differ from those of {type(model.base_model).__name__}"
        )


def _compare(model: RerankModel, expected: Tensor, actual: Tensor, *, what: str) -> None:
    allowed = TOLERANCE[model.dtype] * max(1.0, float(expected.abs().max()))
    difference = float((expected - actual).abs().max())
    # A NaN is no difference that "greater than" would see.
    if not difference <= allowed:
        raise ModelError(
            f"self-check: the answer logits of one pair {what} differ by {difference:.2g},"
            f" allowed are {allowed:.2g} in {str(model.dtype).removeprefix('torch.')};"
            " the scores of this model cannot be trusted"
        )


def _logits(
    model: RerankModel, prompts: Sequence[Prompt], *, side: Literal["left", "right"], extra: int = 0
) -> Tensor:
    return model(**_inputs(model, prompts, side=side, extra=extra))


def _inputs(
    model: RerankModel, prompts: Sequence[Prompt], *, side: Literal["left", "right"], extra: int = 0
) -> dict[str, Any]:
    length = max(len(prompt.input_ids) for prompt in prompts) + extra
    batch = model.processor.collate(prompts, padding_side=side, pad_to=length)
    return {name: tensor.to(model.device) for name, tensor in batch.items()}


def _synthetic_prompts(model: RerankModel) -> list[Prompt]:
    """A short prompt and a longer one, with different pictures where the template takes them."""
    pairs = [
        (_item(model, "query", words=2, picture=False), _item(model, "document", words=1, picture=True)),
        (_item(model, "query", words=3, picture=True), _item(model, "document", words=30, picture=False)),
    ]
    return [
        model.processor.encode(Query("self-check", query), Document("self-check", document))
        for query, document in pairs
    ]


def _synthetic_group(model: RerankModel) -> list[Prompt]:
    """Three prompts that begin alike, whichever side the template puts first."""
    query = Query("self-check", _item(model, "query", words=2, picture=True))
    documents = [
        Document("self-check", _item(model, "document", words=words, picture=False)) for words in (1, 9, 4)
    ]
    return [model.processor.encode(query, document) for document in documents]


def _item(model: RerankModel, side: str, *, words: int, picture: bool) -> Item:
    """Some item that the template takes on this ``side``: a picture or a text, as wished if it can be."""
    accepted = _accepted(model, side)
    if ("i" in accepted and picture) or "t" not in accepted:
        gradient = PIL.Image.linear_gradient("L").resize((64 + 8 * words, 48)).convert("RGB")
        return (Image(gradient),)
    return (Text(" ".join(["a white cat", "two", "red apples"][index % 3] for index in range(words))),)


def _accepted(model: RerankModel, side: str) -> tuple[str, ...]:
    """Kinds of items that the template and the backbone take on this ``side``."""
    slots = [
        slot for slot in model.processor.template.segments if isinstance(slot, Slot) and slot.side == side
    ]
    kinds = {kind for slot in slots for kind in slot.accepts}
    return tuple(kind for kind in ("t", "i") if kind in kinds and (kind == "t" or model.facts.takes_pictures))


def _plain(answer: str) -> str:
    # A tokenizer may keep words in lower case or with the space before them.
    return answer.strip().lower()
