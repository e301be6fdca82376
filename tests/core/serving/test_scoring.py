"""Scores over HTTP: the real server with tiny models, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.config import DEFAULT_TAGS, RewardConfig, RunConfig
from core.engine.scorers import opened_scorer
from core.engine.serving import scores
from core.engine.serving.hosting import Clock, listening, running
from core.engine.serving.scores import WarmScorers, application
from core.errors import ModelError, RewardError
from core.paths import Home
from core.reward.scoring import Sample
from core.serving import scoring
from core.serving.endpoint import Endpoint
from core.serving.scoring import AnswerScores, score_answers

TOKEN = "token"
GOOD = "<reasoning>The pulse is weak.</reasoning>\n<answer>Lay the patient down.</answer>"
SAMPLES = [
    Sample("What first?", "Lay the patient flat.", GOOD, "0"),
    Sample("What first?", "", "No tags at all", "1"),
    Sample("What first?", "Lay the patient flat.", "\x1b[31m<b>\n</b>", "2"),
]


@pytest.fixture
def url(home: Home) -> Iterator[str]:
    """A server that scores; the page's half of the studio is told where it is."""
    scorers = WarmScorers(home)
    with listening(0) as own:
        own.listen(128)
        with running(application(scorers, TOKEN, Clock()), own):
            yield f"http://127.0.0.1:{own.getsockname()[1]}"
    scorers.close()


@pytest.fixture
def reward(tiny_config: RunConfig) -> RewardConfig:
    return tiny_config.reward


@pytest.fixture
def score(home: Home, url: str, reward: RewardConfig, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Scores through that server."""
    monkeypatch.setattr(scoring, "ensure_scores", lambda home: None)
    monkeypatch.setattr(scoring, "score_endpoint", lambda home: Endpoint(url, TOKEN, "scores", local=True))

    def found(samples: list[Sample] = SAMPLES, given: RewardConfig = reward) -> list[AnswerScores]:
        return score_answers(home, given, DEFAULT_TAGS, samples)

    return found


def test_scores_over_http_are_those_of_a_scorer(home: Home, reward: RewardConfig, score: Any) -> None:
    with opened_scorer(reward, DEFAULT_TAGS, home) as scorer:
        expected = scorer.score(SAMPLES)
    found = score()
    assert [one.reward for one in found] == pytest.approx(expected.rewards)
    assert [(one.valid, one.well_formed) for one in found] == list(
        zip(expected.valid.tolist(), expected.well_formed.tolist(), strict=True)
    )
    assert found[0].components["semantic"] == pytest.approx(expected.components[0, 0])
    assert found[1].components["semantic"] is None, "there is no reference to be like"


def test_many_answers_are_sent_in_parts_and_come_back_in_order(score: Any) -> None:
    samples = [
        Sample("Q", "R", f"{'x' * 20_000} {number}" if number % 9 else GOOD, str(number)) for number in range(70)
    ]
    found = score(samples)
    assert [one.well_formed for one in found] == [number % 9 == 0 for number in range(70)]


def test_scorers_stay_loaded_and_other_weights_need_no_others(
    reward: RewardConfig, score: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[RewardConfig] = []
    real = scores.open_scorer

    def count(config: RewardConfig, *rest: Any) -> Any:
        opened.append(config)
        return real(config, *rest)

    monkeypatch.setattr(scores, "open_scorer", count)
    heavier = reward.model_copy(update={"weights": {"tags": 1.0}})
    assert score()[0].reward != score(given=heavier)[0].reward
    assert score()[0].reward == score()[0].reward
    assert len(opened) == 1


def test_of_many_rewards_only_the_last_stay_loaded(home: Home, reward: RewardConfig) -> None:
    scorers = WarmScorers(home)
    for kind in ("answer", "answer_without_repetition", "reference_batch"):
        given = reward.model_copy(update={"fluency": kind})
        scorers.score(scoring.ScoreRequest(reward=given, tags=DEFAULT_TAGS))
    assert len(scorers._open) == 2
    scorers.close()


def test_a_reward_that_cannot_be_used_says_why(score: Any, reward: RewardConfig, tmp_path: Path) -> None:
    missing = reward.model_copy(update={"similarity_model": str(tmp_path / "none")})
    with pytest.raises(RewardError, match="none"):
        score(given=missing)


def test_only_who_has_the_token_is_served(url: str) -> None:
    assert httpx.post(f"{url}/v1/score", json={}).status_code == 401
    assert httpx.get(f"{url}/health").status_code == 200


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"reward": 5}'])
def test_a_request_that_is_none_is_refused(url: str, body: bytes) -> None:
    reply = httpx.post(f"{url}/v1/score", content=body, headers={"Authorization": f"Bearer {TOKEN}"})
    assert reply.status_code == 400 and reply.json()["error"]["message"]


def test_a_server_that_has_gone_is_told(home: Home, reward: RewardConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(0) as own:
        gone = f"http://127.0.0.1:{own.getsockname()[1]}"
    monkeypatch.setattr(scoring, "ensure_scores", lambda home: None)
    monkeypatch.setattr(scoring, "score_endpoint", lambda home: Endpoint(gone, TOKEN, "scores", local=True))
    with pytest.raises(RewardError, match="broke off"):
        score_answers(home, reward, DEFAULT_TAGS, SAMPLES)


def test_a_server_that_failed_says_why(home: Home, reward: RewardConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def failed(home: Home) -> None:
        raise ModelError("The server of scores was ended from outside.")

    monkeypatch.setattr(scoring, "ensure_scores", failed)
    with pytest.raises(ModelError, match="ended from outside"):
        score_answers(home, reward, DEFAULT_TAGS, SAMPLES)
