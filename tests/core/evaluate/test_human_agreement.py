"""Judges against the blind votes of people on the same answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from core.compare.blind import HumanVote, open_vote
from core.compare.blind_ballots import Verdict as HumanVerdict
from core.evaluate.human_agreement import cohen_kappa, people_said, votes_on
from core.evaluate.results import HumanAgreement
from core.evaluate.verdicts import Preferred
from core.paths import Home
from tests.build_blind import build_comparison, ended_vote
from tests.build_evaluation import evaluated_request, judges_named
from tests.build_statistics import all_verdicts, counted, statistics_request

ASKED = evaluated_request()


def votes_of(said: Mapping[int, Sequence[HumanVerdict]]) -> list[HumanVote]:
    """What raters say of each question, the first of them first."""
    first, second = ASKED.candidates
    return [
        HumanVote(f"rater {rater}", 0.0, ASKED.questions[q].id, (0, 1), (first, second), verdict, "left", 0, "")
        for q, verdicts in said.items()
        for rater, verdict in enumerate(verdicts)
    ]


def like_the_judge(question: int) -> HumanVerdict:
    """What `second_is_better` makes of a question."""
    return "tie" if question % 3 == 2 else "second"


def agreement(said: Mapping[int, Sequence[HumanVerdict]], **changes: object) -> list[HumanAgreement]:
    return list(counted(statistics_request(**changes), votes=votes_of(said)).human_agreement)


def test_fleiss_example_of_cohens_kappa() -> None:
    """Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions, 2003, table 18.1: kappa = 0.68."""
    table = {("psychotic", "psychotic"): 75, ("psychotic", "neurotic"): 1, ("psychotic", "organic"): 4}
    table |= {("neurotic", "psychotic"): 5, ("neurotic", "neurotic"): 4, ("neurotic", "organic"): 1}
    table |= {("organic", "organic"): 10}
    said = [pair for pair, count in table.items() for _ in range(count)]
    assert cohen_kappa(*map(list, zip(*said, strict=True))) == pytest.approx(0.68, abs=5e-3)


def test_categories_that_never_change_have_no_kappa() -> None:
    assert cohen_kappa(["tie"] * 12, ["tie"] * 12) is None


@pytest.mark.parametrize(
    ("verdicts", "majority"),
    [
        (["second"], "second"),
        (["first", "first", "second"], "first"),
        (["first", "second"], "tie"),
        (["unsafe", "unsafe", "first"], "tie"),
    ],
)
def test_raters_count_by_majority(verdicts: list[HumanVerdict], majority: Preferred) -> None:
    assert people_said(ASKED, votes_of({3: verdicts})) == {(3, (0, 1)): majority}


def test_a_judge_who_says_what_people_say_agrees_fully() -> None:
    (found,) = agreement({question: [like_the_judge(question)] for question in range(12)})
    assert found == HumanAgreement(judge=0, source="total", items=12, same=12, kappa=1.0)


def test_the_better_mark_wins_and_every_disagreement_counts() -> None:
    said = {question: [like_the_judge(question)] for question in range(12)} | {0: ["first"], 2: ["second"]}
    (found,) = agreement(said)
    assert (found.items, found.same) == (12, 10)
    assert found.kappa is not None and 0 < found.kappa < 1


def test_every_method_of_every_judge_is_compared() -> None:
    said: dict[int, list[HumanVerdict]] = {question: ["second"] for question in range(12)}
    methods = ("dimensions", "rubric", "pairwise")
    found = agreement(said, methods=methods, judges=judges_named("one", "two"))
    sources = ["total", "rubric", "pairwise"]
    assert [(one.judge, one.source) for one in found] == [(judge, source) for judge in (0, 1) for source in sources]


def test_few_votes_have_no_kappa() -> None:
    (found,) = agreement({question: [like_the_judge(question)] for question in range(9)})
    assert (found.items, found.same, found.kappa) == (9, 9, None)


def test_questions_without_a_mark_do_not_count() -> None:
    request = statistics_request()
    verdicts = [one for one in all_verdicts(request) if (one.question, one.candidate) != (4, 1)]
    votes = votes_of({question: ["second"] for question in range(12)})
    (found,) = counted(request, verdicts, votes=votes).human_agreement
    assert found.items == 11


def test_without_votes_there_is_nothing_to_agree_with() -> None:
    assert not agreement({})


def test_votes_count_only_once_the_vote_has_ended(home: Home) -> None:
    comparison = build_comparison(home)
    assert votes_on(comparison) == ()
    open_vote(comparison, [(0, 1)])
    assert votes_on(comparison) == ()
    assert len(votes_on(ended_vote(home, {"Ada": [1, 1, "tie"]}))) == 3
