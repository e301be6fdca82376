"""Files that cannot be used: what is wrong is said with its place and the remedy."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from core.data.sources import File, peek
from core.data.tables import list_tables
from core.errors import DataError
from core.paths import Home
from tests.build_sources import CSV, example, load, put


def _zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.csv", "w") as archive:
        archive.writestr("data.csv", CSV)
    return folder / "a.csv"


def _half(path: Path) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "a.csv is empty"),
        ("a.csv", "\n\n", "a.csv holds no rows"),
        ("a.csv", "question,answer\n", "a.csv holds no rows"),
        ("a.jsonl", "\n", "a.jsonl holds no rows"),
        ("a.json", "[]", "a.json holds no rows"),
        ("a.jsonl", '{"q": 1}\n' * 16 + '{"q": \n', "Line 17: it is not valid JSON (Expecting value at column 6)"),
        ("a.jsonl", '{"q": 1}\n[1]', "Line 2: it is not a JSON object such as"),
        ("a.jsonl", '{"q": "\\ud83d"}', "Line 1: character 1 of the cell 'q' is damaged"),
        ("a.jsonl", '{"q": ' + "9" * 5_000 + "}", "Line 1: it holds a number with too many digits"),
        ("a.jsonl", '{"q": ' + "[" * 100_000, "Line 1: its JSON is nested too deeply"),
        ("a.json", '[{"q": 1},\n {"q": }]', "a.json is not valid JSON (Expecting value at line 2, column 8)"),
        ("a.json", '[{"q": 1},\n {"q": 2', "a.json is not valid JSON"),
        ("a.json", '[{"q": 1}, 7]', "Row 2: it is not a JSON object"),
        ("a.json", '{\n "q": 1\n}', "a.json holds one JSON object over several lines"),
        ("a.parquet", CSV, "a.parquet is not a Parquet file, whatever its name says"),
        ("a.xlsx", CSV, "a.xlsx is not an Excel workbook, whatever its name says"),
        ("a.csv", b"\x1f\x8b\x08\x00", "a.csv is compressed with gzip"),
        ("a.csv", b"\x00\x01\x02\x00" * 99, "a.csv is not a text file"),
        ("a.csv", b"%PDF-1.7", "a.csv is a PDF document"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(
    name: str, content: str | bytes, message: str, home: Home, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        load(home, put(tmp_path, name, content))
    assert message in str(caught.value)
    assert list_tables(home) == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_zip, "a.csv is a zip archive. Unpack it"),
        (lambda folder: _half(_zip(folder)), "a.csv is a zip archive or Excel workbook that is cut off"),
        (lambda folder: _half(example(folder, "a.parquet")), "a.parquet is a Parquet file that is cut off or damaged"),
        (lambda folder: _half(example(folder, "a.xlsx")), "a.xlsx is a zip archive or Excel workbook that is cut off"),
        (lambda folder: folder / "none.csv", "There is no data file"),
        (lambda folder: folder, "is a folder. Choose a .csv"),
        (lambda folder: folder / "a\0.csv", "cannot be read (not a path)"),
        (lambda folder: Path(os.devnull), "is not a file that holds data"),
    ],
)
def test_a_file_that_cannot_be_opened_is_refused_by_import_and_preview(
    make: Any, message: str, home: Home, tmp_path: Path
) -> None:
    path = make(tmp_path)
    for attempt in (lambda: load(home, path), lambda: peek(File(path=str(path)))):
        with pytest.raises(DataError) as caught:
            attempt()
        assert message in str(caught.value)


def test_a_file_that_may_not_be_read_is_refused(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *arguments: Any, **more: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(self))

    path = put(tmp_path, "a.csv", CSV)
    monkeypatch.setattr(Path, "open", refuse)  # the tests may run as root, who may read anything
    with pytest.raises(DataError, match=r"cannot be read \(Permission denied\). Check the path and who may read"):
        peek(File(path=str(path)))
