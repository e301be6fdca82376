"""Boards: the bundled one, a run's, and those that a person brings or keeps."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.completions import read_completions, step_file
from core.config import Tags
from core.errors import ConfigError, DataError, RunError
from core.lab.board import Board, column
from core.lab.board_files import BoardRow
from core.lab.boards import (
    BUNDLED,
    add_measures,
    board_from_file,
    board_from_rows,
    board_from_text,
    bundled_board,
    list_boards,
    load_board,
    save_board,
    steps_with_completions,
)
from core.lab.measuring import with_measures
from core.paths import Home
from core.rewards import PRESETS
from tests.build_runs import Plan, build_run
from tests.build_workbook import write_workbook

GOOD = "<reasoning>Airway.</reasoning><answer>give adrenaline now</answer>"
BAD = "<reasoning>Airway.</reasoning><answer>wait and see</answer>"
QUESTION, REFERENCE = "What helps in anaphylaxis?", "Adrenaline into the thigh."
ROWS = [
    {"question": QUESTION, "answer": REFERENCE, "completion": GOOD, "kind": "Good", "grade": "4"},
    {"question": "Another?", "answer": "Yes.", "completion": GOOD, "kind": "", "grade": ""},
    {"question": QUESTION, "answer": REFERENCE, "completion": BAD, "kind": "unsafe", "grade": "0"},
]


def row(completion: str = GOOD, **changes: Any) -> BoardRow:
    return BoardRow(**{"question": QUESTION, "reference": REFERENCE, "completion": completion, **changes})


def same(one: Board, two: Board) -> None:
    """Both boards hold the same, down to the measures."""
    assert (one.title, one.samples, one.kinds, one.notes, one.tags) == (
        two.title,
        two.samples,
        two.kinds,
        two.notes,
        two.tags,
    )
    np.testing.assert_array_equal(one.grades, two.grades)
    assert (one.valid == two.valid).all()
    assert (one.well_formed == two.well_formed).all()
    assert one.measures.keys() == two.measures.keys()
    for name, values in one.measures.items():
        np.testing.assert_array_equal(values, two.measures[name])


def test_the_bundled_board_is_large_and_mixed_enough() -> None:
    board = bundled_board()
    assert len(board.groups) >= 40
    assert set(Counter(board.index.tolist()).values()) == {8}
    assert {"good", "hedged", "wrong", "unsafe", "truncated", "tag_gaming", "copied_prompt"} <= set(board.kinds)
    assert np.isfinite(board.grades).all()


@pytest.mark.parametrize("preset", PRESETS)
def test_the_bundled_board_is_measured_for_every_built_in_preset(preset: str) -> None:
    board = bundled_board()
    assert board.missing(PRESETS[preset]) == ()
    assert np.isfinite(board.components(PRESETS[preset])).all()


def test_completions_of_a_bundled_group_stand_beside_each_other() -> None:
    assert (np.diff(bundled_board().index) >= 0).all()


def test_good_bundled_answers_have_the_higher_grades() -> None:
    board = bundled_board()
    good = np.array([kind == "good" for kind in board.kinds])
    assert board.grades[good].min() > board.grades[~good].mean()


def test_a_kept_board_is_read_as_it_was_saved(home: Home) -> None:
    board = with_measures(board_from_rows([row(), row(BAD, grade=1.0)], "Mine"), {"judge": np.array([0.5, math.nan])})
    same(load_board(home, save_board(home, "mine", board)), board)


def test_carried_columns_and_hostile_titles_survive(home: Home) -> None:
    hostile = "<img src=x onerror=alert(1)> \u202e ** "
    board = board_from_rows([row(columns={"dose": "5 mg"}), row(BAD, columns={"dose": "‏٥ ملغ"})], hostile)
    loaded = load_board(home, save_board(home, "mine", board))
    assert loaded.title == hostile
    assert [sample.columns["dose"] for sample in loaded.samples] == ["5 mg", "‏٥ ملغ"]


def test_a_name_that_is_taken_never_overwrites(home: Home) -> None:
    board = board_from_rows([row(), row(BAD)], "One")
    first = save_board(home, "mine", board)
    second = save_board(home, "mine", board_from_rows([row(BAD), row()], "Two"))
    assert (first, second) == ("mine", "mine-2")
    assert load_board(home, first).title == "One"


def test_the_longest_name_can_be_taken_twice(home: Home) -> None:
    board = board_from_rows([row(), row(BAD)], "One")
    names = {save_board(home, "a" * 64, board) for _ in range(3)}
    assert {kept.id for kept in list_boards(home)} == names
    assert len(names) == 3


def test_kept_boards_are_listed_with_what_they_hold(home: Home) -> None:
    save_board(home, "mine", board_from_rows([row(), row(BAD), row(question="Why?")], "One"))
    (kept,) = list_boards(home)
    assert (kept.id, kept.about.title, kept.about.completions, kept.about.groups) == ("mine", "One", 3, 2)


def test_a_folder_whose_saving_broke_off_is_no_board(home: Home) -> None:
    save_board(home, "mine", board_from_rows([row(), row(BAD)], "One"))
    (home.lab / "boards" / "mine" / "board.json").unlink()
    assert list_boards(home) == []
    with pytest.raises(DataError, match="There is no board 'mine'"):
        load_board(home, "mine")


@pytest.mark.parametrize("name", [BUNDLED, "../x", "", "A"])
def test_names_that_cannot_be_used_are_refused(name: str, home: Home) -> None:
    with pytest.raises(ConfigError):
        save_board(home, name, board_from_rows([row()], "One"))


@pytest.mark.parametrize("board_id", ["nothing", "../../x", "", "/etc"])
def test_a_board_that_is_not_there_is_said(board_id: str, home: Home) -> None:
    with pytest.raises(DataError, match="There is no board"):
        load_board(home, board_id)


def test_measures_are_added_without_losing_others(home: Home) -> None:
    board = board_from_rows([row(), row(BAD)], "One")
    kept = save_board(home, "mine", board)
    add_measures(home, kept, with_measures(board, {"judge": np.array([1.0, 0.0])}))
    add_measures(home, kept, with_measures(board, {"own": np.array([0.3, 0.4])}))
    measures = load_board(home, kept).measures
    assert measures["judge"].tolist() == [1.0, 0.0]
    assert measures["own"].tolist() == [0.3, 0.4]


def test_a_runs_completions_bring_their_scores(home: Home) -> None:
    run = build_run(home, Plan(done=3))
    board = load_board(home, f"run:{run.id}:2")
    logged = read_completions(step_file(run, 2))
    config = run.config().reward
    assert board.missing(config) == ()
    assert board.measures[column("semantic", config)].tolist() == [item.components["semantic"] for item in logged]
    assert board.valid.tolist() == [item.valid for item in logged]


def test_a_run_of_one_preset_can_be_looked_at_under_another(home: Home) -> None:
    run = build_run(home, Plan(done=1, preset="article"))
    board = load_board(home, f"run:{run.id}:1")
    assert [board.missing(PRESETS[preset]) for preset in ("robust", "notebook")] == [(), ()]


def test_the_steps_of_a_run_are_listed_in_order(home: Home) -> None:
    assert steps_with_completions(build_run(home, Plan(done=12))) == list(range(1, 13))


@pytest.mark.parametrize(("step", "message"), [("99", "steps 1 to 3"), ("x", "steps 1 to 3"), ("", "steps 1 to 3")])
def test_a_step_without_completions_is_said(step: str, message: str, home: Home) -> None:
    run = build_run(home, Plan(done=3))
    with pytest.raises(DataError, match=message):
        load_board(home, f"run:{run.id}:{step}")


def test_a_run_that_is_not_there_is_said(home: Home) -> None:
    with pytest.raises(RunError, match="There is no run"):
        load_board(home, "run:nothing:1")


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
