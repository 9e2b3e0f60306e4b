"""Every engine there is is a variant, and variants with the same needs share a model."""

import pytest

from gmr.bench.engine.variants import Models, Variant, all_variants, choose_variants
from gmr.core.errors import ModelError, UsageError
from gmr.inference.engines import ENGINES
from gmr.modeling import loading
from tests.helpers.tiny_checkpoints import tiny_checkpoint


def test_every_engine_is_a_variant_and_a_new_one_becomes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(ENGINES) < set(all_variants())
    assert next(iter(all_variants())) == "padded"
    monkeypatch.setitem(ENGINES, "brandnew", ENGINES["packed"])
    assert all_variants()["brandnew"] == Variant("brandnew", "brandnew")


def test_the_reference_is_always_among_the_chosen() -> None:
    assert choose_variants() == list(all_variants().values())
    assert [each.name for each in choose_variants(["packed+int8"])] == ["padded", "packed+int8"]
    assert [each.name for each in choose_variants(engines=["padded"])] == ["padded"]
    packed = [each.name for each in choose_variants(engines=["packed"])]
    assert packed == ["padded", *(name for name in all_variants() if name.startswith("packed"))]


def test_unknown_names_are_errors_that_list_the_known() -> None:
    with pytest.raises(UsageError, match=r"--variant: 'packed\+int4' is unknown; there are padded, packed"):
        choose_variants(["packed+int4"])
    with pytest.raises(UsageError, match="--engine: 'fast' is unknown; there are"):
        choose_variants(engines=["fast"])


def test_models_are_loaded_once_for_each_need(monkeypatch: pytest.MonkeyPatch) -> None:
    models = Models(str(tiny_checkpoint("qwen3")), device="cpu")
    every = all_variants()
    assert models.of(every["padded"]) is models.reference
    packed = models.of(every["packed"])
    assert models.of(every["packed+documents"]) is packed is models.reference
    assert models.of(every["forked"]) is packed
    assert str(models.of(every["packed+float16"]).dtype) == "torch.float16"
    assert not [p for p in models.of(every["packed+int8"]).parameters() if p.requires_grad]
    before = models.load_seconds(every["packed"])
    assert before == models.load_seconds(every["packed+documents"]) > 0


def test_an_engine_that_does_not_prove_right_is_an_error_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def wrong(_: object) -> None:
        calls.append(1)
        raise ModelError("scores differ")

    monkeypatch.setitem(loading.CHECKS, "packed", wrong)
    models = Models(str(tiny_checkpoint("qwen3")), device="cpu")
    for _ in range(2):
        with pytest.raises(ModelError, match="engine 'packed' cannot be used with this model: scores differ"):
            models.of(all_variants()["packed"])
    assert len(calls) == 1
