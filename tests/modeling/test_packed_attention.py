"""Packed sequences give what whole prompts give: logits and gradients, and faults in them are noticed."""

import dataclasses
import pickle
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gmr.core.errors import ModelError
from gmr.inference.planner import parts_of
from gmr.modeling import attention, device_layout, lean_attention, packing, prefix_attention, self_check
from gmr.modeling import layout as layouts
from gmr.modeling.adapters import add_lora
from gmr.modeling.device_layout import to_device
from gmr.modeling.last_rows import follow_last_rows, only_rows
from gmr.modeling.layout import Span, lay_out
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from gmr.modeling.packed_attention import packed_attention
from gmr.modeling.packed_batch import collate_packed
from gmr.modeling.packing import Part, pack
from gmr.modeling.self_check import check_packed
from tests.helpers.counting import count_patches
from tests.helpers.pairs import pairs_for
from tests.helpers.tiny_checkpoints import ARCHITECTURES, tiny_checkpoint
from tests.helpers.varlen import aligned_at_the_start, cpu_kernel, naive

Patch = pytest.MonkeyPatch


@pytest.fixture(scope="module")
def model() -> RerankModel:
    return load_model(tiny_checkpoint("qwen2_5_vl"), device="cpu", self_check=False)


def packed_logits(model: RerankModel, prompts: list[Any]) -> torch.Tensor:
    """Logits from one packed sequence, in the order of the prompts."""
    placeholder = model.processor.image_token_id
    parts, places = parts_of(prompts, placeholder=placeholder)
    logits = model(**collate_packed(model.processor, pack(parts, placeholder=placeholder)))
    return logits[torch.tensor(places).argsort()]


def gradients(model: RerankModel, logits: torch.Tensor) -> torch.Tensor:
    model.zero_grad()
    weights = torch.linspace(-1, 1, logits.numel()).view_as(logits)
    (logits * weights).sum().backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


VARIANTS = ["full", "lora", "checkpointing", "lora+checkpointing", "kernel", "kernel+lora+checkpointing"]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logits_and_gradients_are_those_of_padded_pairs(architecture: str, variant: str) -> None:
    model = load_model(tiny_checkpoint(architecture), device="cpu", self_check=False)
    if "lora" in variant:
        add_lora(model, rank=4, alpha=8.0, dropout=0.0)
        torch.manual_seed(0)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:  # zeros at first, and then everything before them has no gradient
                torch.nn.init.normal_(parameter, std=0.02)
    if "checkpointing" in variant:
        model.causal_model.gradient_checkpointing_enable({"use_reentrant": False})
        model.train()
    prompts = model.processor.encode_many(pairs_for(architecture))
    padded = model(**model.processor.collate(prompts))
    expected = gradients(model, padded)
    with cpu_kernel() if "kernel" in variant else nullcontext():
        packed = packed_logits(model, prompts)
        found = gradients(model, packed)
    torch.testing.assert_close(packed, padded, atol=1e-5, rtol=5e-6)
    assert float((found - expected).norm()) <= 1e-5 * float(expected.norm())


def test_one_pass_computes_shared_tokens_and_pictures_once(model: RerankModel, monkeypatch: Patch) -> None:
    prompts = model.processor.encode_many(pairs_for("qwen2_5_vl"))
    parts, _ = parts_of(prompts, placeholder=model.processor.image_token_id)
    packed = pack(parts, placeholder=model.processor.image_token_id)
    whole = sum(len(prompt.input_ids) for prompt in prompts)
    shared = sum(part.num_shared * (len(part.prompts) - 1) for part in parts)
    assert packed.num_tokens == whole - shared < 0.6 * whole
    patches = count_patches(model, monkeypatch)
    with torch.inference_mode():
        model(**collate_packed(model.processor, packed))
    distinct = {image.key: image for prompt in prompts for image in prompt.images}
    assert patches == [len(model.processor.preprocess(list(distinct.values()))[0])]


spans = st.lists(
    st.tuples(st.integers(0, 6), st.lists(st.integers(1, 9), min_size=1, max_size=4)), min_size=1, max_size=5
)


