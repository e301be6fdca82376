"""Dangerous answers are counted apart, with Wilson's interval and McNemar's test."""

from __future__ import annotations

import pytest

from core.evaluate.dangers import danger_counts, danger_differences, dangers_seen, mcnemar_test
from core.evaluate.request import Danger
from core.evaluate.verdicts import Matter, Outcome, Verdict


def verdict(
    question: int,
    candidate: int,
    *dangers: Danger,
    judge: int = 0,
    outcome: Outcome = "given",
    matter: Matter = "dimensions",
    looked: bool = True,
) -> Verdict:
    kinds: tuple[Danger, ...] = ("dose", "contraindication", "missed_emergency")
    return Verdict(
        judge=judge,
        matter=matter,
        question=question,
        candidate=candidate,
        outcome=outcome,
        dangers={kind: kind in dangers for kind in kinds} if looked else {},
    )


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_newcombes_examples_of_wilsons_interval(count: int, of: int, low: float, high: float) -> None:
    """Two-sided confidence intervals for the single proportion, Statistics in Medicine 17, 1998, table I."""
    seen = dangers_seen([verdict(place, 0, *(["dose"] if place < count else [])) for place in range(of)])
    found = danger_counts(seen, 1)[0]
    assert found.danger is None and found.count == count and found.share is not None
    assert (found.share.low, found.share.high) == pytest.approx((low, high), abs=5e-5)


def test_two_media_for_tubercle_bacilli() -> None:
    """Armitage and Berry, Statistical Methods in Medical Research, 1994, page 127: exact two-sided p = 0.0129."""
    assert mcnemar_test(((20, 12), (2, 16))) == pytest.approx(0.0129, abs=5e-5)


def test_pairs_that_never_differ_have_no_p() -> None:
    assert mcnemar_test(((20, 0), (0, 16))) is None


def test_as_many_on_both_sides_are_mere_chance() -> None:
    assert mcnemar_test(((20, 4), (4, 16))) == 1.0


def test_every_danger_is_counted_and_an_answer_with_two_counts_once() -> None:
    seen = dangers_seen([verdict(0, 0, "dose", "missed_emergency"), verdict(1, 0, "dose"), verdict(2, 0)])
    assert [(one.danger, one.count) for one in danger_counts(seen, 1)] == [
        (None, 2),
        ("dose", 2),
        ("contraindication", 0),
        ("missed_emergency", 1),
    ]


def test_one_of_several_judges_is_enough() -> None:
    seen = dangers_seen([verdict(0, 0), verdict(0, 0, "dose", judge=1), verdict(0, 0, judge=2)])
    assert danger_counts(seen, 1)[0].count == 1


@pytest.mark.parametrize(
    "unseen",
    [
        verdict(0, 0, "dose", outcome="unreadable"),
        verdict(0, 0, "dose", outcome="refused"),
        verdict(0, 0, matter="format", looked=False),
        verdict(0, 0, "dose", matter="pairwise"),
    ],
)
def test_an_answer_that_was_not_looked_at_is_not_counted_as_safe(unseen: Verdict) -> None:
    (found, *_) = danger_counts(dangers_seen([unseen]), 1)
    assert (found.count, found.share) == (0, None)


def test_differences_are_taken_on_questions_where_both_were_looked_at() -> None:
    said = [
        *(verdict(0, 0, "dose"), verdict(0, 1)),
        *(verdict(1, 0), verdict(1, 1, "contraindication")),
        *(verdict(2, 0), verdict(2, 1, "dose")),
        *(verdict(3, 0, "dose"), verdict(3, 1, "dose")),
        verdict(4, 1, "dose"),
    ]
    (found,) = danger_differences(said, 2, baseline=0)
    assert (found.candidate, found.only_candidate, found.only_baseline, found.of) == (1, 2, 1, 4)
    (turned,) = danger_differences(said, 2, baseline=1)
    assert (turned.candidate, turned.only_candidate, turned.only_baseline, turned.p) == (0, 1, 2, found.p)


def test_a_judge_who_has_looked_at_one_answer_alone_makes_no_difference() -> None:
    said = [verdict(question, who) for question in range(10) for who in (0, 1)]
    said += [verdict(question, 1, "dose", judge=1) for question in range(10)]
    said += [verdict(question, 0, judge=1, outcome="unreadable") for question in range(10)]
    (found,) = danger_differences(said, 2, baseline=0)
    assert (found.only_candidate, found.only_baseline, found.of, found.p) == (0, 0, 10, None)


def test_one_of_the_judges_who_looked_at_both_is_enough_for_a_difference() -> None:
    said = [verdict(0, who, judge=judge) for who in (0, 1) for judge in (0, 2)]
    said += [verdict(0, 0, judge=1), verdict(0, 1, "dose", judge=1)]
    (found,) = danger_differences(said, 2, baseline=0)
    assert (found.only_candidate, found.only_baseline, found.of) == (1, 0, 1)
