"""A page of TOML becomes a typed value and back; a slip of the pen is named with its remedy."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmr.core.config import known_keys, load_config, to_toml
from gmr.core.errors import ConfigError
from gmr.train.recipe import Recipe


@dataclass(frozen=True)
class Stage:
    measure: str
    k: int = 10


@dataclass(frozen=True)
class Training:
    learning_rate: float = 1e-4
    num_train_epochs: int = 1
    bf16: bool = False
    direction: Literal["yes_minus_no", "yes"] = "yes_minus_no"
    targets: tuple[str, ...] = ("q", "v")
    betas: tuple[float, float] = (0.9, 0.999)
    max_grad_norm: float | None = 1.0

    def __post_init__(self) -> None:
        if self.learning_rate < 0:
            raise ValueError(f"learning_rate must not be negative, this is {self.learning_rate}")


@dataclass(frozen=True)
class Page:
    name: str = "x"
    seed: int = 0
    training: Training = field(default_factory=Training)
    final: Stage | None = None
    stages: tuple[Stage, ...] = ()
    data: Path = Path("data")
    steps: Sequence[int] = ()
    shares: Mapping[str, float] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    limit: int | str = 5
    anything: Any = 0


@dataclass(frozen=True)
class Needy:
    model: str
    page: Page = field(default_factory=Page)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
FLOATS = st.floats(allow_nan=False)
STAGES = st.builds(Stage, TEXT, st.integers())
PAGES = st.builds(
    Page,
    name=TEXT,
    seed=st.integers(),
    training=st.builds(
        Training,
        learning_rate=st.floats(0, 1e9),
        num_train_epochs=st.integers(),
        bf16=st.booleans(),
        direction=st.sampled_from(["yes_minus_no", "yes"]),
        targets=st.lists(TEXT, max_size=3).map(tuple),
        betas=st.tuples(FLOATS, FLOATS),
        max_grad_norm=st.none() | FLOATS,
    ),
    final=st.none() | STAGES,
    stages=st.lists(STAGES, max_size=2).map(tuple),
    data=st.just(Path("a/b c/é.jsonl")),
    steps=st.lists(st.integers(), max_size=3).map(tuple),
    shares=st.dictionaries(TEXT, FLOATS, max_size=2),
    labels=st.dictionaries(TEXT, TEXT, max_size=2),
    limit=st.integers() | TEXT,
)


@given(PAGES)
def test_a_page_reads_back_as_it_was_written(page):
    assert load_config(to_toml(page) + "\n", Page) == page


def test_every_field_is_written():
    text = to_toml(Page(final=Stage("ndcg")))
    for key in known_keys(Page):
        assert key.split(".")[-1] in text


def test_an_empty_page_is_the_defaults():
    assert load_config("", Page) == Page()


def test_a_page_of_toml_fills_fields_by_their_types(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(
        'seed = 7\nlimit = "many"\nshares = {a = 1, b = 0.5}\nstages = [{measure = "ap"}]\n'
        '[training]\nlearning_rate = 1\ntargets = ["o"]\nmax_grad_norm = "none"\n[final]\nmeasure = "rr"\nk = 3\n'
    )
    page = load_config(path, Page)
    assert page == load_config(str(path), Page) == load_config(path.read_text(), Page)
    assert page.training == Training(learning_rate=1.0, targets=("o",), max_grad_norm=None)
    assert isinstance(page.training.learning_rate, float)
    assert (page.seed, page.limit, page.shares, page.stages) == (
        7,
        "many",
        {"a": 1.0, "b": 0.5},
        (Stage("ap"),),
    )
    assert page.final == Stage("rr", 3)


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("training.learning_rate=5e-4", lambda page: page.training.learning_rate == 5e-4),
        ("training.bf16=true", lambda page: page.training.bf16 is True),
        ("training.direction=yes", lambda page: page.training.direction == "yes"),
        ('name="quoted = yes"', lambda page: page.name == "quoted = yes"),
        ("name=bare words", lambda page: page.name == "bare words"),
        ("name=", lambda page: page.name == ""),
        ("data=/tmp/x.jsonl", lambda page: page.data == Path("/tmp/x.jsonl")),
        ('training.targets=["a", "b"]', lambda page: page.training.targets == ("a", "b")),
        ("training.max_grad_norm=none", lambda page: page.training.max_grad_norm is None),
        ("final.measure=ap", lambda page: page.final == Stage("ap")),
        ("shares.a=1", lambda page: page.shares == {"a": 1.0}),
        (" seed = 3 ", lambda page: page.seed == 3),
    ],
)
def test_an_override_is_a_key_and_a_toml_value_or_a_bare_string(override, value):
    assert value(load_config("", Page, [override]))


def test_overrides_win_over_the_page_and_later_ones_over_earlier():
    page = load_config("seed = 1\n[training]\nbf16 = true", Page, ["seed=2", "seed=3"])
    assert (page.seed, page.training.bf16) == (3, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sed = 1", "p: unknown key 'sed'; did you mean 'seed'?"),
        (
            "[training]\nlearning_rat = 1",
            "p: unknown key 'training.learning_rat'; did you mean 'training.learning_rate'?",
        ),
        ("learning_rate = 1", "p: unknown key 'learning_rate'; did you mean 'training.learning_rate'?"),
        ("[final]\nzzzz = 1\nmeasure = 'a'", "p: unknown key 'final.zzzz' (known: final.measure, final.k)"),
        ("seed = 1.0", "p: seed must be an integer, this is a number: 1.0"),
        ("seed = true", "p: seed must be an integer, this is true or false: True"),
        ("seed = '1'", "p: seed must be an integer, this is a string: '1'"),
        ("name = 3", "p: name must be a string, this is an integer: 3"),
        ("name = 2026-11-23", "p: name must be a string, this is date: datetime.date(2026, 11, 23)"),
        ("data = 3", "p: data must be a path, this is an integer: 3"),
        ("limit = 1.5", "p: limit must be an integer or a string, this is a number: 1.5"),
        ("training = 3", "p: training must be a table, this is an integer: 3"),
        ("[training]\nbf16 = 1", "p: training.bf16 must be true or false, this is an integer: 1"),
        (
            "[training]\ndirection = 'no'",
            "p: training.direction must be one of 'yes_minus_no', 'yes', this is a string",
        ),
        ("[training]\ntargets = 'q'", "p: training.targets must be a list, this is a string: 'q'"),
        ("[training]\ntargets = ['q', 3]", "p: training.targets.1 must be a string, this is an integer: 3"),
        ("[training]\nbetas = [1]", "p: training.betas needs 2 values, these are 1"),
        (
            "[training]\nmax_grad_norm = 'a'",
            "p: training.max_grad_norm must be a number, this is a string: 'a'",
        ),
        ("[training]\nlearning_rate = -1", "p: [training] learning_rate must not be negative, this is -1.0"),
        ("[shares]\na = 'b'", "p: shares.a must be a number, this is a string: 'b'"),
        ("[[stages]]\nk = 1", "p: key 'stages.0.measure' is missing"),
        ("seed 1\n", "p:1: not valid TOML (Expected '=' after a key in a key/value pair)"),
        ("seed = 1\nseed = 2", "p:2: not valid TOML (Cannot overwrite a value)"),
    ],
)
def test_a_slip_is_named_with_key_and_value(text, message):
    with pytest.raises(ConfigError) as refusal:
        load_config(text, Page, where="p")
    assert str(refusal.value).startswith(message)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed", "override 'seed': write section.key=value"),
        ("=3", "override '=3': write section.key=value"),
        ("training..bf16=true", "override 'training..bf16=true': write section.key=value"),
        ("seed.x=3", "override 'seed.x=3': 'seed' is a value, not a section"),
        ("sead=3", "r.toml: unknown key 'sead'; did you mean 'seed'? (set by sead=3)"),
        ("seed=three", "r.toml: seed must be an integer, this is a string: 'three' (set by seed=three)"),
    ],
)
def test_a_wrong_override_is_named(override, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("r.toml").write_text("seed = 1")
    with pytest.raises(ConfigError) as refusal:
        load_config("r.toml", Page, [override])
    assert str(refusal.value) == message


def test_true_is_no_one():
    @dataclass(frozen=True)
    class Level:
        level: Literal[0, 1, "max"] = 0

    assert load_config("level = 1", Level).level == 1
    for text in ("level = true", "level = 1.0"):
        with pytest.raises(ConfigError, match="level must be one of 0, 1, 'max', this is"):
            load_config(text, Level)


def test_what_must_be_given_is_asked_for():
    with pytest.raises(ConfigError, match=r"^config: key 'model' is missing$"):
        load_config("", Needy)
    assert load_config("", Needy, ["model=m"]) == Needy("m")


def test_a_missing_or_unreadable_page_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.toml: no such file$"):
        load_config(tmp_path / "absent.toml", Page)
    (tmp_path / "latin.toml").write_bytes(b"name = '\xe9'")
    with pytest.raises(ConfigError, match=r"latin\.toml: not UTF-8"):
        load_config(tmp_path / "latin.toml", Page)


def test_infinity_and_nan_are_numbers_of_toml():
    page = load_config(to_toml(Page(shares={"a": math.inf, "b": -math.inf, "c": math.nan})), Page)
    assert page.shares["a"] == math.inf
    assert page.shares["b"] == -math.inf
    assert math.isnan(page.shares["c"])


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (Page(name="\ud800"), "name: TOML cannot hold the string"),
        (Page(anything=object()), "anything: TOML cannot hold object"),
        (Needy("m", Page(labels={"a": b"b"})), "page.labels.a: TOML cannot hold bytes"),
    ],
)
def test_what_toml_cannot_hold_is_refused_by_key(page, message):
    with pytest.raises(ConfigError, match=f"^{message}"):
        to_toml(page)


def test_a_string_none_where_none_is_meant_otherwise_is_refused():
    @dataclass(frozen=True)
    class Optional:
        note: str | None = None

    assert load_config(to_toml(Optional()), Optional) == Optional()
    with pytest.raises(ConfigError, match="note: the string 'none' stands for no value"):
        to_toml(Optional("none"))


def test_an_override_at_fault_is_named_beside_the_page(tmp_path):
    page = tmp_path / "page.toml"
    page.write_text('name = "a"\n')
    changes = ["objective.weight=foo", "training.max_steps=3"]
    with pytest.raises(ConfigError) as error:
        load_config(page, Recipe, ["data.path=x", *changes])
    assert str(error.value).startswith(f"{page}: ")
    assert str(error.value).endswith(" (set by objective.weight=foo)")
    page.write_text('name = "a"\n[objective]\nweight = "foo"\n')
    with pytest.raises(ConfigError) as error:
        load_config(page, Recipe, ["data.path=x", "training.max_steps=3"])
    assert "set by" not in str(error.value)
