"""Says what kind of file somebody has given, by what is in it rather than by its name."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Literal

from core.data.encoding import Encoding
from core.errors import DataError

Format = Literal["delimited", "json lines", "json array", "parquet", "xlsx"]
SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx")

_HEAD_BYTES = 4_096
_SAVE = "Save the data as CSV, JSON lines, Parquet or Excel (.xlsx)."
_OTHERS = (
    (b"\x1f\x8b", "is compressed with gzip. Unpack it and choose the file inside."),
    (b"BZh", "is compressed with bzip2. Unpack it and choose the file inside."),
    (b"\xfd7zXZ", "is compressed with xz. Unpack it and choose the file inside."),
    (b"(\xb5/\xfd", "is compressed with zstd. Unpack it and choose the file inside."),
    (b"Rar!", "is an archive. Unpack it and choose the file inside."),
    (b"7z\xbc\xaf", "is an archive. Unpack it and choose the file inside."),
    (b"\xd0\xcf\x11\xe0", "is an old or locked Office file. Save it in Excel as .xlsx without a password."),
    (b"%PDF", f"is a PDF document. {_SAVE}"),
    (b"ARROW1", f"is an Arrow file. {_SAVE}"),
    (b"SQLite format 3", f"is an SQLite database. {_SAVE}"),
    (b"\x89PNG", f"is a picture. {_SAVE}"),
    (b"\xff\xd8\xff", f"is a picture. {_SAVE}"),
)


def read_head(path: Path) -> bytes:
    """The first bytes of a file.

    Raises:
        DataError: there is no such file, it is a folder, may not be read, or is empty.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise DataError(f"{path} is not a file that holds data. Choose a {_suffixes()} file.")
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except FileNotFoundError as error:
        raise DataError(f"There is no data file {path}. Check the path.") from error
    except IsADirectoryError as error:
        raise DataError(f"{path} is a folder. Choose a {_suffixes()} file inside it.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise DataError(f"{path} cannot be read ({reason}). Check the path and who may read the file.") from error
    if not head:
        raise DataError(f"{path.name} is empty. Choose a file with a heading and at least one row.")
    return head


def binary_format(path: Path, head: bytes, title: str) -> Format | None:
    """`parquet` or `xlsx`; None when the file may be text.

    Raises:
        DataError: it is a file of a kind that holds no rows, or not what its name says.
    """
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"PK"):
        if _is_workbook(path, title):
            return "xlsx"
        raise DataError(f"{title} is a zip archive. Unpack it and choose the file inside.")
    for mark, what in _OTHERS:
        if head.startswith(mark):
            raise DataError(f"{title} {what}")
    suffix = Path(title.lower()).suffix
    if suffix in (".parquet", ".xlsx"):
        kind = "a Parquet file" if suffix == ".parquet" else "an Excel workbook"
        raise DataError(f"{title} is not {kind}, whatever its name says. Copy or download it again, or rename it.")
    return None


def text_format(head: bytes, encoding: Encoding, title: str) -> Format:
    """Which kind of text it is.

    Raises:
        DataError: it is not text, or JSON of another shape.
    """
    text = head.decode(encoding.name, "replace").lstrip()
    if text.count("\0") > max(8, len(text) / 10):
        raise DataError(f"{title} is not a text file: it is full of NUL characters. {_SAVE}")
    suffix = Path(title.lower()).suffix
    is_json = text.startswith('{"') or re.match(r"\[\s*\{\s*\"", text)
    if suffix in (".csv", ".tsv", ".tab", ".txt") and not is_json:
        return "delimited"
    if text.startswith("["):
        return "json array"
    if text.startswith("{"):
        if "\n" in text and text.split("\n", 1)[0].strip() == "{":
            raise DataError(
                f"{title} holds one JSON object over several lines. Save a list of objects, or one object a line."
            )
        return "json lines"
    return "json lines" if suffix in (".json", ".jsonl", ".ndjson") else "delimited"


def _is_workbook(path: Path, title: str) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return "xl/workbook.xml" in archive.namelist()
    except zipfile.BadZipFile as error:
        raise DataError(
            f"{title} is a zip archive or Excel workbook that is cut off. Copy or download it again."
        ) from error


def _suffixes() -> str:
    return f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
