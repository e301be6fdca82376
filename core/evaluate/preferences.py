"""What judges prefer of two answers, each pair asked in both orders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from core.compare.blind_results import share
from core.evaluate.differences import sign_test
from core.evaluate.results import PairPreference
from core.evaluate.verdicts import Preferred, Verdict

Matchup = tuple[int, int, int, int]
"""Judge, question, and two candidates by their places, the lower one first."""

_TURNED: Mapping[Preferred, Preferred] = {"first": "second", "second": "first", "tie": "tie"}


@dataclass(frozen=True)
class Preference:
    """What one judge says of one pair when both orders are taken together.

    Attributes:
        preferred: in terms of the candidates, the lower place first; a tie where the two orders disagree.
        flipped: whether they disagree.
    """

    preferred: Preferred
    flipped: bool


def preferences(verdicts: Iterable[Verdict]) -> dict[Matchup, Preference]:
    """What judges say of every pair that has a verdict in both orders; one order alone says nothing."""
    orders: dict[Matchup, dict[int, Preferred]] = {}
    for verdict in verdicts:
        if verdict.matter != "pairwise" or verdict.outcome != "given" or verdict.preferred is None:
            continue
        shown = verdict.candidate, verdict.other
        said = verdict.preferred if shown[0] < shown[1] else _TURNED[verdict.preferred]
        orders.setdefault((verdict.judge, verdict.question, min(shown), max(shown)), {})[shown[0]] = said
    return {matchup: _together(list(said.values())) for matchup, said in orders.items() if len(said) == 2}


def _together(said: Sequence[Preferred]) -> Preference:
    flipped = said[0] != said[1]
    return Preference("tie" if flipped else said[0], flipped)


def pair_preferences(found: Mapping[Matchup, Preference], judges: int, candidates: int) -> tuple[PairPreference, ...]:
    """Of every judge and every two candidates, how often each was preferred."""
    pairs = list(combinations(range(candidates), 2))
    return tuple(_counted(found, judge, *pair) for judge in range(judges) for pair in pairs)


def _counted(found: Mapping[Matchup, Preference], judge: int, first: int, second: int) -> PairPreference:
    said = [one for (who, _, *pair), one in found.items() if who == judge and pair == [first, second]]
    preferred = [one.preferred for one in said]
    wins_first, wins_second = preferred.count("first"), preferred.count("second")
    return PairPreference(
        judge=judge,
        first=first,
        second=second,
        wins_first=wins_first,
        wins_second=wins_second,
        ties=preferred.count("tie"),
        flips=share(sum(one.flipped for one in said), len(said)),
        rate=share(wins_first, wins_first + wins_second),
        p=sign_test(wins_first, wins_second),
    )
