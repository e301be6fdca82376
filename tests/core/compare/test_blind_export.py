"""The ballots of a blind vote as CSV and JSON Lines."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime

import pytest

from core.compare.blind import cast, end_vote, next_ballot, open_vote
from core.compare.blind_export import export_csv, export_jsonl
from core.compare.comparison import Comparison
from core.errors import RunError
from core.paths import Home
from tests.build_blind import build_comparison, ended_vote

FIELDS = ["comparison", "question_id", "question", "left", "right", "choice", "winner", "reason", "rater", "time"]


def rows_of(comparison: Comparison) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(export_csv(comparison))))


def with_reason(home: Home, rater: str, reason: str) -> Comparison:
    comparison = build_comparison(home, 1)
    open_vote(comparison, [(0, 1)])
    ballot = next_ballot(comparison, rater)
    assert ballot is not None
    cast(home, comparison, rater, ballot, "left", reason)
    end_vote(home, comparison)
    return comparison


def test_every_ballot_is_a_line_with_every_field(home: Home) -> None:
    comparison = ended_vote(home, {"Ada": [1, "tie"], "Bob": ["unsafe"]})
    rows = rows_of(comparison)
    assert [list(row) for row in rows] == [FIELDS] * 3
    assert [row["rater"] for row in rows] == ["Ada", "Ada", "Bob"]
    assert [row["winner"] for row in rows] == ["model:after-training", "tie", "unsafe"]
    assert {row["comparison"] for row in rows} == {comparison.id}
    assert all(row["question"] == f"Question number {row['question_id'][1:]}?" for row in rows)


def test_the_winner_stands_on_the_side_that_was_chosen(home: Home) -> None:
    for row in rows_of(ended_vote(home, {"Ada": [0, 1, 0, 1]})):
        assert row[row["choice"]] == row["winner"]
        assert {row["left"], row["right"]} == {"model:before-training", "model:after-training"}


def test_json_lines_hold_the_same_as_the_table(home: Home) -> None:
    comparison = ended_vote(home, {"Ada": [0, 1, "tie", "unsafe"]})
    assert [json.loads(line) for line in export_jsonl(comparison).splitlines()] == rows_of(comparison)


def test_times_are_utc(home: Home) -> None:
    (row,) = rows_of(with_reason(home, "Ada", ""))
    assert datetime.fromisoformat(row["time"]).utcoffset() is not None


def test_hostile_reasons_and_names_are_neutral_in_the_table_alone(home: Home) -> None:
    comparison = with_reason(home, "@SUM(1)", '=HYPERLINK("http://evil")\n"quoted", and more')
    (row,) = rows_of(comparison)
    assert row["reason"] == '\'=HYPERLINK("http://evil")\n"quoted", and more'
    assert row["rater"] == "'@SUM(1)"
    (line,) = export_jsonl(comparison).splitlines()
    assert json.loads(line)["reason"] == '=HYPERLINK("http://evil")\n"quoted", and more'


def test_nothing_is_exported_before_the_end(home: Home) -> None:
    comparison = build_comparison(home)
    open_vote(comparison, [(0, 1)])
    with pytest.raises(RunError, match="has not ended"):
        export_csv(comparison)
    with pytest.raises(RunError, match="has not ended"):
        export_jsonl(comparison)
