import re

import pytest

from core.config import PromptConfig, Tags
from core.errors import ConfigError
from core.prompts import (
    CONCISE_SYSTEM,
    EXAMPLES,
    PROMPTS,
    check_prompt,
    example_completion,
    make_tags,
    merge_system,
    messages,
    render_system,
)
from core.reward.parsing import parse

OTHER = Tags(reasoning="think", answer="final")


@pytest.mark.parametrize("name", PROMPTS)
def test_every_preset_asks_for_both_tags_whatever_they_are_called(name: str) -> None:
    prompt = PROMPTS[name].prompt.model_copy(update={"tags": OTHER})
    check_prompt(prompt)
    asked = re.search(r"<think>.*</final>", render_system(prompt), re.DOTALL)
    assert asked is not None
    assert parse(asked[0], OTHER).pairs == 2
    assert "{" not in render_system(prompt)


@pytest.mark.parametrize("name", PROMPTS)
def test_worked_examples_are_written_the_way_the_model_is_asked_to(name: str) -> None:
    for example in PROMPTS[name].prompt.examples:
        assert parse(example_completion(example, OTHER), OTHER).well_formed


def test_the_presets_are_those_of_the_page() -> None:
    assert list(PROMPTS) == ["article", "concise", "chinese", "legal"]
    assert PROMPTS["concise"].prompt == PromptConfig(system=CONCISE_SYSTEM, examples=EXAMPLES)


def test_the_published_form_has_every_tag_on_a_line_of_its_own() -> None:
    lines = render_system(PROMPTS["article"].prompt).splitlines()
    assert [line for line in lines if line.startswith("<")] == ["<reasoning>", "</reasoning>", "<answer>", "</answer>"]


@pytest.mark.parametrize(
    ("system", "missing"),
    [
        ("Answer briefly and give your reasoning.", "<reasoning> or <answer>"),
        ("Think in <{reasoning}>…</{reasoning}>, then answer.", "<answer>"),
        ("Use <think> and <{answer}>.", "<reasoning>"),
        ("", "<reasoning> or <answer>"),
    ],
)
def test_a_system_prompt_without_a_tag_is_refused(system: str, missing: str) -> None:
    with pytest.raises(ConfigError, match=f"never mentions {missing},"):
        check_prompt(PromptConfig(system=system))


def test_tags_may_be_written_out_instead_of_as_placeholders() -> None:
    check_prompt(PromptConfig(system="<think>…</think> <final>…</final>", tags=OTHER))


@pytest.mark.parametrize(
    ("reasoning", "answer", "message"),
    [
        ("", "answer", "tag for the reasoning has no name"),
        ("reasoning", "  ", "tag for the answer has no name"),
        ("same", "same", "must differ"),
        ("<think>", "answer", "letters, digits"),
        ("two words", "answer", "letters, digits"),
        ("../x", "answer", "letters, digits"),
        ("推理", "answer", "letters, digits"),
        ("a" * 33, "answer", "letters, digits"),
    ],
)
def test_tag_names_that_cannot_be_used_are_said(reasoning: str, answer: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_tags(reasoning, answer)


def test_tag_names_are_trimmed() -> None:
    assert make_tags(" think ", "final\n") == OTHER


def test_a_merged_system_prompt_stands_before_the_first_question_only() -> None:
    prompt = PROMPTS["concise"].prompt
    merged = merge_system(messages(prompt, "Why?"))
    assert [turn["role"] for turn in merged] == ["user", "assistant", "user", "assistant", "user"]
    assert merged[0]["content"] == f"{render_system(prompt)}\n\n{EXAMPLES[0].question}"
    assert merged[1:] == messages(prompt, "Why?")[2:]


def test_an_empty_system_prompt_adds_nothing_to_the_question() -> None:
    assert merge_system(messages(PromptConfig(system=" \n"), "Why?")) == [{"role": "user", "content": "Why?"}]


def test_merging_leaves_the_conversation_it_was_given_alone() -> None:
    conversation = messages(PromptConfig(system="Be brief."), "Why?")
    merge_system(conversation)
    assert conversation == messages(PromptConfig(system="Be brief."), "Why?")
