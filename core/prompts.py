"""From a question to the messages a model reads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from core.config import Example, PromptConfig, Tags
from core.errors import ConfigError

Message = dict[str, str]
"""One chat turn in the form chat templates take: `role` and `content`."""

CONCISE_SYSTEM = (
    "Reply in this format: <{reasoning}>one short sentence</{reasoning}><{answer}>one short sentence</{answer}>"
)
EXAMPLES = (
    Example(
        question="Which vitamin deficiency causes scurvy, and how does it present?",
        reasoning="Bleeding gums and poor healing mean weak collagen.",
        answer="Scurvy is vitamin C deficiency, with bleeding gums and poor wound healing.",
    ),
    Example(
        question="Why is a patient with angina given glyceryl trinitrate under the tongue?",
        reasoning="Nitrates widen veins, so the heart works less.",
        answer="Glyceryl trinitrate relieves angina because it widens veins and lowers the work of the heart.",
    ),
)


@dataclass(frozen=True)
class PromptPreset:
    """A prompt to start from.

    Attributes:
        title, note: shown to the user.
        prompt: what stands before every question.
    """

    title: str
    note: str
    prompt: PromptConfig


PROMPTS: Mapping[str, PromptPreset] = {
    "article": PromptPreset(
        title="As published",
        note="The published recipe's form: reasoning and answer, every tag on a line of its own, no worked example.",
        prompt=PromptConfig(
            system="Answer in this form and write nothing else:\n"
            "<{reasoning}>\n...\n</{reasoning}>\n<{answer}>\n...\n</{answer}>"
        ),
    ),
    "concise": PromptPreset(
        title="Concise clinical",
        note="One sentence each, with two worked examples; small models write the tags only when they have seen them.",
        prompt=PromptConfig(system=CONCISE_SYSTEM, examples=EXAMPLES),
    ),
    "chinese": PromptPreset(
        title="Chinese clinical",
        note="A clinical instruction in Chinese with one worked example, for Chinese questions and a model that knows "
        "the language.",
        prompt=PromptConfig(
            system="你是一名经验丰富的临床医生。请先简要分析病情和依据，再给出明确的结论，全程使用中文，"
            "并严格按照以下格式作答，标签之外不要写任何内容：\n"
            "<{reasoning}>\n分析过程\n</{reasoning}>\n<{answer}>\n最终答案\n</{answer}>",
            examples=(
                Example(
                    question="患者牙龈出血、伤口久不愈合，最可能缺乏哪种维生素？",
                    reasoning="牙龈出血和伤口愈合不良提示胶原合成障碍，而胶原合成需要维生素C。",
                    answer="最可能缺乏维生素C，即坏血病。",
                ),
            ),
        ),
    ),
    "legal": PromptPreset(
        title="Legal",
        note="Issue, rule and application as the reasoning, the conclusion as the answer.",
        prompt=PromptConfig(
            system="You are a careful lawyer. Name the legal issue and the rule that governs it, apply the rule to the "
            "facts, and only then conclude. Say so when the facts or the jurisdiction leave the matter open. Answer in "
            "this form and write nothing else:\n"
            "<{reasoning}>\nissue, rule and application\n</{reasoning}>\n<{answer}>\nconclusion\n</{answer}>"
        ),
    ),
}
"""Prompts to start from, by name, in the order in which they are shown."""


def render_system(prompt: PromptConfig) -> str:
    """The system prompt with the two tag names filled in."""
    return prompt.system.replace("{reasoning}", prompt.tags.reasoning).replace("{answer}", prompt.tags.answer)


def example_completion(example: Example, tags: Tags) -> str:
    """A worked example in the form the model is asked for."""
    return f"<{tags.reasoning}>{example.reasoning}</{tags.reasoning}>\n<{tags.answer}>{example.answer}</{tags.answer}>"


def messages(prompt: PromptConfig, question: str) -> list[Message]:
    """What a model reads: system prompt, the examples as earlier exchanges, the question.

    With `prompt.prefill` the last message is the beginning of the model's own turn; see `begun_turn`.
    """
    turns = [{"role": "system", "content": render_system(prompt)}]
    for example in prompt.examples:
        turns.append({"role": "user", "content": example.question})
        turns.append({"role": "assistant", "content": example_completion(example, prompt.tags)})
    turns.append({"role": "user", "content": question})
    if prompt.prefill:
        turns.append({"role": "assistant", "content": f"<{prompt.tags.reasoning}>"})
    return turns


def begun_turn(conversation: Sequence[Message]) -> tuple[list[Message], str]:
    """The finished turns of a conversation, and the text with which the model's own turn begins; mostly that is empty.

    A chat template would close the last message as a finished turn, so that text goes behind what the template writes.

    >>> begun_turn([{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "<reasoning>"}])
    ([{'role': 'user', 'content': 'Why?'}], '<reasoning>')
    """
    *turns, last = conversation
    return (turns, last["content"]) if last["role"] == "assistant" else ([*turns, last], "")


def whole_completion(conversation: Sequence[Message], written: str) -> str:
    """A completion as it is parsed, scored and shown: what the model's turn began with, then what the model wrote."""
    return begun_turn(conversation)[1] + written


def conversation_text(conversation: Sequence[Message]) -> str:
    """The whole text of a conversation, one message below the other."""
    return "\n".join(message["content"] for message in conversation)


def merge_system(conversation: Sequence[Message]) -> list[Message]:
    """The conversation without a system message: its text stands before the first question instead.

    >>> merge_system([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}])
    [{'role': 'user', 'content': 'Be brief.\\n\\nWhy?'}]
    """
    system = [turn["content"] for turn in conversation if turn["role"] == "system" and turn["content"].strip()]
    turns = [dict(turn) for turn in conversation if turn["role"] != "system"]
    turns[0]["content"] = "\n\n".join([*system, turns[0]["content"]])
    return turns


def make_tags(reasoning: str, answer: str) -> Tags:
    """The two tag names, as somebody wrote them.

    Raises:
        ConfigError: a name is empty or not a plain word, or both are the same.
    """
    for part, name in (("reasoning", reasoning), ("answer", answer)):
        if not name.strip():
            raise ConfigError(f"The tag for the {part} has no name. Give it one, such as {part}.")
    try:
        return Tags(reasoning=reasoning.strip(), answer=answer.strip())
    except ValidationError as error:
        rule = str(error.errors()[0]["ctx"]["error"])
        raise ConfigError(f"The tag names cannot be used: {rule}. Choose two plain words without brackets.") from error


def check_prompt(prompt: PromptConfig) -> None:
    """Make sure that a model is told to write the tags by which its completions are read.

    Raises:
        ConfigError: a tag name cannot be used, or the system prompt never mentions one of the tags.
    """
    tags = make_tags(prompt.tags.reasoning, prompt.tags.answer)
    system = render_system(prompt)
    missing = [name for name in (tags.reasoning, tags.answer) if not re.search(rf"<\s*{re.escape(name)}\s*>", system)]
    if missing:
        raise ConfigError(
            f"The system prompt never mentions {' or '.join(f'<{name}>' for name in missing)}, so the model cannot "
            "know that it should write it. Put <{reasoning}> and <{answer}> where the two parts belong; the tag names "
            "are filled in."
        )
