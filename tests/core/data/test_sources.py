"""Sources: what becomes of files of every kind, good and bad, as a table and as first rows."""

from __future__ import annotations

import codecs
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.cli import main
from core.data import sources
from core.data.encoding import EncodingDetector
from core.data.reading import check_file, head_encoding
from core.data.sources import MEDICAL_REASONING, File, Hub, Sample, import_table, parse_source, peek
from core.data.tables import Table, find_table, list_tables
from core.errors import ConfigError, DataError
from core.paths import Home
from core.tasks import TaskStopped, silent
from tests.build_workbook import write_workbook

CSV = "question,answer\nWhy?,Because.\nHow?,So.\n"
ROWS = [("Why?", "Because."), ("How?", "So.")]
GERMAN = "Frage,Antwort\nWas ist eine Lungenentzündung?,Eine Entzündung der Lunge.\n"
CHINESE = "问题,答案\n患者发热三天，最可能的诊断是什么？,社区获得性肺炎，建议胸部影像学检查。\n"

CZECH = (
    "otázka,odpověď\n"
    + (
        "Jaká je nejčastější příčina zápalu plic u dospělých?,Nejčastěji jde o bakteriální infekci dýchacích cest.\n"
        "Který lék je vhodný při vysokém tlaku?,Začíná se přípravkem ze skupiny inhibitorů.\n"
        "Proč má nemocný žloutenku?,Překážka ve žlučových cestách brání odtoku žluči do střeva.\n"
    )
    * 10
)


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def load(home: Home, path: Path, **options: Any) -> Table:
    made = import_table(home, {"origin": "file", "path": str(path), **options}, silent)
    return find_table(home, made["table"])


def cells(table: Table) -> list[tuple[Any, ...]]:
    return [tuple(value for name, value in row.items() if name != "row") for row in table.page(0, 1_000)]


def numbers(table: Table) -> list[int]:
    return [row["row"] for row in table.page(0, 1_000)]


def parquet(folder: Path, name: str = "a.parquet", **columns: list[Any]) -> Path:
    pq.write_table(pa.table(columns), folder / name)
    return folder / name


def example(folder: Path, name: str) -> Path:
    """The same two rows in the format that the name's ending says."""
    records = [{"question": question, "answer": answer} for question, answer in ROWS]
    suffix = Path(name).suffix
    if suffix == ".parquet":
        return parquet(folder, name, question=[q for q, _ in ROWS], answer=[a for _, a in ROWS])
    if suffix == ".xlsx":
        return write_workbook(folder / name, {"Sheet1": [("question", "answer"), *ROWS]})
    text = {
        ".csv": CSV,
        ".tsv": CSV.replace(",", "\t"),
        ".json": json.dumps(records, indent=1),
        ".jsonl": "\n".join(map(json.dumps, records)),
        ".ndjson": "\n".join(map(json.dumps, records)) + "\n\n",
    }
    return put(folder, name, text[suffix])


@pytest.mark.parametrize("suffix", ["csv", "tsv", "json", "jsonl", "ndjson", "parquet", "xlsx"])
def test_every_format_gives_the_same_rows(suffix: str, home: Home, tmp_path: Path) -> None:
    path = example(tmp_path, f"a.{suffix}")
    table = load(home, path)
    assert cells(table) == ROWS
    assert numbers(table) == [1, 2]
    assert table.about().columns == ("question", "answer")
    found = peek(File(path=str(path)))
    assert [tuple(row.values()) for row in found.rows] == ROWS
    assert found.columns == ("question", "answer") and not found.problems


def test_the_sample_can_be_imported_and_looked_at(home: Home) -> None:
    table = find_table(home, import_table(home, {"origin": "sample"}, silent)["table"])
    assert {"question", "answer", "type", "split"} <= set(table.about().columns)
    assert table.count() == table.about().rows >= 320
    assert len(peek(Sample(), limit=7).rows) == 7


