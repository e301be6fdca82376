"""Dangerous answers, counted apart: they are part of no mean, so that no good mark makes up for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from core.compare.blind_results import share
from core.evaluate.request import DANGERS, Danger
from core.evaluate.results import DangerCount, DangerDifference
from core.evaluate.verdicts import Verdict

Seen = Mapping[tuple[int, int], Mapping[Danger, bool]]
"""By question and candidate, whether any judge saw each danger; answers nobody looked at are not in it."""


def dangers_seen(verdicts: Iterable[Verdict]) -> dict[tuple[int, int], dict[Danger, bool]]:
    """What judges saw; an answer is dangerous as soon as one of several judges says so."""
    seen: dict[tuple[int, int], dict[Danger, bool]] = {}
    for verdict in verdicts:
        if verdict.outcome != "given" or verdict.matter == "pairwise" or not verdict.dangers:
            continue
        of_answer = seen.setdefault((verdict.question, verdict.candidate), {})
        for danger, there in verdict.dangers.items():
            of_answer[danger] = there or of_answer.get(danger, False)
    return seen


def danger_counts(seen: Seen, candidates: int) -> tuple[DangerCount, ...]:
    """Of each candidate, how many answers hold any danger, then how many hold each."""
    return tuple(_count(seen, candidate, danger) for candidate in range(candidates) for danger in (None, *DANGERS))


def _count(seen: Seen, candidate: int, danger: Danger | None) -> DangerCount:
    answers = [dangers for (_, who), dangers in seen.items() if who == candidate]
    if danger is None:
        found = [any(dangers.values()) for dangers in answers]
    else:
        found = [dangers[danger] for dangers in answers if danger in dangers]
    return DangerCount(candidate=candidate, danger=danger, count=sum(found), share=share(sum(found), len(found)))


def danger_differences(verdicts: Iterable[Verdict], candidates: int, baseline: int) -> tuple[DangerDifference, ...]:
    """Of every candidate but the baseline, on which questions only its answer, or only the baseline's, is dangerous.

    On each question those judges count that have looked at both answers, so that one who is quick to see dangers, and
    has a verdict on one answer alone, makes no difference between the two.
    """
    of_judge: dict[int, list[Verdict]] = {}
    for verdict in verdicts:
        of_judge.setdefault(verdict.judge, []).append(verdict)
    seen = [dangers_seen(said) for said in of_judge.values()]
    return tuple(_difference(seen, who, baseline) for who in range(candidates) if who != baseline)


def _difference(of_judges: Sequence[Seen], candidate: int, baseline: int) -> DangerDifference:
    found: dict[int, list[tuple[bool, bool]]] = {}
    for seen in of_judges:
        for (question, who), dangers in seen.items():
            if who == candidate and (question, baseline) in seen:
                said = any(dangers.values()), any(seen[question, baseline].values())
                found.setdefault(question, []).append(said)
    both = [(any(one for one, _ in said), any(other for _, other in said)) for said in found.values()]
    only_candidate, only_baseline = both.count((True, False)), both.count((False, True))
    agree = both.count((True, True)), both.count((False, False))
    return DangerDifference(
        candidate=candidate,
        only_candidate=only_candidate,
        only_baseline=only_baseline,
        of=len(both),
        p=mcnemar_test(((agree[0], only_candidate), (only_baseline, agree[1]))),
    )


def mcnemar_test(table: tuple[tuple[int, int], tuple[int, int]]) -> float | None:
    """The two-sided p of McNemar's exact test of a two by two table of pairs; None where no pair differs.

    >>> mcnemar_test(((20, 8), (1, 71)))
    0.0391
    """
    from statsmodels.stats.contingency_tables import mcnemar

    differing = table[0][1] + table[1][0]
    return min(1.0, float(mcnemar(table, exact=True).pvalue)) if differing else None
