"""Questions that a comparison may ask: those a run's data holds out, and where a typed one has been seen."""

from __future__ import annotations

from core.compare.comparison import Question
from core.config import RunConfig
from core.data.draft import Split
from core.data.duplicates import normalise
from core.datasets import Row, held_out_rows, read_rows
from core.paths import Home


def held_out_questions(home: Home, config: RunConfig) -> list[Question]:
    """The questions that a run never learns from: of the test split, else of validation; none where there is neither.

    Each says which split it is of.

    Raises:
        DataError: the data cannot be read, or has changed since the run was started.
    """
    return [_question(row) for row in held_out_rows(read_rows(config.data, home))]


def _question(row: Row) -> Question:
    return Question(
        id=f"{row.split}-{row.number}",
        text=row.question,
        reference=row.answer,
        split=row.split,
        row=row.number,
        columns=dict(row.carried),
    )


def where_seen(home: Home, config: RunConfig, text: str) -> Split | None:
    """The split of a run's data in which a question stands, but for case and punctuation; None when in none.

    A question that is trained on counts as that, wherever else it stands.

    Raises:
        DataError: as `held_out_questions`.
    """
    asked = normalise(text)
    found = {row.split for row in read_rows(config.data, home) if asked and normalise(row.question) == asked}
    order: tuple[Split, ...] = ("train", "validation", "test")
    return next((split for split in order if split in found), None)
