"""Configuration: a page of TOML into nested frozen dataclasses and back, with errors that name the key."""

import dataclasses
import difflib
import json
import re
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from gmr.core.errors import ConfigError, DataError
from gmr.core.files import read_text, shorten

Config = TypeVar("Config")

_TOML_TYPES: dict[Any, Any] = {float: (int, float), Path: str, tuple: list, Sequence: list}
_TYPE_NAMES: dict[Any, str] = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a string",
    Path: "a path",
    list: "a list",
    tuple: "a list",
    Sequence: "a list",
    dict: "a table",
}
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_TOML_POSITION = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


@dataclasses.dataclass(frozen=True)
class _Page:
    """What errors need to know: the name of the page, and every dotted key it may hold."""

    where: str
    known: tuple[str, ...]


def load_config(
    source: Path | str,
    cls: type[Config],
    overrides: Sequence[str] = (),
    *,
    where: str | None = None,
) -> Config:
    """The dataclass ``cls`` as a page of TOML fills it; fields that are not given keep their defaults.

    Fields may be ``bool``, ``int``, ``float``, ``str``, ``Path``, ``Literal``, ``X | None`` (``"none"`` is
    None, which TOML lacks), lists, tuples and string-keyed mappings of these, and dataclasses (tables).

    Args:
        source: a file, or TOML itself: a string that is empty, holds ``=`` or a line break.
        cls: a dataclass.
        overrides: ``"section.key=value"``, applied in order; a value that is not TOML is taken as a string.
        where: what the page is called in an error; the file's path by default.

    Raises:
        ConfigError: for TOML that cannot be read, an unknown key (with the nearest known one), a value of the
            wrong type, a missing key, or a ``ValueError`` of the dataclass itself.
    """
    if isinstance(source, str) and source and not re.search(r"[=\n]", source):
        source = Path(source)
    where = where or (str(source) if isinstance(source, Path) else "config")
    table = _parse(source, where)
    for override in overrides:
        _apply(table, override)
    try:
        return typing.cast(Config, _build(cls, table, _Page(where, tuple(known_keys(cls))), ()))
    except ConfigError as error:
        # The page may be a packaged one, and the fault on the command line.
        named = [
            each for each in overrides if each.partition("=")[0].strip().rpartition(".")[2] in str(error)
        ]
        if not named:
            raise
        raise ConfigError(f"{error} (set by {', '.join(named)})") from error


def to_toml(config: Any) -> str:
    """The dataclass as a page of TOML that `load_config` reads back as an equal one; every field is written.

    Raises:
        ConfigError: for a value that TOML cannot hold.
    """
    return "".join(_lines(config, ())).lstrip("\n")


def known_keys(cls: Any, prefix: tuple[str, ...] = ()) -> Iterator[str]:
    """The dotted keys that a dataclass takes, sections included."""
    for name, hint in _fields(cls).items():
        yield ".".join((*prefix, name))
        for option in _options(hint):
            if dataclasses.is_dataclass(option):
                yield from known_keys(option, (*prefix, name))


def _parse(source: Path | str, where: str) -> dict[str, Any]:
    try:
        text = source if isinstance(source, str) else read_text(source)
    except DataError as error:
        raise ConfigError(str(error)) from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        position = _TOML_POSITION.search(message)
        line = (position and position[1]) or text.count("\n") + 1
        raise ConfigError(f"{where}:{line}: not valid TOML ({_TOML_POSITION.sub('', message)})") from None


def _apply(table: dict[str, Any], override: str) -> None:
    dotted, equals, text = override.partition("=")
    keys = dotted.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(f"override {override!r}: write section.key=value")
    for depth, key in enumerate(keys[:-1], start=1):
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise ConfigError(f"override {override!r}: {'.'.join(keys[:depth])!r} is a value, not a section")
    try:
        parsed = tomllib.loads(f"value = {text}")
        table[keys[-1]] = parsed["value"] if parsed.keys() == {"value"} else text
    except tomllib.TOMLDecodeError:
        # Quoting a string twice, for TOML and for the shell, is more than anyone gets right.
        table[keys[-1]] = text.strip()


def _build(cls: Any, table: Mapping[str, Any], page: _Page, path: tuple[str, ...]) -> Any:
    hints = _fields(cls)
    for key in table:
        if key not in hints:
            raise _unknown_key(page, cls, (*path, key))
    values = {key: _convert(hints[key], value, page, (*path, key)) for key, value in table.items()}
    for field in dataclasses.fields(cls):
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if field.init and required and field.name not in values:
            raise ConfigError(f"{page.where}: key {'.'.join((*path, field.name))!r} is missing")
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(f"{page.where}: {error}") from error
    except ValueError as error:
        section = f"[{'.'.join(path)}] " if path else ""
        raise ConfigError(f"{page.where}: {section}{error}") from error


def _fields(cls: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls) if field.init}


