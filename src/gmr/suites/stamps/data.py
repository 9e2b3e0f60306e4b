"""The stamps data folder: pictures with captions by language."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gmr.core.errors import DataError
from gmr.core.files import read_jsonl
from gmr.suites.albums import Album, Albums
from gmr.suites.pieces import Picture
from gmr.suites.reading import data_folder, table_field, text_field

ALBUM = "stamps"
SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Stamp:
    """One picture.

    Attributes:
        stamp_id: its path without suffix.
        captions: language -> caption; ``en`` always.
        category: such as ``animals``.
        split: by English caption.
    """

    stamp_id: str
    captions: Mapping[str, str]
    category: str
    split: str

    @property
    def picture(self) -> Picture:
        """The picture in its album."""
        return Picture(ALBUM, self.stamp_id)


@dataclass(frozen=True)
class Stamps:
    """All of the data folder, in the order of the file."""

    stamps: Mapping[str, Stamp]
    albums: Albums

    @cached_property
    def _by_english(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = defaultdict(set)
        for stamp in self.stamps.values():
            found[stamp.captions["en"]].add(stamp.stamp_id)
        return found

    @cached_property
    def _by_caption(self) -> dict[tuple[str, str], set[str]]:
        found: dict[tuple[str, str], set[str]] = defaultdict(set)
        for stamp in self.stamps.values():
            for language, caption in stamp.captions.items():
                found[language, caption].add(stamp.stamp_id)
        return found

    def same(self, stamp_id: str) -> set[str]:
        """The stamps with the same English caption: they stand for the same thing."""
        return self._by_english[self.stamps[stamp_id].captions["en"]]

    def captioned(self, stamp_id: str, language: str) -> set[str]:
        """The stamps that a stamp's caption in a language may be about: of the same caption there, or in English."""
        return self.same(stamp_id) | self._by_caption[language, self.stamps[stamp_id].captions[language]]


def read_stamps(data_root: Path) -> Stamps:
    """The data of ``data_root/stamps``; pictures are read later.

    Raises:
        DataError: naming file and line of what is missing or wrong.
    """
    folder = data_folder(data_root, "stamps", marker="captions.jsonl.gz")
    path = folder / "captions.jsonl.gz"
    stamps: dict[str, Stamp] = {}
    splits: dict[str, str] = {}
    for number, record in read_jsonl(path):
        where = f"{path}:{number}"
        stamp_id = text_field(record, "id", where=where)
        image = text_field(record, "image", where=where)
        captions = table_field(record, "captions", where=where)
        split = text_field(record, "split", where=where)
        if stamp_id in stamps:
            raise DataError(f"{where}: stamp {stamp_id!r} is given twice")
        if image != f"{stamp_id}.webp":
            raise DataError(f"{where}: image {image!r} of stamp {stamp_id!r}, expected {stamp_id}.webp")
        if "en" not in captions:
            raise DataError(f"{where}: stamp {stamp_id!r} has no English caption")
        if split not in SPLITS:
            raise DataError(f"{where}: unknown split {split!r}; there are {', '.join(SPLITS)}")
        if splits.setdefault(captions["en"], split) != split:
            raise DataError(f"{where}: caption {captions['en']!r} is in {splits[captions['en']]} and {split}")
        stamps[stamp_id] = Stamp(stamp_id, captions, text_field(record, "category", where=where), split)
    if not stamps:
        raise DataError(f"{path}: no stamps")
    return Stamps(stamps, Albums({ALBUM: Album(folder / "images.zip", ".webp")}))
