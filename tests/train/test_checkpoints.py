"""A damaged checkpoint is never taken for a good one, and a good one is always left."""

import json
from pathlib import Path

import pytest

from gmr.core.errors import ConfigError
from gmr.train.checkpoints import (
    MANIFEST,
    changes,
    checkpoint_folders,
    find_fault,
    newest_good,
    read_manifest,
    refuse_changes,
    rotate,
    write_manifest,
)

FILES = ("trained.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")
IDENTITY = {"recipe.training.learning_rate": 1e-3, "data": "abc", "targets": ("a", "b")}


def checkpoint(run_dir: Path, step: int) -> Path:
    folder = run_dir / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    for number, name in enumerate(FILES):
        (folder / name).write_bytes(bytes([step % 256, number]) * 500)
    write_manifest(folder, identity=IDENTITY)
    return folder


def remove(path: Path) -> None:
    path.unlink()


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    for position in range(middle, middle + 8):
        data[position] ^= 0xFF
    path.write_bytes(bytes(data))


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
@pytest.mark.parametrize("damage", [remove, halve, zero, flip, lengthen])
def test_each_kind_of_damage_to_each_file_is_found_named_and_passed_over(
    tmp_path: Path, name, damage
) -> None:
    older, newer = checkpoint(tmp_path, 9), checkpoint(tmp_path, 10)
    damage(newer / name)
    selection = newest_good(tmp_path)
    assert selection.folder == older
    ((skipped, reason),) = selection.skipped
    assert skipped == "checkpoint-10"
    assert name in reason


def test_an_edit_of_the_manifest_that_is_valid_json_is_found(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, 1)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["identity"]["data"] = "other"
    (folder / MANIFEST).write_text(json.dumps(manifest))
    assert "not as it was written" in str(find_fault(folder))


def test_the_newest_is_that_of_the_highest_step_not_of_the_highest_name(tmp_path: Path) -> None:
    checkpoint(tmp_path, 9)
    newest = checkpoint(tmp_path, 100)
    checkpoint(tmp_path, 20)
    (tmp_path / "checkpoint-200x").mkdir()
    (tmp_path / "checkpoint-300").write_text("a file")
    assert newest_good(tmp_path).folder == newest
    assert newest_good(tmp_path).skipped == ()


def test_without_any_good_checkpoint_there_is_none_and_all_are_named(tmp_path: Path) -> None:
    for step in (1, 2):
        (checkpoint(tmp_path, step) / MANIFEST).unlink()
    selection = newest_good(tmp_path)
    assert selection.folder is None
    assert [name for name, _ in selection.skipped] == ["checkpoint-2", "checkpoint-1"]
    assert newest_good(tmp_path / "absent").folder is None


def test_rotation_keeps_the_newest_good_ones_and_the_protected_one(tmp_path: Path) -> None:
    folders = [checkpoint(tmp_path, step) for step in range(1, 7)]
    rotate(tmp_path, keep=3, protected=[folders[0]], verified=set())
    assert checkpoint_folders(tmp_path) == [folders[0], *folders[3:]]


def test_rotation_never_leaves_fewer_than_two_good_ones(tmp_path: Path) -> None:
    folders = [checkpoint(tmp_path, step) for step in range(1, 6)]
    flip(folders[4] / "optimizer.pt")
    flip(folders[2] / "optimizer.pt")
    rotate(tmp_path, keep=1, verified=set())
    good = [folder for folder in checkpoint_folders(tmp_path) if find_fault(folder) is None]
    assert good == [folders[1], folders[3]]
    assert not folders[0].exists()


def test_a_crash_while_deleting_leaves_no_checkpoint_that_looks_whole(tmp_path: Path, monkeypatch) -> None:
    folders = [checkpoint(tmp_path, step) for step in range(1, 4)]

    def crash(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gmr.train.checkpoints.shutil.rmtree", crash)
    with pytest.raises(KeyboardInterrupt):
        rotate(tmp_path, keep=2, verified=set())
    assert find_fault(folders[0]) is not None
    assert newest_good(tmp_path).folder == folders[2]


def test_a_resume_with_changes_is_refused_naming_each_with_both_values(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, 1)
    saved = read_manifest(folder)["identity"]
    refuse_changes(folder, saved, IDENTITY, force=False)
    changed = {**IDENTITY, "recipe.training.learning_rate": 1e-4, "new": 1}
    with pytest.raises(ConfigError, match=r"learning_rate: 0\.001 -> 0\.0001") as caught:
        refuse_changes(folder, saved, changed, force=False)
    assert "new: 'absent' -> 1" in str(caught.value)
    refuse_changes(folder, saved, changed, force=True)


def test_changes_are_those_keys_whose_values_differ() -> None:
    assert changes({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 5, "d": 4}) == [
        "b: 2 -> 5",
        "c: 3 -> 'absent'",
        "d: 'absent' -> 4",
    ]
