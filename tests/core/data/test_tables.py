"""Reading a table back: pages, search, single rows, single columns."""

from __future__ import annotations

import errno
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock

from core.access.actors import bound
from core.data import tables
from core.data.draft import Draft, DropRows
from core.data.tables import About, Table, find_table
from core.errors import DataError, StorageError
from core.paths import Home
from tests.build_tables import decide, make_draft, make_table


@pytest.fixture
def table(home: Home) -> Table:
    rows = [
        {"question": f"Question {n}?", "answer": "ÄRZTLICH" if n == 7 else None, 'a "b"': "x"} for n in range(1, 11)
    ]
    return make_table(home, rows)


def test_a_page_holds_the_rows_it_is_asked_for_in_order(table: Table) -> None:
    assert [row["row"] for row in table.page(4, 3)] == [5, 6, 7]


def test_the_search_knows_no_case_and_looks_at_all_columns(table: Table) -> None:
    assert [row["row"] for row in table.page(0, 50, "ärztlich")] == [7]
    assert table.count("QUESTION 1") == 2


def test_rows_are_found_by_their_numbers_in_the_order_of_the_table(table: Table) -> None:
    assert [row["question"] for row in table.rows([9, 2, 99])] == ["Question 2?", "Question 9?"]


def test_the_cells_of_a_column_come_with_their_rows_whatever_its_name(table: Table) -> None:
    assert table.cells("answer")[5:7] == [(6, None), (7, "ÄRZTLICH")]
    assert len(table.cells('a "b"')) == 10


def test_a_home_with_brackets_in_its_name_is_no_pattern(tmp_path: Path) -> None:
    wrong, right = (Home.open(tmp_path / name) for name in ("home1", "home[1]"))
    make_table(wrong, [{"question": "wrong"}])
    table = make_table(right, [{"question": "right"}])
    assert [row["question"] for row in table.page(0, 9)] == ["right"]
    assert (table.cells("question"), table.count(), len(table.rows([1]))) == ([(1, "right")], 1, 1)


def test_a_table_made_before_rows_left_out_were_counted_counts_those_listed() -> None:
    about = {"title": "a", "origin": "file", "sha256": "", "rows": 1, "columns": ["q"]}
    assert About.model_validate({**about, "left_out": [{"line": 2, "reason": "x"}]}).left_out_count == 1


@pytest.mark.parametrize("table_id", ["gone", "../tables", ""])
def test_a_table_that_is_not_there_is_refused(home: Home, table_id: str) -> None:
    with pytest.raises(DataError, match="There is no table"):
        find_table(home, table_id)


def one_more(reason: str) -> Callable[[Draft | None], Draft]:
    """A change that adds a mend of this name behind those that are there."""

    def change(draft: Draft | None) -> Draft:
        assert draft is not None
        return draft.model_copy(update={"mends": (*draft.mends, DropRows(reason=reason, rows=(1,)))})

    return change


def test_what_several_people_decide_at_once_is_all_kept(table: Table) -> None:
    decide(table, make_draft(table))
    reasons = [f"{person} {number}" for number in range(15) for person in ("Ada", "Ben")]
    with ThreadPoolExecutor(4) as people:
        list(people.map(bound(lambda reason: table.revise(one_more(reason))), reasons))
    draft = table.draft()
    assert draft is not None
    assert {mend.reason for mend in draft.mends if isinstance(mend, DropRows)} == set(reasons)


def test_a_change_that_cannot_be_made_leaves_the_draft_and_lets_others_change_it(table: Table) -> None:
    def refuse(draft: Draft | None) -> Draft:
        raise DataError("No.")

    decide(table, make_draft(table))
    with pytest.raises(DataError, match="No"):
        table.revise(refuse)
    assert table.draft() == make_draft(table)
    assert table.revise(one_more("x")).mends


def test_somebody_who_is_busy_with_a_draft_for_too_long_is_said(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_LOCK_SECONDS", 0.0)
    decide(table, make_draft(table))
    with FileLock(table.folder / "draft.lock"), pytest.raises(StorageError, match="Somebody else is just changing"):
        table.revise(one_more("x"))
    assert table.draft() == make_draft(table)


def denied(*_: object, **__: object) -> Draft:
    raise PermissionError(errno.EACCES, "Permission denied", "somewhere/report.json")


def test_what_a_change_cannot_read_is_not_said_of_the_lock(table: Table) -> None:
    decide(table, make_draft(table))
    with pytest.raises(PermissionError, match="somewhere"):
        table.revise(denied)


def test_a_draft_that_cannot_be_read_is_not_said_of_the_lock(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    decide(table, make_draft(table))
    monkeypatch.setattr(Table, "draft", denied)
    with pytest.raises(PermissionError, match="somewhere"):
        table.revise(one_more("x"))


@pytest.mark.parametrize(("part", "named"), [("acquire", "draft.lock"), ("replace", "draft.json")])
def test_a_folder_that_cannot_be_written_is_one_sentence(
    part: str, named: str, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(table, make_draft(table))
    monkeypatch.setattr({"acquire": FileLock, "replace": Path}[part], part, denied)
    with pytest.raises(StorageError, match=f"{named} cannot be written"):
        table.revise(one_more("x"))
    assert table.draft() == make_draft(table)
