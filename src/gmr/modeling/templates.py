"""Prompt templates as data: the exact strings each family of rerankers was trained on."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from gmr.core.errors import ConfigError

Side = Literal["instruction", "query", "document"]


@dataclass(frozen=True)
class Control:
    """A control token by its string; it must be an added token of the tokenizer."""

    token: str


@dataclass(frozen=True)
class TokenId:
    """A token by its id, where the family appends one that no text gives."""

    token_id: int


@dataclass(frozen=True)
class Slot:
    """Where the instruction, the query or the document goes, and how it is laid out there.

    Attributes:
        side: What goes here.
        images_first: Pictures before texts; otherwise the item's own order is kept.
        if_empty: The text that stands in for an item without picture and without a character.
        accepts: Kinds of item the family was made for: text, image, image and text.
        max_images: Most pictures of one item; ``None`` is no limit.
        max_tokens: Most tokens of the item's text alone; ``None`` is no limit of its own.
    """

    side: Side
    images_first: bool = False
    if_empty: str = ""
    accepts: tuple[str, ...] = ("t", "i", "it")
    max_images: int | None = None
    max_tokens: int | None = None


Segment = str | Control | TokenId | Slot


@dataclass(frozen=True)
class Template:
    """One family's prompt.

    Attributes:
        name: Key in ``TEMPLATES``.
        segments: Literal text (``str``), control tokens and slots, in order. The last one is the tail: it is
            never cut, and the score is read there.
        positive: Answers that mean relevant, each one token after the tail. Empty for a head of one output.
        negative: Answers that mean not relevant.
        default_instruction: Used for a query that brings none.
        max_tokens: Longest prompt, pictures included.
        image_tokens: Least and most tokens of one picture (after merging patches); ``None`` leaves it to the
            checkpoint's own image processor.
        picture: Control tokens before, for each token of, and after a picture.
        reads: Where the score is read: at the ``last`` token, or at the ``first`` of an encoder.
    """

    name: str
    segments: tuple[Segment, ...]
    positive: tuple[str, ...] = ("yes",)
    negative: tuple[str, ...] = ("no",)
    default_instruction: str = ""
    max_tokens: int = 8192
    image_tokens: tuple[int, int] | None = None
    picture: tuple[str, str, str] = ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>")
    reads: Literal["last", "first"] = "last"

    @property
    def first_side(self) -> str:
        """What the prompt begins with beside the template's own text: ``query`` (or its instruction), ``document``."""
        sides = [segment.side for segment in self.segments if isinstance(segment, Slot)]
        return "document" if sides[0] == "document" else "query"


START, END = Control("<|im_start|>"), Control("<|im_end|>")
JUDGE = (
    "Judge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".'
)
GRADE = (
    "Grade how well the Document meets the requirements based on the Query and the Instruct provided. "
    "Note that the answer can only be an integer from 0 (not at all) to 9 (perfectly)."
)
WEB_SEARCH = "Given a web search query, retrieve relevant passages that answer the query"


def _chat(system: str, *user: Segment, tail: tuple[Segment, ...] = ()) -> tuple[Segment, ...]:
    """Segments of a system turn, a user turn and an opened assistant turn of the Qwen chat form."""
    head = (START, f"system\n{system}", END, "\n", START, "user\n")
    return (*head, *user, END, "\n", START, "assistant\n", *tail)


def _table(*templates: Template) -> Mapping[str, Template]:
    return MappingProxyType({template.name: template for template in templates})


