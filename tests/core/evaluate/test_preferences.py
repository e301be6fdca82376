"""Preferences of judges: both orders together, disagreement is a tie."""

from __future__ import annotations

import pytest

from core.evaluate.preferences import Preference, pair_preferences, preferences
from core.evaluate.results import PairPreference
from core.evaluate.verdicts import Preferred, Verdict


def shown(question: int, first: int, second: int, preferred: Preferred | None, judge: int = 0) -> Verdict:
    return Verdict(
        judge=judge,
        matter="pairwise",
        question=question,
        candidate=first,
        other=second,
        outcome="given" if preferred else "unreadable",
        preferred=preferred,
    )


def both(question: int, one: Preferred, two: Preferred) -> list[Verdict]:
    """A question with candidate 0 first, then with candidate 1 first."""
    return [shown(question, 0, 1, one), shown(question, 1, 0, two)]


def counted(verdicts: list[Verdict]) -> PairPreference:
    (found,) = pair_preferences(preferences(verdicts), 1, 2)
    return found


@pytest.mark.parametrize(
    ("one", "two", "preferred", "flipped"),
    [
        ("first", "second", "first", False),
        ("second", "first", "second", False),
        ("tie", "tie", "tie", False),
        ("first", "first", "tie", True),
        ("second", "second", "tie", True),
        ("first", "tie", "tie", True),
    ],
)
def test_two_orders_count_as_one_only_where_they_agree(
    one: Preferred, two: Preferred, preferred: Preferred, flipped: bool
) -> None:
    assert preferences(both(0, one, two)) == {(0, 0, 0, 1): Preference(preferred, flipped)}


def test_one_order_alone_says_nothing() -> None:
    assert not preferences([shown(0, 0, 1, "first")])
    assert not preferences([shown(0, 0, 1, "first"), shown(0, 1, 0, None)])


def test_wins_ties_and_flips_are_counted() -> None:
    verdicts = [verdict for question in range(8) for verdict in both(question, "first", "second")]
    verdicts += both(8, "second", "first") + both(9, "second", "first") + both(10, "first", "first")
    found = counted(verdicts)
    assert (found.wins_first, found.wins_second, found.ties) == (8, 2, 1)
    assert found.flips is not None and (found.flips.value, found.flips.of) == (pytest.approx(1 / 11), 11)
    assert found.rate is not None and (found.rate.value, found.rate.of) == (0.8, 10)
    assert found.p == pytest.approx(0.109375)


def test_a_judge_who_always_prefers_the_first_prefers_nobody() -> None:
    found = counted([verdict for question in range(20) for verdict in both(question, "first", "first")])
    assert (found.wins_first, found.wins_second, found.ties, found.rate, found.p) == (0, 0, 20, None, None)
    assert found.flips is not None and found.flips.value == 1.0


def test_every_judge_and_pair_is_counted_apart() -> None:
    verdicts = [shown(0, 0, 2, "second", judge=1), shown(0, 2, 0, "first", judge=1)]
    found = {(one.judge, one.first, one.second): one for one in pair_preferences(preferences(verdicts), 2, 3)}
    assert len(found) == 6
    assert found[1, 0, 2].wins_second == 1
    assert sum(one.wins_first + one.wins_second + one.ties for one in found.values()) == 1
