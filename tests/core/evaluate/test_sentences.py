"""Results in plain sentences: what is claimed, and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from core.evaluate.results import Difference, EvaluationResults, Measure
from core.evaluate.sentences import difference_sentence, headline, main_measure, measure_title, safety_sentences
from core.evaluate.verdicts import Verdict
from tests.build_evaluation import evaluated_request
from tests.build_statistics import all_verdicts, counted, statistics_request

MANY = evaluated_request(questions=36)


def difference(**changes: Any) -> Difference:
    """A clear one of half a point on 100 questions, if nothing else is said."""
    given: dict[str, Any] = {
        "candidate": 1,
        **{"mean": 0.5, "low": 0.25, "high": 0.75, "of": 100, "wins": 60, "losses": 20, "ties": 20},
        **{"p": 0.001, "p_sign": 0.001, "p_adjusted": 0.001, "effect": 0.4, "finding": "better"},
        "more_questions": None,
    }
    return Difference(**{**given, **changes})


def told(upward: bool | None = True, **changes: Any) -> str:
    one = difference(**changes)
    measure = Measure(
        name="total",
        title="Total",
        kind="total",
        low=1,
        high=5,
        upward=upward,
        averages=(None, None),
        differences=(one,),
    )
    results = EvaluationResults.model_construct(candidates=("old", "new"), baseline=0, measures=(measure,))
    return difference_sentence(results, measure, one)


def test_a_clear_difference_is_told_with_its_interval() -> None:
    assert told() == (
        "“new” is better than “old” in Total: +0.50 on a scale from 1 to 5 (95% interval +0.25 to +0.75, 100 "
        "questions)."
    )


def test_a_clear_loss_is_called_worse() -> None:
    assert told(mean=-0.5, low=-0.75, high=-0.25, finding="worse").startswith(
        "“new” is worse than “old” in Total: −0.50 on a scale from 1 to 5 (95% interval −0.75 to −0.25,"
    )


def test_an_unclear_difference_says_how_many_questions_are_wanting() -> None:
    assert told(mean=0.1, low=-0.1, high=0.3, finding="unclear", more_questions=1250) == (
        "Whether “new” or “old” is better in Total cannot be told: +0.10 on a scale from 1 to 5 (95% interval −0.10 "
        "to +0.30, 100 questions). About 1,250 more questions would be needed to show a difference of this size."
    )


def test_a_test_that_does_not_confirm_the_interval_is_named() -> None:
    assert "does not confirm this (p = 0.080); treat it with care." in told(p_adjusted=0.08)
    assert "confirm" not in told()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"of": 9}, "Too few questions to compare “new” with “old” in Total (at least 10 are needed)"),
        ({"wins": 4, "losses": 0}, "Too few questions on which “new” and “old” differ in Total to call one better (4;"),
    ],
)
def test_too_few_questions_claim_nothing(changes: dict[str, Any], words: str) -> None:
    assert told(finding="too few", **changes).startswith(words)


def test_identical_scores_are_named_so() -> None:
    found = told(mean=0.0, low=0.0, high=0.0, wins=0, losses=0, ties=100, finding="unclear")
    assert found.startswith("“new” and “old” have the same score on every question in Total: 0.00 on")


def test_where_neither_is_better_the_difference_alone_is_told() -> None:
    found = told(upward=None, finding="unclear")
    assert found.startswith("“new” differs from “old” in Total by +0.50") and "neither more nor less is better" in found


def test_no_common_question_is_told() -> None:
    assert told(of=0, mean=0.0, finding="too few").startswith("Nothing can be said of “new” and “old” in Total")


def test_small_numbers_do_not_look_like_zero() -> None:
    assert "95% interval +0.001 to +0.008" in told(mean=0.004, low=0.0012, high=0.0078)


def test_the_headline_begins_with_the_total() -> None:
    found = headline(counted(statistics_request(methods=("dimensions", "rubric")), asked=MANY))
    assert found[0].startswith("“after-training” is better than “before-training” in Total: +0.67")
    assert found[1].startswith("“after-training” is better than “before-training” in Items of the rubric met: +0.33")
    assert found[-1].startswith("Against “before-training”, “after-training” is better in Medical accuracy, Reasoning")


def test_without_a_judge_the_headline_says_so() -> None:
    results = counted(statistics_request(judges=(), methods=()), asked=MANY)
    assert any(sentence.startswith("No judge was asked: these numbers are automatic") for sentence in headline(results))
    found = main_measure(results)
    assert found is not None and found.name == "reward"


def test_judges_who_only_compare_have_no_reward_for_a_headline() -> None:
    results = counted(statistics_request(methods=("pairwise",)), asked=MANY)
    assert main_measure(results) is None
    assert headline(results) == (
        "judge-one preferred “after-training” over “before-training” on 24 of 24 questions on which it preferred one "
        "(100%, 95% interval 86% to 100%); more than chance explains. 12 of 36 are ties.",
    )


def test_a_single_candidate_is_told_by_its_mean() -> None:
    results = counted(statistics_request(), asked=evaluated_request(12, 1))
    assert headline(results)[0].startswith("“before-training” scores 2.50 in Total (95% interval 2.")


def test_nothing_judged_claims_nothing() -> None:
    assert "Nothing can be said" in headline(counted(statistics_request(), [], answers=[]))[0]


def dangerous(count: int, candidate: int) -> list[Verdict]:
    """The verdicts on 36 questions, with a dangerous dose in the first of one candidate's."""
    request = statistics_request()
    return [
        one.model_copy(update={"dangers": {**one.dangers, "dose": one.candidate == candidate and one.question < count}})
        if one.dangers
        else one
        for one in all_verdicts(request, MANY)
    ]


def test_dangers_are_told_with_their_interval_and_test() -> None:
    found = safety_sentences(counted(statistics_request(), dangerous(9, candidate=1), asked=MANY))
    assert found == (
        "No danger was seen in 36 answers of “before-training”; up to 9.6% of such answers may still be dangerous "
        "(95% interval).",
        "9 of 36 answers of “after-training” were found dangerous (25%, 95% interval 14% to 41%): dangerous dose in 9.",
        "Of 36 questions, only the answer of “after-training” is dangerous on 9, only that of “before-training” on 0 "
        "(McNemar's exact test, p = 0.004); more than chance explains.",
    )


def test_no_look_is_not_told_as_no_danger() -> None:
    found = safety_sentences(counted(statistics_request(), []))
    assert found[0] == "No answer of “before-training” has been looked at for dangers."
    assert not safety_sentences(counted(statistics_request(safety=False)))


def test_agreements_have_titles_of_their_own() -> None:
    results = counted(statistics_request())
    assert [measure_title(results, name) for name in ("accuracy", "danger", "pairwise")] == [
        "Medical accuracy",
        "Any danger",
        "Which of two is better",
    ]
