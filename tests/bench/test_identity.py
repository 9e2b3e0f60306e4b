"""A change of anything a score depends on changes its key; a change of anything else does not."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gmr.bench.identity import PairKeys, reranker_facts, row_checksum, scorer_digest
from gmr.core.items import Image, Text
from gmr.core.nouns import Query
from gmr.modeling.adapters import add_lora
from gmr.modeling.loading import load_model
from gmr.modeling.quantization import quantize_model
from gmr.modeling.templates import TEMPLATES
from gmr.reranker import Reranker
from tests.bench.suites import png
from tests.helpers.tiny_checkpoints import tiny_checkpoint


def make() -> Reranker:
    return Reranker(load_model(tiny_checkpoint("qwen2_5_vl"), device="cpu", self_check=False))


def one_weight(reranker: Reranker) -> None:
    with torch.no_grad():
        weight = next(iter(reranker.model.backbone.parameters()))
        weight.view(-1)[3] += 1e-3


def one_image_setting(reranker: Reranker) -> None:
    reranker.model.processor.image_processor.max_pixels = 100_352
    reranker.model.processor.image_processor.size = {"shortest_edge": 3136, "longest_edge": 100_352}


def instruction_of_template(reranker: Reranker) -> None:
    processor = reranker.model.processor
    processor.template = replace(processor.template, default_instruction="Something else.")


def words_of_template(reranker: Reranker) -> None:
    processor = reranker.model.processor
    first, *rest = processor.template.segments
    processor.template = replace(processor.template, segments=(first, "x", *rest))


def one_token(reranker: Reranker) -> None:
    reranker.model.processor.tokenizer.add_tokens(["<new>"])


def adapter(reranker: Reranker) -> None:
    add_lora(reranker.model, rank=2)


CHANGES: dict[str, tuple[Callable[[Reranker], Any], set[str]]] = {
    "weight": (one_weight, {"weights"}),
    "image processor": (one_image_setting, {"image_processor"}),
    "default instruction": (instruction_of_template, {"template"}),
    "template": (words_of_template, {"template"}),
    "tokenizer": (one_token, {"tokenizer"}),
    "adapter": (adapter, {"adapter", "weights"}),
    "max_tokens": (lambda r: setattr(r.model.processor, "max_tokens", 100), {"max_tokens"}),
    "engine": (lambda r: setattr(r, "engine", "padded"), {"engine"}),
    "batch_tokens": (lambda r: setattr(r, "batch_tokens", 99), {"batch_tokens"}),
    "dtype": (lambda r: r.model.to(torch.bfloat16), {"dtype", "weights"}),
    "readout": (lambda r: setattr(r.model, "readout", "yes"), {"head", "readout"}),
    "int8": (lambda r: quantize_model(r.model), {"weights"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_part_that_is_changed_alone_gives_another_key(change: str) -> None:
    reranker = make()
    before = reranker_facts(reranker)
    assert reranker_facts(make()) == before, "the same model loaded twice is the same"
    alter, parts = CHANGES[change]
    alter(reranker)
    after = reranker_facts(reranker)
    assert {name for name in before if before[name] != after[name]} == parts
    assert scorer_digest(after) != scorer_digest(before)


def test_an_adapter_s_scale_is_part_of_it_though_no_weight_tells() -> None:
    models = []
    for alpha in (4.0, 8.0):
        reranker = make()
        torch.manual_seed(0)
        add_lora(reranker.model, rank=2, alpha=alpha)
        models.append(reranker_facts(reranker))
    assert models[0]["weights"] == models[1]["weights"]
    assert models[0]["adapter"] != models[1]["adapter"]


def test_where_a_model_lies_is_no_part_of_it() -> None:
    reranker = make()
    before = reranker_facts(reranker)
    reranker.model.config._name_or_path = "elsewhere"
    assert reranker_facts(reranker) == before


def test_templates_differ_from_each_other() -> None:
    processor = make()
    found = set()
    for template in TEMPLATES.values():
        processor.model.processor.template = template
        found.add(reranker_facts(processor)["template"].split()[1])
    assert len(found) == len(TEMPLATES)


texts = st.text(min_size=1, max_size=4)


@given(
    st.lists(
        st.tuples(texts, texts, st.none() | st.text(max_size=3), texts), min_size=2, max_size=2, unique=True
    )
)
def test_two_pairs_have_one_key_only_when_they_are_the_same_pair(
    pairs: list[tuple[str, str, str | None, str]],
) -> None:
    made = {
        PairKeys(scorer).key(Query("q", (Text(query),), instruction), (Text(document),))
        for scorer, query, instruction, document in pairs
    }
    cleaned = {tuple(None if part is None else Text(part).text for part in pair) for pair in pairs}
    assert len(made) == len(cleaned)


def test_pictures_order_of_parts_and_sides_are_part_of_the_key_and_ids_are_not() -> None:
    a, b, text = Image(png(1)), Image(png(2)), Text("a")
    keys = PairKeys("s")
    items = [(a,), (b,), (text,), (a, text), (text, a), (a, b), (b, a)]
    made = {keys.key(Query("q", query), document) for query in items for document in items}
    assert len(made) == len(items) ** 2
    assert keys.key(Query("q", (a,)), (b,)) == keys.key(Query("other", (Image(png(1)),)), (Image(png(2)),))
    keys.forget()
    assert keys.key(Query("q", (a,)), (b,)) in made


def test_a_checksum_tells_the_key_and_the_score() -> None:
    made = {
        row_checksum(key, score) for key in (b"a", b"b") for score in (None, 0.0, -0.0, 1.0, 1.0 + 2**-52)
    }
    assert len(made) == 10


def test_a_copy_of_a_model_is_the_same_model() -> None:
    reranker = make()
    assert reranker_facts(Reranker(copy.deepcopy(reranker.model))) == reranker_facts(reranker)
