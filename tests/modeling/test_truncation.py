"""Truncation takes text from the end, of the document first, and nothing else."""

import functools
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from gmr.core.errors import DataError
from gmr.core.items import Image
from gmr.modeling.processor import Prompt, PromptProcessor
from gmr.modeling.templates import Control, Slot, Template
from tests.modeling.pairs import document, picture, query
from tests.modeling.qwen_fixtures import nano_processor, qwen_processor

WORDS = (
    "black",
    " queen",
    "e\u0301",
    " ",
    "\n",
    "中文",
    "👩‍👩‍👧",
    "<|im_end|>",
    "aaaaaaaa",
    "x ",
    "\u0301" * 5,
)
texts = st.lists(st.sampled_from(WORDS), max_size=12).map("".join)
items = st.lists(
    st.one_of(texts, st.just(picture(32, 32)), st.just(picture(28, 60, 3))), min_size=1, max_size=4
)


@functools.cache
def processor_of(name: str, max_tokens: int) -> PromptProcessor:
    return nano_processor(max_tokens) if name == "nano" else qwen_processor("gmr", max_tokens=max_tokens)


def text_of_prompt(processor: PromptProcessor, prompt: Prompt) -> str:
    return processor.tokenizer.decode(prompt.input_ids)


@settings(max_examples=80, deadline=None)
@given(items, items, st.sampled_from(["nano", "gmr"]))
def test_pictures_and_tail_stay_and_a_larger_limit_never_keeps_less(
    left: list, right: list, name: str
) -> None:
    asked, candidate = query(*left, instruction="do"), document(*right)
    whole = processor_of(name, 10_000).encode(asked, candidate)
    bare = processor_of(name, 10_000).encode(
        query(*[part if isinstance(part, Image) else "" for part in left], instruction="do"),
        document(*[part if isinstance(part, Image) else "" for part in right]),
    )
    tail = bare.input_ids[-3 if name == "gmr" else -1 :]
    kept = 0
    for limit in range(len(bare.input_ids), len(whole.input_ids) + 2, 3):
        prompt = processor_of(name, limit).encode(asked, candidate)
        assert len(prompt.input_ids) <= limit
        assert prompt.images == whole.images
        assert prompt.grids == whole.grids
        assert [i for i in prompt.input_ids if i in pad_ids(name)] == [
            i for i in whole.input_ids if i in pad_ids(name)
        ]
        assert prompt.input_ids[-len(tail) :] == tail
        assert prompt.truncated == (len(whole.input_ids) > limit)
        if not prompt.truncated:
            assert prompt == whole
        length = len(processor_of(name, limit).tokenizer.decode(prompt.input_ids))
        assert length >= kept
        kept = length


def pad_ids(name: str) -> set[int]:
    added = processor_of(name, 10_000).tokenizer.get_added_vocab()
    return {id_ for token, id_ in added.items() if token != "<|endoftext|>"}


def test_the_query_is_whole_until_the_document_has_no_text_left() -> None:
    asked, candidate = query(" queen" * 30), document(" a" * 10, picture(), " b" * 10)
    processor = qwen_processor("gmr", max_tokens=10_000)
    whole = len(processor.encode(asked, candidate).input_ids)
    for removed, counts in (
        (1, (30, 10, 9)),
        (10, (30, 10, 0)),
        (13, (30, 7, 0)),
        (20, (30, 0, 0)),
        (25, (25, 0, 0)),
    ):
        limited = processor_of("gmr", whole - removed)
        text = text_of_prompt(limited, limited.encode(asked, candidate))
        question, answer = text.split("\n<Document>:")
        front, back = answer.split("<|vision_end|>")
        assert (question.count(" queen"), front.count(" a"), back.count(" b")) == counts
        assert text.endswith("<|im_end|>\n<|im_start|>assistant\n")


def test_a_cut_document_is_the_prompt_of_its_shorter_text() -> None:
    asked, candidate = query("x"), document("one two three four five six seven")
    processor = processor_of("gmr", 10_000)
    prompt = processor_of("gmr", len(processor.encode(asked, candidate).input_ids) - 3).encode(
        asked, candidate
    )
    assert prompt.input_ids == processor.encode(asked, document("one two three four")).input_ids


def test_pictures_that_do_not_fit_are_an_error_with_ids_and_numbers() -> None:
    asked, candidate = query("long text"), document(picture(280, 280), "text")
    needed = len(processor_of("gmr", 10_000).encode(query(""), document(picture(280, 280))).input_ids)
    assert processor_of("gmr", needed).encode(asked, candidate).truncated
    numbers = rf"pictures \(1\) take {needed} tokens, more than max_tokens = {needed - 1}"
    with pytest.raises(DataError, match=f"query 'q' with document 'd': .* {numbers}"):
        processor_of("gmr", needed - 1).encode(asked, candidate)


def test_a_text_that_shares_its_first_token_with_the_template_can_be_cut_whole() -> None:
    backend = Tokenizer(models.BPE({"a": 0, "b": 1, "c": 2, "bc": 3, "ab": 4}, [("b", "c"), ("a", "b")]))
    backend.add_special_tokens(["<|answer|>"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
    template = Template("x", (Slot("query"), "ab", Slot("document"), Control("<|answer|>")), ("a",), ("b",))
    # "ab" + "c" is "a", "bc": no token begins in the document, yet the prompt is shorter without it.
    processor = PromptProcessor(tokenizer, None, template, max_tokens=2)
    prompt = processor.encode(query(""), document("c"))
    assert tokenizer.convert_ids_to_tokens(prompt.input_ids) == ["ab", "<|answer|>"]


def test_an_instruction_is_never_cut() -> None:
    with pytest.raises(DataError, match=r"template, instruction and pictures \(0\) take"):
        processor_of("gmr", 100).encode(query("x", instruction="word " * 200), document("y"))


@pytest.mark.parametrize(
    "text", ["a" * 10_000_000, "\u0301" * 1_000_000, "x \n" * 1_000_000, "👩‍👩‍👧" * 500_000]
)
def test_giant_texts_are_cut_before_they_are_tokenised(text: str) -> None:
    processor = processor_of("gmr", 200)
    begin = time.process_time()
    prompt = processor.encode(query("x"), document(text))
    assert prompt.truncated
    assert len(prompt.input_ids) <= 200
    assert time.process_time() - begin < 5


def test_random_cuts_of_mixed_scripts_always_fit() -> None:
    rng = random.Random(5)
    for _ in range(300):
        parts = ["".join(rng.choices(WORDS, k=rng.randint(1, 60))) for _ in range(3)]
        limit = rng.randint(60, 140)
        prompt = processor_of("gmr", limit).encode(query(parts[0], instruction="do"), document(*parts[1:]))
        assert len(prompt.input_ids) <= limit
