"""Which groups a step had, and at which steps a question came."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.training.groups import GroupReader, GroupWriter


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six steps of two groups of three completions; row 7 comes at every other step."""
    writer = GroupWriter(tmp_path / "curves")
    for step in range(1, 7):
        groups = ["7" if step % 2 else "8"] * 3 + [str(100 + step)] * 3
        writer.append(step, groups, [0.0, 0.5, 1.0, 0.1 * step, 0.1 * step, 0.1 * step])
    return tmp_path / "curves"


def test_the_steps_of_a_row_are_found_with_what_its_group_earned(folder: Path) -> None:
    found = GroupReader(folder).of_row(7)
    assert found["step"].tolist() == [1, 3, 5]
    assert found.iloc[0].tolist() == [1.0, 0.5, 0.5, 0.0, 1.0]


def test_a_group_that_does_not_vary_has_no_spread(folder: Path) -> None:
    found = GroupReader(folder).of_row(103)
    assert found["std"].tolist() == pytest.approx([0.0], abs=1e-7)


def test_one_completion_alone_has_no_spread(tmp_path: Path) -> None:
    GroupWriter(tmp_path / "curves").append(1, ["4"], [0.25])
    assert GroupReader(tmp_path / "curves").of_row(4)["std"].tolist() == [0.0]


def test_a_rewound_run_has_no_groups_of_later_steps(folder: Path) -> None:
    GroupWriter(folder).rewind(3)
    assert GroupReader(folder).of_row(7)["step"].tolist() == [1, 3]
    assert GroupReader(folder).of_row(104).empty


def test_a_step_that_is_done_again_replaces_the_first(folder: Path) -> None:
    GroupWriter(folder).append(5, ["7"], [-1.0])
    found = GroupReader(folder).of_row(7)
    assert found["step"].tolist() == [1, 3, 5]
    assert found["mean"].tolist()[-1] == -1.0


def test_half_a_record_of_a_killed_writer_is_not_there(folder: Path) -> None:
    with (folder / "groups.bin").open("ab") as file:
        file.write(b"\x07\x00\x00\x00\x07")
    assert GroupReader(folder).of_row(106)["step"].tolist() == [6]
    GroupWriter(folder).append(7, ["7"], [1.0])
    assert GroupReader(folder).of_row(7)["step"].tolist() == [1, 3, 5, 7]


def test_a_run_without_groups_has_none(tmp_path: Path) -> None:
    assert GroupReader(tmp_path).of_row(1).empty
