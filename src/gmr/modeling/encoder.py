"""A BERT-style encoder as a reranker: ``[CLS] query [SEP] document [SEP]``, read at the first token. Text only.

What comes after the first token's state is the same as for a language model: answer rows, head, readout, objectives.
The rows are those of the masked-language-model head, behind its transform, where the checkpoint has one; else the word
embeddings of the answers, to which such a head is tied, as a start for rows that are trained.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache

from gmr.core.errors import ModelError
from gmr.modeling.device_layout import DeviceLayout
from gmr.modeling.heads import HeadConfig
from gmr.modeling.model import RerankModel, mask_of
from gmr.modeling.vision_features import PictureFeatures


def pool_first(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """Hidden state of each row's first real token.

    Args:
        hidden: ``(rows, length, width)``, any float dtype.
        attention_mask: ``(rows, length)``, 1 for real tokens, padding on either side.

    Returns:
        ``(rows, width)``, float32.
    """
    first = attention_mask.bool().int().argmax(dim=-1)
    return hidden[torch.arange(len(hidden), device=hidden.device), first].float()


class EncoderModel(RerankModel):
    """A bidirectional backbone with the interface of `RerankModel`; it computes padded pairs, nothing can be shared."""

    @property
    def base_model(self) -> Any:
        """The transformers model below the masked-language-model head, if there is one."""
        return getattr(self.causal_model, self.causal_model.base_model_prefix, self.causal_model)

    @property
    def text_model(self) -> Any:
        """The stack of layers, with a masked-language-model head above the model or without."""
        return self.base_model.get_submodule(self.facts.language)

    @property
    def layers(self) -> nn.ModuleList:
        """The layers of the stack."""
        layers: nn.ModuleList = self.text_model.layer
        return layers

    @property
    def has_language_head(self) -> bool:
        """Whether the checkpoint has a masked-language-model head."""
        return self.causal_model.get_output_embeddings() is not None

    def default_head(self) -> HeadConfig:
        """Frozen rows of a language-model head; trained ones where there is none."""
        return HeadConfig(trainable=not self.has_language_head)

    def answer_rows(self) -> Tensor:
        """Rows of the language-model head for the answers, or their word embeddings, ``(answers, width)``."""
        module = self.causal_model.get_output_embeddings() or self.causal_model.get_input_embeddings()
        weight: Tensor = module.weight
        return weight[torch.tensor(self.answer_ids, dtype=torch.long, device=weight.device)]

    def pool(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        """The first token's state ``(rows, width)`` float32, behind the transform of a language-model head."""
        pooled = pool_first(hidden, attention_mask)
        if not self.has_language_head:
            return pooled
        transformed: Tensor = self.causal_model.cls.predictions.transform(pooled.to(hidden.dtype))
        return transformed.float()

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
        """Hidden states after the last layer, ``(rows, length, width)``, of a padded batch of texts.

        Raises:
            ModelError: pictures, a packed sequence or a cache.
        """
        del image_grid_thw, image_index
        self.check_pictures_fit(pixel_values, picture_features)
        if layout is not None or past_key_values is not None:
            raise ModelError(
                f"a {self.facts.model_type} model sees a pair as a whole: packed sequences and caches are for others"
            )
        mask = mask_of(attention_mask)
        if position_ids is None:  # absolute positions: left padding would move every token
            position_ids = (mask.cumsum(-1) - 1).clamp(min=0)
        ends = (input_ids == self.processor.plain_tokenizer.control_id("[SEP]")).long()
        # The document and the mark that ends it are the second segment.
        segments = (ends.cumsum(-1) - ends).clamp(max=min(1, self.config.type_vocab_size - 1))
        hidden: Tensor = self.base_model(
            input_ids=input_ids, attention_mask=mask, token_type_ids=segments, position_ids=position_ids
        ).last_hidden_state
        return hidden
