"""The task "try_reward": runs one custom reward on sample completions and says what came of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import ValidationError

from core.config import CustomReward, validation_sentence
from core.custom_rewards import source_of
from core.engine.custom_rewards import CustomComponent, CustomRewardError
from core.errors import ConfigError
from core.lab.board import Board, sample_key
from core.lab.boards import BUNDLED, load_board
from core.paths import Home
from core.reward_trial import Trial
from core.tasks import Tell

COUNT = 64
"""How many completions are scored when nobody says."""


def try_reward(home: Home, arguments: Mapping[str, Any], progress: Tell) -> dict[str, Any]:
    """The task "try_reward": `{"name": str, "board": id, "count": N, "seconds": S}`, all but the name optional, to a
    `Trial`.

    A file that fails is a trial as well; its `error` says how.

    Raises:
        ConfigError: the name or the time cannot be used.
        RewardError: the file is missing, or one sees without running it that it cannot be used.
        DataError, RunError: there is no such board.
    """
    values = {"name": arguments["name"], "seconds": arguments.get("seconds", CustomReward(name="x").seconds)}
    try:
        reward = CustomReward.model_validate(values)
    except ValidationError as error:
        raise ConfigError(validation_sentence(error)) from error
    board_id = str(arguments.get("board") or BUNDLED)
    board = load_board(home, board_id)
    progress("scoring", 0, 0)
    trial = _try(home, reward, board_id, board, int(arguments.get("count") or COUNT))
    return trial.model_dump(mode="json")


def _try(home: Home, reward: CustomReward, board_id: str, board: Board, count: int) -> Trial:
    samples = board.samples[:count]
    source = source_of(home, reward)
    component = CustomComponent(source)
    try:
        component.start()
        started = time.perf_counter()
        scores = component.scores(samples)
        found = _measured(scores, [sample.group for sample in samples]) | {"seconds": time.perf_counter() - started}
    except CustomRewardError as error:
        found = {"error": str(error), "frames": error.frames}
    finally:
        component.close()
    return Trial(
        name=reward.name,
        sha256=source.reward.sha256,
        board=board_id,
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
