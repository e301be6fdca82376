"""Boards: the bundled one, and those that are kept in the home."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

from core.errors import ConfigError, DataError
from core.lab.board import Board
from core.lab.board_files import BoardRow, board_from_rows
from core.lab.boards import (
    BUNDLED,
    add_measures,
    broken_boards,
    bundled_board,
    delete_board,
    keep_copy,
    list_boards,
    load_board,
    save_board,
)
from core.lab.measuring import Measured, with_measures
from core.paths import Home
from core.reward.formula import PRESETS
from tests.build_boards import BAD, GOOD

QUESTION, REFERENCE = "What helps in anaphylaxis?", "Adrenaline into the thigh."


def row(completion: str = GOOD, **changes: Any) -> BoardRow:
    return BoardRow(**{"question": QUESTION, "reference": REFERENCE, "completion": completion, **changes})


TWO = board_from_rows([row(), row(BAD)], "Two")


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


def found(board: Board, name: str, *values: float, notes: tuple[str, ...] = ()) -> Measured:
    """What a scorer has measured of one component."""
    return Measured(board.keys, {name: np.array(values)}, {name: notes})


def test_of_two_tasks_that_opened_a_board_at_once_neither_loses_what_the_other_measured(home: Home) -> None:
    kept = save_board(home, "mine", with_measures(TWO, {"judge": np.array([0.0, 0.0])}))
    first, second = load_board(home, kept), load_board(home, kept)
    add_measures(home, kept, found(first, "judge", 1.0, 0.5))
    add_measures(home, kept, found(second, "own", 0.3, 0.4))
    measures = load_board(home, kept).measures
    assert measures["judge"].tolist() == [1.0, 0.5]
    assert measures["own"].tolist() == [0.3, 0.4]


def test_notes_of_a_component_are_kept_until_it_is_measured_again(home: Home) -> None:
    kept = save_board(home, "mine", TWO)
    for name, notes in (("judge", ("No verdict on one.",)), ("own", ("Often zero.",)), ("judge", ())):
        add_measures(home, kept, found(TWO, name, 1.0, 0.5, notes=notes))
    assert load_board(home, kept).notes == (*TWO.notes, "Often zero.")


def test_what_was_measured_of_other_completions_is_refused(home: Home) -> None:
    kept = save_board(home, "mine", TWO)
    other = board_from_rows([row(BAD), row()], "Two")
    with pytest.raises(DataError, match="holds other completions"):
        add_measures(home, kept, found(other, "judge", 1.0, 0.0))


def test_one_board_has_one_measured_copy_and_another_text_a_new_one(home: Home) -> None:
    first = keep_copy(home, "measured", "run:one:2", TWO, found(TWO, "judge", 1.0, 0.5))
    second = keep_copy(home, "measured", "run:one:2", TWO, found(TWO, "own", 0.3, 0.4))
    changed = board_from_rows([row(), row(BAD), row("more")], "Two")
    third = keep_copy(home, "measured", "run:one:2", changed, found(changed, "own", 0.1, 0.2, 0.3))
    fourth = keep_copy(home, "measured", "bundled", TWO, found(TWO, "own", 0.3, 0.4))
    assert (first, second, third, fourth) == ("measured", "measured", "measured-2", "measured-3")
    assert {"judge", "own"} <= load_board(home, first).measures.keys()


@pytest.mark.parametrize(("file", "content"), [("board.json", "{"), ("board.json", "{}"), ("board.parquet", None)])
def test_a_damaged_board_is_told_and_the_others_are_listed(file: str, content: str | None, home: Home) -> None:
    save_board(home, "broken", TWO)
    save_board(home, "whole", TWO)
    place = home.lab / "boards" / "broken" / file
    place.unlink() if content is None else place.write_text(content)
    assert [kept.id for kept in list_boards(home)] == ["whole"]
    (broken,) = broken_boards(home)
    assert (broken.id, file in broken.reason) == ("broken", True)
    with pytest.raises(DataError, match=file):
        load_board(home, "broken")


def test_rows_that_are_damaged_are_said_when_they_are_read(home: Home) -> None:
    save_board(home, "broken", TWO)
    (home.lab / "boards" / "broken" / "board.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"board\.parquet is damaged"):
        load_board(home, "broken")


def test_a_kept_board_can_be_deleted_even_when_it_is_damaged(home: Home) -> None:
    for name in ("whole", "broken"):
        save_board(home, name, TWO)
    (home.lab / "boards" / "broken" / "board.json").write_text("{")
    delete_board(home, "broken")
    assert ([kept.id for kept in list_boards(home)], broken_boards(home)) == (["whole"], ())
    delete_board(home, "whole")
    assert list((home.lab / "boards").iterdir()) == []


@pytest.mark.parametrize(
    ("board_id", "error"),
    [(BUNDLED, ConfigError), ("run:one:2", ConfigError), ("nothing", DataError), ("../boards/mine", DataError)],
)
def test_what_cannot_be_deleted_is_refused(board_id: str, error: type[Exception], home: Home) -> None:
    save_board(home, "mine", TWO)
    with pytest.raises(error):
        delete_board(home, board_id)
    assert len(list_boards(home)) == 1
