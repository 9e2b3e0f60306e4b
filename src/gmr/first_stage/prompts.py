"""The prompts of vision-language embedders: one item with an instruction, the embedding read at the last token."""

import dataclasses
import unicodedata
from dataclasses import dataclass
from types import MappingProxyType

from gmr.modeling.templates import Control, Segment, Side, Slot, Template

START, END = Control("<|im_start|>"), Control("<|im_end|>")


@dataclass(frozen=True)
class EmbeddingPrompt:
    """How one family of embedders reads an item.

    Attributes:
        name: key in ``PROMPTS``.
        default_instruction: of documents, and of queries that bring none.
        if_empty: the text that stands in for an item without a character.
        tail: what follows the opened turn of the assistant.
        closes_sentence: an instruction that does not end in punctuation gets a full stop.
        max_tokens: longest prompt, pictures included.
        image_tokens: least and most tokens of one picture.
    """

    name: str
    default_instruction: str
    max_tokens: int
    image_tokens: tuple[int, int]
    if_empty: str = ""
    tail: tuple[Segment, ...] = ()
    closes_sentence: bool = False

    def template(self, side: Side) -> Template:
        """The prompt with a place for an item of this side, pictures first; nothing is answered after it."""
        return Template(
            name=f"{self.name} embedding",
            segments=(
                *(START, "system\n", Slot("instruction"), END, "\n", START, "user\n"),
                *(Slot(side, images_first=True, if_empty=self.if_empty), END, "\n", START, "assistant\n"),
                *self.tail,
            ),
            positive=(),
            negative=(),
            default_instruction=self.default_instruction,
            max_tokens=self.max_tokens,
            image_tokens=self.image_tokens,
        )

    def instruction(self, given: str | None) -> str:
        """The instruction as the prompt has it."""
        if given is None or not given.strip():
            return self.default_instruction
        if not self.closes_sentence:
            return given
        given = given.strip()
        return given if unicodedata.category(given[-1]).startswith("P") else f"{given}."

    def to_json(self) -> dict[str, object]:
        """Everything of the prompt that changes an embedding."""
        tail = [repr(segment) for segment in self.tail]
        return {**dataclasses.asdict(self), "image_tokens": list(self.image_tokens), "tail": tail}


PROMPTS = MappingProxyType(
    {
        prompt.name: prompt
        for prompt in (
            # arXiv 2412.16855, as its loader in mteb renders it: the end-of-text token is part of the prompt.
            EmbeddingPrompt(
                name="gme",
                default_instruction="You are a helpful assistant.",
                max_tokens=1800,
                image_tokens=(4, 1280),
                tail=(Control("<|endoftext|>"),),
            ),
            # arXiv 2601.04720: the chat template of the checkpoint with an opened turn of the assistant.
            EmbeddingPrompt(
                name="qwen3-vl-embedding",
                default_instruction="Represent the user's input.",
                max_tokens=8192,
                image_tokens=(4, 1800),
                if_empty="NULL",
                closes_sentence=True,
            ),
        )
    }
)
# What a checkpoint was most likely trained on, by its model type.
BY_MODEL_TYPE = MappingProxyType({"qwen2_vl": "gme", "qwen2_5_vl": "gme", "qwen3_vl": "qwen3-vl-embedding"})
