"""Documents on disk: found again by the same model only, whole or not at all, within their bytes."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from gmr.core.errors import DataError
from gmr.core.items import Image, Text
from gmr.core.nouns import Document, Query
from gmr.inference import document_folder
from gmr.inference.document_folder import DocumentFolder
from gmr.modeling.adapters import add_lora
from gmr.modeling.identity import model_digest
from gmr.modeling.loading import load_model
from gmr.modeling.model import RerankModel
from gmr.reranker import Reranker
from tests.conftest import REPOSITORY
from tests.helpers.counting import count_tokens
from tests.helpers.pairs import noise_picture
from tests.helpers.tiny_checkpoints import tiny_checkpoint

PAGES = [Document(f"d{n}", (Image(noise_picture(40 + 8 * n, 60)),)) for n in range(3)]
CPU = torch.device("cpu")


def pairs(*questions: str) -> list[tuple[Query, Document]]:
    return [(Query(text, (Text(text),)), page) for text in questions for page in PAGES]


def load(seed: int = 0, **options: Any) -> RerankModel:
    folder = tiny_checkpoint("qwen2_vl", seed=seed)
    return load_model(folder, template="monoqwen2-vl", device="cpu", self_check=False, **options)


def layers(value: float, tokens: int = 4) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
    return {
        layer: (torch.full((tokens, 2, 8), value), torch.full((tokens, 2, 8), -value)) for layer in range(2)
    }


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("memory", [0, 2**24])
def test_another_reranker_of_the_same_model_finds_documents_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: int, dtype: str
) -> None:
    options = {"document_cache_folder": tmp_path, "document_cache_bytes": memory}
    expected = Reranker(load(dtype=dtype), engine="padded").score(pairs("two cats"))
    Reranker(load(dtype=dtype), **options).score(pairs("a red apple"))
    model = load(dtype=dtype)
    tokens = count_tokens(model, monkeypatch)
    monkeypatch.setattr(model.processor, "preprocess", lambda images: pytest.fail("a picture was opened"))
    again = Reranker(model, **options)
    found = again.score(pairs("two cats"))
    prompts = [model.processor.encode(*pair) for pair in pairs("two cats")]
    assert sum(tokens) == sum(len(prompt.input_ids) - prompt.num_document for prompt in prompts)
    tolerance = 1e-5 if dtype == "float32" else 0.2
    np.testing.assert_allclose(found, expected, atol=tolerance, rtol=5e-6)
    assert again.documents is not None
    assert len(again.documents) == (len(PAGES) if memory else 0)


def test_another_model_has_another_digest_and_reads_nothing(tmp_path: Path) -> None:
    models = [load(), load(), load(seed=1), load(dtype="bfloat16")]
    digests = [model_digest(model) for model in models]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
    with torch.no_grad():
        next(models[1].parameters())[0, 0] += 1e-6
    assert model_digest(models[1]) != digests[0]
    processor = models[0].processor.image_processor
    assert processor is not None
    processor.image_mean = [0.1, 0.2, 0.3]
    assert model_digest(models[0]) != digests[0], "pixels are other ones"
    first, second = (
        DocumentFolder(tmp_path, identity=partial(str, each), max_bytes=10**6, device=CPU)
        for each in digests[1:3]
    )
    first.put("a", layers(1.0))
    assert second.get("a") is None
    assert first.get("a") is not None


def test_values_come_back_bit_for_bit_under_any_key(tmp_path: Path) -> None:
    folder = DocumentFolder(tmp_path, identity=lambda: "m", max_bytes=10**6, device=CPU)
    value = {3: (torch.randn(5, 2, 8).bfloat16(), torch.randn(5, 2, 8).bfloat16())} | layers(0.5)
    value = {layer: value[each] for layer, each in enumerate(sorted(value))}
    folder.put("invariant/abc", value)
    found = folder.get("invariant/abc")
    assert found is not None
    assert list(found) == [0, 1, 2]
    for layer, (keys, values) in value.items():
        assert torch.equal(found[layer][0], keys)
        assert torch.equal(found[layer][1], values)
    assert folder.get("abc") is None


def test_files_unused_for_longest_make_room(tmp_path: Path) -> None:
    folder = DocumentFolder(tmp_path, identity=lambda: "m", max_bytes=10**6, device=CPU)
    folder.put("a", layers(1.0))
    size = folder.num_bytes
    folder = DocumentFolder(tmp_path, identity=lambda: "m", max_bytes=3 * size + 10, device=CPU)
    assert folder.num_bytes == size
    for place, key in enumerate("bc"):
        folder.put(key, layers(2.0))
        os.utime(folder._path(key), ns=(place, place))
    os.utime(folder._path("a"), ns=(0, 0))
    assert folder.get("b") is not None  # used just now
    folder.put("d", layers(3.0))
    kept = {path.stem for path in tmp_path.rglob("*.safetensors")}
    assert kept == {"b", "d"}
    assert folder.num_bytes == 2 * size
    folder.put("large", layers(1.0, tokens=10_000))
    assert folder.get("large") is None
    with pytest.raises(ValueError, match="max_bytes must be at least 0, got -1"):
        DocumentFolder(tmp_path, identity=lambda: "m", max_bytes=-1, device=CPU)


@pytest.mark.parametrize("damage", [b"", b"\0" * 100, None], ids=["empty", "zeros", "cut short"])
def test_a_damaged_file_is_told_and_the_document_computed_again(
    tmp_path: Path, damage: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    expected = Reranker(load(), engine="padded").score(pairs("a red apple"))
    Reranker(load(), document_cache_folder=tmp_path).score(pairs("a red apple"))
    for path in tmp_path.rglob("*.safetensors"):
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] if damage is None else damage)
    found = Reranker(load(), document_cache_folder=tmp_path).score(pairs("a red apple"))
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=5e-6)
    assert caplog.text.count("is damaged") == len(PAGES)
    assert len(list(tmp_path.rglob("*.safetensors"))) == len(PAGES)


@pytest.mark.parametrize("damage", ["flipped", "another tensor", "a layer less"])
def test_damage_inside_of_a_file_is_found_by_its_checksums(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    expected = Reranker(load(), engine="padded").score(pairs("a red apple"))
    Reranker(load(), document_cache_folder=tmp_path).score(pairs("a red apple"))
    for path in tmp_path.rglob("*.safetensors"):
        data = bytearray(path.read_bytes())
        if damage == "flipped":
            data[-5] ^= 1
            path.write_bytes(data)
            continue
        with safe_open(path, framework="pt") as file:
            sums = file.metadata()
        tensors = load_file(path)
        if damage == "a layer less":
            tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("1.")}
        else:
            tensors["0.keys"] = tensors["0.values"].clone()
        save_file(tensors, path, sums)
    found = Reranker(load(), document_cache_folder=tmp_path).score(pairs("a red apple"))
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=5e-6)
    assert caplog.text.count("its checksums are others") == len(PAGES)


def test_files_that_cannot_be_touched_or_read_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As those of another user: may be read but not touched, or not even read."""
    folder = DocumentFolder(tmp_path, identity=lambda: "m", max_bytes=10**6, device=CPU)
    folder.put("a", layers(1.0))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "utime", refuse)
    assert folder.get("a") is not None
    monkeypatch.setattr(document_folder, "_read", refuse)
    assert folder.get("a") is None
    assert folder.get("a") is None
    assert caplog.text.count("some documents cannot be read (Operation not permitted)") == 1
    assert len(folder) == 1
    full = DocumentFolder(tmp_path, identity=lambda: "m", max_bytes=folder.num_bytes + 10, device=CPU)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        full.put("b", layers(1.0))
    assert "some documents cannot be deleted" in caplog.text


