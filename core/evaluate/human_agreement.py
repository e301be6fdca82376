"""How far each judge agrees with the blind votes of people on the same answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from core.compare.blind import HumanVote, human_votes
from core.compare.blind_ballots import Verdict as HumanVerdict
from core.compare.blind_results import majority
from core.compare.blind_votes import Pair, ended_at
from core.compare.comparison import Comparison, ComparisonRequest
from core.evaluate.preferences import Matchup, Preference
from core.evaluate.request import EvaluationRequest
from core.evaluate.results import HumanAgreement
from core.evaluate.table import RUBRIC, TOTAL
from core.evaluate.verdicts import Preferred
from core.lab.rater_agreement import FEWEST_COMMON

PAIRWISE = "pairwise"

_SIDES: Mapping[HumanVerdict, Preferred] = {"first": "first", "second": "second", "tie": "tie", "unsafe": "tie"}
_EQUAL = 1e-9
"""Means that differ by less are equal but for rounding."""

Said = Mapping[tuple[int, Pair], Preferred]
"""By question and pair, which candidate is better, the lower place first."""


def votes_on(comparison: Comparison) -> tuple[HumanVote, ...]:
    """What people have said; nothing while no vote has ended, for until then nobody may know.

    Raises:
        DataError: a file of the vote is damaged.
    """
    return tuple(human_votes(comparison)) if ended_at(comparison) is not None else ()


def people_said(comparison: ComparisonRequest, votes: Sequence[HumanVote]) -> dict[tuple[int, Pair], Preferred]:
    """What most raters said of each question and pair; a tie where they are split, or most found both unsafe."""
    places = {question.id: place for place, question in enumerate(comparison.questions)}
    cast: dict[tuple[int, Pair], list[HumanVerdict]] = {}
    for vote in votes:
        cast.setdefault((places[vote.question], vote.pair), []).append(vote.verdict)
    return {matter: _SIDES[majority(verdicts)] for matter, verdicts in cast.items()}


def human_agreement(
    request: EvaluationRequest, table: pd.DataFrame, preferred: Mapping[Matchup, Preference], people: Said
) -> tuple[HumanAgreement, ...]:
    """Each judge against people, by all that it was asked; none where nobody has voted.

    Args:
        table: as `core.evaluate.table.score_table` makes it.
        people: as `people_said` makes it.
    """
    if not people:
        return ()
    found = []
    for judge in range(len(request.judges)):
        for method, source in (("dimensions", TOTAL), ("rubric", RUBRIC)):
            if method in request.methods:
                found.append(_agreement(judge, source, _by_marks(table, judge, source, people), people))
        if PAIRWISE in request.methods:
            by_pairs: Said = {
                (question, (first, second)): one.preferred
                for (who, question, first, second), one in preferred.items()
                if who == judge
            }
            found.append(_agreement(judge, PAIRWISE, by_pairs, people))
    return tuple(found)


def _by_marks(table: pd.DataFrame, judge: int, measure: str, people: Said) -> Said:
    """Which answer of each pair that people have judged has the better mark."""
    rows = table[(table["judge"] == judge) & (table["measure"] == measure)]
    marks = dict(zip(zip(rows["question"], rows["candidate"], strict=True), rows["score"], strict=True))
    return {
        (question, (first, second)): _better(marks[question, first], marks[question, second])
        for question, (first, second) in people
        if (question, first) in marks and (question, second) in marks
    }


def _better(first: float, second: float) -> Preferred:
    if abs(first - second) < _EQUAL:
        return "tie"
    return "first" if first > second else "second"


def _agreement(judge: int, source: str, judged: Said, people: Said) -> HumanAgreement:
    common = [matter for matter in people if matter in judged]
    one, two = [judged[matter] for matter in common], [people[matter] for matter in common]
    same = sum(a == b for a, b in zip(one, two, strict=True))
    kappa = cohen_kappa(one, two) if len(common) >= FEWEST_COMMON else None
    return HumanAgreement(judge=judge, source=source, items=len(common), same=same, kappa=kappa)


def cohen_kappa(one: Sequence[str], two: Sequence[str]) -> float | None:
    """Cohen's kappa of two lists of categories; None where both say one and the same of all."""
    from sklearn.metrics import cohen_kappa_score

    return float(cohen_kappa_score(one, two)) if len({*one, *two}) > 1 else None
