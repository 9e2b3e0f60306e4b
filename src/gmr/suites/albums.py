"""Pictures of a data folder, read from its zip archives when they are needed."""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gmr.core.errors import DataError
from gmr.core.files import unreadable
from gmr.core.items import Image
from gmr.suites.pieces import Picture


@dataclass(frozen=True)
class Album:
    """An archive, and what a picture's name ends in there."""

    path: Path
    suffix: str


class Albums:
    """Pictures by album and name; each is read once and held as the bytes of its file."""

    def __init__(self, albums: Mapping[str, Album]) -> None:
        self._albums = dict(albums)
        self._archives: dict[str, zipfile.ZipFile] = {}
        self._images: dict[Picture, Image] = {}

    def image(self, picture: Picture) -> Image:
        """The picture.

        Raises:
            DataError: the archive is missing or damaged, or has no such picture.
        """
        if picture not in self._images:
            archive, member = self._member(picture)
            try:
                self._images[picture] = Image(archive.read(member))
            except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError):
                path = self._albums[picture.album].path
                raise DataError(f"{path}: picture {member.filename!r} is damaged") from None
        return self._images[picture]

    def checksum(self, picture: Picture) -> int:
        """CRC-32 of the picture's file as the archive's directory tells it: no picture is read.

        Raises:
            DataError: as ``image``.
        """
        return self._member(picture)[1].CRC

    def _member(self, picture: Picture) -> tuple[zipfile.ZipFile, zipfile.ZipInfo]:
        album = self._albums[picture.album]
        if picture.album not in self._archives:
            try:
                # Held in memory: no handle stays open for as long as a training set lives.
                self._archives[picture.album] = zipfile.ZipFile(io.BytesIO(album.path.read_bytes()))
            except OSError as error:
                raise unreadable(album.path, error) from error
            except zipfile.BadZipFile:
                raise DataError(f"{album.path}: not a zip archive, or damaged") from None
        archive = self._archives[picture.album]
        try:
            return archive, archive.getinfo(picture.name + album.suffix)
        except KeyError:
            raise DataError(f"{album.path}: no picture {picture.name + album.suffix!r}") from None
