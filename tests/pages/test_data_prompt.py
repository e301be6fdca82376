"""The prompt and what the model reads on the Data page."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config import Tags
from core.data.tables import Table
from tests.build_data_page import Open, draft_of, texts
from tests.build_reader import NO_SYSTEM, save_reader
from tests.build_tables import decide, make_draft


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


def test_what_two_people_change_at_once_is_kept_and_seen_by_both(data: Open, table: Table) -> None:
    one, other = data(table), data(table)
    one.text_input(key=f"{table.id}.tag.reasoning").set_value("think").run()
    other.text_input(key=f"{table.id}.tag.answer").set_value("final").run()
    assert not one.exception and not other.exception
    assert draft_of(table).prompt.tags == Tags(reasoning="think", answer="final")
    assert one.run().text_input(key=f"{table.id}.tag.answer").value == "final"


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
    decide(table, make_draft(table, model=str(save_reader(tmp_path / "gemma", NO_SYSTEM)), max_prompt_length=2000))
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


def test_an_answer_that_is_begun_ends_the_preview_and_is_kept(data: Open, table: Table) -> None:
    at = data(table)
    at.checkbox(key=f"{table.id}.prefill").check().run()
    assert not at.exception
    assert at.code[0].value.endswith("<|im_start|>assistant\n<reasoning>")
    assert at.text[-1].value == "assistant↵\n<reasoning>"
    assert draft_of(table).prompt.prefill


def test_a_preset_and_another_tag_keep_the_answer_begun(data: Open, table: Table) -> None:
    at = data(table)
    at.checkbox(key=f"{table.id}.prefill").check().run()
    at.get_by_key(f"{table.id}.preset").set_value("legal").run()
    at.text_input(key=f"{table.id}.tag.reasoning").set_value("think").run()
    assert not at.exception
    assert at.code[0].value.endswith("assistant\n<think>")
    at.checkbox(key=f"{table.id}.prefill").uncheck().run()
    assert at.code[0].value.endswith("assistant")
