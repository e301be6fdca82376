"""Sources: what becomes of files of every format as a table and as first rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.data import sources
from core.data.sources import MEDICAL_REASONING, File, Hub, Sample, import_table, parse_source, peek
from core.data.tables import find_table, list_tables
from core.errors import ConfigError, DataError
from core.jobs.tasks import TaskStopped, silent
from core.paths import Home
from tests.build_sources import CSV, ROWS, cells, example, load, numbers, parquet, put
from tests.build_workbook import write_workbook


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


@pytest.mark.parametrize("name", ["notes[1].json", "n*.json", "n?.json", "no\\[1].json"])
def test_a_name_is_never_a_pattern(name: str, home: Home, tmp_path: Path) -> None:
    for other in ("notes1.json", "nx.json", "no1.json"):
        put(tmp_path, other, '[{"q": "wrong"}]')
    path = put(tmp_path, name, '[{"q": "right"}]')
    assert cells(load(home, path)) == [("right",)]
    assert len(peek(File(path=str(path))).rows) == 1


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
