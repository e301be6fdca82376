"""Scores answers through the server that keeps the scorers of rewards warm (`core.engine.serving.scores`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from core.config import RewardConfig, Tags
from core.errors import RewardError
from core.paths import Home
from core.reward.scoring import Sample
from core.serving.endpoint import Endpoint
from core.serving.server import Server, look_at
from core.serving.servers import ensure_scores, score_endpoint

_PORTION = 32
"""Answers that are sent together."""
_PORTION_CHARACTERS = 500_000
_LOAD_SECONDS = 600.0
_SCORE_SECONDS = 1800.0
"""How long a portion may take: a judge that is asked about each answer, custom rewards with their own limits."""
_POLL_SECONDS = 0.1
_AGAIN = "Score the answers again."


class ScoreRequest(BaseModel):
    """What the server is asked.

    Attributes:
        run: the run whose own copies of custom rewards count; empty for those of the home.
        samples: none only loads the scorers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reward: RewardConfig
    tags: Tags
    run: str = ""
    samples: tuple[Sample, ...] = ()


class AnswerScores(BaseModel):
    """The scores of one answer.

    Attributes:
        components: of each reward component, unweighted; None where one had no opinion.
    """

    model_config = ConfigDict(frozen=True)

    reward: float
    valid: bool
    well_formed: bool
    components: dict[str, float | None]


class ScoreReply(BaseModel):
    """The scores of the samples, in their order."""

    model_config = ConfigDict(frozen=True)

    scores: tuple[AnswerScores, ...]


class _Refused(BaseModel):
    message: str


class _Refusal(BaseModel):
    error: _Refused


def score_answers(
    home: Home,
    reward: RewardConfig,
    tags: Tags,
    samples: Sequence[Sample],
    run: str = "",
    look: Callable[[Server], None] = lambda server: None,
) -> list[AnswerScores]:
    """The scores of each sample; the server is started when it is not there, and waited for.

    Args:
        samples: an answer that is to be scored without regard to others has a group of its own.
        run: the id of the run whose own copies of custom rewards count; empty for those of the home.
        look: called with the server while it loads; it may raise to break the wait off.

    Raises:
        RewardError: the reward cannot be used, or the server broke off.
        ModelError: the server cannot be used.
        StudioError: as `core.serving.servers.ensure_scores`.
    """
    endpoint = _ready(home, look)
    found: list[AnswerScores] = []
    with httpx.Client(
        base_url=endpoint.base_url,
        headers={"Authorization": f"Bearer {endpoint.key}"},
        timeout=httpx.Timeout(_SCORE_SECONDS, connect=10.0),
        trust_env=False,
    ) as client:
        for portion in _portions(samples):
            found += _scores(client, ScoreRequest(reward=reward, tags=tags, run=run, samples=tuple(portion)))
    return found


def _ready(home: Home, look: Callable[[Server], None]) -> Endpoint:
    server, deadline = ensure_scores(home), time.monotonic() + _LOAD_SECONDS
    while (endpoint := score_endpoint(home)) is None:
        if time.monotonic() > deadline:
            raise RewardError(f"The server that scores did not answer within {_LOAD_SECONDS:.0f} s. {_AGAIN}")
        look(look_at(server.task))
        time.sleep(_POLL_SECONDS)
    return endpoint


def _portions(samples: Sequence[Sample]) -> Iterator[list[Sample]]:
    """The samples in parts that no request is too small for."""
    portion: list[Sample] = []
    characters = 0
    for sample in samples:
        size = sum(map(len, (sample.question, sample.reference, sample.completion, sample.prompt)))
        if portion and (len(portion) == _PORTION or characters + size > _PORTION_CHARACTERS):
            yield portion
            portion, characters = [], 0
        portion.append(sample)
        characters += size
    if portion:
        yield portion


def _scores(client: httpx.Client, request: ScoreRequest) -> tuple[AnswerScores, ...]:
    headers = {"Content-Type": "application/json"}
    try:
        reply = client.post("/v1/score", content=request.model_dump_json(), headers=headers)
        if reply.status_code != HTTPStatus.OK:  # the server is the studio's own, and its sentences are for people
            raise RewardError(_Refusal.model_validate_json(reply.content).error.message)
        return ScoreReply.model_validate_json(reply.content).scores
    except httpx.TimeoutException as error:
        raise RewardError(
            f"The server that scores took longer than {_SCORE_SECONDS / 60:.0f} minutes. {_AGAIN}"
        ) from error
    except httpx.HTTPError as error:
        raise RewardError(f"The server that scores broke off. {_AGAIN}") from error
    except ValidationError as error:
        raise RewardError(f"The server that scores answered with something that is no score. {_AGAIN}") from error
