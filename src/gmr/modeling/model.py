"""The reranker as one module: prompts in, answer logits out."""

import inspect
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import Cache

from gmr.core.errors import ModelError
from gmr.modeling.backbones import PLAIN_LAYERS, Backbone, backbone_facts, layer_types
from gmr.modeling.device_layout import DeviceLayout, to_device
from gmr.modeling.heads import HeadConfig
from gmr.modeling.last_rows import follow_last_rows, only_rows
from gmr.modeling.layout import Layout
from gmr.modeling.lean_feed_forward import use_lean_feed_forward
from gmr.modeling.packed_attention import use_packed_attention
from gmr.modeling.positions import picture_positions
from gmr.modeling.vision_attention import use_windowed_attention
from gmr.modeling.vision_features import PictureFeatures
from gmr.modeling.vision_indices import tower_indices
from gmr.readouts import READOUTS

if TYPE_CHECKING:
    from gmr.modeling.processor import PromptProcessor


def pool_last(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """Hidden state of each row's last real token.

    Args:
        hidden: ``(rows, length, width)``, any float dtype.
        attention_mask: ``(rows, length)``, 1 for real tokens, padding on either side.

    Returns:
        ``(rows, width)``, float32.
    """
    places = torch.arange(attention_mask.shape[1], device=hidden.device)
    last = (places * attention_mask.bool()).argmax(dim=-1)
    return hidden[torch.arange(len(hidden), device=hidden.device), last].float()


class RerankModel(nn.Module):
    """A backbone, the processor of its prompts, a head and a readout.

    Attributes:
        backbone: the transformers model with its language-model head, or a PEFT model around it.
        processor: renders, tokenises and collates (query, document) pairs for this backbone.
        head: from the last hidden state to answer logits.
        head_config: what ``head`` was built from.
        readout: name of the function from answer logits to the score.
        engine: how prompts are computed where nobody says otherwise.
        packs: whether packed sequences may be used: every layer is plain attention, and no check found otherwise.
    """

    def __init__(
        self,
        backbone: Any,
        processor: "PromptProcessor",
        *,
        head: HeadConfig | None = None,
        readout: str = "yes_minus_no",
    ) -> None:
        super().__init__()
        if readout not in READOUTS:
            raise ModelError(f"readout {readout!r} is unknown; known are {', '.join(READOUTS)}")
        self.backbone = backbone
        self.processor = processor
        self.readout = readout
        self.facts: Backbone = backbone_facts(self.config, where=self.config.name_or_path or "the backbone")
        self.packs = not self.facts.is_encoder and layer_types(self.config) <= PLAIN_LAYERS
        self.engine = "packed" if self.packs else "padded" if self.facts.is_encoder else "forked"
        answers = processor.answer_ids
        self.num_positive = len(answers.positive)
        self.answer_ids = (*answers.positive, *answers.negative)
        self.head_config = head or self.default_head()
        self.head = self.head_config.build(self.answer_rows())
        if self.packs:
            use_packed_attention(self.causal_model, self.facts)
            follow_last_rows(self.layers[-1])
        if self.facts.takes_pictures:
            use_windowed_attention(self.causal_model)
        use_lean_feed_forward(self.causal_model)
        self._takes_features = "mm_encoder_outputs" in inspect.signature(self.base_model.forward).parameters

    @property
    def causal_model(self) -> Any:
        """The transformers model with the language-model head, under any PEFT wrapper."""
        return self.backbone.get_base_model() if hasattr(self.backbone, "peft_config") else self.backbone

    @property
    def base_model(self) -> Any:
        """The transformers model below the language-model head."""
        return self.causal_model.model

    @property
    def text_model(self) -> Any:
        """What every token goes through, between the embeddings and the head."""
        return self.causal_model.get_submodule(self.facts.language)

    @property
    def layers(self) -> nn.ModuleList:
        """The layers of the text model."""
        layers: nn.ModuleList = self.text_model.layers
        return layers

    @property
    def config(self) -> Any:
        """Configuration of the backbone."""
        return self.causal_model.config

    @property
    def device(self) -> torch.device:
        """Where the backbone's weights are."""
        return self.causal_model.get_input_embeddings().weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the backbone's weights; the head is float32 whatever this is."""
        return self.causal_model.get_input_embeddings().weight.dtype

    def default_head(self) -> HeadConfig:
        """The head where nobody says otherwise: frozen rows of the language-model head."""
        return HeadConfig()

    def pool(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        """What the head reads of a padded batch, ``(rows, width)`` float32: the state of each row's last token."""
        # The mask also counts what is in the cache; the last token is never there.
        return pool_last(hidden, attention_mask[:, -hidden.shape[1] :])

    def answer_rows(self) -> Tensor:
        """Live rows of the language-model head for the answers, positive ones first, ``(answers, width)``."""
        weight: Tensor = self.causal_model.get_output_embeddings().weight
        return weight[torch.tensor(self.answer_ids, dtype=torch.long, device=weight.device)]

    def check_pictures_fit(self, *pictures: Tensor | PictureFeatures | None) -> None:
        """Refuses pictures, where some are given, of a backbone that reads text only.

        Raises:
            ModelError: there are some.
        """
        if not self.facts.takes_pictures and any(given is not None for given in pictures):
            raise ModelError(
                f"a {self.facts.model_type} model reads text only, and the prompts hold pictures"
            )

    def encode_pictures(self, pixel_values: Tensor, image_grid_thw: Tensor) -> PictureFeatures:
        """What the vision tower makes of pictures.

        Args:
            pixel_values: ``(patches, values)``, the pictures' patches one after the other.
            image_grid_thw: ``(pictures, 3)``: 1, height and width of each picture in patches.
        """
        self.check_pictures_fit(pixel_values)
        grids = [(frames, height, width) for frames, height, width in image_grid_thw.tolist()]
        indices = tower_indices(self.config.vision_config, grids)
        output = self.base_model.get_image_features(
            pixel_values.to(self.device),
            image_grid_thw.to(self.device),
            return_dict=True,
            **{name: tensor.to(self.device) for name, tensor in indices.items()},
        )
        return PictureFeatures.of_output(output)

    def last_hidden_states(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        *,
        position_ids: Tensor | None = None,
        layout: DeviceLayout | None = None,
        past_key_values: Cache | None = None,
        pixel_values: Tensor | None = None,
        image_grid_thw: Tensor | None = None,
        image_index: Tensor | None = None,
        picture_features: PictureFeatures | None = None,
    ) -> Tensor:
        """Hidden states after the last layer, ``(rows, length, width)``; arguments as for `forward`."""
        options: dict[str, Any] = {"attention_mask": attention_mask, "use_cache": past_key_values is not None}
        if past_key_values is not None:
            options["past_key_values"] = past_key_values
        if layout is not None:
            options["packed_layout"] = layout
        self.check_pictures_fit(pixel_values, picture_features)
        if not self.facts.takes_pictures:
            if position_ids is None:
                position_ids = (mask_of(attention_mask).cumsum(-1) - 1).clamp(min=0)
            options["position_ids"] = position_ids
            return self.base_model(input_ids=input_ids, **options).last_hidden_state
        grids = None
        if image_grid_thw is not None:
            if image_index is None:
                raise ValueError("image_grid_thw without image_index: which picture is where?")
            if picture_features is None:
                if pixel_values is None:
                    raise ValueError("image_grid_thw without pixel_values or picture_features")
                picture_features = self.encode_pictures(pixel_values, image_grid_thw)
            picture_features = picture_features.gather(image_index.tolist())
            grids = image_grid_thw[image_index]
        # Always explicit, and 3 rows: without positions the model falls back on those of an earlier call, a
        # fourth row would switch on its masks for packed sequences.
        if position_ids is None:
            position_ids = picture_positions(
                input_ids,
                mask_of(attention_mask),
                grids,
                image_token_id=self.config.image_token_id,
                merge_size=self.config.vision_config.spatial_merge_size,
            )
        options["position_ids"] = position_ids
        if picture_features is None:
            return self.base_model(input_ids=input_ids, **options).last_hidden_state
        if self._takes_features:
            options["mm_encoder_outputs"] = {"image": picture_features.as_output()}
            return self.base_model(input_ids=input_ids, **options).last_hidden_state
        with _precomputed(self.base_model, picture_features):
            # The values of these pixels are not read: the features stand in for what would be made of them.
            options |= {"pixel_values": picture_features.embeddings, "image_grid_thw": grids}
            return self.base_model(input_ids=input_ids, **options).last_hidden_state

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        *,
        last: Tensor | None = None,
        layout: Layout | DeviceLayout | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        pixel_values: Tensor | None = None,
        image_grid_thw: Tensor | None = None,
        image_index: Tensor | None = None,
        picture_features: PictureFeatures | None = None,
    ) -> Tensor:
        """Answer logits of each prompt, of a padded batch or of a packed sequence.

        Args:
            input_ids: ``(rows, length)`` int64, padding on either side; ``(1, tokens)`` of a packed sequence.
            attention_mask: ``(rows, length)``, 1 for real tokens, those in the cache included; None for a packed
                sequence.
            last: ``(prompts,)`` where in a packed sequence each prompt ends.
            layout: who attends to whom in a packed sequence; None for a padded batch.
            position_ids: ``(3, rows, length)`` or ``(rows, length)``, as `collate_packed` and `collate_rests` give
                them; found from the mask for a padded batch.
            past_key_values: what the backbone keeps of the tokens before these, one row per row; it grows.
            pixel_values: ``(patches, values)`` of the distinct pictures of the batch.
            image_grid_thw: ``(distinct, 3)`` size of each distinct picture in patches.
            image_index: ``(occurrences,)`` which distinct picture each occurrence is, in row-major prompt
                order.
            picture_features: the distinct pictures as `encode_pictures` returned them, instead of
                ``pixel_values``.

        Returns:
            ``(prompts, answers)`` float32, positive answers first; ``(prompts, 1)`` from a head of one output.
        """
        if isinstance(layout, Layout):
            layout = to_device(layout, self.device)
        reads_few: AbstractContextManager[None] = nullcontext()
        # In training a second pass has to draw the same random numbers as this one: dropout in as many rows.
        if layout is not None and last is not None and not (torch.is_grad_enabled() or self.training):
            layer = self.layers[-1]
            # Who watches the layer, or what follows it, is to see all tokens.
            if not any(
                module._forward_hooks for module in (layer, self.text_model, *self.text_model.children())
            ):
                reads_few = only_rows(layer, last, num_tokens=input_ids.shape[1])
        with reads_few:
            hidden = self.last_hidden_states(
                input_ids,
                attention_mask,
                position_ids=position_ids,
                layout=layout,
                past_key_values=past_key_values,
                pixel_values=pixel_values,
                image_grid_thw=image_grid_thw,
                image_index=image_index,
                picture_features=picture_features,
            )
        padded = layout is None
        pooled = self.pool(hidden, mask_of(attention_mask)) if padded else hidden[0, last].float()
        # Under autocast the product would fall back to half precision, and scores would tie.
        with torch.autocast(device_type=hidden.device.type, enabled=False):
            return self.head(pooled, self.answer_rows())

    def score_logits(self, logits: Tensor) -> Tensor:
        """Scores ``(rows,)`` of answer logits ``(rows, answers)`` through the model's readout, float32."""
        return READOUTS[self.readout](logits, num_positive=self.num_positive)


def mask_of(attention_mask: Tensor | None) -> Tensor:
    """The mask of a padded batch."""
    if attention_mask is None:
        raise ValueError(
            "a padded batch needs its attention_mask, a packed sequence its layout and position_ids"
        )
    return attention_mask


@contextmanager
def _precomputed(base_model: Any, features: PictureFeatures) -> Iterator[None]:
    """Let ``base_model`` find ``features`` where it would encode pictures (transformers before 5.23)."""
    output = features.as_output()
    # On the instance, where it hides the method of the class; someone may have done so before us.
    before = vars(base_model).get("get_image_features")
    base_model.get_image_features = lambda *_, **__: output
    try:
        yield
    finally:
        if before is None:
            del base_model.get_image_features
        else:
            base_model.get_image_features = before
