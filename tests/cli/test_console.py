"""What reaches a terminal: control characters are shown, never obeyed."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmr.cli.console import json_line, print_table, printable, reflow, shorten


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\u202eevil", "\\u202eevil"),
        ("\x9b2J", "\\x9b2J"),
        ("\ud800", "\\ud800"),
        ("é 漢 🙂", "é 漢 🙂"),
    ],
)
def test_control_characters_are_spelled_out(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_nothing_printed_can_move_a_cursor_or_turn_text_around(text: str) -> None:
    shown = printable(text)
    assert not [char for char in shown if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")]
    assert not set(shown) & set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"]))
    )
)
def test_a_json_line_reads_back_as_it_was_on_one_safe_line(record: dict[str, str]) -> None:
    line = json_line(record)
    assert json.loads(line) == record
    assert printable(line) == line


def test_json_refuses_what_is_no_number() -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_line({"score": float("nan")})


@given(st.text(), st.integers(2, 40))
def test_a_shortened_text_fits_and_is_a_start_of_the_whole(text: str, width: int) -> None:
    short = shorten(text, width=width)
    assert len(short) <= width
    assert printable(" ".join(text.split())).startswith(short.removesuffix("…"))


def test_markup_in_a_cell_is_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["[bold]head[/bold]"], [["[red]cell[/red] :smile:"]], title="[i]title[/i]")
    shown = capsys.readouterr().out
    assert "[bold]head[/bold]" in shown
    assert "[red]cell[/red] :smile:" in shown
    assert "[i]title[/i]" in shown


def test_a_table_in_a_pipe_cuts_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    print_table(["document"], [["x" * 120]])
    assert "x" * 120 in capsys.readouterr().out


def test_a_docstring_becomes_paragraphs_without_line_breaks() -> None:
    assert reflow("One\n    line.\n\n    Second\n    paragraph.\n") == "One line.\n\nSecond paragraph."
