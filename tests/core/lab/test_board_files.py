"""Boards that a person brings: files of any kind, rows, and pasted text."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.config import Tags
from core.errors import DataError
from core.lab.board_files import BoardRow, board_from_file, board_from_rows, board_from_text
from core.lab.boards import load_board, save_board
from core.paths import Home
from core.reward.formula import PRESETS
from tests.build_boards import BAD, GOOD
from tests.build_workbook import write_workbook

QUESTION, REFERENCE = "What helps in anaphylaxis?", "Adrenaline into the thigh."
ROWS = [
    {"question": QUESTION, "answer": REFERENCE, "completion": GOOD, "kind": "Good", "grade": "4"},
    {"question": "Another?", "answer": "Yes.", "completion": GOOD, "kind": "", "grade": ""},
    {"question": QUESTION, "answer": REFERENCE, "completion": BAD, "kind": "unsafe", "grade": "0"},
]


def row(completion: str = GOOD, **changes: Any) -> BoardRow:
    return BoardRow(**{"question": QUESTION, "reference": REFERENCE, "completion": completion, **changes})


def write(path: Path, kind: str) -> Path:
    file = path / f"rows.{kind}"
    names = list(ROWS[0])
    if kind == "csv":
        file.write_text("\n".join([",".join(names), *(",".join(r[name] for name in names) for r in ROWS)]))
    elif kind == "json":
        file.write_text(json.dumps(ROWS))
    elif kind == "jsonl":
        file.write_text("\n".join(map(json.dumps, ROWS)))
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), file)
    return file


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl", "parquet"])
def test_a_file_becomes_a_board_in_groups(kind: str, tmp_path: Path) -> None:
    board = board_from_file(write(tmp_path, kind))
    assert board.title == f"rows.{kind}"
    assert [sample.completion for sample in board.samples] == [GOOD, BAD, GOOD]
    assert board.index.tolist() == [0, 0, 1]
    assert board.kinds == ("good", "unsafe", "")
    np.testing.assert_array_equal(board.grades, [4.0, 0.0, math.nan])
    assert board.missing(PRESETS["robust"]) == ("semantic", "fluency")


def test_an_excel_sheet_becomes_a_board(tmp_path: Path) -> None:
    file = tmp_path / "rows.xlsx"
    write_workbook(file, {"Answers": [list(ROWS[0]), *(list(r.values()) for r in ROWS)]})
    assert board_from_file(file).index.tolist() == [0, 0, 1]


def test_the_reference_may_be_called_reference_and_other_columns_are_carried(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"question": "Q?", "reference": "R", "completion": GOOD, "level": "hard"}))
    (sample,) = board_from_file(file).samples
    assert (sample.reference, sample.columns) == ("R", {"level": "hard"})


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([{"question": "Q?", "answer": "A"}], "no column 'completion'"),
        ([{"question": "Q?", "gold": "A", "completion": "x"}], "no column 'answer'"),
        ([{"question": "Q?", "answer": "A", "completion": "x", "grade": "high"}], "Line 1: the grade is 'high'"),
        ([{"question": "Q?", "answer": "A", "completion": "x", "grade": "nan"}], "Line 1: the grade is 'nan'"),
        ([{"question": "Q?", "answer": "A", "completion": "x"}, {"question": " ", "answer": "A", "completion": "x"}],
         r"1 row\(s\) have no question: line 2"),
        ([{"question": "Q?", "answer": "A", "completion": "x", "group": "g"},
          {"question": "P?", "answer": "A", "completion": "x", "group": "g"}],
         "Line 2 has another question than line 1, but both are in the group 'g'"),
        ([{"question": "Q?", "answer": "A", "completion": "x", "group": "g"},
          {"question": "Q?", "answer": "B", "completion": "x", "group": "g"}], "another reference than line 1"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_used_are_named(lines: list[dict[str, str]], message: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(DataError, match=message):
        board_from_file(file)


def test_no_rows_are_refused() -> None:
    with pytest.raises(DataError, match="holds no completions"):
        board_from_rows([], "Empty")


def test_rows_without_a_group_differ_by_question_and_reference() -> None:
    board = board_from_rows([row(), row(BAD), row(reference="Another."), row(question="Why?")], "Mine")
    assert board.index.tolist() == [0, 0, 1, 2]


def test_an_empty_completion_is_data_and_not_valid() -> None:
    board = board_from_rows([row(""), row()], "Mine")
    assert board.valid.tolist() == [False, True]


def test_a_group_of_one_is_said_in_plain_words() -> None:
    board = board_from_rows([row(), row(BAD), row(question="Why?")], "Mine")
    assert any(note.startswith("1 of 2 groups hold a single completion.") for note in board.notes)


def test_missing_references_are_said_in_plain_words() -> None:
    board = board_from_rows([row(reference=""), row(BAD, reference="")], "Mine")
    assert any(note.startswith("2 of 2 completions have no reference answer.") for note in board.notes)


def test_pasted_blocks_become_one_group() -> None:
    board = board_from_text(QUESTION, REFERENCE, f"{GOOD}\r\n\r\n\r\n{BAD}\n \n")
    assert [sample.completion for sample in board.samples] == [GOOD, BAD]
    assert len(board.groups) == 1


def test_dashes_separate_pasted_completions_that_hold_blank_lines() -> None:
    board = board_from_text(QUESTION, REFERENCE, f"first\n\nstill first\n---\n{BAD}")
    assert [sample.completion for sample in board.samples] == ["first\n\nstill first", BAD]


@pytest.mark.parametrize(
    ("question", "text", "message"), [("", GOOD, "no question"), ("Q?", " \n\n ", "no completions")]
)
def test_pasting_nothing_is_refused(question: str, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        board_from_text(question, REFERENCE, text)


def test_other_tag_names_are_read_and_kept(home: Home) -> None:
    tags = Tags(reasoning="think", answer="final")
    board = board_from_text(QUESTION, REFERENCE, "<think>a</think><final>b</final>", tags=tags)
    assert board.well_formed.all()
    assert load_board(home, save_board(home, "mine", board)).tags == tags
