"""Answers that hold more than the answer: reasoning, tags, and marks that a chat left behind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from core.config import Tags

_REASONING_TAGS = ("think", "thinking", "thought", "thoughts", "reasoning", "reflection", "scratchpad")
_ANSWER_TAGS = ("answer", "final_answer", "response")
_TOKEN = re.compile(r"<\|[^<>|\s]{1,40}\|>|\[/?INST\]|<(?:start|end)_of_turn>|<｜[^<>｜]{1,40}｜>")
_ANSWER_STARTS = re.compile(
    r"<\|im_start\|>\s*assistant|<\|start_header_id\|>\s*assistant\s*<\|end_header_id\|>|<\|assistant\|>"
    r"|<start_of_turn>\s*model|\[/INST\]|<｜Assistant｜>"
    r"|^[ \t]*#{2,4}[ \t]*(?:final[ \t]+)?(?:response|answer)[ \t]*(?::|$)",
    re.IGNORECASE | re.MULTILINE,
)
_ANSWER_ENDS = re.compile(
    r"<\|im_end\|>|<\|im_start\|>|<\|eot_id\|>|<\|end_of_text\|>|<\|endoftext\|>|<\|end\|>|<\|user\|>"
    r"|<end_of_turn>|<｜end▁of▁sentence｜>"
    r"|^[ \t]*#{2,4}[ \t]*(?:instruction|input|question|thinking|thoughts?|reasoning)[ \t]*(?::|$)",
    re.IGNORECASE | re.MULTILINE,
)
_TEXT_ENDS = re.compile(r"\A(?:\s*<s>)+|(?:</s>\s*)+\Z")
_STRUCK = re.compile(r"<s>.*?</s>", re.DOTALL)
_ROLE = re.compile(r"^[ \t]*(?:assistant|ai|chatbot)[ \t]*[:：][ \t]*", re.IGNORECASE | re.MULTILINE)
_ALOUD = re.compile(
    r"\b(?:let['’]?s|let us|let me)\s+(?:think|work|reason|go|walk)\b"
    r"[^.!?\n]{0,60}\bstep[ -]by[ -]step\b[^.!?:\n]*[.!?:…]*\s*",
    re.IGNORECASE,
)
_CONCLUSION = re.compile(r"\b(?:the\s+)?final\s+answer(?:\s+is)?\s*[:：]\s*|\banswer\s*[:：]\s*", re.IGNORECASE)


def reasoning_marks(answer: str, tags: Tags) -> tuple[str, ...]:
    """What shows that `answer` is more than an answer, each kind once; empty for a clean answer.

    >>> reasoning_marks("<think>Fever.</think> Flu.<|im_end|>", Tags())
    ('tags', 'chat marks')
    """
    marked = any(sign in answer for sign in "<[#")  # no tag and no mark of a chat is without
    found = {
        "tags": marked and _patterns(tags).any_tag.search(answer),
        "chat marks": marked
        and (
            any(pattern.search(answer) for pattern in (_TOKEN, _ANSWER_STARTS, _ANSWER_ENDS))
            or _without_text_ends(answer) != answer
        ),
        "a speaker's name": (":" in answer or "：" in answer) and _ROLE.search(answer),
        "thinking aloud": "step" in answer.lower() and _ALOUD.search(answer),
    }
    return tuple(kind for kind, mark in found.items() if mark)


def strip_reasoning(answer: str, tags: Tags) -> str:
    """What is meant as the answer in `answer`, without reasoning, tags and marks of a chat.

    Nothing is left of a text that is reasoning only. A clean answer comes back as it is, less blanks around it.

    >>> strip_reasoning("<reasoning>Fever.</reasoning><answer>Flu.</answer>", Tags())
    'Flu.'
    >>> strip_reasoning("Let's think step by step. It is viral. Final answer: Flu.", Tags())
    'Flu.'
    """
    text = answer.strip()
    while reasoning_marks(text, tags):  # each round removes every mark it sees; what is left may form another
        text = _ANSWER_STARTS.sub("", _behind_last(_ANSWER_STARTS, text))
        text = _ANSWER_ENDS.sub("", _before_first(_ANSWER_ENDS, text))
        text = _without_tags(text, _patterns(tags))
        text = _ROLE.sub("", _TOKEN.sub("", _without_text_ends(text)))
        if _ALOUD.search(text):
            text = _behind_last(_CONCLUSION, _ALOUD.sub("", text))
        text = text.strip()
    return text


@dataclass(frozen=True)
class _Patterns:
    reasoning_pair: re.Pattern[str]
    reasoning_start: re.Pattern[str]
    reasoning_end: re.Pattern[str]
    answer_pair: re.Pattern[str]
    answer_start: re.Pattern[str]
    any_tag: re.Pattern[str]


@cache
def _patterns(tags: Tags) -> _Patterns:
    reasoning = "|".join(map(re.escape, (tags.reasoning, *_REASONING_TAGS)))
    answer = "|".join(map(re.escape, (tags.answer, *_ANSWER_TAGS)))
    flags = re.DOTALL | re.IGNORECASE
    return _Patterns(
        reasoning_pair=re.compile(rf"<({reasoning})>.*?</\1>", flags),
        reasoning_start=re.compile(rf"<(?:{reasoning})>", flags),
        reasoning_end=re.compile(rf"</(?:{reasoning})>", flags),
        answer_pair=re.compile(rf"<({answer})>(.*?)</\1>", flags),
        answer_start=re.compile(rf"<(?:{answer})>", flags),
        any_tag=re.compile(rf"</?(?:{reasoning}|{answer})>", flags),
    )


def _without_tags(text: str, patterns: _Patterns) -> str:
    """The content of the last answer pair; without one, what is left when everything that is reasoning is gone."""
    filled = [pair[2] for pair in patterns.answer_pair.finditer(text) if patterns.any_tag.sub("", pair[2]).strip()]
    if filled:
        return patterns.any_tag.sub("", filled[-1])
    text = patterns.reasoning_pair.sub(" ", text)
    text = text[_last_end(patterns.reasoning_end, text) :]
    text = text[_last_end(patterns.answer_start, text) :]
    text = patterns.reasoning_start.split(text, maxsplit=1)[0]
    return patterns.any_tag.sub("", text)


def _without_text_ends(text: str) -> str:
    """`text` without <s> at its very beginning and </s> at its very end, unless HTML strikes something through there.

    >>> _without_text_ends("<s>Flu.</s>"), _without_text_ends("Take <s>5 mg</s>")
    ('Flu.', 'Take <s>5 mg</s>')
    """
    inner = _TEXT_ENDS.sub("", text)
    rest = _STRUCK.sub("", inner)
    return text if "<s>" in rest or "</s>" in rest else inner


def _last_end(pattern: re.Pattern[str], text: str) -> int:
    """Where the last match ends; 0 when there is none."""
    return max((match.end() for match in pattern.finditer(text)), default=0)


def _behind_last(pattern: re.Pattern[str], text: str) -> str:
    """What stands behind the last match, if anything does, else all of `text`."""
    behind = text[_last_end(pattern, text) :]
    return behind if behind.strip() else text


def _before_first(pattern: re.Pattern[str], text: str) -> str:
    """What stands before the first match, if anything does, else all of `text`."""
    match = pattern.search(text)
    return text[: match.start()] if match and text[: match.start()].strip() else text
