"""Whatever is uploaded is read, or refused with a sentence."""

from __future__ import annotations

import io
import json
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.reading import open_records
from core.data.records import Fault
from core.data.sources import File, peek
from core.errors import StudioError
from core.lab.board_files import board_from_file
from tests.build_workbook import write_workbook
from tests.fuzz.damage import FUZZ, damaged

_ROWS = [{"question": f"What is {number}?", "answer": f'It is "{number}", äöü.\nAnd more.'} for number in range(6)]


@cache
def _whole(ending: str) -> bytes:
    if ending == "parquet":
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(_ROWS), buffer)
        return buffer.getvalue()
    if ending == "xlsx":
        with tempfile.TemporaryDirectory() as folder:
            rows = [["question", "answer"], *(list(row.values()) for row in _ROWS)]
            return write_workbook(Path(folder) / "book.xlsx", {"One": rows}).read_bytes()
    if ending == "csv":
        cells = [(row["question"], row["answer"].replace('"', '""')) for row in _ROWS]
        return "".join(f'{question};"{answer}"\n' for question, answer in cells).encode("cp1252")
    lines = [json.dumps(row, ensure_ascii=False) for row in _ROWS]
    return ("[" + ",".join(lines) + "]" if ending == "json" else "\n".join(lines)).encode()


@pytest.mark.parametrize("ending", ["csv", "jsonl", "json", "parquet", "xlsx"])
@FUZZ
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(ending: str, data: st.DataObject, tmp_path: Path) -> None:
    file = tmp_path / f"upload.{ending}"
    file.write_bytes(data.draw(damaged(_whole(ending))))
    source = File(path=str(file), title=file.name, skip_bad=data.draw(st.booleans()))
    with suppress(StudioError):
        found = peek(source, limit=20)
        assert all(cell is None or isinstance(cell, str) for row in found.rows for cell in row.values())
    with suppress(StudioError), open_records(file, file.name, source) as reading:
        for item in reading.items:
            assert isinstance(item, Fault) or all(isinstance(name, str) for name in item.cells)


@FUZZ
@given(content=damaged(_whole("jsonl")) | damaged(_whole("csv")))
def test_a_damaged_file_of_completions_is_read_or_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "board.jsonl"
    file.write_bytes(content)
    with suppress(StudioError):
        board_from_file(file)
