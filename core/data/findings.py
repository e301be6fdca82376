"""What the quality report consists of, and the rows it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from core.config import PromptConfig
from core.data.draft import ColumnMapping, Draft, Mend, Resplit
from core.data.prepared import ANSWER, COLUMNS, QUESTION, SPLIT
from core.data.tables import ROW


class TokenCounter(Protocol):
    """What the report needs of a model: lengths in the model's own tokens."""

    def count(self, texts: Sequence[str]) -> list[int]: ...

    def prompt_lengths(self, prompt: PromptConfig, questions: Sequence[str]) -> list[int]: ...


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Finding(_Model):
    """One thing that somebody should know about some rows.

    Attributes:
        kind: what it is, for programs; a kind may occur several times.
        title: what it is, for people, in one sentence with the number of rows.
        detail: why it matters, and what its mend does or what else to do.
        severity: a problem spoils training or its judgement; a warning may; a note is good to know.
        column: question or answer, when only one of them is concerned.
        rows: the numbers the rows have in their source.
        mend: what takes the finding away, when one click can.
    """

    kind: str
    title: str
    detail: str
    severity: Literal["problem", "warning", "note"]
    column: str | None
    rows: tuple[int, ...]
    mend: Mend | None


class Lengths(_Model):
    """How long many texts are, in tokens of the model.

    Attributes:
        texts: how many there are; all else is 0 or empty when there are none.
        median, p90, p95, p99: half, 90, 95 and 99 of 100 texts have at most so many tokens.
        longest: the longest has so many.
        edges: where the bars of a histogram begin, and where the last one ends.
        counts: how many texts are in each bar; one fewer than `edges`.
    """

    texts: int = 0
    median: int = 0
    p90: int = 0
    p95: int = 0
    p99: int = 0
    longest: int = 0
    edges: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()


class LengthReport(_Model):
    """Prompts as the model reads them, system prompt and worked examples included; and the reference answers alone."""

    prompt: Lengths
    answer: Lengths


class Report(_Model):
    """What was found in the rows as they stood.

    Attributes:
        rows: how many there were.
        findings: the worst first.
        lengths: of prompts and answers.
        languages: the share of each language, by ISO 639 code, in the texts long enough to tell; the largest first.
        suggested_max_prompt_length: in tokens, with the sentence why.
        suggested_max_completion_length: in tokens, with the sentence why.
    """

    rows: int
    findings: tuple[Finding, ...]
    lengths: LengthReport
    languages: dict[str, float]
    suggested_max_prompt_length: int
    prompt_length_reason: str
    suggested_max_completion_length: int
    completion_length_reason: str


def lasting_mends(draft: Draft, mapping: ColumnMapping) -> tuple[Mend, ...]:
    """The mends of a draft that still mean something under another mapping.

    Findings name rows for what their question and answer hold; other columns hold other texts. Splitting anew is about
    no text.
    """
    if (mapping.question, mapping.answer) == (draft.mapping.question, draft.mapping.answer):
        return draft.mends
    return tuple(mend for mend in draft.mends if isinstance(mend, Resplit))


@dataclass(frozen=True)
class Rows:
    """The rows to look at, as columns of the same length; cells without a text are empty texts.

    Attributes:
        carried: of each row the texts of its carried cells; none that is empty.
    """

    numbers: list[int]
    questions: list[str]
    answers: list[str]
    splits: list[str]
    carried: list[tuple[str, ...]]

    @classmethod
    def of(cls, table: pa.Table) -> Self:
        """Take the columns row, question, answer and split of an Arrow table; all others are carried."""
        question, answer, split = (
            [text or "" for text in table.column(name).to_pylist()] for name in (QUESTION, ANSWER, SPLIT)
        )
        others = [name for name in table.column_names if name not in COLUMNS]
        carried: list[tuple[str, ...]] = [()] * table.num_rows
        if others:
            cells = zip(*(table.column(name).to_pylist() for name in others), strict=True)
            carried = [tuple(filter(None, row)) for row in cells]
        return cls(table.column(ROW).to_pylist(), question, answer, split, carried)

    def numbers_of(self, indices: Sequence[int]) -> tuple[int, ...]:
        """The row numbers at these places, in the order of the rows."""
        return tuple(self.numbers[index] for index in sorted(indices))
