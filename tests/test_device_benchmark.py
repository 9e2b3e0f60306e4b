"""The protocol for GPUs: operations are those of the published sizes, and in small everything of it runs on a CPU."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.device import __main__ as protocol
from benchmarks.device import inference, models, workloads
from benchmarks.device.flops import Sizes
from benchmarks.device.timing import Device
from benchmarks.workloads import KEPT, KNOWN
from transformers import AutoModelForImageTextToText

from gmr.modeling.model import RerankModel

PEAK = 790e12


@pytest.fixture(scope="module")
def toy_model() -> RerankModel:
    return models.as_reranker(models.random_backbone("toy", Device("cpu")), template="monoqwen2-vl")


@pytest.mark.parametrize(
    ("name", "billions"),
    [("qwen2.5-vl-3b", 3.75), ("qwen2.5-vl-7b", 8.29), ("qwen3-vl-2b", 2.13), ("qwen3-vl-8b", 8.77)],
)
def test_models_have_the_published_numbers_of_parameters(name: str, billions: float) -> None:
    with torch.device("meta"):
        backbone = AutoModelForImageTextToText.from_config(models.sized_config(name))
    distinct = {id(parameter): parameter.numel() for parameter in backbone.parameters()}
    assert sum(distinct.values()) == pytest.approx(billions * 1e9, rel=2e-3)


@pytest.mark.parametrize(
    ("name", "token", "small", "large", "head"),
    [
        ("qwen2.5-vl-3b", 5.55, 5.25, 5.58, 0.62),
        ("qwen2.5-vl-7b", 13.05, 5.26, 5.60, 1.09),
        ("qwen3-vl-2b", 2.82, 3.03, 4.64, 0.62),
        ("qwen3-vl-8b", 13.89, 4.13, 6.17, 1.24),
    ],
)
def test_operations_per_token_are_those_of_the_models(
    name: str, token: float, small: float, large: float, head: float
) -> None:
    """Per token of the language model, per visual token of pictures of 256 and 1280, and of a whole head."""
    sizes = Sizes.of(models.sized_config(name))
    found = (
        sizes.linear,
        sizes.picture(256) / 256,
        sizes.picture(1280) / 1280,
        2 * sizes.width * sizes.vocabulary,
    )
    assert [each / 1e9 for each in found] == pytest.approx([token, small, large, head], abs=0.006)


@pytest.mark.parametrize(
    ("prefix", "suffix", "query", "document", "pairwise", "shared", "known"),
    [
        (90, 160, 0, 0, 565, 877, 877),
        (90, 268, 0, 256, 236, 277, 523),
        (90, 1292, 0, 1280, 52, 54, 106),
        (328, 50, 256, 0, 228, 2512, 2624),
        (348, 368, 256, 256, 117, 227, 373),
    ],
)
def test_pairs_per_second_at_the_peak_of_a_card(
    prefix: int, suffix: int, query: int, document: int, pairwise: int, shared: int, known: int
) -> None:
    """Of a hundred documents for Qwen2.5-VL-3B, if the card did nothing but these operations."""
    sizes = Sizes.of(models.sized_config("qwen2.5-vl-3b"))
    pictures = [each for each in (query, document) if each] * 100
    distinct = ([query] if query else []) + ([document] * 100 if document else [])
    alone = sizes.group(prefix, [suffix] * 100)
    work = [
        sizes.pairwise([prefix + suffix] * 100, pictures),
        alone + sum(map(sizes.picture, distinct)),
        alone,
    ]
    assert [100 * PEAK / each for each in work] == pytest.approx([pairwise, shared, known], rel=0.01, abs=0.6)


def test_kept_pages_leave_the_querys_tokens(toy_model: RerankModel) -> None:
    pairs = workloads.toy(workloads.INFERENCE[-1]).pairs()
    prompts = toy_model.processor.encode_many(pairs)
    work = inference.operations(toy_model, prompts)
    sizes = Sizes.of(toy_model.config)
    page = prompts[0].num_document
    lengths = [len(prompt.input_ids) for prompt in prompts]
    assert len(set(lengths)) == 1
    # Tokens after a page cost what whole prompts cost beyond the page alone.
    own = sizes.group(0, lengths[:1]) - sizes.tokens(page)
    assert work["documents kept"] == len(pairs) * own < work["pictures known"] < work["shared"]


@pytest.mark.parametrize(
    ("wanted", "whether"),
    [([""], True), (["Cross"], True), (["CrossEncoder, batch 8"], True), (["packed [", "padded"], False)],
)
def test_a_peer_is_loaded_where_it_is_timed(wanted: list[str], whether: bool) -> None:
    assert inference.wants_cross_encoder(wanted) is whether


def test_layers_are_compiled_only_inside(toy_model: RerankModel) -> None:
    layers = toy_model.base_model.language_model.layers

    def switched_on() -> list[bool]:
        return [layer.mlp._compiled_call_impl is not None for layer in layers]

    for _ in range(2):
        assert inference.compiled(toy_model, switched_on) == [True] * len(layers)
        assert switched_on() == [False] * len(layers)


def test_without_a_gpu_all_parts_run_in_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    named = {"pages", "I->T 1+7"}
    for table in ("INFERENCE", "TRAINING"):
        monkeypatch.setattr(
            protocol, table, [each for each in getattr(workloads, table) if each.name in named]
        )
    options = ["--repeats", "1", "--warm-ups", "0", "--results", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["device", *options])
    protocol.main()
    record = json.loads((tmp_path / "device-toy.json").read_text())
    assert record["measured_on"] == "cpu, toy size"
    assert "NOT MEASURED: speed on any GPU" in capsys.readouterr().out
    found = record["models"]["toy"]
    assert found["kernel"] == "buckets"
    for result in found["relative difference in float32, two layers"].values():
        assert result["holds"]
    for table, pages in ((table, found[f"inference, {table}"]["pages"]) for table in protocol.TABLES):
        assert not pages["failed"]
        assert {KNOWN, KEPT, inference.PADDED, inference.ALONE, inference.UNSHARED} <= set(pages["variants"])
        assert ("CrossEncoder, batch 8" in pages["variants"]) == (table == protocol.END_TO_END)
        for name, variant in pages["variants"].items():
            assert variant["rms_difference_from_one_at_a_time"] <= 1e-5
            seconds = pages["seconds"][name]["median_s"]
            assert variant["pairs_per_second"] == pytest.approx(pages["num_pairs"] / seconds, rel=0.02)
    kernels = found["profile"]["pages"]["kernels"]
    assert "aten::addmm" in {kernel["name"] for kernel in kernels}
    assert [each["seconds"] for each in kernels] == sorted((k["seconds"] for k in kernels), reverse=True)
    assert sum(each["seconds"] for each in kernels) <= found["profile"]["pages"]["busy_seconds"] + 1e-3
    steps = found["training, LoRA"]["I->T 1+7"]
    assert all(
        not steps[kind]["failed"] and steps[kind]["times_faster"] for kind in ("plain", "checkpointing")
    )
