"""What was measured of one answer without a judge."""

from __future__ import annotations

from pydantic import Field

from core.settings_base import Settings


class AnswerMetrics(Settings):
    """The automatic metrics of one answer.

    Attributes:
        question, candidate: places in the comparison's request, from 0.
        answer_hash: `core.content_hash.answers_hash` of the answer; metrics of a text that has changed since do not
            count.
        values: by the metric's name; None where a metric does not apply. One that could not be taken is not named.
    """

    question: int = Field(ge=0)
    candidate: int = Field(ge=0)
    answer_hash: str = ""
    values: dict[str, float | None] = Field(default_factory=dict)
