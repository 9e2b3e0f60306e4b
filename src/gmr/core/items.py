"""Items: a query or document is a sequence of texts and pictures, however it was spelled."""

import base64
import binascii
import difflib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import PIL.Image

from gmr.core.errors import DataError
from gmr.core.files import digest, safe_join, shorten
from gmr.core.images import MAX_BYTES, Source, image_key, image_size, open_image, read_bytes


@dataclass(frozen=True)
class Text:
    """A piece of text. Lone surrogates, which no tokenizer takes, are kept as U+FFFD."""

    text: str

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise DataError(f"text: a string is needed, this is {_kind(self.text)}: {shorten(self.text)}")
        object.__setattr__(self, "text", replace_surrogates(self.text))


@dataclass(frozen=True, eq=False)
class Image:
    """A picture: a file, the bytes of one, or a Pillow image. Nothing is read before it is needed.

    Equal pictures have equal content: the same file bytes, or the same mode, size and pixels.
    """

    source: Source

    def __post_init__(self) -> None:
        if not isinstance(self.source, (Path, bytes, PIL.Image.Image)):
            raise DataError(f"image: a path, bytes or PIL.Image is needed, this is {_kind(self.source)}")

    @cached_property
    def key(self) -> str:
        """SHA-256 (64 hex digits) of the framed content."""
        return image_key(self.source, where=self.name)

    @cached_property
    def size(self) -> tuple[int, int]:
        """``(width, height)`` in pixels after orientation, from the header alone."""
        return image_size(self.source, where=self.name)

    @property
    def name(self) -> str:
        """What the picture is called in a message: its path, or what it is made of."""
        if isinstance(self.source, Path):
            return str(self.source)
        if isinstance(self.source, bytes):
            return f"image of {len(self.source)} bytes"
        return f"PIL image of {self.source.width}x{self.source.height}"

    def open(self) -> PIL.Image.Image:
        """The picture as RGB, upright, on white.

        Raises:
            DataError: naming the file, if it cannot be shown whole and safely, or is another one than when it was
                first read: what is known of a picture is known by its content.
        """
        if not isinstance(self.source, Path):
            return open_image(self.source, where=self.name)
        data = read_bytes(self.source, where=self.name)
        found = image_key(data, where=self.name)
        if vars(self).setdefault("key", found) != found:
            raise DataError(f"{self.name}: the file has changed since it was first read; read the data again")
        return open_image(data, where=self.name)

    def file_bytes(self) -> bytes:
        """The bytes of the picture's file as they are; those of a PNG for a picture that has no file.

        Raises:
            DataError: naming the file, if it cannot be read.
        """
        if not isinstance(self.source, PIL.Image.Image):
            return read_bytes(self.source, where=self.name)
        buffer = io.BytesIO()
        self.open().save(buffer, "PNG")
        return buffer.getvalue()

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, Image) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)


Part = Text | Image
Item = tuple[Part, ...]

_KEYS = ("text", "image", "content")
_PART_KEYS = {"text": ("type", "text"), "image": ("type", "image"), "image_url": ("type", "image_url")}
_EMPTY = "is empty; give text, a picture or both"


def as_item(value: Any, *, where: str = "item", root: Path | None = None) -> Item:
    """The parts that ``value`` spells, in order.

    A ``str`` is text; a ``Path``, ``PIL.Image`` or the ``bytes`` of an image file is a picture; a mapping has
    ``text`` and ``image`` (in the order of its keys; each may be a list) or ``content`` (the parts of chat
    messages: ``text``, ``image_url``, ``image``); a list is any of these, interleaved. Strings that stand for
    pictures are paths or ``data:`` URIs. ``None`` and empty texts are no parts.

    Args:
        value: any of the spellings above, or an item.
        where: what the item is called in an error.
        root: folder that relative paths start from and may not leave; None for the working directory,
            where any path is allowed.

    Raises:
        DataError: for an empty item, an unknown key, a wrong type, a missing file, bad base64, or a web
            address, since nothing is ever fetched.
    """
    if is_item(value):
        return cast(Item, value)
    try:
        parts = tuple(_parts(value, where, root))
    except RecursionError:
        raise DataError(f"{where}: lists are nested too deeply") from None
    if not parts:
        raise DataError(f"{where}: {shorten(value)} {_EMPTY}")
    return parts


def is_item(value: object) -> bool:
    """Whether ``value`` is an item: a tuple of at least one part."""
    return isinstance(value, tuple) and bool(value) and all(isinstance(part, (Text, Image)) for part in value)


def modality(item: Item) -> str:
    """The kinds of parts an item has: ``"t"``, ``"i"`` or ``"it"``."""
    kinds = {"i" if isinstance(part, Image) else "t" for part in item}
    return "".join(sorted(kinds))


def text_of(item: Item) -> str:
    """The texts of an item, joined by a space."""
    return " ".join(part.text for part in item if isinstance(part, Text))


def images_of(item: Item) -> tuple[Image, ...]:
    """The pictures of an item, in order."""
    return tuple(part for part in item if isinstance(part, Image))


def item_key(item: Item) -> str:
    """SHA-256 (64 hex digits) of an item's content, framed part by part; pictures are read."""
    return digest(*(f"i{p.key}".encode() if isinstance(p, Image) else f"t{p.text}".encode() for p in item))


