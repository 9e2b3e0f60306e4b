"""The tree of the source files that the README shows; ``python -m tests.style.tree`` writes it there anew."""

import ast
import re
from collections.abc import Iterable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```\S*\nsrc/gmr/\s.*?^```$", flags=re.MULTILINE | re.DOTALL)
WIDTH = 118


def named_files(readme: str) -> set[str]:
    """Paths that the tree in ``readme`` names: two spaces of indent per folder, the name first in its line."""
    block = BLOCK.search(readme)
    folders: list[str] = []
    found = set()
    for line in block.group().splitlines()[1:-1] if block else []:
        name = line.split()[0]
        folders = folders[: (len(line) - len(line.lstrip())) // 2]
        if name.endswith("/"):
            folders.append(name)
        else:
            found.add("".join(folders) + name)
    return found


def first_line(source: Path) -> str:
    """What a module says of itself: its docstring up to the end of the first sentence, without markup."""
    docstring = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    sentence = re.split(r"(?<=[.!?])\s+(?=[A-Z`])|\n\n", docstring)[0]
    return " ".join(sentence.split()).replace("``", "").rstrip(".")


def render_tree(sources: Iterable[Path]) -> str:
    """One line for each folder and file, what it is for beside it."""
    lines = []
    shown: set[Path] = set()
    root = REPOSITORY / "src" / "gmr"
    for source in sorted(sources, key=lambda path: (path.parent.relative_to(root).as_posix(), path.name)):
        for folder in [*reversed(source.relative_to(root).parents)]:
            if folder not in shown:
                shown.add(folder)
                name = "src/gmr/" if folder == Path() else f"{folder.name}/"
                lines.append(_line(len(folder.parts), name, first_line(root / folder / "__init__.py")))
        lines.append(_line(len(source.relative_to(root).parts), source.name, first_line(source)))
    return "\n".join(lines)


def _line(depth: int, name: str, text: str) -> str:
    line = f"{'  ' * depth}{name}".ljust(30) + text
    if len(line) <= WIDTH:
        return line
    # A clause that ends in time reads better than a sentence that is cut.
    ends = [match.start() for match in re.finditer(r"[,;:.] ", line[:WIDTH]) if match.start() > WIDTH // 2]
    return line[: ends[-1]] if ends else line[: line.rindex(" ", 0, WIDTH - 2)] + " …"


def main() -> None:
    """Write the tree into the README."""
    sources = [path for path in (REPOSITORY / "src").rglob("*.py") if path.name != "__init__.py"]
    readme = REPOSITORY / "README.md"
    text = readme.read_text(encoding="utf-8")
    block = f"```\n{render_tree(sources)}\n```"
    readme.write_text(BLOCK.sub(lambda _: block, text), encoding="utf-8")


if __name__ == "__main__":
    main()
