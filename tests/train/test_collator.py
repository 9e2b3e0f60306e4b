"""A batch holds the prompts that are served, each distinct picture once, and is the same in a worker process."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from gmr.core.errors import DataError
from gmr.core.items import Image
from gmr.core.nouns import Document
from gmr.modeling.layout import Layout
from gmr.modeling.processor import PromptProcessor
from gmr.train.collator import GroupCollator
from gmr.train.sampling import EpochSampler, Group, GroupDataset, SamplingConfig
from tests.helpers.pairs import noise_picture
from tests.helpers.tiny_checkpoints import tiny_checkpoint
from tests.train.data import document, query, training_set


@pytest.fixture(scope="module")
def processor() -> PromptProcessor:
    return PromptProcessor.from_pretrained(tiny_checkpoint("qwen2_5_vl"), max_tokens=512)


def group(*documents: Document, teacher: tuple[float, ...] | None = None) -> Group:
    labels = (1.0,) + (0.0,) * (len(documents) - 1)
    return Group("example", query("red", "image"), documents, labels, teacher)


def test_rows_are_the_prompts_of_all_pairs_in_order_and_the_mask_tells_ragged_groups(processor) -> None:
    groups = [
        group(document("red"), document("blue"), document("green")),
        group(document("pink"), document("black")),
    ]
    batch = GroupCollator(processor, engine="padded")(groups)
    (inputs,) = batch["passes"]
    expected = processor.collate(
        [processor.encode(each.query, document) for each in groups for document in each.documents]
    )
    assert inputs.keys() == expected.keys()
    assert all(torch.equal(inputs[name], expected[name]) for name in expected)
    assert batch["mask"].tolist() == [[True, True, True], [True, True, False]]
    assert batch["labels"].tolist() == [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    assert "teacher" not in batch


def test_each_distinct_picture_is_prepared_once_for_the_batch(processor, monkeypatch) -> None:
    prepared: list[Image] = []
    real = PromptProcessor.preprocess
    monkeypatch.setattr(
        PromptProcessor, "preprocess", lambda self, images: prepared.extend(images) or real(self, images)
    )
    pictures = [document(colour, "image") for colour in ("red", "blue")]
    GroupCollator(processor, engine="padded")([group(*pictures), group(*pictures)])
    # The query's picture stands in four prompts, each document's in two.
    assert len(prepared) == 3
    assert len({image.key for image in prepared}) == 3


@pytest.mark.parametrize("rows_per_pass", [1, 2, 5, 6, 100])
def test_passes_cut_the_rows_and_keep_their_order(processor, rows_per_pass: int) -> None:
    groups = [group(*(document(colour) for colour in ("red", "blue", "green")))] * 2
    batch = GroupCollator(processor, engine="padded", rows_per_pass=rows_per_pass)(groups)
    sizes = [len(inputs["input_ids"]) for inputs in batch["passes"]]
    assert sum(sizes) == 6
    assert max(sizes) <= rows_per_pass
    rows = [
        row[mask.bool()].tolist()
        for inputs in batch["passes"]
        for row, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)
    ]
    assert rows == [processor.encode(each.query, d).input_ids for each in groups for d in each.documents]


@pytest.mark.parametrize("length_groups", [1, 2, 3, 50])
def test_length_groups_hold_every_row_once_shorter_ones_first(processor, length_groups: int) -> None:
    groups = [
        group(document("red"), document("blue", "image"), document("green")),
        group(document("red", "image"), document("blue")),
    ]
    batch = GroupCollator(processor, engine="padded", length_groups=length_groups)(groups)
    prompts = [processor.encode(each.query, d).input_ids for each in groups for d in each.documents]
    rows = [
        row[mask.bool()].tolist()
        for inputs in batch["passes"]
        for row, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)
    ]
    assert len(batch["passes"]) == min(length_groups, 5)
    assert sorted(batch["order"].tolist()) == list(range(5))
    assert rows == [prompts[index] for index in batch["order"].tolist()]
    lengths = [inputs["input_ids"].shape[1] for inputs in batch["passes"]]
    assert lengths == sorted(lengths)


def test_teacher_scores_stand_where_their_documents_do_and_only_when_all_groups_bring_them(processor) -> None:
    scored = group(document("red"), document("blue"), teacher=(3.0, -1.5))
    longer = group(document("red"), document("blue"), document("green"), teacher=(1.0, 2.0, 4.0))
    batch = GroupCollator(processor, engine="padded")([scored, longer])
    assert batch["teacher"].tolist() == [[3.0, -1.5, 0.0], [1.0, 2.0, 4.0]]
    unscored = group(document("red"), document("blue"))
    assert "teacher" not in GroupCollator(processor, engine="padded")([scored, unscored])


def test_cut_prompts_are_counted(processor) -> None:
    short = PromptProcessor.from_pretrained(tiny_checkpoint("qwen2_5_vl"), max_tokens=140)
    from gmr.core.items import Text

    long = Document("long", (Text("very " * 300),))
    batch = GroupCollator(short)([group(document("red"), long, document("blue"))])
    assert int(batch["num_truncated"]) == 1


def test_workers_give_what_the_main_process_gives(processor) -> None:
    data = GroupDataset(training_set(pictures=True), SamplingConfig(1, 3, "1:1"), seed=0)
    batches = [
        list(
            DataLoader(
                data,  # type: ignore[arg-type]
                batch_size=4,
                sampler=EpochSampler(len(data), seed=0),
                collate_fn=GroupCollator(processor),
                num_workers=num_workers,
            )
        )
        for num_workers in (0, 2)
    ]
    for alone, worked in zip(*batches, strict=True):
        assert torch.equal(alone["mask"], worked["mask"])
        for name, value in alone["passes"][0].items():
            other = worked["passes"][0][name]
            assert torch.equal(value, other) if name != "layout" else same_layout(value, other)


def same_layout(first: Layout, second: Layout) -> bool:
    buckets = list(zip(first.buckets, second.buckets, strict=True))
    return np.array_equal(first.order, second.order) and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for one, other in buckets
        for name in ("queries", "keys", "mask", "real")
    )


@pytest.mark.parametrize("rows_per_pass", [None, 3])
def test_packed_rows_are_those_of_the_prompts_in_the_order_it_says(processor, rows_per_pass) -> None:
    groups = [
        group(document("red"), document("blue"), document("green")),
        group(document("pink"), document("black")),
    ]
    batch = GroupCollator(processor, rows_per_pass=rows_per_pass)(groups)
    prompts = [processor.encode(each.query, document) for each in groups for document in each.documents]
    ends = [
        (int(each["input_ids"][0, last]), int(each["position_ids"][0, 0, last]))
        for each in batch["passes"]
        for last in each["last"]
    ]
    # Five texts of one length: the last position of each prompt is that of the whole prompt.
    assert sorted(batch["order"].tolist()) == list(range(5))
    assert len(batch["passes"]) == (1 if rows_per_pass is None else 2)
    for row, (token, position) in zip(batch["order"].tolist(), ends, strict=True):
        assert token == prompts[row].input_ids[-1]
        assert position <= len(prompts[row].input_ids) - 1
    computed = sum(each["input_ids"].numel() for each in batch["passes"])
    assert computed < sum(len(prompt.input_ids) for prompt in prompts), "what they share is there once"


def test_a_picture_that_cannot_be_used_is_named_with_its_example(processor, tmp_path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(b"no picture")
    broken = Document("broken", (Image(path),))
    with pytest.raises(DataError, match=r"(?s)'example'.*broken\.png"):
        GroupCollator(processor, engine="padded")([group(document("red"), broken)])


def test_a_picture_found_broken_only_when_it_is_opened_is_named_with_its_example(processor, tmp_path) -> None:
    path = tmp_path / "cut.png"
    noise_picture(40, 60).save(path)
    path.write_bytes(path.read_bytes()[:-400])
    cut = Document("d7", (Image(path),))
    with pytest.raises(DataError, match=r"^example 'example': document 'd7': .*cut\.png: image is cut short"):
        GroupCollator(processor, engine="padded")([group(document("red"), cut)])
