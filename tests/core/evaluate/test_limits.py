"""What results do not show is said in plain sentences, and only where it is so."""

from __future__ import annotations

import pytest

from core.compare.blind import HumanVote
from core.compare.blind_ballots import Verdict as HumanVerdict
from core.compare.comparison import ComparisonRequest
from core.evaluate.request import EvaluationRequest, JudgeSettings
from core.evaluate.results import EvaluationResults
from core.serving.candidates import Candidate
from tests.build_evaluation import evaluated_request, judges_named, made_up_answer
from tests.build_statistics import all_answers, all_verdicts, counted, statistics_request

MANY = evaluated_request(questions=36)


def said(results: EvaluationResults, words: str) -> bool:
    return any(words in sentence for sentence in results.limits)


def votes(asked: ComparisonRequest, verdict: HumanVerdict) -> list[HumanVote]:
    first, second = asked.candidates
    return [HumanVote("Ada", 0, one.id, (0, 1), (first, second), verdict, "left", 0, "") for one in asked.questions]


def with_split(split: str) -> ComparisonRequest:
    questions = [one.model_copy(update={"split": split}) for one in MANY.questions]
    return MANY.model_copy(update={"questions": tuple(questions)})


def two(**changes: object) -> EvaluationRequest:
    return statistics_request(judges=judges_named("one", "two"), **changes)


def test_one_judge_is_one_opinion() -> None:
    assert said(counted(statistics_request()), "All marks come from one language model, judge-one.")
    assert not said(counted(two()), "one language model")


def test_without_a_judge_the_numbers_are_called_automatic() -> None:
    results = counted(statistics_request(judges=(), methods=()))
    assert said(results, "No judge was asked. These numbers are automatic")
    assert not said(results, "blind") and not said(results, "Dangers")


def test_a_judge_whom_nobody_has_checked_is_named_so() -> None:
    assert said(counted(statistics_request()), "Nobody has voted blind on these answers")
    checked = counted(statistics_request(), asked=MANY, votes=votes(MANY, "second"))
    assert not said(checked, "Nobody has voted")


def test_a_judge_who_disagrees_with_people_is_named_so() -> None:
    results = counted(statistics_request(), asked=MANY, votes=votes(MANY, "first"))
    assert said(results, "judge-one (Total) agrees with the blind votes on 0 of 36")


def test_few_votes_are_named_so() -> None:
    assert said(counted(statistics_request(), votes=votes(MANY, "second")[:4]), "Only 4 blind votes can be compared")


def test_a_judge_of_its_own_answers_is_named_so() -> None:
    own = (JudgeSettings(model="after-training"),)
    results = counted(statistics_request(judges=own))
    assert said(results, "after-training judged answers of its own model, “after-training”.")
    assert not said(counted(statistics_request()), "of its own model")


def test_missing_verdicts_are_told_by_their_cause() -> None:
    request = statistics_request()
    verdicts = all_verdicts(request)
    verdicts[0] = verdicts[0].model_copy(update={"outcome": "unreadable", "scores": {}})
    verdicts[1] = verdicts[1].model_copy(update={"outcome": "refused", "scores": {}})
    results = counted(request, verdicts[:-3])
    assert said(
        results, "5 of 48 verdicts of judge-one are missing: 1 unreadable, 1 refused, 0 failed, 3 not asked for."
    )
    assert not said(counted(request), "verdicts of judge-one are missing")


def test_judges_who_contradict_each_other_are_named_so() -> None:
    request = two(dimensions=("accuracy",))
    against = all_verdicts(request, MANY, lambda judge, q, c, name: 1 + (q + judge) % 2)
    results = counted(request, against, asked=MANY)
    assert said(results, "The judges agree too little for firm conclusions on Medical accuracy (-")
    assert not said(counted(two(), asked=MANY), "agree too little")


def test_a_judge_who_follows_the_order_is_named_so() -> None:
    request = statistics_request(methods=("pairwise",))
    flips = [
        one.model_copy(update={"preferred": "first"}) if one.matter == "pairwise" else one
        for one in all_verdicts(request, MANY)
    ]
    results = counted(request, flips, asked=MANY)
    assert said(results, "judge-one changed its mind with the order of the answers of “before-training” and")
    assert said(results, "on 100% of the questions")
    assert not said(counted(request, asked=MANY), "changed its mind")


