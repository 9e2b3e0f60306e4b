"""Facts about the small model and its generative pre-training."""

import csv
import math
from dataclasses import replace

import pytest
import torch

from gmr.core.items import Text
from gmr.core.nouns import Document, Query
from gmr.suites.glyphs.naming import NamingExamples
from gmr.suites.naming import NamingExample
from gmr.train.nano import NanoConfig, build_nano
from gmr.train.pretrain import (
    BATCHES_PER_WINDOW,
    NamingBatches,
    PretrainConfig,
    learning_rate_factor,
    naming_loss,
    pretrain,
)

SMALL = NanoConfig(vocab_size=600, width=32, num_layers=2, num_vision_layers=1, num_heads=2)


@pytest.fixture(scope="module")
def examples():
    return NamingExamples(seed=3)


@pytest.fixture(scope="module")
def small(examples):
    return build_nano(SMALL, examples.texts())


def test_the_default_model_has_under_two_million_parameters_and_one_token_answers(examples):
    model = build_nano(NanoConfig(), examples.texts())
    assert sum(parameter.numel() for parameter in model.parameters()) < 2_000_000
    answers = model.processor.answer_ids
    assert len(answers.positive) == len(answers.negative) == 1
    assert answers.positive != answers.negative


def test_the_tokenizer_reads_names_whatever_their_case(small):
    encode = small.processor.plain_tokenizer.encode
    assert encode("LATIN SMALL LETTER E WITH ACUTE") == encode("latin small letter e with acute")
    assert small.processor.tokenizer.decode(encode("black chess queen")).strip() == "black chess queen"


def test_the_same_seed_builds_the_same_weights(examples, small):
    again = build_nano(SMALL, examples.texts())
    other = build_nano(SMALL, examples.texts(), seed=1)
    same = [torch.equal(a, b) for a, b in zip(small.parameters(), again.parameters(), strict=True)]
    assert all(same)
    assert not torch.equal(next(small.parameters()), next(other.parameters()))


@pytest.mark.parametrize("layout", ["naming", "ranking"])
def test_targets_are_the_words_of_the_answer_and_the_token_that_ends_them(examples, small, layout):
    asked = examples.example if layout == "naming" else examples.in_ranking_layout
    config = PretrainConfig(num_steps=BATCHES_PER_WINDOW, batch_size=3)
    batches = NamingBatches(asked, small.processor, config)
    tokenizer = small.processor.tokenizer
    said = sorted(
        tokenizer.decode(row[row != -100])
        for step in range(config.num_steps)
        for row in batches[step]["targets"]
    )
    wanted = []
    for number in range(BATCHES_PER_WINDOW * 3):
        example = asked(number)
        end = "<|answer|>" if example.is_document else "<|endoftext|>"
        wanted.append(tokenizer.decode(small.processor.plain_tokenizer.encode(example.answer)) + end)
    assert said == sorted(wanted)


def test_no_pretraining_prompt_says_what_is_relevant(examples):
    answers = {examples.in_ranking_layout(number).answer for number in range(400)}
    assert answers.isdisjoint({"yes", "no"})


def test_padding_and_batch_do_not_change_the_loss(small):
    shown = NamingExample("find the name", (Text("black queen"),), "black chess queen")
    longer = NamingExample("find the name of a thing that is told at length", (Text("x " * 20),), "y")
    config = PretrainConfig(num_steps=1, batch_size=1)
    alone = naming_loss(small, NamingBatches(lambda _: shown, small.processor, config)[0])[0]
    both = NamingBatches(lambda n: (shown, longer)[n % 2], small.processor, replace(config, batch_size=2))
    batch = both[0]
    row = int((batch["attention_mask"].sum(dim=1)).argmin())
    batch["targets"][1 - row] = -100
    assert naming_loss(small, batch)[0].item() == pytest.approx(alone.item(), abs=1e-5)


def test_learning_rate_rises_then_falls_to_two_percent():
    config = PretrainConfig(num_steps=100, warmup_steps=10)
    factors = [learning_rate_factor(step, config) for step in range(101)]
    assert factors[:10] == [(step + 1) / 10 for step in range(10)]
    assert factors[10] == 1.0
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert math.isclose(factors[-1], 0.02)


def test_a_few_steps_on_few_examples_lower_the_loss_and_are_logged(examples, tmp_path):
    model = build_nano(SMALL, examples.texts())
    config = PretrainConfig(num_steps=121, batch_size=8, warmup_steps=10, num_workers=0, log_every=40)
    pretrain(model, lambda n: examples.example(n % 8), config, log_path=tmp_path / "log.csv", progress=False)
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [0, 40, 80, 120]
    assert float(rows[-1]["loss"]) < 0.6 * float(rows[0]["loss"])


def test_a_pretrained_model_ranks_through_the_ordinary_prompt(small):
    prompt = small.processor.encode(Query("q", (Text("a"),)), Document("d", (Text("b"),)))
    assert len(prompt.input_ids) < 16