@settings(deadline=None)
@given(
    groups=spans,
    cost=st.sampled_from([0, 50, 16_384, None]),
    short=st.sampled_from([0, 40, 65_536]),
    turn=st.sampled_from([1, 3, 64]),
    scores=st.sampled_from([1, 200, 500_000]),
    heads=st.sampled_from([(2, 2), (4, 2)]),
    num_kept=st.sampled_from([0, 3]),
    avx512=st.booleans(),
    reads=st.lists(st.floats(0, 0.999), min_size=1, max_size=6),
)
def test_attention_is_that_of_a_dense_mask(
    groups: list[tuple[int, list[int]]],
    cost: int | None,
    short: int,
    turn: int,
    scores: int,
    heads: tuple[int, int],
    num_kept: int,
    avx512: bool,
    reads: list[float],
) -> None:
    """Any prefixes and lengths, any cut into calls or a kernel: the same as one call with the whole mask written out.

    With and without gradients, and where only some tokens are read, which is computed in other ways.

    With kept tokens the first group's prefix is kept and not a part of the sequence.
    """
    found: list[Span] = []
    owner: list[tuple[int, int]] = [(0, -1)] * num_kept  # of every key; -1 is the group's prefix
    for number, (prefix, lengths) in enumerate(groups):
        start = len(owner)
        if number == 0 and num_kept:
            start, prefix = 0, num_kept  # noqa: PLW2901
        elif prefix:
            found.append(Span(start - num_kept, prefix))
            owner += [(number, -1)] * prefix
        for index, length in enumerate(lengths):
            place = len(owner) - num_kept
            found.append(Span(place, length, start, prefix) if prefix else Span(place, length))
            owner += [(number, index)] * length
    mask = torch.tensor(
        [
            [
                j <= i and owner[i][0] == owner[j][0] and owner[j][1] in (-1, owner[i][1])
                for j in range(len(owner))
            ]
            for i in range(num_kept, len(owner))
        ]
    )
    tokens = len(owner) - num_kept
    generator = torch.Generator().manual_seed(tokens)
    query = torch.randn(1, heads[0], tokens, 4, generator=generator, requires_grad=True)
    keys, values = torch.randn(2, 1, heads[1], len(owner), 4, generator=generator).requires_grad_()
    layers = {0: tuple(states[0, :, :num_kept].transpose(0, 1) for states in (keys, values))}
    layer = torch.nn.Module()
    layer.self_attn = module = torch.nn.Module()
    module.layer_idx = 0  # type: ignore[assignment]
    with pytest.MonkeyPatch.context() as patch, cpu_kernel() if cost is None else nullcontext():
        patch.setattr(layouts, "CALL_COST", cost)
        patch.setattr(attention, "MAX_WRITTEN_OUT", short)
        patch.setattr(lean_attention, "MAX_WRITTEN_OUT_IN_TRAINING", short)
        patch.setattr(attention, "MIN_TURN", turn)
        patch.setattr(attention, "HAS_AVX512", avx512)
        patch.setattr(prefix_attention, "MAX_SCORES", scores)
        layout = to_device(
            lay_out(found, num_tokens=tokens, num_kept=num_kept),
            torch.device("cpu"),
            read=(layers,) if num_kept else (),  # type: ignore[arg-type]
        )
        own = [states[:, :, num_kept:] for states in (keys, values)]
        output, _ = packed_attention(module, query, *own, None, packed_layout=layout)
        with torch.inference_mode():
            inferred, _ = packed_attention(module, query, *own, None, packed_layout=layout)
            places = [int(share * tokens) for share in reads]
            follow_last_rows(layer)
            with only_rows(layer, torch.tensor(places), num_tokens=tokens):
                read, _ = packed_attention(module, query, *own, None, packed_layout=layout)
    expected = torch.nn.functional.scaled_dot_product_attention(
        query, keys, values, attn_mask=mask, enable_gqa=heads[0] != heads[1]
    ).transpose(1, 2)
    torch.testing.assert_close(output, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(inferred, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(read[:, places], expected[:, places], atol=1e-5, rtol=1e-5)
    wanted, got = (
        torch.autograd.grad((each * torch.arange(4)).sum(), (query, keys, values), retain_graph=True)
        for each in (expected, output)
    )
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("option", ["sliding_window", "softcap", "s_aux", "dropout", "a mask"])
def test_attention_that_is_not_plain_is_refused(option: str) -> None:
    states = torch.zeros(1, 1, 3, 2)
    layout = to_device(lay_out([Span(0, 3)], num_tokens=3), torch.device("cpu"))
    options: dict[str, Any] = {"dropout": 0.1} if option == "dropout" else {option: 4}
    mask = torch.ones(1, 1, 3, 3) if option == "a mask" else None
    with pytest.raises(NotImplementedError, match=option):
        packed_attention(
            torch.nn.Module(),
            states,
            states,
            states,
            mask,
            packed_layout=layout,
            **({} if mask is not None else options),
        )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_sound_models_pass_the_check_at_load(architecture: str, dtype: str) -> None:
    assert load_model(tiny_checkpoint(architecture), device="cpu", dtype=dtype).engine == "packed"


def wrong_mask(monkeypatch: Patch) -> None:
    """Documents see each other: all of the sequence before them."""
    original = packing.pack

    def seeing(parts: Any, **options: Any) -> Any:
        packed = original(parts, **options)
        spans = tuple(
            dataclasses.replace(span, prefix_start=packed.num_kept, prefix_length=span.start)
            if span.prefix_length
            else span
            for span in packed.spans
        )
        return dataclasses.replace(packed, spans=spans)

    monkeypatch.setattr(self_check, "pack", seeing)


def wrong_positions(monkeypatch: Patch) -> None:
    """Positions count through the packed sequence."""
    original = self_check.collate_packed

    def counted(*args: Any, **options: Any) -> Any:
        batch = original(*args, **options)
        positions = batch["position_ids"]
        batch["position_ids"] = torch.arange(positions.shape[-1]).expand_as(positions)
        return batch

    monkeypatch.setattr(self_check, "collate_packed", counted)


def wrong_cache(monkeypatch: Patch) -> None:
    """What is kept is one token off."""
    original = device_layout.to_device

    def shifted(layout: Any, device: Any, *, read: Any = (), write: Any = ()) -> Any:
        return original(layout, device, read=read, write=tuple((at + 1, n, store) for at, n, store in write))

    monkeypatch.setattr(self_check, "to_device", shifted)


@pytest.mark.parametrize("fault", [wrong_mask, wrong_positions, wrong_cache])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_planted_faults_are_caught(architecture: str, fault: Any, monkeypatch: Patch) -> None:
    model = load_model(tiny_checkpoint(architecture), device="cpu", self_check=False)
    fault(monkeypatch)
    with pytest.raises(ModelError, match=r"alone and (in a packed sequence|after a kept prefix) differ by"):
        check_packed(model)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_check_at_load_runs_with_the_kernel_that_is_used(architecture: str) -> None:
    with cpu_kernel(naive):
        assert load_model(tiny_checkpoint(architecture), device="cpu").engine == "packed"
    with cpu_kernel(aligned_at_the_start):
        assert load_model(tiny_checkpoint(architecture), device="cpu").engine == "forked"


def test_a_model_whose_packed_scores_are_wrong_falls_back_or_is_refused(
    monkeypatch: Patch, caplog: pytest.LogCaptureFixture
) -> None:
    wrong_positions(monkeypatch)
    folder = tiny_checkpoint("qwen2_5_vl")
    model = load_model(folder, device="cpu")
    assert (model.engine, model.packs) == ("forked", False)
    assert "engine 'forked' is used, which is slower: packed: self-check: " in caplog.text
    with pytest.raises(ModelError, match="engine 'packed' cannot be used"):
        load_model(folder, device="cpu", engine="packed")
    assert load_model(folder, device="cpu", engine="padded").engine == "padded"
    with pytest.raises(
        ModelError, match="engine 'fast' is unknown; known are auto, packed, forked, padded, invariant"
    ):
        load_model(folder, device="cpu", engine="fast")


@pytest.mark.parametrize("kernel", [nullcontext, cpu_kernel])
def test_a_prefix_may_come_from_an_earlier_sequence(model: RerankModel, kernel: Any) -> None:
    prompts = model.processor.encode_many(pairs_for("qwen2_5_vl"))[4:8]
    placeholder = model.processor.image_token_id
    (whole,), places = parts_of(prompts, placeholder=placeholder)
    stores: dict[int, Any] = {}
    found = []
    with torch.inference_mode():
        for start, stop in ((0, 1), (1, 4)):
            part = Part(whole.prompts[start:stop], whole.num_shared, is_kept=start > 0)
            packed = pack([part], placeholder=placeholder)
            batch = collate_packed(model.processor, packed)
            options = {"read": (stores,)} if start else {"write": ((*packed.prefixes[0], stores),)}
            layout = to_device(batch.pop("layout"), torch.device("cpu"), **options)
            with kernel():
                found.append(model(layout=layout, **batch))
        expected = model(**model.processor.collate([prompts[place] for place in places]))
    torch.testing.assert_close(torch.cat(found), expected, atol=1e-5, rtol=5e-6)


def test_a_packed_sequence_can_be_laid_out_only_whole() -> None:
    with pytest.raises(ValueError, match="spans of 3 tokens do not fill a sequence of 4"):
        lay_out([Span(0, 3)], num_tokens=4)
    with pytest.raises(ValueError, match="a span starts at token 4, the one before it ends at 3"):
        lay_out([Span(0, 3), Span(4, 1)], num_tokens=5)


def test_a_layout_can_be_sent_to_another_process(model: RerankModel) -> None:
    prompts = model.processor.encode_many(pairs_for("qwen2_5_vl")[:4])
    parts, _ = parts_of(prompts, placeholder=model.processor.image_token_id)
    layout = pack(parts, placeholder=model.processor.image_token_id).layout()
    again = pickle.loads(pickle.dumps(layout))
    assert again == layout
    assert np.array_equal(again.order, layout.order)
    assert np.array_equal(again.joined.keys, layout.joined.keys)


def test_only_the_form_that_is_computed_is_worked_out(model: RerankModel) -> None:
    prompts = model.processor.encode_many(pairs_for("qwen2_5_vl")[:4])
    parts, _ = parts_of(prompts, placeholder=model.processor.image_token_id)
    for kernel, other in ((nullcontext, "joined"), (cpu_kernel, "buckets")):
        batch = collate_packed(model.processor, pack(parts, placeholder=model.processor.image_token_id))
        with kernel(), torch.inference_mode():
            model(**batch)
        assert other not in vars(batch["layout"])


def test_sequences_that_share_nothing_gather_no_keys() -> None:
    joined = lay_out([Span(0, 3), Span(3, 2)], num_tokens=5).joined
    assert joined.keys is None
    assert joined.query_bounds.tolist() == joined.key_bounds.tolist() == [0, 3, 5]