def replace_surrogates(text: str) -> str:
    """``text`` with lone surrogates as U+FFFD; everything else as it is."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def check_known(record: Mapping[Any, Any], known: Sequence[str], where: str) -> None:
    """Refuse a record with a key that is none of ``known``, naming the nearest.

    Raises:
        DataError: for the first unknown key.
    """
    for key in record:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise DataError(f"{where}: unknown key {shorten(key)} (known: {', '.join(known)}){hint}")


def _parts(value: Any, where: str, root: Path | None) -> list[Part]:
    if isinstance(value, (list, tuple)):
        nested = (_parts(each, f"{where}[{i}]", root) for i, each in enumerate(value))
        return [part for parts in nested for part in parts]
    if isinstance(value, Mapping):
        return _mapping_parts(value, where, root)
    match value:
        case None:
            return []
        case Text() | str():
            text = _text(value, where, root)
            return [text] if text.text else []
        case Image() | Path() | bytes() | bytearray() | memoryview() | PIL.Image.Image():
            return [_image(value, where, root)]
    hint = "; use PIL.Image.fromarray" if hasattr(value, "__array_interface__") else ""
    raise DataError(f"{where}: {_kind(value)} is neither text nor a picture{hint}: {shorten(value)}")


def _mapping_parts(value: Mapping[Any, Any], where: str, root: Path | None) -> list[Part]:
    if "type" in value:
        return _content_part(value, where, root)
    check_known(value, _KEYS, where)
    if "content" in value and len(value) > 1:
        raise DataError(f"{where}: give either 'content' or 'text' and 'image', not both")
    parts: list[Part] = []
    for key, given in value.items():
        at = f"{where}.{key}"
        if key == "content":
            parts += _parts(given, at, root)
        else:
            read = _text if key == "text" else _image
            many = given if isinstance(given, (list, tuple)) else [given]
            parts += [read(each, at, root) for each in many if each is not None and each != ""]
    return parts


def _content_part(part: Mapping[Any, Any], where: str, root: Path | None) -> list[Part]:
    kind = part["type"]
    if not isinstance(kind, str) or kind not in _PART_KEYS:
        raise DataError(f"{where}: unknown part type {shorten(kind)}; known are {', '.join(_PART_KEYS)}")
    check_known(part, _PART_KEYS[kind], where)
    if kind not in part:
        raise DataError(f"{where}: a part of type {kind!r} needs the key {kind!r}")
    given = part[kind]
    if kind == "text":
        return [_text(given, where, root)] if given != "" else []
    if kind == "image_url" and isinstance(given, Mapping):
        check_known(given, ("url",), f"{where}.image_url")
        given = given.get("url")
    return [_image(given, f"{where}.{kind}", root)]


def _text(value: Any, where: str, _root: Path | None) -> Text:
    if isinstance(value, Text):
        return value
    if not isinstance(value, str):
        raise DataError(f"{where}: a string is needed, this is {_kind(value)}: {shorten(value)}")
    return Text(value)


def _image(value: Any, where: str, root: Path | None) -> Image:
    match value:
        case Image():
            return value
        case Path():
            return _image_file(value if root is None or value.is_absolute() else root / value, where)
        case str():
            return _image_string(value, where, root)
        case Mapping() if value and value.keys() <= {"bytes", "path"}:  # a picture in a Parquet column
            data = value.get("bytes")
            return _image(data if data is not None else value.get("path"), where, root)
        case bytes() | bytearray() | memoryview():
            return _held_image(bytes(value), where)
        case PIL.Image.Image():
            return _held_image(value, where)
    raise DataError(f"{where}: a picture is needed, this is {_kind(value)}: {shorten(value)}")


def _held_image(source: bytes | PIL.Image.Image, where: str) -> Image:
    # Bytes have no name of their own, so what their header tells is checked while ``where`` is known.
    image_size(source, where=where)
    return Image(source)


def _image_file(path: Path, where: str) -> Image:
    if not path.is_file():
        raise DataError(f"{where}: no such image file: {path}")
    return Image(path)


def _image_string(value: str, where: str, root: Path | None) -> Image:
    if value[:5].lower() == "data:":
        return _held_image(_decode_data_uri(value, where), where)
    if "://" in value:
        raise DataError(
            f"{where}: {shorten(value)} is a web address; nothing is fetched, give a file or its bytes"
        )
    if root is not None:
        return _image_file(safe_join(root, value, where=where), where)
    if "\0" in value:
        raise DataError(f"{where}: {shorten(value)} is not a file name")
    return _image_file(Path(value), where)


def _decode_data_uri(uri: str, where: str) -> bytes:
    head, comma, payload = uri.partition(",")
    if not comma or not head.lower().startswith("data:image/") or not head.lower().endswith(";base64"):
        raise DataError(f"{where}: {shorten(head)} is not a data URI of the form data:image/png;base64,...")
    if len(payload) // 4 * 3 > MAX_BYTES:  # before decoding
        raise DataError(f"{where}: image of about {len(payload) // 4 * 3} bytes exceeds {MAX_BYTES}")
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise DataError(f"{where}: image data is not valid base64") from None


def _kind(value: object) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