def _unknown_key(page: _Page, cls: Any, path: tuple[str, ...]) -> ConfigError:
    dotted = ".".join(path)
    names = list(_fields(cls))
    here = [".".join((*path[:-1], name)) for name in names]
    # A slip of the pen, else a key of another section.
    near = [".".join((*path[:-1], name)) for name in difflib.get_close_matches(path[-1], names, n=1)]
    near += [key for key in page.known if key.split(".")[-1] == path[-1]]
    hint = f"; did you mean {near[0]!r}?" if near else f" (known: {', '.join(here)})"
    return ConfigError(f"{page.where}: unknown key {dotted!r}{hint}")


def _options(hint: Any) -> list[Any]:
    """The members of a union, or the type alone."""
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return list(typing.get_args(hint)) if union else [hint]


def _convert(hint: Any, value: Any, page: _Page, path: tuple[str, ...]) -> Any:
    options = _options(hint)
    if types.NoneType in options and value == "none":
        return None
    options = [option for option in options if option is not types.NoneType]
    for option in options:
        if _accepts(option, value):
            return _converted(option, value, page, path)
    wanted = " or ".join(_name(option) for option in options)
    raise ConfigError(
        f"{page.where}: {'.'.join(path)} must be {wanted}, this is {_name(type(value))}: {shorten(value)}"
    )


def _accepts(hint: Any, value: Any) -> bool:
    origin = typing.get_origin(hint) or hint
    if origin is typing.Literal:
        # True == 1, so the type counts as well.
        return any(value == choice and type(value) is type(choice) for choice in typing.get_args(hint))
    if origin is Any:
        return True
    wanted: Any = dict if _is_table(origin) else _TOML_TYPES.get(origin, origin)
    return isinstance(value, wanted) and isinstance(value, bool) == (origin is bool)


def _is_table(origin: Any) -> bool:
    return dataclasses.is_dataclass(origin) or (isinstance(origin, type) and issubclass(origin, Mapping))


def _converted(hint: Any, value: Any, page: _Page, path: tuple[str, ...]) -> Any:
    origin, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
    if dataclasses.is_dataclass(origin):
        return _build(origin, value, page, path)
    if isinstance(value, list):
        if origin is tuple and Ellipsis not in inner:
            if len(value) != len(inner):
                raise ConfigError(
                    f"{page.where}: {'.'.join(path)} needs {len(inner)} values, these are {len(value)}"
                )
            hints = list(inner)
        else:
            hints = [inner[0] if inner else Any] * len(value)
        items = [
            _convert(h, v, page, (*path, str(i))) for i, (h, v) in enumerate(zip(hints, value, strict=True))
        ]
        return items if origin is list else tuple(items)
    if isinstance(value, dict) and len(inner) == 2:
        return {key: _convert(inner[1], each, page, (*path, key)) for key, each in value.items()}
    if origin in (float, Path):
        return origin(value)
    return value


def _name(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(repr(choice) for choice in typing.get_args(hint))
    origin = typing.get_origin(hint) or hint
    return (
        "a table" if _is_table(origin) else _TYPE_NAMES.get(origin, getattr(origin, "__name__", str(origin)))
    )


def _lines(config: Any, path: tuple[str, ...]) -> Iterator[str]:
    fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(config) if field.init}
    hints = _fields(type(config))
    sections = {name: value for name, value in fields.items() if dataclasses.is_dataclass(value)}
    for name, value in fields.items():
        if name not in sections:
            if value == "none" and types.NoneType in _options(hints[name]):
                raise ConfigError(f"{'.'.join((*path, name))}: the string 'none' stands for no value")
            yield f"{_key(name)} = {_value(value, (*path, name))}\n"
    for name, section in sections.items():
        yield f"\n[{'.'.join(_key(part) for part in (*path, name))}]\n"
        yield from _lines(section, (*path, name))


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _string(name, (name,))


def _value(value: Any, path: tuple[str, ...]) -> str:
    if dataclasses.is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
    match value:
        case None:
            text = '"none"'
        case bool():
            text = str(value).lower()
        case int() | float():  # TOML spells inf and nan as Python does
            text = repr(value)
        case str() | Path():
            text = _string(str(value), path)
        case Mapping():
            pairs = (f"{_key(key)} = {_value(each, (*path, key))}" for key, each in value.items())
            text = "{" + ", ".join(pairs) + "}"
        case list() | tuple():
            text = "[" + ", ".join(_value(each, path) for each in value) + "]"
        case _:
            raise ConfigError(f"{'.'.join(path)}: TOML cannot hold {type(value).__name__}: {shorten(value)}")
    return text


def _string(text: str, path: tuple[str, ...]) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ConfigError(f"{'.'.join(path)}: TOML cannot hold the string {shorten(text)}") from None
    # JSON's escapes are TOML's, but TOML wants DEL escaped as well.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
