"""Automatic metrics: what each measures, where it does not apply, and when it is measured again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.compare.comparison import ComparedAnswer, ComparisonRequest
from core.config import RewardConfig, Tags
from core.errors import RewardError
from core.evaluate import metrics
from core.evaluate.metrics import METRICS, measured, metric_of, metric_rows, needs_measuring, standing_metrics
from core.paths import Home
from core.reward.formula import PRESETS
from core.reward.scoring import Sample
from core.serving.scoring import AnswerScores
from tests.build_comparison import request_of
from tests.build_scorers import arithmetic_scorer

REFERENCE = "Give adrenaline into the thigh."
NEED_MODELS = ("similarity", "perplexity")


def request(reference: str = REFERENCE, reward: RewardConfig = PRESETS["robust"]) -> ComparisonRequest:
    asked = request_of(questions=["What is given?"], reward=reward)
    return asked.model_copy(update={"questions": (asked.questions[0].model_copy(update={"reference": reference}),)})


def score_alone(folder: Path, reward: RewardConfig, samples: Sequence[Sample]) -> list[AnswerScores]:
    """What the server that scores answers, by arithmetic."""
    with closing(arithmetic_scorer(reward, folder)) as scorer:
        found = scorer.score(samples)
    return [
        AnswerScores(
            reward=float(found.rewards[row]),
            valid=bool(found.valid[row]),
            well_formed=bool(found.well_formed[row]),
            components={
                name: None if np.isnan(score) else float(score)
                for name, score in zip(found.names, found.components[row], strict=True)
            },
        )
        for row in range(len(samples))
    ]


def completion(answer: str, **changes: Any) -> ComparedAnswer:
    """An answer in the form that is asked for."""
    text = f"<reasoning>It is anaphylaxis.</reasoning><answer>{answer}</answer>"
    return ComparedAnswer(**{"question": 0, "candidate": 0, "text": text, **changes})


def values(answer: ComparedAnswer, asked: ComparisonRequest | None = None) -> dict[str, float | None]:
    return measured(asked or request(), answer).values


def scored(folder: Path, answer: ComparedAnswer, reward: RewardConfig, reference: str = REFERENCE) -> ComparedAnswer:
    """The answer with the scores that a reward gives it."""
    (found,) = score_alone(folder, reward, [Sample("What is given?", reference, answer.text, "0")])
    return answer.model_copy(update=found.model_dump())


@pytest.fixture
def asked_rewards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[RewardConfig]:
    """Puts arithmetic in the place of the server that scores, and holds the rewards it was asked for."""
    found: list[RewardConfig] = []

    def score(
        home: Home, reward: RewardConfig, tags: Tags, samples: Sequence[Sample], *rest: Any
    ) -> list[AnswerScores]:
        found.append(reward)
        return score_alone(tmp_path, reward, samples)

    monkeypatch.setattr(metrics, "score_answers", score)
    return found


def complete(home: Home, answer: ComparedAnswer, asked: ComparisonRequest) -> dict[str, float | None]:
    (found,) = metrics.with_models(home, asked, [answer], [measured(asked, answer)])
    return found.values


# Lin (2004), ROUGE: A Package for Automatic Evaluation of Summaries, section 3: 3/4 and 2/4 for these two.
@pytest.mark.parametrize(("answer", "rouge_l"), [("police kill the gunman", 0.75), ("the gunman kill police", 0.5)])
def test_rouge_l_is_that_of_its_paper(answer: str, rouge_l: float) -> None:
    found = values(completion(answer), request("police killed the gunman"))
    assert (found["rouge_l"], found["token_f1"]) == (rouge_l, 0.75)


def test_overlap_is_of_the_answer_alone_without_case_and_punctuation() -> None:
    assert values(completion("GIVE adrenaline, into the thigh!"))["token_f1"] == 1.0
    assert values(completion("Rest"))["token_f1"] == 0.0


def test_overlap_reads_languages_without_spaces() -> None:
    assert values(completion("给予肾上腺素"), request("给予肾上腺素注射"))["rouge_l"] == pytest.approx(6 / 7)


def test_very_long_answers_are_compared_by_their_beginning() -> None:
    long = "word " * 2_000
    assert values(completion(long + "other " * 50_000), request(long))["rouge_l"] == 1.0


@pytest.mark.parametrize(
    ("text", "well_formed", "tags"),
    [
        ("<reasoning>Why.</reasoning><answer>That.</answer>", 1.0, 1.0),
        ("<reasoning>Why.</reasoning><answer>That.</answer> And more.", 0.0, 1.0),
        ("<answer>That.</answer>", 0.0, 0.5),
        ("That.", 0.0, 0.0),
    ],
)
def test_form_is_strict_and_tags_are_counted(text: str, well_formed: float, tags: float) -> None:
    found = values(ComparedAnswer(question=0, candidate=0, text=text))
    assert (found["well_formed"], found["tags"]) == (well_formed, tags)


def test_without_a_reference_nothing_is_compared_with_it() -> None:
    found = values(completion("Rest."), request(""))
    assert [found[name] for name in ("exact_choice", "token_f1", "rouge_l")] == [None] * 3


def test_an_empty_answer_shares_nothing() -> None:
    found = values(ComparedAnswer(question=0, candidate=0))
    assert (found["token_f1"], found["rouge_l"], found["well_formed"], found["characters"]) == (0.0, 0.0, 0.0, 0.0)


def test_how_an_answer_ended_and_what_it_earned_is_among_its_metrics() -> None:
    answer = completion("Rest.", truncated=True, tokens=7, reward=0.5, components={"semantic": None, "dose": 1.0})
    found = values(answer)
    assert (found["truncated"], found["tokens"], found["reward"]) == (1.0, 7.0, 0.5)
    assert (found["reward_semantic"], found["reward_dose"]) == (None, 1.0)
    assert values(completion("Rest."))["tokens"] is None


@pytest.mark.parametrize("preset", ["article", "robust"])
def test_similarity_and_perplexity_come_from_scores_that_are_there(tmp_path: Path, preset: str) -> None:
    answer = scored(tmp_path, completion("into the thigh into the thigh into the"), PRESETS[preset])
    found = values(answer, request(reward=PRESETS[preset]))
    assert found["similarity"] == 0.4
    assert found["perplexity"] == pytest.approx(math.exp(len("into the thigh into the thigh into the") / 10))


def test_what_the_notebook_calls_fluency_is_no_perplexity_of_the_answer(
    home: Home, tmp_path: Path, asked_rewards: list[RewardConfig]
) -> None:
    asked = request(reward=PRESETS["notebook"])
    answer = scored(tmp_path, completion("Adrenaline"), PRESETS["notebook"])
    assert not set(NEED_MODELS) & set(values(answer, asked))
    assert complete(home, answer, asked)["perplexity"] == pytest.approx(math.exp(1.0))


def test_models_measure_under_those_of_the_comparisons_reward(home: Home, asked_rewards: list[RewardConfig]) -> None:
    reward = PRESETS["robust"].model_copy(update={"similarity_model": "mine", "fluency_model": "mine-too"})
    found = complete(home, completion("into the"), request(reward=reward))
    assert (found["similarity"], found["perplexity"]) == (0.4, pytest.approx(math.exp(0.8)))
    assert (asked_rewards[0].similarity_model, asked_rewards[0].fluency_model) == ("mine", "mine-too")
    assert asked_rewards[0].fluency == "answer" and not asked_rewards[0].custom


def test_an_empty_answer_has_no_perplexity(home: Home, asked_rewards: list[RewardConfig]) -> None:
    found = complete(home, ComparedAnswer(question=0, candidate=0), request())
    assert (found["similarity"], found["perplexity"]) == (0.0, None)


def test_without_a_reference_there_is_no_similarity(home: Home, asked_rewards: list[RewardConfig]) -> None:
    found = complete(home, completion("Rest."), request(""))
    assert found["similarity"] is None and found["perplexity"] is not None


def test_an_answer_is_measured_until_models_have_measured_it(home: Home, asked_rewards: list[RewardConfig]) -> None:
    answer, asked = completion("Rest."), request()
    bare = measured(asked, answer)
    (whole,) = metrics.with_models(home, asked, [answer], [bare])
    assert [needs_measuring(answer, known) for known in (None, bare, whole)] == [True, True, False]


def test_an_answer_that_has_changed_or_has_scores_by_now_is_measured_again(tmp_path: Path) -> None:
    answer = scored(tmp_path, completion("Rest."), PRESETS["robust"])
    known = measured(request(), answer)
    assert not needs_measuring(answer, known)
    assert needs_measuring(completion("Walk."), known)
    assert needs_measuring(answer.model_copy(update={"reward": 0.75}), known)


def test_an_answer_that_is_not_whole_is_not_measured() -> None:
    assert not needs_measuring(completion("Re", error="The endpoint broke off."), None)


def test_metrics_of_another_text_do_not_stand() -> None:
    kept, changed = completion("Rest."), completion("Walk.", candidate=1)
    known = {(0, 0): measured(request(), kept), (0, 1): measured(request(), completion("Run.", candidate=1))}
    assert set(standing_metrics([kept, changed], known)) == {(0, 0)}
    assert not standing_metrics([kept.model_copy(update={"error": "Broke off."})], known)


def test_rows_leave_out_what_does_not_apply() -> None:
    rows = metric_rows([measured(request(""), completion("Rest.", candidate=1))])
    assert list(rows.columns) == ["question", "candidate", "measure", "score"]
    assert "token_f1" not in set(rows["measure"]) and set(rows["candidate"]) == {1}
    assert rows.loc[rows["measure"] == "well_formed", "score"].tolist() == [1.0]


def test_every_metric_is_described(tmp_path: Path) -> None:
    answer = scored(tmp_path, completion("Rest."), PRESETS["robust"])
    assert set(METRICS) < set(values(answer))
    assert all(metric_of(name).title for name in values(answer))


def test_scorers_that_cannot_be_asked_say_so(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> list[AnswerScores]:
        raise RewardError("The server that scores broke off.")

    monkeypatch.setattr(metrics, "score_answers", refuse)
    with pytest.raises(RewardError, match="broke off"):
        complete(home, completion("Rest."), request())
