"""Asking for a pre-flight: what the task "preflight" is given, and what stands against starting it."""

from __future__ import annotations

from typing import Any

from core.config import RunConfig, parse_config
from core.jobs.readiness import ready
from core.jobs.room import refuse_busy
from core.jobs.tasks import TRIAL, Task
from core.paths import Home
from core.training.preflight import PreflightResult, settings_hash

KIND = TRIAL


def arguments(config: RunConfig) -> dict[str, Any]:
    """What the task is asked; the hash finds it again by its settings."""
    return {"settings": settings_hash(config), "config": config.model_dump(mode="json")}


def asked(task: Task) -> RunConfig:
    """The settings that a task was asked to try."""
    return parse_config(task.arguments()["config"])


def result(task: Task | None) -> PreflightResult | None:
    """What a task has found out; None while there is none, or before it has finished."""
    found = None if task is None else task.result()
    return None if found is None else PreflightResult.model_validate(found)


def refuse(home: Home, config: RunConfig) -> None:
    """Raise what stands against trying this run now.

    Raises:
        Busy: a run is under way, and both would only slow each other down.
        DataError, ModelError, RewardError, ConfigError, StorageError: what the run needs is missing or wrong.
    """
    ready(home, config)
    refuse_busy(home, config)
