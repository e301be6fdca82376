"""Boards that a person brings: a file of completions, or completions pasted for one question."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.config import DEFAULT_TAGS, Tags
from core.data.plain_files import read_records
from core.data.reading import ReadOptions, first_rows
from core.data.records import named
from core.errors import DataError
from core.lab.board import Board, in_groups
from core.lab.measuring import light_board
from core.reward.scoring import Sample

QUESTION, COMPLETION, GROUP, KIND, GRADE = "question", "completion", "group", "kind", "grade"
REFERENCES = ("answer", "reference")
"""The column with the reference answer has one of these names."""

_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_RULE = re.compile(r"^[ \t]*-{3,}[ \t]*$", re.MULTILINE)


@dataclass(frozen=True)
class BoardRow:
    """One completion as a person gave it.

    Attributes:
        question, reference, completion: texts; a reference may be empty.
        group: names the completions that are compared with each other; those of an empty group are compared when they
            have the same question and reference.
        kind: what it is an example of, such as `good`; may be empty.
        grade: how good a person found it, higher is better; NaN when nobody said.
        place: where it stands, for messages, such as "line 3".
        columns: further columns, for custom rewards.
    """

    question: str
    reference: str
    completion: str
    group: str = ""
    kind: str = ""
    grade: float = math.nan
    place: str = ""
    columns: Mapping[str, str] | None = None


def board_from_rows(rows: Sequence[BoardRow], title: str, tags: Tags = DEFAULT_TAGS) -> Board:
    """A board of these completions, with all that needs no model.

    Raises:
        DataError: there are none, a question is empty, or a group holds more than one prompt; the message says where.
    """
    rows = [row if row.place else _placed(row, number) for number, row in enumerate(rows, start=1)]
    if not rows:
        raise DataError(f"{title} holds no completions. Add at least one.")
    empty = [row.place for row in rows if not row.question.strip()]
    if empty:
        raise DataError(f"{len(empty)} row(s) have no question: {named(empty)}. Fill it in or remove them.")
    _refuse_mixed_groups(rows)
    samples = [
        Sample(row.question, row.reference, row.completion, _group_name(row), columns=row.columns or {}) for row in rows
    ]
    order = in_groups(samples)
    return light_board(
        title,
        [samples[row] for row in order],
        [rows[row].kind for row in order],
        [rows[row].grade for row in order],
        tags,
    )


def _placed(row: BoardRow, number: int) -> BoardRow:
    return BoardRow(
        row.question, row.reference, row.completion, row.group, row.kind, row.grade, f"row {number}", row.columns
    )


def _group_name(row: BoardRow) -> str:
    """Rows without a group are compared with those that ask the same and are judged against the same."""
    return f"group {row.group}" if row.group else f"question {row.question}\n{row.reference}"


def _refuse_mixed_groups(rows: Sequence[BoardRow]) -> None:
    first: dict[str, BoardRow] = {}
    for row in rows:
        other = first.setdefault(row.group, row) if row.group else row
        for name, one, two in (
            ("question", other.question, row.question),
            ("reference", other.reference, row.reference),
        ):
            if one != two:
                raise DataError(
                    f"{row.place.capitalize()} has another {name} than {other.place}, but both are in the group "
                    f"{row.group!r:.60}. The completions of a group answer one prompt: give {row.place} another group."
                )


def board_from_file(path: Path, title: str = "", tags: Tags = DEFAULT_TAGS) -> Board:
    """A board of the completions in a CSV, JSON, JSONL, Parquet or Excel file.

    Columns: question, answer (or reference), completion, and where they are there group, kind and grade. Further
    columns are kept for custom rewards.

    Args:
        path: the file.
        title: what the board is called; the file's name when empty.
        tags: the names of the tags by which the completions are read.

    Raises:
        DataError: the file or one of its rows cannot be used; the message names the line.
    """
    columns = first_rows(path, path.name, ReadOptions(), 1).columns
    reference = next((name for name in REFERENCES if name in columns), REFERENCES[0])
    rows = [
        _row(record.cells, reference, place) for place, record in read_records(path, (QUESTION, reference, COMPLETION))
    ]
    return board_from_rows(rows, title or path.name, tags)


def _row(cells: Mapping[str, str | None], reference: str, place: str) -> BoardRow:
    known = {QUESTION, reference, COMPLETION, GROUP, KIND, GRADE}
    return BoardRow(
        question=cells[QUESTION] or "",
        reference=(cells[reference] or "").strip(),
        completion=cells[COMPLETION] or "",
        group=(cells.get(GROUP) or "").strip(),
        kind=(cells.get(KIND) or "").strip().lower(),
        grade=_grade(cells.get(GRADE), place),
        place=place,
        columns={name: cell or "" for name, cell in cells.items() if name not in known},
    )


def _grade(cell: str | None, place: str) -> float:
    if cell is None or not cell.strip():
        return math.nan
    try:
        grade = float(cell)
    except ValueError:
        grade = math.nan
    if not math.isfinite(grade):
        raise DataError(
            f"{place.capitalize()}: the grade is {cell!r:.40}, but it must be a number, higher for a better "
            "completion, or empty."
        )
    return grade


def board_from_text(
    question: str, reference: str, text: str, title: str = "Pasted", tags: Tags = DEFAULT_TAGS
) -> Board:
    """A board of one group from pasted completions: one a block, with blank lines between blocks.

    Where completions hold blank lines themselves, a line of three or more dashes stands between them instead.

    Raises:
        DataError: the question is empty or there is no completion.
    """
    text = text.replace("\r\n", "\n")
    blocks = _RULE.split(text) if _RULE.search(text) else _BLANK_LINES.split(text)
    rows = [
        BoardRow(question.strip(), reference.strip(), block.strip(), "pasted", place=f"block {number}")
        for number, block in enumerate(blocks, start=1)
        if block.strip()
    ]
    return board_from_rows(rows, title, tags)
