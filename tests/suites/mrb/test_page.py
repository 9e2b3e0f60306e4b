"""The page about the suite says what ``mrb.toml`` says."""

from gmr.suites.mrb.page import BEGIN, END, page_tables
from gmr.suites.mrb.spec import TaskSpec, load_specs
from tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs/mrb.md"


def write() -> None:
    """Put the tables into the page: ``python -m tests.suites.mrb.test_page``."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{page_tables()}\n\n{END}{after}", encoding="utf-8")


def test_the_tables_of_the_page_are_those_of_the_file():
    text = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()
    assert text == page_tables(), "write it anew: python -m tests.suites.mrb.test_page"


def test_the_page_names_every_set_once():
    text = page_tables()
    for name in load_specs():
        assert text.count(f"| `{name}` |") == 1


def test_the_page_names_every_key_of_a_table():
    text = PAGE.read_text(encoding="utf-8")
    keys = [key for key in TaskSpec.__dataclass_fields__ if key not in ("name", "parts")]
    assert [key for key in keys if f"`{key}`" not in text] == []


if __name__ == "__main__":
    write()
