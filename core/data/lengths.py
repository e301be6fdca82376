"""How long prompts and answers are in the model's own tokens, and which limits fit them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from core.config import Tags
from core.data.draft import Draft
from core.data.findings import Lengths, Rows, TokenCounter
from core.jobs.tasks import Tell

_CHUNK = 1_000
"""Texts between two words of progress."""
_BARS = 24
_MULTIPLE = 8
"""Limits are rounded up to a multiple of this."""
_STRETCH = 1.25
"""When the longest text is at most so many times the 99th percentile, the limit takes it in as well."""
_LEAST_REASONING = 64


@dataclass(frozen=True)
class Measured:
    """Tokens of each row's prompt and answer, None for an empty cell, and of the tags around an answer."""

    prompts: list[int | None]
    answers: list[int | None]
    tags: int


@dataclass(frozen=True)
class Limit:
    """A suggested limit in tokens, and the sentence why."""

    tokens: int
    reason: str


def measure(rows: Rows, draft: Draft, chat: TokenCounter, progress: Tell) -> Measured:
    """Count the tokens of every row."""

    def prompt_lengths(questions: Sequence[str]) -> list[int]:
        return chat.prompt_lengths(draft.prompt, questions)

    return Measured(
        prompts=_counted(rows.questions, prompt_lengths, "counting tokens of prompts", progress),
        answers=_counted(rows.answers, chat.count, "counting tokens of answers", progress),
        tags=chat.count([_frame(draft.prompt.tags)])[0],
    )


def _counted(
    texts: Sequence[str], count: Callable[[Sequence[str]], list[int]], phase: str, progress: Tell
) -> list[int | None]:
    tokens: list[int | None] = [None] * len(texts)
    filled = [index for index, text in enumerate(texts) if text.strip()]
    for start in range(0, len(filled), _CHUNK):
        progress(phase, start, len(filled))
        chunk = filled[start : start + _CHUNK]
        for index, length in zip(chunk, count([texts[index] for index in chunk]), strict=True):
            tokens[index] = length
    return tokens


def _frame(tags: Tags) -> str:
    return f"<{tags.reasoning}></{tags.reasoning}>\n<{tags.answer}></{tags.answer}>"


def distribution(tokens: Sequence[int | None]) -> Lengths:
    """Percentiles and a histogram of these lengths, those of empty cells left out."""
    known = np.array([length for length in tokens if length is not None], dtype=np.int64)
    if not len(known):
        return Lengths()
    median, p90, p95, p99 = (int(value) for value in np.percentile(known, (50, 90, 95, 99), method="higher"))
    longest = int(known.max())
    edges = np.arange(_BARS + 1) * ceil((longest + 1) / _BARS)
    counts, _ = np.histogram(known, edges)
    return Lengths(
        texts=len(known),
        median=median,
        p90=p90,
        p95=p95,
        p99=p99,
        longest=longest,
        edges=tuple(edges.tolist()),
        counts=tuple(counts.tolist()),
    )


def prompt_limit(prompts: Lengths, draft: Draft) -> Limit:
    """A limit that nearly all prompts keep to; the draft's own when there is no prompt."""
    if not prompts.texts:
        return Limit(draft.max_prompt_length, "There is no question to measure, so the present limit stays.")
    tokens, who = _covered(prompts, "prompts")
    limit = max(_rounded(tokens), 16)
    return Limit(limit, f"{who} at most {tokens} tokens, system prompt included; rounded up that is {limit}.")


def completion_limit(answers: Lengths, tags: int, draft: Draft) -> Limit:
    """A limit with room for nearly all reference answers, as much reasoning again, and the tags."""
    if not answers.texts:
        return Limit(draft.max_completion_length, "There is no answer to measure, so the present limit stays.")
    tokens, who = _covered(answers, "reference answers")
    reasoning = max(tokens, _LEAST_REASONING)
    limit = _rounded(tokens + reasoning + tags)
    return Limit(
        limit,
        f"{who} at most {tokens} tokens. With {reasoning} for the reasoning before it and {tags} for the tags, "
        f"rounded up, that is {limit}.",
    )


def _covered(lengths: Lengths, what: str) -> tuple[int, str]:
    if lengths.longest <= _STRETCH * lengths.p99:
        return lengths.longest, f"All {what} have"
    return lengths.p99, f"99 of 100 {what} have"


def _rounded(tokens: int) -> int:
    return ceil(tokens / _MULTIPLE) * _MULTIPLE
