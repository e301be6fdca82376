"""Delimited text and JSON: separators, quotes, ragged rows, headings, values."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.commands.cli import main
from core.data.sources import File, peek
from core.data.tables import list_tables
from core.errors import DataError
from core.paths import Home
from tests.build_sources import ROWS, cells, example, load, numbers, put


@pytest.mark.parametrize(("delimiter", "word"), [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")])
def test_other_separators_are_found_and_told(delimiter: str, word: str, home: Home, tmp_path: Path) -> None:
    text = "question;answer\nWhy, oh why?;Because, as it is.\nHow?;So, so, so.\n".replace(";", delimiter)
    table = load(home, put(tmp_path, "a.csv", text))
    assert cells(table) == [("Why, oh why?", "Because, as it is."), ("How?", "So, so, so.")]
    assert word in table.about().notes[0]


def test_cells_may_hold_separators_quotes_and_line_ends(home: Home, tmp_path: Path) -> None:
    table = load(home, put(tmp_path, "a.csv", 'question,answer\r\n"Why,\nreally?","He said ""so"""\r\nHow?,\r\n'))
    assert cells(table) == [("Why,\nreally?", 'He said "so"'), ("How?", "")]


def test_ragged_rows_are_refused_with_their_lines(home: Home, tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", 'q,a\n"1\n1",x\n2\n3,x,y\n4,x\n')
    with pytest.raises(DataError) as caught:
        load(home, path)
    assert "2 row(s) of a.csv cannot be read" in str(caught.value)
    assert "Line 4: it has 1 cell(s), but the heading has 2; line 5: it has 3 cell(s)" in str(caught.value)
    assert "leave such rows out" in str(caught.value)
    assert list_tables(home) == []
    assert peek(File(path=str(path))).problems[1] == "Line 5: it has 3 cell(s), but the heading has 2."


def test_ragged_rows_can_be_left_out_and_are_listed(home: Home, tmp_path: Path) -> None:
    table = load(home, put(tmp_path, "a.csv", 'q,a\n1,x\n2\n"3"4,x\n5,x,,\n6,x\n'), skip_bad=True)
    assert cells(table) == [("1", "x"), ("5", "x"), ("6", "x")]
    assert numbers(table) == [1, 4, 5], "rows keep the numbers they have in the source"
    assert [left.line for left in table.about().left_out] == [3, 4]
    assert "closing double quote" in table.about().left_out[1].reason


def test_rows_left_out_are_all_counted_even_when_not_listed(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = put(tmp_path, "a.csv", "q,a\n1,x\n" + "1,x,y\n" * 1_234)
    about = load(home, path, skip_bad=True).about()
    assert (len(about.left_out), about.left_out_count) == (1_000, 1_234)
    assert main(["data", "import", str(path), "--skip-bad", "--home", str(home.root)]) == 0
    assert "Left out: 1234 row(s)" in capsys.readouterr().out


def test_a_quote_that_is_never_closed_is_named_by_the_line_that_opens_it(home: Home, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Line 3: a double quote is opened here and never closed"):
        load(home, put(tmp_path, "a.csv", 'q,a\n1,x\n2,"y\n3,z\n'))


def test_reading_ends_early_when_nearly_every_row_is_wrong(home: Home, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"At least 20 row\(s\)"):
        load(home, put(tmp_path, "a.csv", "q,a\n" + "1,x,y\n" * 500))


def test_blank_repeated_and_reserved_headings_are_renamed_and_told(home: Home, tmp_path: Path) -> None:
    table = load(home, put(tmp_path, "a.csv", "row,Answer,,answer\n1,2,3,4\n"))
    assert table.about().columns == ("row_2", "Answer", "column_3", "answer_2")
    assert cells(table) == [("1", "2", "3", "4")]
    assert len(table.about().notes) == 3


def test_a_cell_of_five_megabytes_is_kept_whole(home: Home, tmp_path: Path) -> None:
    large = "x" * 5_000_000
    for path in (
        put(tmp_path, "a.csv", f"question,answer\nWhy?,{large}\n"),
        put(tmp_path, "a.json", json.dumps([{"question": "Why?", "answer": large}])),
    ):
        assert cells(load(home, path)) == [("Why?", large)]
        assert peek(File(path=str(path))).rows[0]["answer"] == large


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_nul_characters_are_removed_and_told(name: str, home: Home, tmp_path: Path) -> None:
    text = "q,a\n1,x\n2,y\0z\n" if name == "a.csv" else '{"q":"1","a":"x"}\n\n{"q":"2","a":"y\\u0000z"}'
    table = load(home, put(tmp_path, name, text))
    assert cells(table) == [("1", "x"), ("2", "yz")]
    assert table.about().notes == ("NUL characters were removed from line 3.",)


def test_json_values_become_text_as_they_are_written(home: Home, tmp_path: Path) -> None:
    line = (
        '{"q": {"text": "Ü", "dose": [5, 1.50]}, "n": 1.50, "e": 1e3, "i": 12345678901234567890, "b": true, "z": null}'
    )
    for path in (put(tmp_path, "a.jsonl", line), put(tmp_path, "a.json", f"[{line}]")):
        table = load(home, path)
        expected = ('{"text": "Ü", "dose": [5, 1.5]}', "1.50", "1e3", "12345678901234567890", "true", None)
        assert cells(table) == [expected]


def test_json_columns_that_appear_late_are_null_before(home: Home, tmp_path: Path) -> None:
    lines = ['{"q": "1"}'] * 10_000 + ['{"a": "x", "q": 2}', '{"q": [3]}']
    table = load(home, put(tmp_path, "a.jsonl", "\n".join(lines)))
    assert table.about().columns == ("q", "a")
    last = [tuple(row.values()) for row in table.page(9_999, 3)]
    assert last == [(10_000, "1", None), (10_001, "2", "x"), (10_002, "[3]", None)]


@pytest.mark.parametrize(("name", "like"), [("a.csv", "a.jsonl"), ("a.csv", "a.json"), ("a.jsonl", "a.json")])
def test_json_is_known_by_what_is_in_it(name: str, like: str, home: Home, tmp_path: Path) -> None:
    assert cells(load(home, example(tmp_path, like).rename(tmp_path / name))) == ROWS


def test_the_separator_that_excel_writes_above_the_heading_is_no_heading(home: Home, tmp_path: Path) -> None:
    table = load(home, put(tmp_path, "a.csv", "sep=;\nquestion;answer\nWhy?;So.\n"))
    assert table.about().columns == ("question", "answer")


def test_one_column_only_is_called_a_problem(tmp_path: Path) -> None:
    found = peek(File(path=str(put(tmp_path, "a.csv", "question+answer\nWhy?+So.\n"))))
    assert "only one column" in found.problems[0]


def test_one_row_is_enough(home: Home, tmp_path: Path) -> None:
    assert load(home, put(tmp_path, "a.csv", "question,answer\nWhy?,Because.")).count() == 1
