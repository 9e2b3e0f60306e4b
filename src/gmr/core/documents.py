"""The documents a user names to be ranked: a folder, a file, or standard input."""

from collections.abc import Iterator
from pathlib import Path

from gmr.core.errors import DataError
from gmr.core.files import parse_json_object, read_lines, read_text, safe_join
from gmr.core.items import Item, as_item, check_known, images_of, text_of
from gmr.core.nouns import Document
from gmr.core.records import DOC_ID_KEYS, ITEM_KEYS, read_id, record_item

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif")
TEXT_SUFFIXES = (".txt", ".md")


def read_documents(path: Path | str) -> list[Document]:
    """The documents to rank: a folder, a picture, a JSONL file, a text file, or ``-`` for stdin.

    * folder: pictures and texts (``.txt``, ``.md``) at any depth, by path; the path is the id. Hidden files
      are not looked at; any other file is an error, so that nothing is left out in silence.
    * ``.jsonl``, ``.jsonl.gz``: ``doc_id`` (or ``_id``, ``id``; else the line number) and an item.
    * other files and stdin: a text per line, the line number as id; stdin is JSONL if it starts with ``{``.

    Raises:
        DataError: naming the file and line, for an empty item, a repeated id, a picture that is missing or
            whose header cannot be read, or no documents at all.
    """
    path = Path(path)
    if str(path) != "-" and path.is_dir():
        found = _folder_items(path)
    elif path.suffix.lower() in IMAGE_SUFFIXES:
        found = iter([(str(path), path.name, as_item(path, where=str(path)))])
    else:
        found = _line_items(path)
    documents: dict[str, Document] = {}
    for where, doc_id, item in found:
        if doc_id in documents:
            raise DataError(f"{where}: document id {doc_id!r} is given twice")
        images = images_of(item)
        if not images and not text_of(item).strip():
            # A fact in a corpus, a slip in a list that someone made to be ranked.
            raise DataError(f"{where}: document {doc_id!r} is empty; give text, a picture or both")
        for image in images:
            try:
                _ = image.size  # a bad header is named now, not after minutes of scoring
            except DataError as error:
                if str(error).startswith(f"{where}: "):  # a file that is a document says who it is
                    raise
                raise DataError(f"{where}: document {doc_id!r}: {error}") from error
        documents[doc_id] = Document(doc_id, item)
    if not documents:
        raise DataError(f"{path}: no documents")
    return list(documents.values())


def _folder_items(folder: Path) -> Iterator[tuple[str, str, Item]]:
    files = {file.relative_to(folder): file for file in folder.rglob("*") if not file.is_dir()}
    for relative in sorted(files, key=Path.as_posix):
        if not any(part.startswith(".") for part in relative.parts):
            yield str(files[relative]), relative.as_posix(), _file_item(folder, files[relative])


def _file_item(folder: Path, file: Path) -> Item:
    safe_join(folder, file.relative_to(folder).as_posix(), where=str(folder))
    if file.suffix.lower() in IMAGE_SUFFIXES:
        return as_item(file, where=str(file))
    if file.suffix.lower() in TEXT_SUFFIXES:
        return as_item(read_text(file), where=str(file))
    kinds = ", ".join((*IMAGE_SUFFIXES, *TEXT_SUFFIXES))
    raise DataError(f"{file}: neither a picture nor a text ({kinds}); name the documents in a .jsonl instead")


def _line_items(path: Path) -> Iterator[tuple[str, str, Item]]:
    name = path.name.lower().removesuffix(".gz")
    jsonl = name.endswith((".jsonl", ".ndjson"))
    if name.endswith((".json", ".csv", ".tsv")):
        raise DataError(
            f"{path}: documents are JSON lines (.jsonl) or one text a line (.txt); name it after what it holds"
        )
    root = None if str(path) == "-" else path.parent
    for number, line in read_lines(path):
        where = f"{path}:{number}"
        if number == 1 and str(path) == "-":
            jsonl = line.lstrip().startswith("{")
        if not jsonl:
            if not line.strip():
                raise DataError(f"{where}: the line is empty, and each line is one document")
            yield where, str(number), as_item(line, where=where)
        elif line.strip():
            record = parse_json_object(line, where=where)
            check_known(record, (*DOC_ID_KEYS, *ITEM_KEYS, "metadata"), where)
            doc_id = read_id(record, DOC_ID_KEYS, where=where) or str(number)
            yield where, doc_id, record_item(record, root=root, where=where)
