"""Tracked files: nothing of one machine, links that lead somewhere, a README that names every file."""

import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import gmr
from tests.conftest import REPOSITORY
from tests.style.tree import named_files

# Written in two pieces, so that this file does not contain what it looks for.
REGISTRY_HOSTS = [
    "pypi" + ".org",
    "python" + "hosted",
    "download." + "pytorch",
    "--index" + "-url",
    "--extra-index" + "-url",
]
MACHINE_PATHS = ["/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", "/Us" + "ers/", "/opt/" + "wheels"]
TEXT_SUFFIXES = {".py", ".md", ".toml", ".txt", ".cfg", ".cff", ".yml", ".yaml", ".ini", ".sh", ""}


@cache
def tracked_files() -> tuple[Path, ...]:
    """Files in the repository's index, or every file where there is no git (a source archive)."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=False)
    names = listed.stdout.decode().split("\0") if listed.returncode == 0 else []
    files = [REPOSITORY / name for name in names if name] or [
        path
        for folder in ("src", "tests", "docs")
        for path in (REPOSITORY / folder).rglob("*")
        if "__pycache__" not in path.parts
    ]
    return tuple(path for path in files if path.is_file())


def texts() -> dict[Path, str]:
    return {
        path: path.read_text(encoding="utf-8") for path in tracked_files() if path.suffix in TEXT_SUFFIXES
    }


def occurrences(needles: list[str]) -> list[str]:
    return [
        f"{path.relative_to(REPOSITORY)}:{number}: {needle}"
        for path, text in texts().items()
        for number, line in enumerate(text.splitlines(), start=1)
        for needle in needles
        if needle in line
    ]


def test_no_file_names_a_package_registry() -> None:
    assert not occurrences(REGISTRY_HOSTS)


def test_no_file_names_a_path_of_one_machine() -> None:
    assert not occurrences(MACHINE_PATHS)


def markdown_links() -> list[tuple[Path, str]]:
    pages = {path: text for path, text in texts().items() if path.suffix == ".md"}
    return [
        (path, target)
        for path, text in pages.items()
        for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    ]


def anchors(page: Path) -> set[str]:
    """Anchors that a Markdown page offers: its headings in lower case, words joined by dashes."""
    headings = re.findall(r"^#+\s+(.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


def test_every_link_in_the_documentation_leads_somewhere() -> None:
    links = [(page, target) for page, target in markdown_links() if "://" not in target]
    assert links, "no relative link found: has the pattern gone stale?"
    broken = []
    for page, target in links:
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(f"{page.relative_to(REPOSITORY)}: {target}")
    assert not broken, "\n".join(broken)


def test_the_tree_in_the_readme_names_every_source_file_and_no_other() -> None:
    sources = {
        path.relative_to(REPOSITORY).as_posix()
        for path in tracked_files()
        if path.suffix == ".py" and path.name != "__init__.py" and path.is_relative_to(REPOSITORY / "src")
    }
    named = {name for name in named_files((REPOSITORY / "README.md").read_text()) if name.endswith(".py")}
    hint = "python -m tests.style.tree writes the tree anew"
    assert named == sources, f"missing {sorted(sources - named)}, gone {sorted(named - sources)}; {hint}"


def test_changelog_citation_and_project_file_agree_on_the_version() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["version"] == gmr.__version__
    assert re.search(
        rf"^## {re.escape(gmr.__version__)}\b", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert f"\nversion: {gmr.__version__}\n" in (REPOSITORY / "CITATION.cff").read_text()


def test_the_lock_pins_torch_and_every_direct_dependency() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(line for lines in project["optional-dependencies"].values() for line in lines),
    ]
    names = {re.split(r"[\[<>=!~ ]", line)[0].lower() for line in wanted} - {project["name"]}
    lock = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").lower()
    pins = dict(line.split("==") for line in lock.split())
    assert pins["torch"] == "2.13.0"
    assert not names - pins.keys()
    assert not [pin for pin in pins.values() if "+" in pin], "a local build tag fits one platform only"


def test_the_package_takes_every_file_of_its_folder_along() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    package = REPOSITORY / "src" / "gmr"
    patterns = project["tool"]["setuptools"]["package-data"]["gmr"]
    taken = {path for pattern in patterns for path in package.glob(pattern)} | set(package.rglob("*.py"))
    left_out = [path for path in tracked_files() if path.is_relative_to(package) and path not in taken]
    assert not left_out, "an installed gmr would lack them: add a pattern to package-data"


def test_no_tracked_file_but_weights_is_large() -> None:
    large = [path for path in tracked_files() if path.stat().st_size > 1_000_000]
    assert {path.name for path in large} <= {"model.safetensors"}
    assert sum(path.stat().st_size for path in large if "weights" in path.parts) <= 10_000_000
