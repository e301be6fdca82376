"""Faults of files that are used as they are name the columns that were asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.data.plain_files import read_records
from core.errors import DataError


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "question,note\nWhy?,x\n",
            r"no column 'completion'; it has 'question', 'note'\. The columns 'question', 'comp",
        ),
        ("question,completion\n", r"holds no rows\. Choose a file with at least one, with 'question', 'completion'\."),
    ],
)
def test_the_columns_that_are_needed_are_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        list(read_records(tmp_path / "a.csv", ("question", "completion")))
