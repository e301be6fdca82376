"""The task "serve_score": keeps the scorers of the last few rewards warm and scores over HTTP.

POST /v1/score takes `core.serving.scoring.ScoreRequest` and gives `ScoreReply`.
"""

from __future__ import annotations

import math
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.engine.device import choose_compute
from core.engine.scorers import open_scorer
from core.engine.serving.hosting import Clock, host
from core.engine.serving.protocol import HEALTH, ApiError, body, protected
from core.errors import StudioError
from core.jobs.tasks import Progress
from core.paths import Home
from core.reward.ready import ready_reward
from core.reward.scoring import Scorer
from core.runs.run import find_run
from core.serving.scoring import AnswerScores, ScoreReply, ScoreRequest

_KEPT = 2
"""Rewards whose scorers stay loaded: each has two models of its own in memory."""


def serve(home: Home, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Score until nobody needs it any more; returns why it ended.

    Raises:
        ModelError: the port is taken.
        TaskStopped: it was asked to stop.
    """
    token, clock, scorers = secrets.token_urlsafe(32), Clock(), WarmScorers(home)
    try:
        return host(application(scorers, token, clock), token, progress, clock, int(arguments.get("port", 0)))
    finally:
        scorers.close()


def application(scorers: WarmScorers, token: str, clock: Clock) -> Starlette:
    """What answers requests."""

    async def score(request: Request) -> Response:
        with clock.asked():
            asked = await body(request, ScoreRequest)
            try:
                reply = await run_in_threadpool(scorers.score, asked)
            except StudioError as error:
                raise ApiError(422, str(error)) from error
        return JSONResponse(reply.model_dump(mode="json"))

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return protected([Route("/v1/score", score, methods=["POST"]), Route(HEALTH, health)], token)


class WarmScorers:
    """The scorers that were used last.

    All of them are opened and asked in one thread: models and the score cache belong to the thread that opened them.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._open: OrderedDict[str, Scorer] = OrderedDict()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scores")

    def score(self, request: ScoreRequest) -> ScoreReply:
        """The scores of the samples of a request.

        Raises:
            StudioError: the reward cannot be used, or one of its components is broken.
        """
        return self._thread.submit(self._score, request).result()

    def close(self) -> None:
        """End what the scorers keep open."""
        self._thread.submit(self._forget, 0).result()
        self._thread.shutdown()

    def _score(self, request: ScoreRequest) -> ScoreReply:
        scorer = self._scorer(request)
        if not request.samples:
            return ScoreReply(scores=())
        scorer.weigh(request.reward.weights)
        found = scorer.score(request.samples)
        rows = zip(found.rewards, found.valid, found.well_formed, found.components, strict=True)
        return ScoreReply(
            scores=tuple(
                AnswerScores(
                    reward=float(reward),
                    valid=bool(valid),
                    well_formed=bool(well_formed),
                    components={name: _known(score) for name, score in zip(found.names, components, strict=True)},
                )
                for reward, valid, well_formed, components in rows
            )
        )

    def _scorer(self, request: ScoreRequest) -> Scorer:
        """The scorer of a reward, which other weights leave as it is and another text of a custom reward does not."""
        run = find_run(self._home, request.run) if request.run and request.reward.custom else None
        reward = ready_reward(self._home, request.reward, run)
        unweighted = reward.model_copy(update={"weights": {}, "preset": ""})
        key = f"{unweighted.model_dump_json()}\n{request.tags.model_dump_json()}\n{run.id if run else ''}"
        if key not in self._open:
            self._forget(_KEPT - 1)
            device = choose_compute().device
            self._open[key] = open_scorer(reward, request.tags, self._home, device, torch.float32, run)
        self._open.move_to_end(key)
        return self._open[key]

    def _forget(self, kept: int) -> None:
        """Close the scorers that were not used for longest, but for the last `kept`."""
        while len(self._open) > kept:
            self._open.popitem(last=False)[1].close()


def _known(score: float) -> float | None:
    return None if math.isnan(score) else float(score)
