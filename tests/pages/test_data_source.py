"""Where rows come from on the Data page."""

from __future__ import annotations

import pytest

from core.data.sources import import_table
from core.data.tables import Table, list_tables
from core.jobs.tasks import silent
from core.paths import Home, write_json
from tests.build_data_page import ROWS, Open, draft_of, ended_task, live_task, shown, texts
from tests.build_tables import make_table


def test_an_empty_home_shows_the_three_sources_and_nothing_else(data: Open) -> None:
    at = data()
    assert not at.exception
    assert [at.button(key=key).disabled for key in ("use_sample", "use_preset", "use_hub")] == [False, False, True]
    assert len(at.subheader) == 2
    assert "the next steps appear one by one" in texts(at)


def test_an_upload_shows_its_head_and_what_was_found_before_it_is_imported(data: Open, home: Home) -> None:
    at = data()
    at.file_uploader(key="source_upload").upload("ward.csv", "Frage;Antwort\nWarum?;Darum – ja.\n".encode("cp1252"))
    at.run()
    assert not at.exception
    assert shown(at, "Antwort")["Antwort"].tolist() == ["Darum – ja."]
    assert "windows\\-1252" in texts(at)
    assert "semicolons" in texts(at)
    assert not list_tables(home)


def test_a_guessed_encoding_is_told_and_can_be_changed(data: Open) -> None:
    at = data()
    at.file_uploader(key="source_upload").upload("a.csv", "question,answer\nby³,so\n".encode("cp1252")).run()
    assert "windows\\-1252" in texts(at)
    at.selectbox(key="encoding").set_value("cp1250").run()
    assert not at.exception
    assert shown(at, "question")["question"].tolist() == ["był"]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.csv", b"", "empty"),
        ("zip.csv", b"PK\x03\x04 not really", "zip"),
        ("cut.parquet", b"PAR1 cut in half", "Parquet"),
    ],
)
def test_a_file_that_cannot_be_read_is_explained(data: Open, name: str, content: bytes, sentence: str) -> None:
    at = data()
    at.file_uploader(key="source_upload").upload(name, content).run()
    assert not at.exception
    assert sentence in at.error[0].value
    assert not [button for button in at.button if button.key == "use_file"]


def test_a_ragged_row_is_named_with_its_line_before_the_import(data: Open) -> None:
    at = data()
    at.file_uploader(key="source_upload").upload("a.csv", b"question,answer\na,b\nc,d,e\n").run()
    assert "Line 3" in at.warning[0].value


def test_a_path_that_leads_nowhere_is_explained(data: Open) -> None:
    at = data()
    at.get_by_key("source_way").set_value("Path on this machine").run()
    at.text_input(key="source_path").set_value("../../etc/nothing.csv").run()
    assert not at.exception
    assert "nothing.csv" in at.error[0].value


def test_a_data_set_id_that_is_none_is_refused(data: Open) -> None:
    at = data()
    at.text_input(key="hub_id").set_value("../../etc/x y").run()
    assert not at.exception
    assert at.error
    assert at.button(key="use_hub").disabled


def test_an_import_under_way_is_followed_and_can_be_stopped(data: Open, home: Home) -> None:
    task = live_task(home, "import", {"origin": "sample"}, phase="reading rows", done=1, total=4)
    at = data()
    at.query_params["import"] = task.id
    at.run()
    assert not at.exception
    assert at.progress[0].text == "Reading rows, 25%"
    at.button(key=f"stop {task.id}").click().run()
    assert task.stop_request.exists()


def test_an_import_that_has_ended_opens_its_table(data: Open, home: Home) -> None:
    task = ended_task(home, "import", {"origin": "sample"}, "finished")
    result = import_table(home, {"origin": "sample"}, silent)  # type: ignore[arg-type]
    write_json(task.folder / "result.json", result)
    at = data()
    at.query_params["import"] = task.id
    at.run()
    assert not at.exception
    assert at.query_params["table"] == result["table"]
    assert draft_of(list_tables(home)[0]).mapping.question == "question"


@pytest.mark.parametrize(
    ("state", "error", "sentence"),
    [
        ("failed", "Line 7 has 3 cells.", "Line 7 has 3 cells"),
        ("stopped", "", "Stopped"),
        ("interrupted", "", "without"),
    ],
)
def test_an_import_without_a_table_says_why_and_asks_again(
    data: Open, home: Home, state: str, error: str, sentence: str
) -> None:
    task = ended_task(home, "import", {"origin": "sample"}, state, error)
    at = data()
    at.query_params["import"] = task.id
    at.run()
    assert not at.exception
    assert sentence in texts(at)
    assert at.button(key="use_sample")


def test_a_table_made_before_is_opened_again_with_what_was_decided(data: Open, table: Table) -> None:
    at = data()
    at.session_state["tables"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    at.run()
    assert not at.exception
    assert at.query_params["table"] == table.id


def test_the_table_that_was_clicked_opens_even_when_another_was_made_since(
    data: Open, home: Home, table: Table
) -> None:
    at = data()
    make_table(home, ROWS, "table-2")
    at.session_state["tables"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    at.run()
    assert not at.exception
    assert at.query_params["table"] == table.id


def test_rows_left_out_are_counted_even_when_not_listed(data: Open, table: Table) -> None:
    left_out = [{"line": 3, "reason": "it is cut"}]
    about = {**table.about().model_dump(mode="json"), "left_out": left_out, "left_out_count": 1_234}
    write_json(table.folder / "about.json", about)
    assert "1,234 records could not be read" in texts(data(table))


def test_an_address_with_an_unknown_table_says_so_and_offers_the_sources(data: Open) -> None:
    at = data("gone")
    assert "There is no table 'gone'" in at.error[0].value
    assert at.button(key="use_sample")
