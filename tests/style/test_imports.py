"""Importing the package and asking for help stay light."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "matplotlib", "sentence_transformers", "accelerate", "peft")

REPORT = f"\nimport sys; print('heavy:', sorted(set({HEAVY!r}) & set(sys.modules)))"
HELP = """
import sys
sys.argv = ["gmr", {arguments}]
from gmr.cli.main import main
try:
    main()
except SystemExit as stop:
    if stop.code: raise
"""


def run_python(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program + REPORT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert run_python("import gmr, gmr.core.errors") == "heavy: []"


@pytest.mark.parametrize(
    "arguments",
    ["'--help'", "'rank', '--help'", "'--version'", "'train', '--list'", "'first-stage', '--help'"],
)
def test_help_loads_nothing_heavy(arguments: str) -> None:
    assert run_python(HELP.format(arguments=arguments)) == "heavy: []"


def test_the_check_sees_a_heavy_import() -> None:
    assert run_python("import matplotlib") == "heavy: ['matplotlib']"