TEMPLATES: Mapping[str, Template] = _table(
    # lychee-rerank-mm. The paper prints no template: this is what the one public loader of its weights (MCMR)
    # renders. It puts a side's picture before its text; here the item's own order is kept.
    Template(
        name="gmr",
        segments=_chat(
            JUDGE,
            "<Instruct>: ",
            Slot("instruction"),
            "<Query>:",
            Slot("query"),
            "\n<Document>:",
            Slot("document"),
        ),
        default_instruction=WEB_SEARCH,
        max_tokens=3200,
        image_tokens=(4, 1280),
    ),
    # Graded answers in the layout above. ERank asks in other words, for a number up to 10 and with reasoning before it;
    # the wording here is ours, and 10 is two tokens to these tokenizers.
    Template(
        name="gmr-grades",
        segments=_chat(
            GRADE,
            "<Instruct>: ",
            Slot("instruction"),
            "<Query>:",
            Slot("query"),
            "\n<Document>:",
            Slot("document"),
        ),
        positive=("9", "8", "7", "6", "5"),
        negative=("4", "3", "2", "1", "0"),
        default_instruction=WEB_SEARCH,
        max_tokens=3200,
        image_tokens=(4, 1280),
    ),
    # The released code has no newline before <Query> and no blank after the colons; the report prints both.
    Template(
        name="qwen3-vl-reranker",
        segments=_chat(
            JUDGE,
            "<Instruct>: ",
            Slot("instruction"),
            "<Query>:",
            Slot("query", images_first=True, if_empty="NULL"),
            "\n<Document>:",
            Slot("document", images_first=True, if_empty="NULL"),
        ),
        default_instruction="Given a search query, retrieve relevant candidates that answer the query.",
        max_tokens=10_240,
        image_tokens=(4, 1800),
    ),
    # Single newlines between the fields, as in the report and the transformers example; the vLLM one has two.
    Template(
        name="qwen3-reranker",
        segments=_chat(
            JUDGE,
            "<Instruct>: ",
            Slot("instruction"),
            "\n<Query>: ",
            Slot("query", accepts=("t",)),
            "\n<Document>: ",
            Slot("document", accepts=("t",)),
            tail=(Control("<think>"), "\n\n", Control("</think>"), "\n\n"),
        ),
        default_instruction=WEB_SEARCH,
        max_tokens=8192,
    ),
    # No chat form, no place for an instruction, document first; the score is read at an appended token.
    Template(
        name="jina-reranker-m0",
        segments=(
            "**Document**:\n",
            Slot("document", accepts=("t", "i"), max_images=1),
            "\n**Query**:\n",
            Slot("query", accepts=("t", "i"), max_images=1, max_tokens=512),
            TokenId(100),
        ),
        positive=(),
        negative=(),
        max_tokens=10_240,
        image_tokens=(4, 768),
    ),
    # Text queries over page pictures only; the system sentence is what Qwen2-VL's chat template adds.
    Template(
        name="monoqwen2-vl",
        segments=_chat(
            "You are a helpful assistant.",
            Slot("document", accepts=("i",), max_images=1),
            "Assert the relevance of the previous image document to the following query, "
            "answer True or False. The query is: ",
            Slot("query", accepts=("t",)),
        ),
        positive=("True",),
        negative=("False",),
        max_tokens=8192,
    ),
    # Our small model: as few tokens as a prompt can have, every boundary a control token.
    Template(
        name="nano",
        segments=(
            Slot("instruction"),
            Control("<|query|>"),
            Slot("query"),
            Control("<|document|>"),
            Slot("document"),
            Control("<|answer|>"),
        ),
        max_tokens=512,
    ),
    # BERT's pair of segments, as cross-encoders are trained on; it has no place for an instruction.
    Template(
        name="encoder",
        segments=(
            Control("[CLS]"),
            Slot("query", accepts=("t",)),
            Control("[SEP]"),
            Slot("document", accepts=("t",)),
            Control("[SEP]"),
        ),
        max_tokens=512,
        reads="first",
    ),
)

# What a checkpoint without gmr.json most likely was trained on.
_BY_ARCHITECTURE = MappingProxyType({"JinaVLForRanking": "jina-reranker-m0"})
_BY_MODEL_TYPE = MappingProxyType(
    {
        "qwen3": "qwen3-reranker",
        "qwen3_vl": "qwen3-vl-reranker",
        "qwen2_5_vl": "gmr",
        "qwen2_vl": "gmr",
        "bert": "encoder",
    }
)


def find_template(name: str) -> Template:
    """The template called ``name``.

    Raises:
        ConfigError: No such template; the message lists those there are.
    """
    if name not in TEMPLATES:
        raise ConfigError(f"no template is called {name!r}; there are {', '.join(TEMPLATES)}")
    return TEMPLATES[name]


def guess_template(config: Mapping[str, Any], *, where: str) -> Template:
    """The template a checkpoint's ``config.json`` points to.

    Args:
        config: Contents of the file.
        where: Folder or name of the checkpoint. A name with ``monoqwen`` in it is MonoQwen2-VL, whose config
            is that of its backbone.

    Raises:
        ConfigError: Nothing in the config points to a template.
    """
    if "monoqwen" in where.lower():
        return TEMPLATES["monoqwen2-vl"]
    for architecture in config.get("architectures") or ():
        if architecture in _BY_ARCHITECTURE:
            return TEMPLATES[_BY_ARCHITECTURE[architecture]]
    model_type = str(config.get("model_type"))
    if model_type in _BY_MODEL_TYPE:
        return TEMPLATES[_BY_MODEL_TYPE[model_type]]
    raise ConfigError(
        f"{where}: no gmr.json, and model type {model_type!r} does not say which prompt the model was "
        f"trained on; give template=, one of {', '.join(TEMPLATES)}"
    )
