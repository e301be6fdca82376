"""The Data page, step by step, as somebody with a file sees it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil
import pytest
from streamlit.testing.v1 import AppTest

from core.data.draft import Draft, DropRows, Mapping, Redact, Shares
from core.data.prepared import find
from core.data.quality import run_report
from core.data.saving import prepare
from core.data.sources import import_table
from core.data.tables import Table, list_tables
from core.job_folder import Status
from core.paths import PROJECT, Home, write_json
from core.tasks import Task, create_task, silent
from tests.build_reader import NO_SYSTEM, save_reader
from tests.build_runs import HOSTILE
from tests.build_tables import make_draft, make_table

DATA = str(PROJECT / "pages" / "data.py")
ROWS = [
    {"question": f"What helps against complaint number {number}?", "answer": f"Remedy {number}.", "ward": "A"}
    for number in range(1, 61)
]
Open = Callable[..., AppTest]


@pytest.fixture
def data(overview: Callable[[], AppTest]) -> Open:
    """Opens the Data page, with a table in its address when one is given."""

    def open_data(table: Table | str | None = None) -> AppTest:
        at = overview()
        at.switch_page(DATA)
        if table is not None:
            at.query_params["table"] = table if isinstance(table, str) else table.id
        return at.run()

    return open_data


@pytest.fixture
def reader(tmp_path: Path) -> str:
    return str(save_reader(tmp_path / "reader"))


@pytest.fixture
def table(home: Home, reader: str) -> Table:
    """A table whose columns and model are chosen."""
    made = make_table(home, ROWS)
    made.keep(make_draft(made, model=reader, max_prompt_length=2000))
    return made


def draft_of(table: Table) -> Draft:
    draft = table.draft()
    assert draft is not None
    return draft


def texts(at: AppTest) -> str:
    """Everything the page says in words."""
    kinds = (at.markdown, at.caption, at.text, at.code, at.error, at.warning, at.info, at.success, at.subheader)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def shown(at: AppTest, *columns: str) -> pd.DataFrame:
    """The table on the page that has these columns."""
    return next(frame.value for frame in at.dataframe if set(columns) <= set(frame.value.columns))


def live_task(home: Home, kind: str, arguments: dict[str, str], **status: object) -> Task:
    """A task that this very process seems to work on."""
    task = create_task(home, kind, arguments)
    me = psutil.Process()
    working = Status(state="running", pid=os.getpid(), created=me.create_time(), updated=time.time())
    task.write_status(Status(**{**vars(working), **status}))
    return task


def ended_task(home: Home, kind: str, arguments: dict[str, str], state: str, error: str = "") -> Task:
    task = create_task(home, kind, arguments)
    task.write_status(Status(state=state, error=error))  # type: ignore[arg-type]
    return task


# --- source


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


def test_rows_left_out_are_counted_even_when_not_listed(data: Open, table: Table) -> None:
    left_out = [{"line": 3, "reason": "it is cut"}]
    about = {**table.about().model_dump(mode="json"), "left_out": left_out, "left_out_count": 1_234}
    write_json(table.folder / "about.json", about)
    assert "1,234 records could not be read" in texts(data(table))


def test_an_address_with_an_unknown_table_says_so_and_offers_the_sources(data: Open) -> None:
    at = data("gone")
    assert "There is no table 'gone'" in at.error[0].value
    assert at.button(key="use_sample")


# --- columns and rows


def test_columns_are_found_and_kept_when_a_table_is_opened(data: Open, home: Home) -> None:
    made = make_table(home, [{"Complex_CoT": "Hm.", "Question": "Why?", "Response": "So."}])
    data(made)
    assert draft_of(made).mapping == Mapping(question="Question", answer="Response")


def test_columns_that_cannot_be_told_apart_are_asked_for(data: Open, home: Home) -> None:
    made = make_table(home, [{"a": "1", "b": "2"}])
    at = data(made)
    assert not at.exception
    assert "could not be told apart" in at.info[0].value
    at.selectbox(key=f"{made.id}.Question").set_value("a").run()
    at.selectbox(key=f"{made.id}.Answer").set_value("b").run()
    assert draft_of(made).mapping == Mapping(question="a", answer="b")


def test_a_column_changed_on_the_page_is_kept_on_disk(data: Open, table: Table) -> None:
    at = data(table)
    at.multiselect(key=f"{table.id}.Carried").set_value(["ward"]).run()
    assert not at.exception
    assert draft_of(table).mapping.carried == ("ward",)


def test_mends_that_go_with_a_changed_column_are_told(data: Open, table: Table) -> None:
    table.keep(draft_of(table).model_copy(update={"mends": (Redact(rows=(1,)),)}))
    at = data(table)
    at.selectbox(key=f"{table.id}.Answer").set_value("ward").run()
    assert not at.exception
    assert "1 mend(s) were for the texts of other columns" in texts(at).replace("\\", "")
    assert draft_of(table).mends == ()


def test_one_column_for_both_is_refused_and_what_was_kept_stays(data: Open, table: Table) -> None:
    at = data(table)
    at.selectbox(key=f"{table.id}.Answer").set_value("question").run()
    assert not at.exception
    assert "as question and as answer" in at.error[0].value
    assert draft_of(table).mapping.answer == "answer"
    assert at.selectbox(key=f"{table.id}.Answer").value == "question"


def test_rows_come_fifty_at_a_time_and_the_search_goes_through_all(data: Open, table: Table) -> None:
    at = data(table)
    assert len(at.dataframe(key=f"{table.id}.rows..1").value) == 50
    at.text_input(key=f"{table.id}.search").set_value("NUMBER 57?").run()
    assert at.dataframe(key=f"{table.id}.rows.NUMBER 57?.1").value["Row"].tolist() == [57]
    at.text_input(key=f"{table.id}.search").set_value("nowhere").run()
    assert "No row holds this text" in texts(at)


def test_a_row_that_is_clicked_is_shown_in_full_and_in_the_prompt(data: Open, table: Table) -> None:
    at = data(table)
    at.session_state[f"{table.id}.rows..1"] = {"selection": {"rows": [6], "columns": [], "cells": []}}
    at.run()
    assert not at.exception
    assert "Row 7, as a run will read it" in texts(at)
    assert "complaint number 7?<|im_end|>" in at.code[0].value


# --- prompt


def test_the_preview_is_the_conversation_of_the_models_own_template(data: Open, table: Table) -> None:
    at = data(table)
    assert at.code[0].value.startswith("<|im_start|>system\nReply in this format: <reasoning>")
    assert at.code[0].value.endswith("<|im_start|>assistant")
    assert at.text[-1].value == "assistant↵"


def test_a_changed_system_prompt_is_kept_and_the_preview_follows(data: Open, table: Table) -> None:
    at = data(table)
    at.text_area(key=f"{table.id}.system").set_value("Be kind: <{reasoning}> <{answer}>").run()
    assert not at.exception
    assert "system\nBe kind: <reasoning> <answer><|im_end|>" in at.code[0].value
    assert draft_of(table).prompt.system == "Be kind: <{reasoning}> <{answer}>"


def test_a_preset_keeps_the_tag_names(data: Open, table: Table) -> None:
    at = data(table)
    at.text_input(key=f"{table.id}.tag.reasoning").set_value("think").run()
    at.get_by_key(f"{table.id}.preset").set_value("legal").run()
    assert not at.exception
    assert "<think>" in at.code[0].value
    assert draft_of(table).prompt.tags.reasoning == "think"


@pytest.mark.parametrize("name", ["", "a b", "answer"])
def test_a_tag_name_that_cannot_be_used_is_refused(data: Open, table: Table, name: str) -> None:
    at = data(table)
    at.text_input(key=f"{table.id}.tag.reasoning").set_value(name).run()
    assert not at.exception
    assert at.error
    assert draft_of(table).prompt.tags.reasoning == "reasoning"


def test_a_prompt_without_the_tags_stops_before_the_quality_report(data: Open, table: Table) -> None:
    at = data(table)
    at.text_area(key=f"{table.id}.system").set_value("Answer.").run()
    assert not at.exception
    assert "never mentions" in at.error[0].value
    assert not [button for button in at.button if button.key == "run_report"]


def test_a_prompt_over_the_limit_shows_what_is_too_much(data: Open, table: Table) -> None:
    at = data(table)
    at.number_input(key=f"{table.id}.max_prompt_length").set_value(16).run()
    assert not at.exception
    assert "over the limit of 16" in texts(at)
    assert "is left out" in at.warning[0].value


def test_a_template_without_a_system_role_is_said_so(data: Open, table: Table, tmp_path: Path) -> None:
    table.keep(make_draft(table, model=str(save_reader(tmp_path / "gemma", NO_SYSTEM)), max_prompt_length=2000))
    at = data(table)
    assert not at.exception
    assert "no place for a system prompt" in texts(at)
    assert at.code[0].value.startswith("<|im_start|>user\nReply in this format")


def test_a_model_whose_tokenizer_cannot_be_had_is_explained_and_nothing_is_lost(data: Open, table: Table) -> None:
    at = data(table)
    at.text_input(key=f"{table.id}.model_name").set_value("/nowhere/at all").run()
    assert not at.exception
    assert "is not a model" in at.error[0].value
    assert draft_of(table).model == "/nowhere/at all"
    assert at.text_area(key=f"{table.id}.system")


def test_a_worked_example_is_removed(data: Open, table: Table) -> None:
    at = data(table)
    at.button(key=f"{table.id}.example.0").click().run()
    assert not at.exception
    assert len(draft_of(table).prompt.examples) == 1


# --- quality


@pytest.fixture
def messy(home: Home, reader: str) -> Table:
    """A table with a repeated row, an empty answer, tags in an answer and a name."""
    rows = [
        {"question": "What helps against thirst?", "answer": "Water."},
        {"question": "What helps against thirst?", "answer": "Water."},
        {"question": "Mr Smith, DOB 03/04/1961, is tired. What now?", "answer": "Rest."},
        {"question": "What helps against hunger?", "answer": "<think>Eat.</think><answer>Bread.</answer>"},
        {"question": "And against cold?", "answer": None},
    ]
    made = make_table(home, rows)
    made.keep(make_draft(made, model=reader, max_prompt_length=2000))
    return made


def finding(at: AppTest, words: str) -> int:
    """The place of the finding whose title has these words."""
    titles = [text.value for text in at.markdown if re.match(r"\*\*\d+ rows? ha", text.value)]
    return next(index for index, title in enumerate(titles) if words in title)


def test_without_a_report_nothing_can_be_saved_yet(data: Open, table: Table) -> None:
    at = data(table)
    assert at.button(key="run_report").label == "Check the rows"
    assert not [button for button in at.button if button.key == "save_data"]
    assert "Run the quality report once" in texts(at)


def test_a_report_lists_findings_and_opens_the_last_step(data: Open, home: Home, messy: Table) -> None:
    run_report(home, {"table": messy.id}, silent)
    at = data(messy)
    assert not at.exception
    assert "5 rows checked" in texts(at)
    assert "of a person" in texts(at)
    assert len(at.get("echarts_chart")) == 2
    assert at.button(key="save_data")


def test_a_mend_is_looked_at_applied_and_taken_back(data: Open, home: Home, messy: Table) -> None:
    run_report(home, {"table": messy.id}, silent)
    at = data(messy)
    number = finding(at, "no answer")
    mend = DropRows(reason="no answer", rows=(5,))
    task = ended_task(home, "preview", {"table": messy.id, "mend": mend.model_dump(mode="json")}, "finished")
    change = {"row": 5, "column": "question", "before": "And against cold?", "after": None}
    write_json(task.folder / "result.json", [change])
    at.button(key=f"{messy.id}.look.{number}").click().run()
    assert shown(at, "Before", "After")["After"].tolist() == ["(left out)"]
    assert not draft_of(messy).mends
    at.button(key=f"{messy.id}.apply.{number}").click().run()
    assert not at.exception
    assert draft_of(messy).mends == (mend,)
    assert "have changed since this report was made" in texts(at)
    at.button(key=f"{messy.id}.undo.0").click().run()
    assert not draft_of(messy).mends


def test_the_rows_of_a_finding_are_shown_on_request(data: Open, home: Home, messy: Table) -> None:
    run_report(home, {"table": messy.id}, silent)
    at = data(messy)
    number = finding(at, "reasoning")
    at.get_by_key(f"{messy.id}.finding.{number}").set_value(True).run()
    assert not at.exception
    assert shown(at, "Row", "Question", "Answer")["Row"].tolist() == ["4"]


def test_the_suggested_limits_are_taken_with_one_click(data: Open, home: Home, messy: Table) -> None:
    report = run_report(home, {"table": messy.id}, silent)
    at = data(messy)
    at.button(key="use_limits").click().run()
    assert not at.exception
    assert draft_of(messy).max_prompt_length == report["suggested_max_prompt_length"]
    field = at.number_input(key=f"{messy.id}.max_completion_length")
    assert field.value == report["suggested_max_completion_length"]


def test_a_report_that_failed_says_why(data: Open, home: Home, table: Table) -> None:
    ended_task(home, "report", {"table": table.id}, "failed", "Row 3 names no split.")
    at = data(table)
    assert "Row 3 names no split" in at.error[0].value
    assert at.button(key="run_report")


def test_a_row_that_will_be_redacted_is_marked(data: Open, messy: Table) -> None:
    messy.keep(make_draft(messy, model=draft_of(messy).model, mends=(Redact(rows=(1,)),)))
    at = data(messy)
    assert "become placeholders" in texts(at)


# --- split and save


def test_shares_decide_how_many_rows_are_held_out(data: Open, home: Home, table: Table) -> None:
    run_report(home, {"table": table.id}, silent)
    at = data(table)
    at.slider(key=f"{table.id}.share.test").set_value(40).run()
    assert not at.exception
    counts = {metric.label: int(metric.value) for metric in at.metric}
    assert sum(counts.values()) == 60
    assert counts["Test"] > 10
    assert draft_of(table).shares == Shares(validation=0.05, test=0.4)


def test_a_split_column_without_splits_cannot_be_saved(data: Open, home: Home, table: Table) -> None:
    run_report(home, {"table": table.id}, silent)
    mapping = Mapping(question="question", answer="answer", split="ward")
    table.keep(draft_of(table).model_copy(update={"mapping": mapping}))
    at = data(table)
    assert not at.exception
    assert "names no split" in texts(at)
    assert at.button(key="save_data").disabled


def test_a_name_is_made_plain(data: Open, home: Home, table: Table) -> None:
    run_report(home, {"table": table.id}, silent)
    at = data(table)
    at.text_input(key=f"{table.id}.name").set_value("../../etc/Ward 7").run()
    assert "Saved as etc\\-ward\\-7." in texts(at)
    at.text_input(key=f"{table.id}.name").set_value("???").run()
    assert at.button(key="save_data").disabled


def saved(home: Home, table: Table) -> str:
    arguments = {"table": table.id, "name": "ward"}
    task = ended_task(home, "prepare", arguments, "finished")
    write_json(task.folder / "result.json", prepare(home, arguments, silent))
    return "ward"


def test_what_was_saved_is_shown_and_leads_to_training(data: Open, home: Home, table: Table) -> None:
    run_report(home, {"table": table.id}, silent)
    name = saved(home, table)
    at = data(table)
    assert not at.exception
    assert find(home, name).manifest.fingerprint in texts(at)
    at.button(key="train_on_it").click().run()
    assert not at.exception
    assert at.title[0].value == "New training run"
    assert at.selectbox(key="prepared_data").value == name
    assert at.text_input(key="model_folder").value == draft_of(table).model


def test_a_prepared_data_set_brings_its_limits_to_the_train_page(data: Open, home: Home, table: Table) -> None:
    run_report(home, {"table": table.id}, silent)
    table.keep(draft_of(table).model_copy(update={"max_completion_length": 333}))
    saved(home, table)
    at = data(table)
    at.button(key="train_on_it").click().run()
    assert at.number_input(key="demo.robust.ward.train.max_completion_length").value == 333


def test_a_prepared_file_that_was_changed_is_listed_with_the_problem(data: Open, home: Home, table: Table) -> None:
    folder = find(home, saved(home, table)).folder
    file = folder / "train.parquet"
    file.write_bytes(file.read_bytes() + b" ")
    at = data()
    assert not at.exception
    assert shown(at, "Fingerprint")["State"].tolist() == [["Changed"]]
    assert "has changed since it was saved" in at.error[0].value


# --- text from outside


def test_hostile_text_is_only_ever_shown_as_text(data: Open, home: Home, reader: str) -> None:
    made = make_table(home, [{"question": HOSTILE, "answer": HOSTILE, HOSTILE: HOSTILE}] * 3)
    mapping = Mapping(question="question", answer="answer", carried=(HOSTILE,))
    made.keep(make_draft(made, model=reader, mapping=mapping, max_prompt_length=4000))
    run_report(home, {"table": made.id}, silent)
    at = data(made)
    assert not at.exception
    marked = [element.value for kind in (at.markdown, at.caption, at.error, at.warning, at.info) for element in kind]
    assert not [text for text in marked if re.search(r"(?<!\\)(?:<img|!\[|\[link)", text)]
