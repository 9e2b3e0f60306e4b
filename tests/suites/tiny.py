"""Made-up data folders in the formats of the shared ones, small enough to build every first stage in a test."""

import gzip
import io
import json
import zipfile
from pathlib import Path

from PIL import Image, ImageDraw

from gmr.suites.emoji.data import LANGUAGES, VENDORS

COLOURS = ("red", "green", "blue", "orange", "purple", "black", "teal", "pink")
SHAPES = ("ball", "box", "bar")
XQUAD_LANGUAGES = ("en", "ar", "de", "el", "es", "hi", "ro", "ru", "th", "tr", "vi", "zh")


def write_gz(path: Path, rows: list[dict]) -> None:
    """JSON Lines, compressed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))


def write_jsonl(path: Path, rows: list[dict]) -> None:
    """JSON Lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def picture(colour: str, shape: str, *, inset: int = 10, size: int = 72, format: str = "PNG") -> bytes:
    """A shape of a colour on nothing."""
    image = Image.new("RGBA", (size, size), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    box = (inset, inset, size - inset, size - inset)
    if shape == "ball":
        draw.ellipse(box, fill=colour)
    elif shape == "box":
        draw.rectangle(box, fill=colour)
    else:
        draw.rectangle((inset, size // 3, size - inset, 2 * size // 3), fill=colour)
    buffer = io.BytesIO()
    image.save(buffer, format)
    return buffer.getvalue()


def write_emoji(root: Path) -> Path:
    """``root/emoji``: 24 concepts (8 colours x 3 shapes) and two that change them; families are colours."""
    folder = root / "emoji"
    folder.mkdir(parents=True)
    splits = dict(zip(COLOURS, ("train",) * 3 + ("dev",) + ("test",) * 4, strict=True))
    concepts, pictures = [], {}
    for colour in COLOURS:
        for shape in SHAPES:
            name = f"{colour} {shape}"
            concepts.append(_concept(f"{colour}-{shape}", name, colour, splits[colour]))
            pictures[f"{colour}-{shape}"] = (colour, shape)
    # The words of changes are training concepts, like Unicode's man, woman and skin tones.
    for word in ("rounded", "squared"):
        concepts.append(_concept(word, word, word, "train"))
        pictures[word] = ("grey", "ball" if word == "rounded" else "box")
    relations = []
    for colour in COLOURS:
        split = splits[colour]
        for source, target, word in (("box", "ball", "rounded"), ("ball", "box", "squared")):
            relations.append(
                {"type": "gender", "source": [f"{colour}-{source}"], "target": f"{colour}-{target}"}
                | {"word": word, "edit": f"{source}>{target}", "split": split}
            )
        relations.append(
            {"type": "compose", "source": [f"{colour}-ball", f"{colour}-box"], "target": f"{colour}-bar"}
            | {"word": None, "edit": "zwj", "split": split}
        )
    write_jsonl(folder / "concepts.jsonl", concepts)
    write_jsonl(folder / "relations.jsonl", relations)
    # pink and purple balls are one picture in OpenMoji, in two families
    alike = {"a": "purple-ball", "b": "pink-ball", "mean_abs_diff": {"openmoji": 0.0}, "same_family": False}
    write_jsonl(folder / "lookalikes.jsonl", [alike])
    keywords = [
        {"id": c["id"], **{code: [f"{w}{code}" for w in c["keywords"]] for code in LANGUAGES if code != "en"}}
        for c in concepts
    ]
    write_gz(folder / "keywords_i18n.jsonl.gz", keywords)
    for number, vendor in enumerate(VENDORS):
        with zipfile.ZipFile(folder / f"images-{vendor}.zip", "w") as archive:
            for concept_id, (colour, shape) in pictures.items():
                shared = vendor == "openmoji" and concept_id == "pink-ball"
                data = picture("purple" if shared else colour, shape, inset=8 + 4 * number)
                archive.writestr(zipfile.ZipInfo(f"{concept_id}.png", (2024, 1, 1, 0, 0, 0)), data)
    return root


def _concept(concept_id: str, name: str, family: str, split: str) -> dict:
    names = {code: " ".join(f"{word}{code}" for word in name.split()) for code in LANGUAGES if code != "en"}
    return {
        "id": concept_id,
        "emoji": "x",
        "name": name,
        "group": "Shapes",
        "subgroup": "flat-shape",
        "family": family,
        "split": split,
        "keywords": name.split(),
        "names": names,
    }


def write_stamps(root: Path) -> Path:
    """``root/stamps``: 24 stamps with captions in five languages; two test stamps have one caption."""
    folder = root / "stamps"
    folder.mkdir(parents=True)
    splits = dict(zip(COLOURS, ("train",) * 3 + ("dev",) + ("test",) * 4, strict=True))
    rows = []
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for colour in COLOURS:
            for shape in SHAPES:
                stamp_id = f"{shape}/{colour}"
                caption = f"A {colour} {shape}."
                if colour == "pink" and shape == "box":
                    caption = "A pink ball."
                captions = {
                    code: caption if code == "en" else f"{caption} {code}" for code in ("en", "de", "ru")
                }
                if shape != "bar":
                    captions["ja"] = f"{colour}の{shape}"
                rows.append(
                    {"id": stamp_id, "image": f"{stamp_id}.webp", "size": [64, 64], "category": shape}
                )
                rows[-1] |= {"captions": captions, "split": splits[colour]}
                archive.writestr(
                    zipfile.ZipInfo(f"{stamp_id}.webp", (2024, 1, 1, 0, 0, 0)),
                    picture(colour, shape, size=64, format="WEBP"),
                )
    write_gz(folder / "captions.jsonl.gz", rows)
    return root


def write_xquad(root: Path, *, num_paragraphs: int = 45) -> Path:
    """``root/xquad``: two questions for each paragraph, in all twelve languages."""
    folder = root / "xquad"
    for code in XQUAD_LANGUAGES:
        paragraphs = [
            {"_id": f"p{n:03d}", "title": "t", "text": f"{code}word{n} stands at {n * 37}."}
            for n in range(num_paragraphs)
        ]
        write_gz(folder / f"corpus.{code}.jsonl.gz", paragraphs)
        questions = [
            {"_id": f"q{n:03d}", "text": f"where is {code}word{n // 2}?", "answer": str(n // 2 * 37)}
            for n in range(2 * num_paragraphs)
        ]
        write_gz(folder / f"queries.{code}.jsonl.gz", questions)
    (folder / "qrels").mkdir()
    rows = "".join(f"q{n:03d}\tp{n // 2:03d}\t1\n" for n in range(2 * num_paragraphs))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + rows)
    return root


def write_vaswani(root: Path) -> Path:
    """``root/vaswani``: two abstracts, one query, a run."""
    folder = root / "vaswani"
    write_gz(
        folder / "corpus.jsonl.gz",
        [{"_id": "1", "title": "", "text": "a"}, {"_id": "2", "title": "", "text": "b"}],
    )
    write_gz(folder / "queries.jsonl.gz", [{"_id": "1", "text": "a"}])
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\t1\t1\n")
    (folder / "run.bm25.trec.gz").write_bytes(gzip.compress(b"1 Q0 1 1 2.0 bm25s\n1 Q0 2 2 1.0 bm25s\n"))
    return root
