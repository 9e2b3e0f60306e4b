"""Files are whole or absent, lines have numbers, and paths stay inside."""

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmr.core.errors import DataError
from gmr.core.files import (
    atomic_write_bytes,
    atomic_write_json,
    atomic_write_jsonl,
    atomic_write_text,
    delete_unfinished,
    digest,
    parse_json_object,
    read_jsonl,
    read_lines,
    read_text,
    safe_join,
    sha256_file,
    shorten,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_a_written_file_holds_the_bytes_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "new" / "folder" / "a.bin"
    for data in (b"one", b"", b"two" * 1000):
        atomic_write_bytes(path, data)
        assert path.read_bytes() == data
        assert [p.name for p in path.parent.iterdir()] == ["a.bin"]


def test_a_written_file_has_the_rights_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    atomic_write_bytes(tmp_path / "atomic", b"")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_when_writing_fails_the_old_file_stays_and_no_other_does(step, tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_text("old")

    def fail(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(DataError, match=r"a\.json: 3 bytes cannot be written \(No space left on device\)$"):
        atomic_write_bytes(path, b"new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_when_writing_is_interrupted_the_old_file_stays_and_no_other_does(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_text("old")

    def interrupt(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        atomic_write_bytes(path, b"new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_what_killed_writers_left_is_deleted_and_nothing_else(tmp_path):
    kept = [tmp_path / "a.json", tmp_path / "deep" / "b.tmp", tmp_path / "deep" / ".hidden"]
    left = [tmp_path / ".a.json.x1.tmp", tmp_path / "deep" / "er" / ".b.y2.tmp"]
    for path in (*kept, *left):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    delete_unfinished(tmp_path)
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in left)


def test_a_folder_that_is_a_file_cannot_be_written_into(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        atomic_write_text(tmp_path / "a" / "b", "x")


def test_text_is_written_as_utf_8_with_its_own_line_ends(tmp_path):
    atomic_write_text(tmp_path / "t", "é\n\u2028\r\n")
    assert (tmp_path / "t").read_bytes() == "é\n\u2028\r\n".encode()


def test_text_that_is_no_unicode_cannot_be_written(tmp_path):
    with pytest.raises(DataError, match=r"t: text with lone surrogates cannot be written$"):
        atomic_write_text(tmp_path / "t", "\ud800")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_without_a_number_is_never_written(value, tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        atomic_write_json(tmp_path / "a.json", {"score": value})
    with pytest.raises(ValueError, match="not JSON compliant"):
        atomic_write_jsonl(tmp_path / "a.json", [{"score": value}])
    assert not (tmp_path / "a.json").exists()


@given(records=st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=4), packed=st.booleans())
def test_json_lines_read_back_as_they_were_written(records, packed, tmp_path_factory):
    path = tmp_path_factory.mktemp("jsonl") / "a.jsonl"
    atomic_write_jsonl(path, records)
    if packed:
        path = path.with_name("a.jsonl.gz")
        path.write_bytes(gzip.compress(path.with_suffix("").read_bytes()))
    assert list(read_jsonl(path)) == list(enumerate(records, start=1))


def test_only_a_line_feed_ends_a_line_and_a_byte_order_mark_is_no_text(tmp_path):
    path = tmp_path / "t.txt"
    path.write_bytes("\ufeffa\u2028b\r\n\x0bc\x85\n\nlast".encode())
    assert list(read_lines(path)) == [(1, "a\u2028b"), (2, "\x0bc\x85"), (3, ""), (4, "last")]
    assert read_text(path).startswith("a\u2028b")


def test_blank_lines_hold_no_record_and_keep_their_number(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('\n{"a": 1}\n  \n{"b": 2}\n\n')
    assert list(read_jsonl(path)) == [(2, {"a": 1}), (4, {"b": 2})]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"a": }', "not valid JSON (Expecting value, column 7)"),
        ('{"a": NaN}', "not valid JSON (NaN is not a number)"),
        ('{"a": -Infinity}', "not valid JSON (-Infinity is not a number)"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "not valid JSON (key 'c' is given twice)"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "not valid JSON (nested too deeply)"),
        ('{"a": ' + "1" * 5000 + "}", "not valid JSON (Exceeds the limit"),
        ("[1, 2]", "a JSON object is needed, this is list: '[1, 2]'"),
        ('"' + "x" * 500 + '"', "a JSON object is needed, this is str: '\"" + "x" * 76),
    ],
)
def test_a_line_that_is_no_record_is_named(line, message, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"ok": 1}\n' + line + "\n")
    with pytest.raises(DataError) as refusal:
        list(read_jsonl(path))
    assert str(refusal.value).startswith(f"{path}:2: {message}")
    assert len(str(refusal.value)) < len(str(path)) + 200


def test_a_line_that_is_not_utf_8_is_named(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": "\xff"}\n')
    with pytest.raises(DataError, match=r"a\.jsonl:2: not UTF-8 \(byte 7 is 0xff\)$"):
        list(read_jsonl(path))
    with pytest.raises(DataError, match=r"a\.jsonl: not UTF-8 \(byte 16 is 0xff\)$"):
        read_text(path)


def test_a_gzip_file_that_is_cut_or_none_is_named_with_the_line_it_broke_at(tmp_path):
    lines = b"".join(b'{"a": %d}\n' % number for number in range(20_000))
    packed = gzip.compress(lines)
    for name, data in {
        "cut": packed[:-40],
        "damaged": packed[:500] + b"??" + packed[502:],
        "none": lines,
    }.items():
        path = tmp_path / f"{name}.jsonl.gz"
        path.write_bytes(data)
        with pytest.raises(
            DataError, match=rf"{name}\.jsonl\.gz:\d+: the gzip data is damaged or cut short$|not valid"
        ):
            list(read_jsonl(path))


@pytest.mark.parametrize("read", [sha256_file, read_text, lambda path: list(read_lines(path))])
def test_what_cannot_be_read_is_named(read, tmp_path):
    with pytest.raises(DataError, match=r"absent\.txt: no such file$"):
        read(tmp_path / "absent.txt")
    with pytest.raises(DataError, match=r": is a directory$"):
        read(tmp_path)


def test_standard_input_is_read_as_a_file_called_dash():
    program = (
        "from pathlib import Path; from gmr.core.files import read_lines; print(list(read_lines(Path('-'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=b"a\n\xc3\xa9", capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == "[(1, 'a'), (2, 'é')]"


def test_standard_input_may_be_replaced(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\nb\n")))
    assert list(read_lines(Path("-"))) == [(1, "a"), (2, "b")]


def test_the_digest_of_a_file_is_that_of_sha256sum(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_file(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_lists_of_parts_have_one_digest_only_when_they_are_equal(a, b):
    assert (digest(*a) == digest(*b)) == (a == b)


def test_joined_parts_do_not_collide():
    assert digest(b"ab", b"c") != digest(b"a", b"bc") != digest(b"abc")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root" / "sub").mkdir(parents=True)
    (tmp_path / "root" / "out").symlink_to(tmp_path)
    (tmp_path / "root" / "in").symlink_to(tmp_path / "root" / "sub")
    (tmp_path / "root" / "loop").symlink_to(tmp_path / "root" / "loop")
    (tmp_path / "root2").mkdir()
    return tmp_path / "root"


@pytest.mark.parametrize(
    "name", ["a.png", "sub/a.png", "sub/../a.png", "in/a.png", "..a", "~", "C:\\a", "é ü.png"]
)
def test_a_path_inside_is_joined(name, root):
    assert safe_join(root, name) == root / name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "is not a file name"),
        ("a\0b", "is not a file name"),
        ("a\nb", "is not a file name"),
        ("/etc/passwd", "is absolute; give it relative to"),
        ("..", "leaves"),
        ("../root2/a", "leaves"),
        ("sub/../../x", "leaves"),
        ("out/x", "leaves"),
        ("in/../../x", "leaves"),
        ("loop/x", "leaves"),
    ],
)
def test_a_path_that_leaves_is_refused(name, reason, root):
    with pytest.raises(DataError) as refusal:
        safe_join(root, name, where="f:3")
    assert str(refusal.value).startswith(f"f:3: {name!r} {reason}")


@given(
    st.lists(st.sampled_from(["..", ".", "sub", "in", "out", "x", ""]), min_size=1, max_size=6).map("/".join)
)
def test_no_combination_of_steps_leaves(name):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        (root / "sub").mkdir(parents=True)
        (root / "out").symlink_to(folder)
        (root / "in").symlink_to(root / "sub")
        try:
            joined = safe_join(root, name)
        except DataError:
            return
        assert os.path.realpath(joined).startswith(os.path.realpath(root))


def test_values_in_messages_are_short_and_on_one_line():
    assert shorten("a\nb") == r"'a\nb'"
    assert len(shorten("x" * 10**6)) == len(shorten(b"x" * 10**6)) == 80
    assert shorten(list(range(1000))).endswith("…")
    assert "\n" not in shorten(type("Odd", (), {"__repr__": lambda self: "a\nb"})())


def test_a_json_object_reads_as_python_reads_it():
    text = '{"a": [1, 2.5, null, true, "\\u00e9"]}'
    assert parse_json_object(text, where="x") == json.loads(text)