def test_what_other_processes_wrote_counts_too(tmp_path: Path) -> None:
    folders = [DocumentFolder(tmp_path, identity=lambda: "m", max_bytes=40_000, device=CPU) for _ in range(3)]
    for number in range(60):
        folders[number % 3].put(f"k{number}", layers(float(number)))
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.safetensors")) < 46_000


def test_other_weights_have_other_documents_after_clear(tmp_path: Path) -> None:
    model = load()
    reranker = Reranker(model, document_cache_folder=tmp_path, document_cache_bytes=2**24)
    reranker.score(pairs("a red apple"))
    with torch.no_grad():
        for parameter in model.layers.parameters():
            parameter.mul_(1.3)
    assert reranker.documents is not None
    reranker.documents.clear()
    reranker.pictures.clear()
    expected = Reranker(model, engine="padded").score(pairs("a red apple", "two cats"))
    np.testing.assert_allclose(
        reranker.score(pairs("a red apple", "two cats")), expected, atol=1e-5, rtol=5e-6
    )
    before = Reranker(load(), document_cache_folder=tmp_path).score(pairs("a red apple"))
    np.testing.assert_allclose(
        before, Reranker(load(), engine="padded").score(pairs("a red apple")), atol=1e-5, rtol=5e-6
    )


def test_the_adapter_in_use_makes_another_model() -> None:
    model = load()
    add_lora(model, rank=2, alpha=4, dropout=0.0, targets=r".*q_proj")
    digests = {model_digest(model)}
    with model.backbone.disable_adapter():
        digests.add(model_digest(model))
    assert len(digests) == 2
    model.backbone.add_adapter("other", model.backbone.peft_config["default"])
    digests.add(model_digest(model))
    model.backbone.set_adapter("other")
    digests.add(model_digest(model))
    assert len(digests) == 4


def test_where_the_disk_is_full_scores_are_still_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise DataError(f"{path}: {len(data)} bytes cannot be written (No space left on device)")

    monkeypatch.setattr(document_folder, "atomic_write_bytes", full)
    expected = Reranker(load(), engine="padded").score(pairs("a", "b"))
    found = Reranker(load(), document_cache_folder=tmp_path).score(pairs("a", "b"))
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=5e-6)
    assert caplog.text.count("documents are no longer kept") == 1
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="file: no folder for documents"):
        Reranker(load(), document_cache_folder=tmp_path / "file")


def test_a_template_with_the_query_first_is_told_that_nothing_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = load_model(tiny_checkpoint("qwen2_5_vl"), device="cpu", self_check=False)
    Reranker(model, document_cache_folder=tmp_path).score(pairs("a"))
    assert "documents are not kept: template gmr puts the query first" in caplog.text
    assert not list(tmp_path.rglob("*.safetensors"))


WRITER = """
import sys
from pathlib import Path
import torch
from gmr.inference.document_folder import DocumentFolder
folder = DocumentFolder(Path(sys.argv[1]), identity=lambda: "m", max_bytes=40_000, device=torch.device("cpu"))
for turn in range(40):
    key = f"k{turn % 8}"
    found = folder.get(key)
    if found is not None:
        assert float(found[0][0].sum()) == turn % 8 * 64.0, key
    folder.put(key, {0: (torch.full((4, 2, 8), float(turn % 8)), torch.zeros(4, 2, 8))})
"""


@pytest.mark.slow
def test_two_processes_share_a_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    running = [subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in running:
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
        assert "damaged" not in errors
    assert not list(tmp_path.rglob("*.tmp"))