def test_marks_that_follow_the_length_are_named_so() -> None:
    request = statistics_request(dimensions=("accuracy",))
    by_length = all_verdicts(request, MANY, lambda judge, q, c, name: 1 + q % 4)
    assert said(counted(request, by_length, asked=MANY), "“before-training”: longer answers score higher in Total")
    even = all_verdicts(request, MANY, lambda judge, q, c, name: 1 + q // 4 % 4)
    assert not said(counted(request, even, asked=MANY), "answers score higher")


def test_few_questions_are_named_so() -> None:
    assert said(counted(statistics_request()), "Only 12 questions were asked")
    assert not said(counted(statistics_request(), asked=MANY), "questions were asked")


@pytest.mark.parametrize(
    ("split", "words"),
    [("train", "36 of 36 questions are from the training data"), ("typed", "36 of 36 questions were typed in")],
)
def test_questions_that_may_have_been_trained_on_are_named_so(split: str, words: str) -> None:
    assert said(counted(statistics_request(), asked=with_split(split)), words)
    assert not said(counted(statistics_request(), asked=MANY), words)


def test_cut_and_missing_answers_are_told_of_each_candidate() -> None:
    answers = all_answers(evaluated_request())
    answers[0] = made_up_answer(0, 0, truncated=True)
    answers[1] = made_up_answer(0, 1, error="Timed out.")
    results = counted(statistics_request(), answers=answers)
    assert said(results, "1 of 12 answers of “before-training” were cut off for length.")
    assert said(results, "“after-training” gave no whole answer to 1 of 12 questions.")
    assert not said(results, "“before-training” gave no whole answer")


def test_dangers_that_no_clinician_looked_for_are_told() -> None:
    assert said(counted(statistics_request()), "Dangers were looked for by a language model")
    assert not said(counted(statistics_request(safety=False)), "Dangers")


def test_the_seed_is_named_only_where_chance_decides() -> None:
    cold = MANY.model_copy(update={"decoding": MANY.decoding.model_copy(update={"temperature": 0.0})})
    assert said(counted(statistics_request(), asked=MANY), "another seed gives other answers")
    assert not said(counted(statistics_request(), asked=cold), "seed")


def test_texts_that_judges_saw_in_part_are_told() -> None:
    answers = all_answers(evaluated_request())
    answers[0] = made_up_answer(0, 0, text="x" * 20_001)
    results = counted(statistics_request(), answers=answers)
    assert said(results, "2 of 48 questions to the judge hold a text of more than 20,000 characters.")
    assert not said(counted(statistics_request(judges=(), methods=()), answers=answers), "20,000")
    assert not said(counted(statistics_request()), "20,000")


def test_a_checkpoint_that_was_chosen_by_the_same_questions_is_named() -> None:
    base, adapter = MANY.candidates[0], Candidate(kind="adapter", model="m", run="demo-1", checkpoint="best")
    asked = with_split("validation").model_copy(update={"candidates": (base, adapter)})
    words = "36 of 36 questions are from the validation data, by which “demo-1, best on validation” was chosen as best."
    assert said(counted(statistics_request(), asked=asked), words)
    final = asked.model_copy(update={"candidates": (base, adapter.model_copy(update={"checkpoint": ""}))})
    assert not said(counted(statistics_request(), asked=final), "chosen as best")
    assert not said(counted(statistics_request(trained_elsewhere=(1,)), asked=asked), "chosen as best")
    tested = MANY.model_copy(update={"candidates": (base, adapter)})
    assert not said(counted(statistics_request(), asked=tested), "chosen as best")


def test_a_candidate_that_learned_from_other_data_is_named() -> None:
    results = counted(statistics_request(trained_elsewhere=(1,)))
    assert said(results, "“after-training” learned from other data than those that hold out these questions")
    assert not said(counted(statistics_request()), "other data")
