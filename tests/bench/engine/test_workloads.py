"""Workloads fit every model, are the same in every process, and are refused where a template does not take them."""

import pytest

from gmr.bench.engine.workloads import WORKLOADS, pairs_of, sizes_for, why_not
from gmr.core.items import images_of, modality
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from tests.helpers.tiny_checkpoints import ARCHITECTURES, tiny_checkpoint


def load(architecture: str, **options: str) -> RerankModel:
    return load_model(tiny_checkpoint(architecture), device="cpu", self_check=False, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def nano() -> RerankModel:
    return load_model("gmr-nano", device="cpu", self_check=False)


@pytest.mark.parametrize("name", WORKLOADS)
def test_prompts_hold_what_the_name_says_and_nothing_is_cut(nano: RerankModel, name: str) -> None:
    workload = WORKLOADS[name]
    pairs = pairs_of(nano.processor, workload, num_documents=9)
    assert len(pairs) == 9
    assert {modality(query.item) for query, _ in pairs} == {workload.query}
    assert {modality(document.item) for _, document in pairs} == {workload.document}
    assert not any(prompt.truncated for prompt in nano.processor.encode_many(pairs))


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_large_model_gets_the_sizes_of_the_measurements(name: str) -> None:
    """The family's own limits: 256 tokens a picture, 1,024 a page, 150 a text."""
    processor = load("qwen2_5_vl").processor
    sizes = sizes_for(processor, WORKLOADS[name])
    most = processor.image_processor.size["longest_edge"] // 8**2  # a token is 8x8 pixels in this checkpoint
    assert (sizes.query, sizes.document) == (20, 150)
    assert sizes.picture in (0, min(most, WORKLOADS[name].picture_tokens))
    for prompt in processor.encode_many(pairs_of(processor, WORKLOADS[name], num_documents=3)):
        assert not prompt.truncated
        assert all(
            abs(processor.num_image_tokens(grid) - sizes.picture) <= sizes.picture // 4
            for grid in prompt.grids
        )


def test_a_short_prompt_gets_short_texts() -> None:
    processor = load_model("gmr-nano", device="cpu", self_check=False, max_tokens=100).processor
    for workload in WORKLOADS.values():
        prompts = processor.encode_many(pairs_of(processor, workload, num_documents=6))
        assert max(len(prompt.input_ids) for prompt in prompts) <= 100
        assert not any(prompt.truncated for prompt in prompts)


def test_pages_are_shared_by_their_queries(nano: RerankModel) -> None:
    pairs = pairs_of(nano.processor, WORKLOADS["pages"], num_documents=24)
    assert len({query.query_id for query, _ in pairs}) == 3
    assert len({image.key for _, document in pairs for image in images_of(document.item)}) == 8


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_same_call_makes_the_same_pairs_and_different_documents(nano: RerankModel, name: str) -> None:
    first, second = (pairs_of(nano.processor, WORKLOADS[name], num_documents=6) for _ in range(2))
    prompts = [nano.processor.encode_many(pairs) for pairs in (first, second)]
    keys = [
        [(prompt.input_ids, [image.key for image in prompt.images]) for prompt in each] for each in prompts
    ]
    assert keys[0] == keys[1]
    assert len({str(key) for key in keys[0]}) == len(first)


def test_what_a_model_takes_is_what_its_template_takes() -> None:
    def taken(model: RerankModel) -> list[str]:
        return [name for name, workload in WORKLOADS.items() if why_not(model, workload) is None]

    assert taken(load("qwen2_5_vl")) == list(WORKLOADS)
    assert taken(load("qwen3")) == ["T->T"]
    assert taken(load("qwen2_5_vl", template="monoqwen2-vl")) == ["T->I", "pages"]
    assert why_not(load("qwen3"), WORKLOADS["I->T"]) == "the model takes no pictures as query"
    for architecture in ARCHITECTURES:  # none is said to be taken that cannot be encoded
        model = load(architecture)
        for name in taken(model):
            model.processor.encode_many(pairs_of(model.processor, WORKLOADS[name], num_documents=3))
