"""Results of pre-flights, as the task leaves them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from core.config import RunConfig
from core.jobs.folder import State
from core.jobs.tasks import Task, create_task
from core.paths import Home, write_json
from core.training import preflight_task
from core.training.preflight import Measured, Memory, PreflightResult, settings_hash

GIGABYTE = 1_000_000_000
MEMORY = Memory(place="host", peak=4 * GIGABYTE, free=20 * GIGABYTE, total=24 * GIGABYTE, estimated=5 * GIGABYTE)
MEASURED = Measured(
    steps=4,
    prompts=8,
    completions=64,
    generate_seconds=5.0,
    score_seconds=1.0,
    update_seconds=2.0,
    step_seconds=8.0,
    answer_seconds=4.0,
    answer_batch=8,
    save_seconds=0.5,
    tokens_per_second=160.0,
    mean_tokens=50.0,
    longest_tokens=64,
    truncated=0.1,
    opened=0.9,
    valid=0.6,
    well_formed=0.5,
    zero_variance=0.0,
    reward=-0.2,
    without_opinion={"semantic": 0.0, "fluency": 0.0, "tags": 0.0},
)


def measured(**changes: Any) -> Measured:
    """Figures of a healthy demo run, with changes."""
    return Measured.model_validate({**MEASURED.model_dump(), **changes})


def built(config: RunConfig, found: Measured | None = MEASURED, **changes: Any) -> PreflightResult:
    """What a pre-flight of `config` has found out."""
    values: dict[str, Any] = {
        "settings": settings_hash(config),
        "ended": 1_800_000_000.0,
        "load_seconds": 10.0,
        "rows": 260,
        "rows_left_out": 0,
        "longest_prompt": 255,
        "held_out_rows": 100,
        "validation_rows": 40,
        "memory": MEMORY,
        "measured": found,
        **changes,
    }
    return PreflightResult.model_validate(values)


def finished_preflight(home: Home, config: RunConfig, result: PreflightResult) -> Task:
    """The folder of a pre-flight that has found this out."""
    task = ended_preflight(home, config, "finished")
    write_json(task.folder / "result.json", result.model_dump(mode="json"))
    return task


def ended_preflight(home: Home, config: RunConfig, state: State, error: str = "") -> Task:
    """The folder of a pre-flight that has ended in this state."""
    task = create_task(home, preflight_task.KIND, preflight_task.arguments(config))
    task.write_status(replace(task.written_status(), state=state, error=error))
    return task
