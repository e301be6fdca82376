"""Columns and rows on the Data page."""

from __future__ import annotations

from core.data.draft import ColumnMapping, Redact
from core.data.tables import Table
from core.paths import Home
from tests.build_data_page import Open, draft_of, texts
from tests.build_tables import decide, make_table


def test_columns_are_found_and_kept_when_a_table_is_opened(data: Open, home: Home) -> None:
    made = make_table(home, [{"Complex_CoT": "Hm.", "Question": "Why?", "Response": "So."}])
    data(made)
    assert draft_of(made).mapping == ColumnMapping(question="Question", answer="Response")


def test_columns_that_cannot_be_told_apart_are_asked_for(data: Open, home: Home) -> None:
    made = make_table(home, [{"a": "1", "b": "2"}])
    at = data(made)
    assert not at.exception
    assert "could not be told apart" in at.info[0].value
    at.selectbox(key=f"{made.id}.Question").set_value("a").run()
    at.selectbox(key=f"{made.id}.Answer").set_value("b").run()
    assert draft_of(made).mapping == ColumnMapping(question="a", answer="b")


def test_a_column_changed_on_the_page_is_kept_on_disk(data: Open, table: Table) -> None:
    at = data(table)
    at.multiselect(key=f"{table.id}.Carried").set_value(["ward"]).run()
    assert not at.exception
    assert draft_of(table).mapping.carried == ("ward",)


def test_mends_that_go_with_a_changed_column_are_told(data: Open, table: Table) -> None:
    decide(table, draft_of(table).model_copy(update={"mends": (Redact(rows=(1,)),)}))
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
