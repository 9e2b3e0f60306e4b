"""The source keeps the rules of the house, and each rule can be broken."""

import ast
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.style.rules import MAX_LINES, RULES

SOURCES = sorted((REPOSITORY / "src").rglob("*.py"))

BROKEN = {
    "no_assert": ["def f(x):\n    assert x\n"],
    "no_unsafe_loading": [
        "import pickle\n",
        "from joblib import load\n",
        "torch.load('weights.bin')\n",
        "yaml.load(text)\n",
        "np.load(path, allow_pickle=True)\n",
        "eval(text)\n",
        "AutoModel.from_pretrained(path, trust_remote_code=True)\n",
    ],
    "no_print": ["def f():\n    print('hello')\n"],
    "public_has_docstring": [
        '"""Module."""\ndef f():\n    return 1\n',
        "x = 1\n",
        '"""M."""\nclass A:\n    """A."""\n    def m(self): ...\n',
    ],
    "nothing_at_import": ["HOME = os.environ['HOME']\n", "torch.manual_seed(0)\n", "logging.basicConfig()\n"],
}


def breaches(rule: str, source: str, path: str) -> list[str]:
    return [f"{path}:{line}: {what}" for line, what in RULES[rule](ast.parse(source), path)]


@pytest.mark.parametrize("rule", RULES)
def test_the_source_keeps_the_rule(rule: str) -> None:
    found = [
        breach
        for path in SOURCES
        for breach in breaches(
            rule, path.read_text(encoding="utf-8"), path.relative_to(REPOSITORY).as_posix()
        )
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("rule", "source"), [(rule, source) for rule, bad in BROKEN.items() for source in bad]
)
def test_the_rule_sees_a_breach(rule: str, source: str) -> None:
    assert breaches(rule, source, "src/gmr/core/example.py")


def test_print_is_allowed_on_the_command_line() -> None:
    assert not breaches("no_print", "print('hello')\n", "src/gmr/cli/example.py")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_no_module_is_too_long(path: Path) -> None:
    length = len(path.read_text(encoding="utf-8").splitlines())
    assert length <= MAX_LINES, f"{path}: {length} lines; can it still be described in one sentence?"
