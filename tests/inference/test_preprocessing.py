"""Pictures are prepared ahead of the model, each once, in bounded memory, and errors still name them."""

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gmr.core.errors import DataError
from gmr.core.items import Image, Text
from gmr.core.nouns import Document, Query
from gmr.inference import preprocessing
from gmr.inference.preprocessing import PictureReader, Wanted
from gmr.inference.scoring import score_pairs
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from tests.helpers.pairs import noise_picture
from tests.helpers.tiny_checkpoints import tiny_checkpoint


@pytest.fixture(scope="module")
def model() -> RerankModel:
    return load_model(tiny_checkpoint("qwen2_5_vl"), device="cpu", self_check=False)


def pictures(number: int) -> list[Image]:
    return [Image(noise_picture(32, 32, seed)) for seed in range(number)]


class Counted:
    """`preprocess` that notes which picture was prepared and in which thread."""

    def __init__(self, model: RerankModel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.original = model.processor.preprocess
        self.times: Counter[str] = Counter()
        self.threads: set[str] = set()
        monkeypatch.setattr(model.processor, "preprocess", self)

    def __call__(self, images: list[Image]) -> Any:
        self.times.update(image.key for image in images)
        self.threads.add(threading.current_thread().name)
        return self.original(images)


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("engine", ["packed", "padded", "forked", "invariant"])
def test_each_picture_is_prepared_once_and_scores_do_not_change(
    model: RerankModel, monkeypatch: pytest.MonkeyPatch, workers: int, engine: str
) -> None:
    pairs = [(Query("q", (Text("red"),)), Document(f"d{n}", (image,))) for n, image in enumerate(pictures(9))]
    expected = score_pairs(model, pairs, engine=engine, max_rows=2, workers=0)
    counted = Counted(model, monkeypatch)
    found = score_pairs(model, pairs, engine=engine, max_rows=2, workers=workers)
    assert np.array_equal(found, expected)
    assert set(counted.times.values()) == {1}
    assert len(counted.times) == 9
    if workers:
        assert all(name.startswith("gmr-pictures") for name in counted.threads)


def test_the_next_pictures_are_prepared_while_the_model_computes(
    model: RerankModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the first pass through the tower begins, a thread is already past its pictures."""
    monkeypatch.setattr(preprocessing, "JOB_PICTURES", 1)
    counted = Counted(model, monkeypatch)
    ahead = threading.Event()
    original = model.encode_pictures

    def encode(*args: Any) -> Any:
        for _ in range(200):
            if len(counted.times) == 6:
                ahead.set()
                break
            threading.Event().wait(0.05)
        return original(*args)

    monkeypatch.setattr(model, "encode_pictures", encode)
    pairs = [(Query("q", (Text("red"),)), Document(f"d{n}", (image,))) for n, image in enumerate(pictures(6))]
    score_pairs(model, pairs, max_rows=1, workers=1)
    assert ahead.is_set()


def test_no_more_than_the_bound_is_prepared_and_not_asked_for(model: RerankModel) -> None:
    images = pictures(8)
    pixels, grids = model.processor.preprocess(images)
    size = int(grids[0].prod())
    with PictureReader(model.processor, workers=1, max_patches=3 * size) as reader:
        reader.expect(Wanted(image, size) for image in images)
        assert len(reader._jobs) == 3
        found, found_grids = reader.take(images[:2])
        assert len(reader._jobs) == 3, "two were asked for, two more are prepared"
        late, _ = reader.take([images[7], images[2]])  # the last is not prepared yet
    assert torch.equal(found, pixels[: 2 * size])
    assert torch.equal(found_grids, grids[:2])
    assert torch.equal(late, torch.cat([pixels[7 * size :], pixels[2 * size : 3 * size]]))


def test_a_picture_larger_than_the_bound_goes_alone(model: RerankModel) -> None:
    images = pictures(3)
    with PictureReader(model.processor, workers=1, max_patches=1) as reader:
        reader.expect(Wanted(image, 64) for image in images)
        assert len(reader._jobs) == 1
        for image in images:
            assert len(reader.take([image])[1]) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_picture_is_named_with_its_document(
    model: RerankModel, tmp_path: Path, workers: int
) -> None:
    path = tmp_path / "cut.png"
    noise_picture(40, 60).save(path)
    path.write_bytes(path.read_bytes()[:-400])
    documents = [Document("good", (Image(noise_picture(40, 60)),)), Document("d7", (Image(path),))]
    with pytest.raises(DataError, match=r"^document 'd7': .*cut\.png: image is cut short"):
        score_pairs(model, [(Query("q", (Text("a"),)), each) for each in documents], workers=workers)
    left = [thread for thread in threading.enumerate() if thread.name.startswith("gmr-pictures")]
    assert not left


def test_threads_are_all_cores_but_one_and_at_most_four(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, expected in ((None, 0), (1, 0), (2, 1), (4, 3), (64, 4)):
        monkeypatch.setattr(preprocessing.os, "cpu_count", lambda cores=cores: cores)
        assert preprocessing.num_workers() == expected
