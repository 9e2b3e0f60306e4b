"""Counts are what planner and pictures say, errors what comparing the scores gives, times medians of turns."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from gmr.bench.engine import measure as engine_module
from gmr.bench.engine.measure import Measured, WorkloadResult, measure
from gmr.bench.engine.variants import Models, choose_variants
from gmr.bench.engine.workloads import WORKLOADS, pairs_of
from gmr.core.errors import ModelError
from gmr.inference.planner import share_prefixes
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from gmr.reranker import Reranker
from tests.helpers.tiny_checkpoints import tiny_checkpoint

NUM_DOCUMENTS = 6
FAST = ["packed", "packed+pictures", "packed+documents", "packed+int8"]


@pytest.fixture(scope="module")
def nano() -> Models:
    return Models("gmr-nano", device="cpu")


@pytest.fixture(scope="module")
def results(nano: Models) -> dict[str, WorkloadResult]:
    return {
        name: measure(nano, workload, choose_variants(FAST), num_documents=NUM_DOCUMENTS, repeats=1)
        for name, workload in WORKLOADS.items()
    }


def rows(result: WorkloadResult) -> dict[str, Measured]:
    return {row.variant: row for row in result.measured}


def work(model: RerankModel, name: str) -> tuple[int, int, int, int]:
    """Tokens of padded pairs and of a packed sequence, patches and number of the distinct pictures."""
    pairs = pairs_of(model.processor, WORKLOADS[name], num_documents=NUM_DOCUMENTS)
    prompts = model.processor.encode_many(pairs)
    groups = share_prefixes(prompts, placeholder=model.processor.image_token_id)
    saved = sum(group.num_shared * (len(group.rows) - 1) for group in groups)
    lengths = [len(prompt.input_ids) for prompt in prompts]
    images = {image.key: image for prompt in prompts for image in prompt.images}
    patches = len(model.processor.preprocess(list(images.values()))[0]) if images else 0
    return len(prompts) * max(lengths), sum(lengths) - saved, patches, len(images)


@pytest.mark.parametrize("name", WORKLOADS)
def test_counts_are_what_the_planner_says(
    nano: Models, results: dict[str, WorkloadResult], name: str
) -> None:
    found = rows(results[name])
    padded, packed, patches, pictures = work(nano.reference, name)
    counted = {variant: (row.num_tokens, row.num_patches, row.num_pictures) for variant, row in found.items()}
    assert counted["padded"] == (padded, patches, pictures)
    for variant in ("packed", "packed+int8"):
        assert counted[variant] == (packed, patches, pictures)
    if pictures:
        assert counted["packed+pictures"] == (packed, 0, 0)
    else:
        assert results[name].not_run["packed+pictures"] == "there is no picture to know"
    assert results[name].num_pairs == NUM_DOCUMENTS
    assert results[name].not_run["packed+documents"] == "the template does not put documents first"


def test_known_documents_cost_the_tokens_of_the_query() -> None:
    models = Models(str(tiny_checkpoint("qwen2_5_vl")), device="cpu", template="monoqwen2-vl")
    result = measure(
        models, WORKLOADS["pages"], choose_variants(["packed+documents"]), num_documents=6, repeats=1
    )
    row = rows(result)["packed+documents"]
    pairs = pairs_of(models.reference.processor, WORKLOADS["pages"], num_documents=6)
    prompts = models.reference.processor.encode_many(pairs)
    assert row.num_tokens == sum(len(prompt.input_ids) - prompt.num_document for prompt in prompts)
    assert (row.num_patches, row.num_pictures) == (0, 0)
    assert row.largest_difference < 1e-4


def test_errors_are_those_of_the_library_and_small_where_only_rounding_differs(
    nano: Models, results: dict[str, WorkloadResult]
) -> None:
    pairs = pairs_of(nano.reference.processor, WORKLOADS["T->T"], num_documents=NUM_DOCUMENTS)
    exact = Reranker(device="cpu", engine="padded").score(pairs).astype(np.float64)
    found = rows(results["T->T"])
    scores = Reranker(device="cpu", quantize="int8").score(pairs)
    assert found["packed+int8"].largest_difference == pytest.approx(np.abs(scores - exact).max(), rel=1e-3)
    same = [
        (a > b) == (c > d)
        for place, (a, c) in enumerate(zip(exact, scores, strict=True))
        for b, d in zip(exact[:place], scores[:place], strict=True)
    ]
    assert found["packed+int8"].kendall_tau == pytest.approx(2 * np.mean(same) - 1)
    for result in results.values():
        assert rows(result)["padded"].largest_difference == 0
        assert rows(result)["padded"].kendall_tau == 1
        assert (
            rows(result)["packed"].largest_difference < 1e-4 < rows(result)["packed+int8"].largest_difference
        )


def test_weights_are_weighed(nano: Models, results: dict[str, WorkloadResult]) -> None:
    found = rows(results["T->T"])
    parameters = sum(parameter.numel() for parameter in nano.reference.parameters())
    assert found["padded"].weight_bytes == pytest.approx(4 * parameters, rel=0.01)
    rounded = sum(layer.weight.numel() for name, layer in nano.reference.named_modules() if "_proj" in name)
    tower = sum(
        layer.weight.numel()
        for name, layer in nano.reference.named_modules()
        if "visual" in name and "_proj" in name
    )
    expected = 4 * parameters - 3 * (rounded - tower)
    assert found["packed+int8"].weight_bytes == pytest.approx(expected, rel=0.01)


def test_variants_take_turns_and_the_median_counts(nano: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    times: Iterator[float] = iter([8.0, 1.0, 4.0, 5.0, 6.0, 2.0])
    timed: list[int] = []

    def fake(run: Any) -> float:
        timed.append(id(run))
        return next(times)

    monkeypatch.setattr(engine_module, "_time", fake)
    result = measure(nano, WORKLOADS["T->T"], choose_variants(["packed"]), num_documents=4, repeats=3)
    assert timed == timed[:2] * 3
    assert len(set(timed)) == 2
    padded, packed = result.measured
    assert (padded.seconds, packed.seconds) == ((8.0, 4.0, 6.0), (1.0, 5.0, 2.0))
    assert (padded.median_s, padded.pairs_per_s, padded.times_faster) == (6.0, 4 / 6.0, 1.0)
    assert (packed.median_s, packed.pairs_per_s, packed.times_faster) == (2.0, 2.0, 3.0)


def test_every_run_opens_its_pictures_anew(nano: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []
    processor = nano.of(choose_variants(["packed"])[1]).processor
    original = processor.image_processor.__class__.__call__

    def noted(self: Any, images: Any, **options: Any) -> Any:
        opened.append(len(images))
        return original(self, images, **options)

    monkeypatch.setattr(processor.image_processor.__class__, "__call__", noted)
    measure(nano, WORKLOADS["T->I"], choose_variants(["packed"]), num_documents=5, repeats=2)
    assert opened == [5] * 6  # two variants, once counted and twice timed


def test_a_variant_that_cannot_run_is_named_with_its_reason(
    nano: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, **options: Any) -> RerankModel:
        if options.get("quantize"):
            raise ModelError("no int8 here")
        return load_model(name, **options)

    monkeypatch.setattr("gmr.bench.engine.variants.load_model", refuse)
    models = Models("gmr-nano", device="cpu")
    variants = choose_variants(["packed", "packed+int8"])
    result = measure(models, WORKLOADS["T->T"], variants, num_documents=3, repeats=1)
    assert [row.variant for row in result.measured] == ["padded", "packed"]
    assert dict(result.not_run) == {"packed+int8": "no int8 here"}


def test_without_the_reference_there_is_nothing_to_compare(
    nano: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ModelError("the score is nan")

    monkeypatch.setattr(engine_module, "score_pairs", broken)
    with pytest.raises(ModelError, match="the score is nan"):
        measure(nano, WORKLOADS["T->T"], choose_variants(["packed"]), num_documents=3, repeats=1)
