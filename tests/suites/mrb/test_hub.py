"""Files of a data set: a folder, a mirror, the hub's cache; errors say what to put where. The hub is faked."""

from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import errors

from gmr.core.errors import DataError
from gmr.suites.mrb.hub import TABLES, find_snapshot, mirror_revision
from gmr.suites.mrb.spec import Origin

REVISION, OTHER = "a" * 40, "b" * 40
PINNED = Origin("someone/set", REVISION)
UNPINNED = Origin("someone/set")


@pytest.fixture
def hub(monkeypatch):
    """A hub that notes what it is asked, and fails as told: ``info`` and ``download`` may be errors."""
    state = SimpleNamespace(info=SimpleNamespace(sha=REVISION), download="folder", asked=[])

    def dataset_info(dataset, *, revision, timeout):
        state.asked.append(("info", dataset, revision))
        if isinstance(state.info, Exception):
            raise state.info
        return state.info

    def snapshot_download(dataset, **options):
        state.asked.append(("download", dataset, options))
        if isinstance(state.download, Exception):
            raise state.download
        return state.download

    monkeypatch.setattr(huggingface_hub, "dataset_info", dataset_info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return state


def error(kind):
    response = SimpleNamespace(headers={}, request=None, status_code=404)
    return kind("no", response=response)


def note(folder, commit, name="corpus.jsonl"):
    """What the hub's client leaves beside a file that it downloaded into a folder."""
    path = folder / ".cache/huggingface/download" / f"{name}.metadata"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{commit}\netag\n1700000000.0\n")


def test_a_pinned_set_is_downloaded_at_its_revision_tables_only(hub):
    found = find_snapshot(PINNED, name="mine")
    assert (found.kind, found.revision, str(found.folder)) == ("hub", REVISION, "folder")
    kind, dataset, options = hub.asked[-1]
    assert (kind, dataset, options["revision"], options["repo_type"]) == (
        "download",
        "someone/set",
        REVISION,
        "dataset",
    )
    assert options["allow_patterns"] == list(TABLES)
    assert not options["local_files_only"]


def test_files_to_download_may_be_named(hub):
    find_snapshot(PINNED, name="mine", files=("corpus/*",))
    assert hub.asked[-1][2]["allow_patterns"] == ["corpus/*"]


def test_an_unpinned_set_is_refused_before_the_hub_is_asked(hub):
    with pytest.raises(DataError, match=r"mine: no revision of someone/set is pinned.*--allow-unpinned"):
        find_snapshot(UNPINNED, name="mine")
    assert hub.asked == []


def test_an_unpinned_set_that_is_allowed_records_the_commit_it_had(hub):
    hub.info = SimpleNamespace(sha=OTHER)
    assert find_snapshot(UNPINNED, name="mine", allow_unpinned=True).revision == OTHER
    assert hub.asked[-1][2]["revision"] == OTHER


def test_without_a_network_the_cache_is_taken(hub):
    hub.info = OSError("Name or service not known")
    assert find_snapshot(PINNED, name="mine").kind == "hub"
    assert hub.asked[-1][2]["local_files_only"]


def test_without_a_network_and_a_copy_the_error_says_what_to_put_where(hub, tmp_path):
    hub.info = OSError("Name or service not known")
    hub.download = errors.LocalEntryNotFoundError("no")
    with pytest.raises(DataError) as caught:
        find_snapshot(PINNED, name="mine", data_root=tmp_path)
    assert str(caught.value) == (
        f"mine: someone/set at revision {REVISION} is neither here nor to be downloaded (LocalEntryNotFoundError); "
        f"put a copy of the data set into {tmp_path}/someone/set and give --data-root {tmp_path}"
    )


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (errors.GatedRepoError, r"someone/set wants its terms to be accepted.*--data-root"),
        (errors.RevisionNotFoundError, f"the hub has no revision {REVISION} of someone/set"),
        (errors.RepositoryNotFoundError, "the hub has no data set someone/set, or it is private"),
    ],
)
def test_what_the_hub_refuses_is_said_in_a_line(hub, kind, message):
    hub.info = error(kind)
    with pytest.raises(DataError, match=f"mine: .*{message}") as caught:
        find_snapshot(PINNED, name="mine")
    assert "\n" not in str(caught.value)


def test_a_mirror_is_taken_before_the_hub_is_asked(hub, tmp_path):
    (tmp_path / "someone/set").mkdir(parents=True)
    found = find_snapshot(PINNED, name="mine", data_root=tmp_path)
    assert (found.kind, found.revision, found.folder) == ("mirror", None, tmp_path / "someone/set")
    assert hub.asked == []


def test_a_mirror_of_the_revision_is_known_as_such(hub, tmp_path):
    note(tmp_path / "someone/set", REVISION)
    assert find_snapshot(PINNED, name="mine", data_root=tmp_path).revision == REVISION


def test_a_mirror_of_another_revision_is_refused_unless_allowed(hub, tmp_path):
    note(tmp_path / "someone/set", OTHER)
    with pytest.raises(DataError, match=f"a copy of revision {OTHER}, the task is pinned to {REVISION}"):
        find_snapshot(PINNED, name="mine", data_root=tmp_path)
    found = find_snapshot(PINNED, name="mine", data_root=tmp_path, allow_unpinned=True)
    assert found.revision == OTHER


def test_a_mirror_of_two_revisions_is_refused(tmp_path):
    note(tmp_path, REVISION)
    note(tmp_path, OTHER, "queries.jsonl")
    with pytest.raises(DataError, match="files of several revisions are mixed"):
        mirror_revision(tmp_path)


def test_a_folder_is_taken_as_it_is_and_must_be_there(hub, tmp_path):
    assert find_snapshot(Origin(folder=str(tmp_path)), name="mine").kind == "folder"
    with pytest.raises(DataError, match="mine: no such folder: "):
        find_snapshot(Origin(folder=str(tmp_path / "gone")), name="mine")
    assert hub.asked == []
