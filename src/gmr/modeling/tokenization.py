"""Text of users is data: it is encoded without any added token, and control tokens are placed by id."""

from dataclasses import dataclass
from typing import Any

from tokenizers import Encoding, Tokenizer
from transformers import PreTrainedTokenizerFast

from gmr.core.errors import ModelError
from gmr.core.items import replace_surrogates
from gmr.modeling.templates import Control, Slot, Template, TokenId

# Runs repeat from pair to pair (a query meets a hundred documents); long ones are not worth their memory.
_CACHED_RUNS = 16_384
_CACHED_CHARACTERS = 512


@dataclass(frozen=True)
class AnswerIds:
    """Token ids of the answers; both empty for a head of one output."""

    positive: tuple[int, ...]
    negative: tuple[int, ...]


class PlainTokenizer:
    """A tokenizer's model and normaliser without its added tokens: no text can become a control id.

    Args:
        tokenizer: A transformers tokenizer backed by the tokenizers library.

    Raises:
        ModelError: An added token comes out of plain text all the same.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.control_ids = dict(tokenizer.get_added_vocab())
        backend = tokenizer.backend_tokenizer
        # Shares the model and its vocabulary; the added tokens are left behind, so no text ever meets them.
        self._tokenizer = Tokenizer(backend.model)
        if backend.normalizer is not None:
            self._tokenizer.normalizer = backend.normalizer
        if backend.pre_tokenizer is not None:
            self._tokenizer.pre_tokenizer = backend.pre_tokenizer
        self._cache: dict[str, list[int]] = {}
        controls = set(self.control_ids.values())
        for token in self.control_ids:
            if controls.intersection(self.encode(token)):
                # A model that takes whole words from its vocabulary (ignore_merges) would do this.
                raise ModelError(
                    f"the tokenizer encodes the text {token!r} as a control token even as plain text"
                )

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``; the caller must not change the list."""
        ids = self._cache.get(text)
        if ids is None:
            ids = self._tokenizer.encode(replace_surrogates(text), add_special_tokens=False).ids
            if len(text) <= _CACHED_CHARACTERS:
                if len(self._cache) >= _CACHED_RUNS:
                    self._cache.clear()
                self._cache[text] = ids
        return ids

    def encode_with_offsets(self, text: str) -> Encoding:
        """Token ids of ``text`` and the characters each one comes from."""
        return self._tokenizer.encode(replace_surrogates(text), add_special_tokens=False)

    def control_id(self, token: str) -> int:
        """Id of a control token.

        Raises:
            ModelError: The tokenizer has no such added token.
        """
        if token not in self.control_ids:
            raise ModelError(f"the tokenizer has no added token {token!r}, which the prompt needs")
        return self.control_ids[token]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cache": {}}


def find_answer_ids(template: Template, tokenizer: PlainTokenizer) -> AnswerIds:
    """Ids of the template's answers, each looked up as the one token that follows the template's tail.

    Raises:
        ModelError: An answer is not one token there; the message names its text and its tokens.
    """
    tail = _closing_text(template)
    before = tokenizer.encode(tail) if tail else []

    def answer_id(answer: str) -> int:
        # "yes" and " yes" are different tokens, and a tail may merge with what follows: encode them together.
        together = tokenizer.encode(tail + answer)
        if len(together) != len(before) + 1 or together[:-1] != before:
            raise ModelError(
                f"template {template.name!r}: the answer {answer!r} must be one token after {tail!r}, "
                f"but the tokenizer gives {together[len(before) :]} for it ({together} with the text before); "
                "choose a template, or answers (a set of them by name, or those in gmr.json), that fit this tokenizer"
            )
        return together[-1]

    ids = AnswerIds(tuple(map(answer_id, template.positive)), tuple(map(answer_id, template.negative)))
    if len({*ids.positive, *ids.negative}) != len(ids.positive) + len(ids.negative):
        raise ModelError(
            f"template {template.name!r}: answers {template.positive + template.negative} "
            f"share a token: {ids}"
        )
    return ids


def _closing_text(template: Template) -> str:
    """The literal text after the template's last control token; an answer may merge with that alone."""
    text = ""
    for segment in reversed(template.segments):
        if isinstance(segment, Control | TokenId):
            return text
        if isinstance(segment, Slot):
            break
        text = segment + text
    raise ModelError(f"template {template.name!r} must have a control token after its last slot")
