"""Calls that overlap leave model and process as they were, and none changes another's numbers."""

import os
import pickle
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gmr.core.errors import DataError
from gmr.core.items import Image, as_item
from gmr.core.nouns import Document, Query
from gmr.inference.scoring import _evaluation_mode, score_pairs
from gmr.modeling import precision
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from gmr.modeling.precision import float32_products
from gmr.modeling.processor import PromptProcessor
from tests.conftest import REPOSITORY
from tests.helpers.pairs import noise_picture
from tests.helpers.tiny_checkpoints import tiny_checkpoint

ASKED = [(Query("q", as_item("red")), Document(word, as_item(word))) for word in ("a", "blue b", "c")]


@pytest.fixture
def model() -> RerankModel:
    return load_model(tiny_checkpoint("qwen2_5_vl"), device="cpu", self_check=False)


def overlapping(first: Any, second: Any, *, between: Any, after: Any) -> None:
    """Enter the first, then the second; leave the first, then the second."""
    outer, inner = ExitStack(), ExitStack()
    outer.enter_context(first)
    inner.enter_context(second)
    outer.close()
    between()
    inner.close()
    after()


def test_the_faster_products_are_there_until_the_last_call_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_medium_is_accurate", lambda: True)
    before = torch.get_float32_matmul_precision()
    assert before != "medium"

    def is_now(wanted: str) -> Any:
        return lambda: (
            pytest.fail("another setting") if torch.get_float32_matmul_precision() != wanted else None
        )

    device = torch.device("cpu")
    overlapping(
        float32_products(device), float32_products(device), between=is_now("medium"), after=is_now(before)
    )


def test_modes_of_modules_are_restored_when_the_last_call_has_left(model: RerankModel) -> None:
    model.train()
    model.layers[0].eval()
    modes = [module.training for module in model.modules()]
    assert len(set(modes)) == 2

    def all_are(wanted: list[bool]) -> Any:
        return lambda: np.testing.assert_array_equal([module.training for module in model.modules()], wanted)

    overlapping(
        _evaluation_mode(model),
        _evaluation_mode(model),
        between=all_are([False] * len(modes)),
        after=all_are(modes),
    )
    score_pairs(model, ASKED)
    all_are(modes)()
    with pytest.raises(ZeroDivisionError), _evaluation_mode(model):
        raise ZeroDivisionError
    all_are(modes)()


def test_the_side_that_comes_first_is_this_prompts_whatever_another_thread_keeps(
    model: RerankModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor = model.processor
    expected = processor.encode(*ASKED[0]).num_query
    mine = processor._first
    assert mine is not None
    reads = iter([mine])
    monkeypatch.setattr(
        PromptProcessor, "_first", property(lambda _: next(reads, ([], [])), lambda *_: None), raising=False
    )
    assert processor.encode(*ASKED[0]).num_query == expected


def test_a_picture_that_changed_on_disk_is_an_error(model: RerankModel, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    noise_picture(56, 56).save(path)
    document = Document("d7", (Image(path),))
    query = Query("q", as_item("red"))
    first = score_pairs(model, [(query, document)])
    noise_picture(56, 56, seed=1).save(path)
    with pytest.raises(
        DataError, match=r"document 'd7': .*a\.png: the file has changed since it was first read"
    ):
        score_pairs(model, [(query, document)])
    assert score_pairs(model, [(query, Document("d7", (Image(path),)))]) != first


def test_a_broken_picture_that_was_prepared_ahead_is_told_with_its_document(
    model: RerankModel, tmp_path: Path
) -> None:
    noise_picture(64, 64).save(tmp_path / "broken.png")
    data = (tmp_path / "broken.png").read_bytes()
    (tmp_path / "broken.png").write_bytes(data[: len(data) // 2])
    pictures = [Image(noise_picture(64, 64, seed=seed)) for seed in range(3)] + [
        Image(tmp_path / "broken.png")
    ]
    asked = [
        (Query("q", as_item("red")), Document(f"d{n}", (picture,))) for n, picture in enumerate(pictures)
    ]
    for workers in (0, 1):
        with pytest.raises(DataError, match="document 'd3': "):
            score_pairs(model, asked, engine="padded", max_rows=1, workers=workers)


@pytest.mark.slow
def test_a_pickled_model_scores_in_a_fresh_process(model: RerankModel, tmp_path: Path) -> None:
    picture = Image(noise_picture(56, 56))
    asked = [*ASKED, (Query("q", as_item("red")), Document("p", (picture,)))]
    expected = score_pairs(model, asked, engine="packed")
    (tmp_path / "model.pkl").write_bytes(pickle.dumps((model, asked)))
    script = (
        "import pickle, sys; model, asked = pickle.load(open(sys.argv[1], 'rb'))\n"
        "from gmr.inference.scoring import score_pairs\n"
        "print(*score_pairs(model, asked, engine='packed').tolist())"
    )
    path = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY)])
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "model.pkl")],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    np.testing.assert_allclose([float(each) for each in done.stdout.split()], expected, atol=1e-6)
