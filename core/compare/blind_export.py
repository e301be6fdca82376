"""The ballots of a blind vote that has ended, as files for other programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime

from core.compare.blind import HumanVote, human_votes
from core.compare.comparison import Comparison
from core.json_lines import json_line
from core.settings_base import Settings
from core.text import neutral_cell


class Line(Settings):
    """One ballot, as it is exported; texts are as their authors wrote them.

    Attributes:
        comparison: the comparison's id.
        question_id, question: the question's id and its text.
        left, right: the candidates, in their text form, by the side on which their answers stood.
        choice: what was clicked: `left`, `right`, `tie` or `unsafe`.
        winner: the better candidate in its text form; `tie` or `unsafe` where there is none.
        reason, rater: as they were typed.
        time: when it was cast, in ISO 8601, UTC.
    """

    comparison: str
    question_id: str
    question: str
    left: str
    right: str
    choice: str
    winner: str
    reason: str
    rater: str
    time: str


def export_csv(comparison: Comparison) -> str:
    """All ballots as CSV with a heading.

    A cell that a spreadsheet would take for a formula begins with an apostrophe more.

    Raises:
        RunError: the vote has not ended.
    """
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, fieldnames=list(Line.model_fields))
    writer.writeheader()
    for line in lines(comparison):
        writer.writerow({name: neutral_cell(text) for name, text in line.model_dump().items()})
    return file.getvalue()


def export_jsonl(comparison: Comparison) -> str:
    """All ballots as JSON Lines, texts exactly as they are.

    Raises:
        RunError: the vote has not ended.
    """
    return "".join(f"{json_line(line.model_dump())}\n" for line in lines(comparison))


def lines(comparison: Comparison) -> Iterator[Line]:
    """All ballots, in the order in which they were cast.

    Raises:
        RunError: the vote has not ended.
    """
    texts = {question.id: question.text for question in comparison.request().questions}
    for vote in sorted(human_votes(comparison), key=lambda vote: vote.time):
        yield _line(comparison.id, texts[vote.question], vote)


def _line(comparison_id: str, question: str, vote: HumanVote) -> Line:
    first, second = map(str, vote.candidates)
    first_is_left = vote.left == vote.pair[0]
    return Line(
        comparison=comparison_id,
        question_id=vote.question,
        question=question,
        left=first if first_is_left else second,
        right=second if first_is_left else first,
        choice=vote.choice,
        winner=str(vote.winner or vote.verdict),
        reason=vote.reason,
        rater=vote.rater,
        time=datetime.fromtimestamp(vote.time, UTC).isoformat(timespec="seconds"),
    )
