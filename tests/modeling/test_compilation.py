"""Compiled layers give the same scores, layouts compile nothing anew, and what cannot compile is one line at load."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from gmr.core.errors import ModelError
from gmr.inference.scoring import score_pairs
from gmr.modeling import loading
from gmr.modeling.compilation import OPAQUE_ATTENTION, compile_layers
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from gmr.modeling.saving import save_model
from tests.helpers.pairs import pairs_for
from tests.helpers.tiny_checkpoints import ARCHITECTURES, tiny_checkpoint

Patch = pytest.MonkeyPatch


class Backend:
    """A compiler that compiles nothing and counts its graphs."""

    def __init__(self) -> None:
        self.num_graphs = 0

    def __call__(self, graph: Any, inputs: Any) -> Any:
        self.num_graphs += 1
        return graph.forward


@pytest.fixture(autouse=True)
def nothing_is_compiled_yet() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.fixture
def backend(monkeypatch: Patch) -> Backend:
    """Stands for the compiler in `load_model`."""
    backend = Backend()
    monkeypatch.setattr(loading, "compile_layers", partial(compile_layers, backend=backend))
    return backend


def load(architecture: str, **options: Any) -> RerankModel:
    return load_model(tiny_checkpoint(architecture), device="cpu", **options)


def score_in_many_layouts(
    model: RerankModel, pairs: list[Any], expected: Any, monkeypatch: Patch
) -> set[tuple[int, ...]]:
    """The layouts of packed sequences in which all pairs were scored as expected."""
    layouts: set[tuple[int, ...]] = set()
    forward = model.forward

    def noted(**inputs: Any) -> Any:
        layouts.add((inputs["input_ids"].shape[1], *(call.num_rows for call in inputs["layout"].calls)))
        return forward(**inputs)

    with monkeypatch.context() as patch:
        patch.setattr(model, "forward", noted)
        for batch_tokens in (100, 200, 300, 400, 700, 1000, 5000):
            found = score_pairs(model, pairs, engine="packed", batch_tokens=batch_tokens)
            np.testing.assert_allclose(found, expected, atol=1e-5, rtol=5e-6)
    return layouts


def test_many_layouts_are_few_graphs(monkeypatch: Patch) -> None:
    backend, pairs = Backend(), pairs_for("qwen3")
    model = load("qwen3", self_check=False)
    expected = score_pairs(model, pairs, engine="padded")
    compile_layers(model, backend=backend)
    load("qwen3", self_check=False)  # a model loaded later changes nothing
    assert model.config._attn_implementation == OPAQUE_ATTENTION
    assert len(score_in_many_layouts(model, pairs, expected, monkeypatch)) > 4
    # Norm, products before attention, the product after it, the rest: shared by all three layers.
    assert backend.num_graphs == 4


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_all_graphs_of_the_engine_are_compiled_at_load(
    architecture: str, backend: Backend, monkeypatch: Patch
) -> None:
    pairs = pairs_for(architecture)
    expected = score_pairs(load(architecture), pairs, engine="padded")
    model = load(architecture, compile=True, engine="packed")
    at_load = backend.num_graphs
    assert 0 < at_load <= 12  # packed, one row, two rows with a mask: at most four each
    assert len(score_in_many_layouts(model, pairs, expected, monkeypatch)) > 4
    assert backend.num_graphs == at_load


@pytest.mark.slow
def test_padded_batches_of_any_shape_need_few_graphs(backend: Backend) -> None:
    pairs = pairs_for("qwen3")
    expected = score_pairs(load("qwen3"), pairs, engine="padded")
    model = load("qwen3", compile=True, engine="padded")
    for batch_tokens in (1, 100, 200, 300, 500, 1000, 5000):
        found = score_pairs(model, pairs, batch_tokens=batch_tokens)
        np.testing.assert_allclose(found, expected, atol=1e-5, rtol=5e-6)
    assert backend.num_graphs <= 16


@pytest.mark.slow
def test_rounded_weights_compile_as_well(backend: Backend) -> None:
    pairs = pairs_for("qwen3")
    expected = score_pairs(load("qwen3", quantize="int8"), pairs)
    found = score_pairs(load("qwen3", quantize="int8", compile=True), pairs)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=5e-6)
    assert backend.num_graphs


def test_a_compiled_model_saves_as_any_other(tmp_path: Any, backend: Backend) -> None:
    saved = save_model(load("qwen3", compile=True, self_check=False), tmp_path / "saved")
    expected = load("qwen3", self_check=False).state_dict()
    again = load_model(saved, device="cpu").state_dict()
    assert again.keys() == expected.keys()
    assert all(torch.equal(again[name], expected[name]) for name in expected)


def test_a_compiler_that_fails_is_one_line_before_anything_is_scored(monkeypatch: Patch) -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise OSError("there is no compiler\nand more")

    monkeypatch.setattr(loading, "compile_layers", partial(compile_layers, backend=broken))
    with pytest.raises(ModelError) as caught:
        load("qwen3", compile=True)
    expected = "the layers cannot be compiled here: there is no compiler; load without compile"
    assert str(caught.value) == expected


def test_an_unknown_backend_is_an_error() -> None:
    with pytest.raises(ModelError, match=r"the layers cannot be compiled here: .*'no-such-backend'"):
        compile_layers(load("qwen3", self_check=False), backend="no-such-backend")


def test_other_errors_of_the_check_stay_what_they_are(backend: Backend, monkeypatch: Patch) -> None:
    def full(*_: Any) -> None:
        raise RuntimeError("something else")

    monkeypatch.setattr(loading, "check_model", full)
    with pytest.raises(RuntimeError, match="something else"):
        load("qwen3", compile=True)


@pytest.mark.slow
def test_a_machine_without_compiler_says_so_at_load(tmp_path: Any, monkeypatch: Patch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    with (
        torch._inductor.config.patch({"cpp.cxx": (None, "no-such-compiler"), "fx_graph_cache": False}),
        pytest.raises(ModelError, match=r"cannot be compiled here: .*no-such-compiler"),
    ):
        load("qwen3", compile=True)


@pytest.mark.slow
def test_compiled_code_gives_the_scores_and_layouts_compile_nothing_anew() -> None:
    from torch._inductor import cpp_builder
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        cpp_builder.get_cpp_compiler()
    except InvalidCxxCompiler:
        pytest.skip("there is no C++ compiler here")
    pairs = pairs_for("qwen2_5_vl")
    expected = score_pairs(load("qwen2_5_vl"), pairs, engine="padded")
    model = load("qwen2_5_vl", compile=True, engine="packed")
    torch._dynamo.utils.counters.clear()
    for batch_tokens in (200, 400, 5000):
        found = score_pairs(model, pairs, batch_tokens=batch_tokens)
        np.testing.assert_allclose(found, expected, atol=1e-5, rtol=5e-6)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 0
