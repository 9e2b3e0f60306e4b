"""Rules of the house that no linter has: each takes a parsed module and returns the lines that break it."""

import ast
from collections.abc import Callable, Iterator

Rule = Callable[[ast.Module, str], Iterator[tuple[int, str]]]

# Each of these runs code that the data brings along.
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
UNSAFE_CALLS = {("torch", "load"), ("yaml", "load"), ("yaml", "unsafe_load"), ("yaml", "full_load")}
MAX_LINES = 400


def no_assert(tree: ast.Module, _path: str) -> Iterator[tuple[int, str]]:
    """``assert`` vanishes under ``python -O``: a check that matters raises."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield node.lineno, "assert outside tests"


def no_unsafe_loading(tree: ast.Module, _path: str) -> Iterator[tuple[int, str]]:
    """Nothing that loads data may execute it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [(node.module or "").split(".")[0]]
        else:
            names = []
        for name in UNSAFE_MODULES.intersection(names):
            yield node.lineno, f"import of {name}"
        if not isinstance(node, ast.Call):
            continue
        match node.func:
            case ast.Attribute(value=ast.Name(id=owner), attr=attr) if (owner, attr) in UNSAFE_CALLS:
                yield node.lineno, f"{owner}.{attr}"
            case ast.Name(id="eval" | "exec" as name):
                yield node.lineno, name
        if any(keyword.arg == "allow_pickle" for keyword in node.keywords):
            yield node.lineno, "allow_pickle"
        if any(
            keyword.arg == "trust_remote_code" and not _is_false(keyword.value) for keyword in node.keywords
        ):
            yield node.lineno, "trust_remote_code"


def no_print(tree: ast.Module, path: str) -> Iterator[tuple[int, str]]:
    """Only the command line prints; library code logs."""
    if "/cli/" in path:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield node.lineno, "print outside cli"


def public_has_docstring(tree: ast.Module, _path: str) -> Iterator[tuple[int, str]]:
    """A module, and each public function, class and method in it, says what it is for."""
    if not ast.get_docstring(tree):
        yield 1, "module without a docstring"
    yield from _undocumented(tree.body)


def nothing_at_import(tree: ast.Module, _path: str) -> Iterator[tuple[int, str]]:
    """No environment, no argument parsing, no logging set-up, no seeding while a module is imported."""
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.If):
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                if name.endswith(
                    (
                        ".seed",
                        ".manual_seed",
                        "basicConfig",
                        "getenv",
                        "parse_args",
                        "environ.get",
                        "filterwarnings",
                    )
                ):
                    yield node.lineno, f"{name} at import"
            if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
                yield node.lineno, "os.environ at import"


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def _undocumented(body: list[ast.stmt]) -> Iterator[tuple[int, str]]:
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        overload = any(ast.unparse(mark).endswith(("overload", ".setter")) for mark in node.decorator_list)
        if node.name.startswith("_") or overload:
            continue
        if not ast.get_docstring(node):
            yield node.lineno, f"{node.name} has no docstring"
        if isinstance(node, ast.ClassDef):
            yield from _undocumented(node.body)


RULES: dict[str, Rule] = {
    "no_assert": no_assert,
    "no_unsafe_loading": no_unsafe_loading,
    "no_print": no_print,
    "public_has_docstring": public_has_docstring,
    "nothing_at_import": nothing_at_import,
}
