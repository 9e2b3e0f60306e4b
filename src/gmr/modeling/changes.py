"""Changes to a loaded model that experiments ask for: other answers, or a backbone that knows nothing yet."""

import dataclasses
from collections.abc import Sequence

import torch

from gmr.modeling.model import RerankModel
from gmr.modeling.processor import PromptProcessor


def change_answers(
    model: RerankModel, *, positive: Sequence[str] | None = None, negative: Sequence[str] | None = None
) -> None:
    """Let the model answer with other words; its head starts anew from their rows of the language-model head.

    Args:
        model: Changed in place.
        positive: Words that mean relevant, each one token where the answer stands; None keeps those it has.
        negative: The same of those that mean not relevant.

    Raises:
        ModelError: A word is not one token there, or stands on both sides.
    """
    before = model.processor
    template = dataclasses.replace(
        before.template,
        positive=before.template.positive if positive is None else tuple(positive),
        negative=before.template.negative if negative is None else tuple(negative),
    )
    model.processor = PromptProcessor(
        before.tokenizer, before.image_processor, template, max_tokens=before.max_tokens
    )
    answers = model.processor.answer_ids
    model.num_positive = len(answers.positive)
    model.answer_ids = (*answers.positive, *answers.negative)
    model.head = model.head_config.build(model.answer_rows())


def draw_weights(model: RerankModel, *, seed: int) -> None:
    """Give the backbone the random weights that one of its configuration starts training from.

    Args:
        model: Changed in place, its head included where that was made of the backbone's rows.
        seed: Of the weights; no other random number depends on it.
    """
    backbone = model.causal_model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        # Through its dictionary: the configuration in use names attention of ours, which no new model can look up.
        fresh = type(backbone)(type(backbone.config).from_dict(backbone.config.to_dict()))
    wanted = backbone.state_dict()
    # A fresh encoder has a pooler that one loaded for reading has not.
    backbone.load_state_dict({name: fresh.state_dict()[name] for name in wanted})
    model.head = model.head_config.build(model.answer_rows())
