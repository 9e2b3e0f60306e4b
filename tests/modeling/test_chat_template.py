"""The Jinja form renders what our processor renders, however the content is spelled."""

import pytest

from gmr.core.errors import ModelError
from gmr.core.items import Image, Item, Text
from gmr.core.nouns import Document, Query
from gmr.modeling.chat_template import chat_template
from gmr.modeling.processor import PromptProcessor
from gmr.modeling.templates import TEMPLATES
from tests.modeling.pairs import item, picture
from tests.modeling.qwen_fixtures import QWEN3_VL, nano_processor, qwen_processor

TEXT, LINES, SHOWN = item("a queen"), item(" \nwith 'quotes' \"and\" {{ braces }}\n"), item(picture(64, 64))
MIXED = item("one", picture(64, 64), "two ", " three", picture(64, 64, 1))
ITEMS = {
    "gmr": [(TEXT, LINES), (SHOWN, MIXED), (MIXED, TEXT)],
    "qwen3-vl-reranker": [(TEXT, LINES), (SHOWN, MIXED), (item(""), item(picture(64, 64), ""))],
    "qwen3-reranker": [(TEXT, LINES), (item(""), TEXT)],
    "monoqwen2-vl": [(LINES, SHOWN)],
    "nano": [(TEXT, LINES), (SHOWN, MIXED), (item(""), SHOWN)],
}


def processor_of(name: str) -> PromptProcessor:
    return nano_processor() if name == "nano" else qwen_processor(name, QWEN3_VL)


def messages(query_item: Item, document_item: Item, instruction: str | None) -> list[dict]:
    def content(parts: Item) -> list[dict]:
        return [
            {"type": "text", "text": part.text}
            if isinstance(part, Text)
            else {"type": "image", "image": part}
            for part in parts
        ]

    system = [] if instruction is None else [{"role": "system", "content": item_content(instruction)}]
    return [
        *system,
        {"role": "query", "content": content(query_item)},
        {"role": "document", "content": content(document_item)},
    ]


def item_content(text: str) -> list[dict]:
    return [{"type": "text", "text": text}]


@pytest.mark.parametrize("name", ITEMS)
@pytest.mark.parametrize("instruction", [None, "", "Find it\n"])
def test_the_chat_template_gives_the_ids_of_our_prompt(name: str, instruction: str | None) -> None:
    processor = processor_of(name)
    pad = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    for left, right in ITEMS[name]:
        prompt = processor.encode(Query("q", left, instruction), Document("d", right))
        ids = processor.tokenizer.apply_chat_template(
            messages(left, right, instruction),
            chat_template=processor.chat_template(),
            add_generation_prompt=True,
            return_dict=False,
        )
        counts = iter(processor.num_image_tokens(grid) for grid in prompt.grids)
        expanded = [each for id_ in ids for each in [id_] * (next(counts) if id_ == pad else 1)]
        assert expanded == prompt.input_ids


@pytest.mark.parametrize("name", ITEMS)
def test_content_as_one_string_renders_as_content_in_parts(name: str) -> None:
    tokenizer = processor_of(name).tokenizer
    source = chat_template(TEMPLATES[name])
    picture_text = "<|vision_start|><|image_pad|><|vision_end|>"
    as_text = [
        {"role": "system", "content": "Find it\n"},
        {"role": "query", "content": f"{picture_text} a\n"},
        {"role": "document", "content": "b\n"},
    ]
    as_parts = [
        {"role": "system", "content": item_content("Find it\n")},
        {
            "role": "query",
            "content": [{"type": "image_url", "image_url": {"url": "x"}}, *item_content(" a\n")],
        },
        {"role": "document", "content": item_content("b\n")},
    ]
    one, other = (
        tokenizer.apply_chat_template(m, chat_template=source, tokenize=False) for m in (as_text, as_parts)
    )
    assert one == other
    assert f"{picture_text} a\n" in one


def test_messages_without_query_or_document_are_refused() -> None:
    tokenizer = nano_processor().tokenizer
    for role in ("query", "document", "user"):
        with pytest.raises(Exception, match="one message of role query and one of role document"):
            tokenizer.apply_chat_template(
                [{"role": role, "content": "x"}],
                chat_template=chat_template(TEMPLATES["nano"]),
                tokenize=False,
            )


def test_a_prompt_with_a_bare_token_id_has_no_chat_template() -> None:
    with pytest.raises(ModelError, match="template 'jina-reranker-m0' cannot be a chat template"):
        chat_template(TEMPLATES["jina-reranker-m0"])


def test_every_picture_of_an_item_is_in_its_place() -> None:
    processor = nano_processor()
    rendered = processor.tokenizer.apply_chat_template(
        messages(TEXT, MIXED, None), chat_template=processor.chat_template(), tokenize=False
    )
    shown = "<|vision_start|><|image_pad|><|vision_end|>"
    assert rendered == f"<|query|>a queen<|document|>one{shown}two  three{shown}<|answer|>"
    assert sum(isinstance(part, Image) for part in MIXED) == rendered.count(shown)
