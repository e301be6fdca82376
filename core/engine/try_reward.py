"""The task "try_reward": runs one custom reward on sample completions and says what came of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from core.engine.custom_component import CustomComponent, CustomRewardError
from core.errors import MissingColumn
from core.jobs.tasks import Tell
from core.lab.board import Board, sample_key
from core.lab.boards import load_board
from core.lab.requests import checked
from core.paths import Home
from core.reward.custom_files import source_of
from core.reward.trial import Trial
from core.reward.trial_request import TryRequest


def try_reward(home: Home, arguments: Mapping[str, Any], progress: Tell) -> dict[str, Any]:
    """The task "try_reward": a `core.reward.trial_request.TryRequest` to a `Trial`.

    A file that fails is a trial as well; its `error` says how.

    Raises:
        ConfigError: an argument cannot be used.
        RewardError: the file is missing, or one sees without running it that it cannot be used.
        DataError, RunError: there is no such board.
    """
    request = checked(TryRequest, arguments)
    board = load_board(home, request.board)
    progress("scoring", 0, 0)
    return _try(home, request, board).model_dump(mode="json")


def _try(home: Home, request: TryRequest, board: Board) -> Trial:
    samples = board.samples[: request.count]
    source = source_of(home.rewards, request.reward)
    component = CustomComponent(source, board.tags)
    try:
        component.start()
        started = time.perf_counter()
        scores = component.scores(samples)
        found = _measured(scores, [sample.group for sample in samples]) | {"seconds": time.perf_counter() - started}
    except CustomRewardError as error:
        found = {"error": str(error), "frames": error.frames}
    except MissingColumn as error:
        found = {"error": str(error)}
    finally:
        component.close()
    return Trial(
        name=request.name,
        sha256=source.reward.sha256,
        board=request.board,
        keys=tuple(sample_key(sample) for sample in samples),
        output=component.output,
        **found,
    )


def _measured(scores: list[float | None], groups: list[str]) -> dict[str, Any]:
    """The fields of a trial that follow from its scores."""
    known = np.array([score for score in scores if score is not None])
    inside: dict[str, list[float]] = {}
    for score, group in zip(scores, groups, strict=True):
        if score is not None:
            inside.setdefault(group, []).append(score)
    compared = [np.array(values) for values in inside.values() if len(values) > 1]
    centred = np.concatenate([values - values.mean() for values in compared]) if compared else None
    return {
        "scores": tuple(scores),
        "mean": float(known.mean()) if len(known) else None,
        "lowest": float(known.min()) if len(known) else None,
        "highest": float(known.max()) if len(known) else None,
        "missing": 1 - len(known) / len(scores) if scores else 0.0,
        "groups": len(compared),
        "differing": sum(bool(np.ptp(values)) for values in compared),
        "spread": None if centred is None else float(np.sqrt(np.mean(centred**2))),
        "outside": int((np.abs(known) > 1).sum()),
    }