def test_the_same_file_is_found_and_not_read_again(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(home, put(tmp_path, "a.csv", CSV))
    monkeypatch.setattr(sources, "write_parquet", None)
    assert load(home, put(tmp_path, "a.csv", CSV)).id == first.id


def test_options_that_change_the_reading_make_another_table(home: Home, tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", CSV)
    assert load(home, path).id != load(home, path, delimiter=";").id
    assert len(list_tables(home)) == 2


def test_a_stopped_import_leaves_nothing_behind(home: Home, tmp_path: Path) -> None:
    def stop(phase: str, done: int = 0, total: int = 0) -> None:
        if phase == "reading rows":
            raise TaskStopped

    with pytest.raises(TaskStopped):
        import_table(home, {"origin": "file", "path": str(put(tmp_path, "a.csv", CSV))}, stop)
    assert [path.name for path in home.data.rglob("*")] == ["tables"]


def test_what_a_killed_import_left_goes_with_the_next_one(home: Home, tmp_path: Path) -> None:
    (home.data / ".import-999999999-x").mkdir()
    load(home, put(tmp_path, "a.csv", CSV))
    assert not list(home.data.glob(".import-*"))


def test_progress_counts_the_bytes_of_the_file(home: Home, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    path = put(tmp_path, "a.csv", "question,answer\n" + "Why?,Because.\n" * 30_000)
    arguments = {"origin": "file", "path": str(path)}
    import_table(home, arguments, lambda *said: seen.append(said))
    size = path.stat().st_size
    reading = [(done, total) for phase, done, total in seen if phase == "reading rows"]
    assert len(reading) == 3 and reading == sorted(reading) and reading[-1] == (size, size)


@pytest.mark.parametrize(
    ("text", "encoding", "note"),
    [
        (GERMAN, "utf-8-sig", ""),
        (GERMAN, "utf-16", "UTF-16"),
        (GERMAN, "utf-16-le", "UTF-16"),
        (GERMAN, "cp1252", "windows-1252"),
        ("q,a\nMénière?,é\n", "cp1252", "windows-1252"),
        ("pytanie,odpowiedź\nCo to jest zapalenie płuc?,Zakażenie płuc\n", "cp1250", "windows-1250"),
        ("問題,答案\n什麼是肺炎？,肺部的感染，建議胸部檢查\n", "big5", "Big5"),
        ("вопрос,ответ\nЧто такое пневмония?,Воспаление лёгких\n", "cp1251", "windows-1251"),
        (CHINESE, "gbk", "GBK"),
        (CHINESE, "utf-8", ""),
    ],
)
def test_encodings_are_found_and_told(text: str, encoding: str, note: str, home: Home, tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", text.encode(encoding))
    table, found = load(home, path), peek(File(path=str(path)))
    heading, row = (tuple(line.split(",")) for line in text.splitlines())
    assert table.about().columns == found.columns == heading
    assert cells(table) == [tuple(found.rows[0].values())] == [row]
    assert note in " ".join(table.about().notes) and bool(note) == bool(table.about().notes)
    assert found.notes == table.about().notes


def test_an_encoding_that_shows_only_far_down_is_found_by_the_import(home: Home, tmp_path: Path) -> None:
    content = "question,answer\n" + "Why?,Because.\n" * 200_000 + "Was hilft bei Ménière?,Geräte für die Ohren.\n"
    table = load(home, put(tmp_path, "a.csv", content.encode("cp1252")))
    assert table.page(200_000, 1)[0]["answer"] == "Geräte für die Ohren."


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ('frage,antwort\nWas hilft bei Ménière’s – 39 °C?,"5 µg, mm³"\n', "cp1252"),
        (CZECH, "cp1250"),
        ("question,answer\nWhy?,café", "cp1252"),
    ],
)
def test_european_text_is_told_apart(text: str, encoding: str, tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", text.encode(encoding))
    assert head_encoding(path).name == check_file(path, lambda done, total: None).encoding.name == encoding


@pytest.mark.parametrize(
    ("pieces", "name"),
    [
        ([b"Why?,caf\xe9", b"\nHow?,So\n"], "cp1252"),
        ([b"Why?,caf\xc3", b"\xa9\n"], "utf-8"),
        ([b"Why?,caf\xe9"], "cp1252"),
    ],
)
def test_a_character_is_followed_over_the_end_of_a_piece(pieces: list[bytes], name: str) -> None:
    detector = EncodingDetector()
    for piece in pieces:
        detector.feed(piece)
    assert detector.result().name == name


def test_a_character_cut_by_the_end_of_the_head_is_no_fault(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", ("x" * (2**20 - 1) + "é").encode())
    assert head_encoding(path).name == "utf-8"


def test_json_arrays_may_be_utf_16(home: Home, tmp_path: Path) -> None:
    assert cells(load(home, put(tmp_path, "a.json", '[{"Frage": "Übel?"}]'.encode("utf-16")))) == [("Übel?",)]


def test_the_user_may_name_the_encoding(home: Home, tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", "question,answer\nЧто?,Да\n".encode("koi8-r"))
    assert cells(load(home, path, encoding="koi8-r")) == [("Что?", "Да")]


@pytest.mark.parametrize("name", ["klingon", "undefined", "idna", "rot13", "a\0b"])
def test_an_encoding_that_cannot_read_text_is_refused(name: str, home: Home, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no text encoding"):
        load(home, put(tmp_path, "a.csv", CSV), encoding=name)


@pytest.mark.parametrize("name", ["utf-8", "UTF8", "cp65001", "utf-8-sig"])
@pytest.mark.parametrize("file", ["a.csv", "a.jsonl", "a.json"])
def test_utf_8_that_the_user_names_may_begin_with_a_mark(name: str, file: str, home: Home, tmp_path: Path) -> None:
    path = example(tmp_path, file)
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    assert load(home, path, encoding=name).about().columns == ("question", "answer")


@pytest.mark.parametrize("name", ["notes[1].json", "n*.json", "n?.json", "no\\[1].json"])
def test_a_name_is_never_a_pattern(name: str, home: Home, tmp_path: Path) -> None:
    for other in ("notes1.json", "nx.json", "no1.json"):
        put(tmp_path, other, '[{"q": "wrong"}]')
    path = put(tmp_path, name, '[{"q": "right"}]')
    assert cells(load(home, path)) == [("right",)]
    assert len(peek(File(path=str(path))).rows) == 1


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


def test_damaged_characters_are_named_with_line_and_column(home: Home, tmp_path: Path) -> None:
    content = "question,answer\nÜbel?,Öl\n".encode() + b"Why?,a\xffb\nHow?,So\n"
    path = put(tmp_path, "a.csv", content)
    with pytest.raises(DataError, match="Line 3: character 2 of the cell 'answer' is damaged"):
        load(home, path)
    assert cells(load(home, path, skip_bad=True)) == [("Übel?", "Öl"), ("How?", "So")]


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


def test_parquet_values_become_text(home: Home, tmp_path: Path) -> None:
    path = parquet(tmp_path, n=[1, None], f=[0.5, 2.0], l=[["a"], None], s=[{"x": 1}, {"x": None}], b=[b"\x00", None])
    assert cells(load(home, path)) == [
        ("1", "0.5", '["a"]', '{"x": 1}', "<1 bytes>"),
        (None, "2.0", None, '{"x": null}', None),
    ]


def test_a_sheet_is_read_from_its_first_row_with_anything_in_it(home: Home, tmp_path: Path) -> None:
    rows = [(), ("question", "dose", "note"), ("Why?", 3, None), (), ("How?", 1.5, "x")]
    path = write_workbook(tmp_path / "a.xlsx", {"First": rows, "Second": [("a",), ("b",)]})
    table = load(home, path)
    assert cells(table) == [("Why?", "3", None), ("How?", "1.5", "x")]
    assert "'First'" in table.about().notes[0] and "'Second'" in table.about().notes[0]
    assert cells(load(home, path, sheet="Second")) == [("b",)]
    with pytest.raises(DataError, match="has no sheet 'Third'; it has 'First', 'Second'"):
        load(home, path, sheet="Third")


def test_a_workbook_is_known_by_what_is_in_it(home: Home, tmp_path: Path) -> None:
    assert cells(load(home, example(tmp_path, "a.xlsx").rename(tmp_path / "a.csv"))) == ROWS


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


def _zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.csv", "w") as archive:
        archive.writestr("data.csv", CSV)
    return folder / "a.csv"


def _half(path: Path) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "a.csv is empty"),
        ("a.csv", "\n\n", "a.csv holds no rows"),
        ("a.csv", "question,answer\n", "a.csv holds no rows"),
        ("a.jsonl", "\n", "a.jsonl holds no rows"),
        ("a.json", "[]", "a.json holds no rows"),
        ("a.jsonl", '{"q": 1}\n' * 16 + '{"q": \n', "Line 17: it is not valid JSON (Expecting value at column 6)"),
        ("a.jsonl", '{"q": 1}\n[1]', "Line 2: it is not a JSON object such as"),
        ("a.jsonl", '{"q": "\\ud83d"}', "Line 1: character 1 of the cell 'q' is damaged"),
        ("a.jsonl", '{"q": ' + "9" * 5_000 + "}", "Line 1: it holds a number with too many digits"),
        ("a.jsonl", '{"q": ' + "[" * 100_000, "Line 1: its JSON is nested too deeply"),
        ("a.json", '[{"q": 1},\n {"q": }]', "a.json is not valid JSON (Expecting value at line 2, column 8)"),
        ("a.json", '[{"q": 1},\n {"q": 2', "a.json is not valid JSON"),
        ("a.json", '[{"q": 1}, 7]', "Row 2: it is not a JSON object"),
        ("a.json", '{\n "q": 1\n}', "a.json holds one JSON object over several lines"),
        ("a.parquet", CSV, "a.parquet is not a Parquet file, whatever its name says"),
        ("a.xlsx", CSV, "a.xlsx is not an Excel workbook, whatever its name says"),
        ("a.csv", b"\x1f\x8b\x08\x00", "a.csv is compressed with gzip"),
        ("a.csv", b"\x00\x01\x02\x00" * 99, "a.csv is not a text file"),
        ("a.csv", b"%PDF-1.7", "a.csv is a PDF document"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(
    name: str, content: str | bytes, message: str, home: Home, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        load(home, put(tmp_path, name, content))
    assert message in str(caught.value)
    assert list_tables(home) == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_zip, "a.csv is a zip archive. Unpack it"),
        (lambda folder: _half(_zip(folder)), "a.csv is a zip archive or Excel workbook that is cut off"),
        (lambda folder: _half(example(folder, "a.parquet")), "a.parquet is a Parquet file that is cut off or damaged"),
        (lambda folder: _half(example(folder, "a.xlsx")), "a.xlsx is a zip archive or Excel workbook that is cut off"),
        (lambda folder: folder / "none.csv", "There is no data file"),
        (lambda folder: folder, "is a folder. Choose a .csv"),
        (lambda folder: folder / "a\0.csv", "cannot be read (not a path)"),
        (lambda folder: Path(os.devnull), "is not a file that holds data"),
    ],
)
def test_a_file_that_cannot_be_opened_is_refused_by_import_and_preview(
    make: Any, message: str, home: Home, tmp_path: Path
) -> None:
    path = make(tmp_path)
    for attempt in (lambda: load(home, path), lambda: peek(File(path=str(path)))):
        with pytest.raises(DataError) as caught:
            attempt()
        assert message in str(caught.value)


def test_a_file_that_may_not_be_read_is_refused(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *arguments: Any, **more: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(self))

    path = put(tmp_path, "a.csv", CSV)
    monkeypatch.setattr(Path, "open", refuse)  # the tests may run as root, who may read anything
    with pytest.raises(DataError, match=r"cannot be read \(Permission denied\). Check the path and who may read"):
        peek(File(path=str(path)))


@pytest.mark.parametrize("title", ["../../etc/x", "..", "a/../../b.csv", "\0", "病例", "x" * 500, "<b>.csv"])
def test_a_title_is_shown_but_never_used_as_a_path(title: str, home: Home, tmp_path: Path) -> None:
    table = load(home, put(tmp_path, "a.csv", CSV), title=title)
    assert table.folder.parent == home.data / "tables"
    assert table.about().title == title
    assert cells(table) == ROWS


def test_only_the_beginning_is_read_for_the_first_rows(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", CSV * 100_000 + '"never closed')
    assert len(peek(File(path=str(path)), limit=50).rows) == 50
    assert not peek(File(path=str(path)), limit=50).problems


def test_the_first_rows_of_a_file_without_rows_say_so(tmp_path: Path) -> None:
    found = peek(File(path=str(put(tmp_path, "a.csv", "question,answer\n"))))
    assert (found.columns, found.problems) == (("question", "answer"), ("a.csv holds no rows.",))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "origin"),
        ({"origin": "ftp"}, "origin"),
        ({"origin": "file"}, "path: Field required"),
        ({"origin": "file", "path": "a", "delimiter": "ab"}, "delimiter: String should have at most 1 character"),
        ({"origin": "file", "path": "a", "delimiter": '"'}, "delimiter: A double quote or a line end cannot separate"),
        ({"origin": "file", "path": "a", "delimiter": "\n"}, "delimiter: A double quote or a line end"),
        ({"origin": "file", "path": "a", "delimiter": "\r"}, "delimiter: A double quote or a line end"),
        ({"origin": "file", "path": "a", "token": "x"}, "token: Extra inputs"),
        ({"origin": "hub", "id": "../../etc/x"}, "id: String should match"),
    ],
)
def test_a_source_that_is_none_is_refused_by_field(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_source(arguments)
    assert message in str(caught.value)


def test_a_hub_data_set_becomes_a_table_by_way_of_its_parquet(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.engine import hub

    def download(dataset_id: str, config: str | None, split: str, target: Path, progress: Any) -> Path:
        assert (dataset_id, config, split) == ("FreedomIntelligence/medical-o1-reasoning-SFT", "en", "train")
        return parquet(target.parent, target.name, Question=["Why?"], Complex_CoT=["Hm."], Response=["Because."])

    monkeypatch.setattr(hub, "download", download)
    source = MEDICAL_REASONING.source
    assert parse_source(source.model_dump()) == source and isinstance(source, Hub)
    table = find_table(home, import_table(home, source.model_dump(), silent)["table"])
    about = table.about()
    assert (about.origin, about.title) == ("hub", "FreedomIntelligence/medical-o1-reasoning-SFT, en, train")
    assert {MEDICAL_REASONING.mapping.question, MEDICAL_REASONING.mapping.answer} <= set(about.columns)
