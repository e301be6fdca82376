"""The quality report on the Data page, and its mends."""

from __future__ import annotations

import re

import pytest
from streamlit.testing.v1 import AppTest

from core.data.draft import ColumnMapping, DropRows, Redact
from core.data.quality import run_report
from core.data.tables import Table
from core.jobs.tasks import silent
from core.paths import Home, write_json
from tests.build_data_page import Open, draft_of, ended_task, shown, texts
from tests.build_runs import HOSTILE
from tests.build_tables import decide, make_draft, make_table


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
    decide(made, make_draft(made, model=reader, max_prompt_length=2000))
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
    decide(messy, make_draft(messy, model=draft_of(messy).model, mends=(Redact(rows=(1,)),)))
    at = data(messy)
    assert "become placeholders" in texts(at)


def test_hostile_text_is_only_ever_shown_as_text(data: Open, home: Home, reader: str) -> None:
    made = make_table(home, [{"question": HOSTILE, "answer": HOSTILE, HOSTILE: HOSTILE}] * 3)
    mapping = ColumnMapping(question="question", answer="answer", carried=(HOSTILE,))
    decide(made, make_draft(made, model=reader, mapping=mapping, max_prompt_length=4000))
    run_report(home, {"table": made.id}, silent)
    at = data(made)
    assert not at.exception
    marked = [element.value for kind in (at.markdown, at.caption, at.error, at.warning, at.info) for element in kind]
    assert not [text for text in marked if re.search(r"(?<!\\)(?:<img|!\[|\[link)", text)]
