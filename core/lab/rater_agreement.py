"""How far raters agree with each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from core.lab.fit_result import Kappa
from core.lab.vote_files import Vote

FEWEST_COMMON = 10
"""Below this a kappa may as well be chance: its standard error is then about 0.3."""

_SIDES = ("first", "second", "tie")


def kappas(votes: Sequence[Vote]) -> tuple[Kappa, ...]:
    """Cohen's kappa of every two raters, over the pairs that both have judged; a tie is an answer of its own."""
    answers: dict[str, dict[tuple[str, str], str]] = {}
    for vote in votes:
        answers.setdefault(vote.rater, {})[vote.pair] = "tie" if vote.tie else vote.winner
    return tuple(_kappa(one, two, answers[one], answers[two]) for one, two in combinations(sorted(answers), 2))


def _kappa(first: str, second: str, one: Mapping[tuple[str, str], str], two: Mapping[tuple[str, str], str]) -> Kappa:
    from sklearn.metrics import cohen_kappa_score

    common = [pair for pair in one if pair in two]
    said = [[_side(answers[pair], pair) for pair in common] for answers in (one, two)]
    same = sum(a == b for a, b in zip(*said, strict=True))
    uniform = len({*said[0], *said[1]}) < 2  # kappa is nothing divided by nothing then
    value = None if len(common) < FEWEST_COMMON or uniform else float(cohen_kappa_score(*said, labels=list(_SIDES)))
    return Kappa(first=first, second=second, pairs=len(common), same=same, value=value)


def _side(answer: str, pair: tuple[str, str]) -> str:
    return answer if answer == "tie" else _SIDES[pair.index(answer)]
