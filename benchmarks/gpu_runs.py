"""Training runs on a GPU that benchmarks look at: how they are set, made and timed."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from core.config import Example, RunConfig, with_changes
from core.errors import StudioError
from core.jobs import supervisor
from core.paths import Home
from core.presets import preset_config
from core.prompts import PROMPTS
from core.runs.events import Metrics, read_events
from core.runs.run import Run
from core.train_config import ALL_PROJECTIONS

EXAMPLE = Example(
    question="Does regular hand washing by ward staff reduce infections that patients catch in hospital?",
    reasoning="Germs travel between patients on hands. Washing removes them, so fewer patients should be infected.",
    answer="Regular hand washing by ward staff reduces the rate of infections that patients catch in hospital. It "
    "should be encouraged on every ward, because it is simple, cheap and effective.",
)
JOB_SECONDS = 3600.0
WARM_UP = 3
"""Steps that are left out of a median: kernels and graphs are made in them."""
BASE: Mapping[str, Any] = {
    "train.prompts_per_step": 8,
    "train.num_generations": 8,
    "train.max_completion_length": 160,
    "train.max_prompt_length": 512,
    "train.learning_rate": 1e-4,
    "train.lr_schedule": "cosine",
    "train.temperature": 1.0,
    "train.generation": "vllm",
    "train.held_out_rows": 0,
    "train.validate_every": 0,
    "train.save_every": 1000,
    "adapter.rank": 64,
    "adapter.alpha": 64,
    "adapter.target_modules": ALL_PROJECTIONS,
}


def configured(data: Path, changes: Mapping[str, Any]) -> RunConfig:
    """The embedded model under the article's reward on `data`, with the article's prompt and one worked example."""
    prompt = PROMPTS["article"].prompt.model_copy(update={"examples": (EXAMPLE,)})
    values = {"data.path": str(data.resolve()), "prompt": prompt.model_dump()}
    return with_changes(preset_config("demo", "article"), {**values, **BASE, **changes})


def trained(home: Home, config: RunConfig) -> Run:
    """A run that has finished; its log is shown when it has not."""
    run = supervisor.start(home, config, "gpu")
    supervisor.wait(run, JOB_SECONDS)  # until its process is gone as well, so that its memory is free for the next
    require_finished(run)
    return run


def require_finished(run: Run) -> None:
    """Raise StudioError when the run has not finished."""
    if run.status().state != "finished":
        print(run.log.read_text(encoding="utf-8", errors="replace")[-8000:], file=sys.stderr)
        raise StudioError(run.summary())


def wall_seconds(run: Run) -> list[float]:
    """The time from the record of one step to that of the next, saving and all; the first step by its own clock."""
    events = [event for event in read_events(run.events) if event.kind == "metrics"]
    first = Metrics.of(events[0]).step_seconds
    return [first, *(b.time - a.time for a, b in pairwise(events))]


def forget_scores(home: Home) -> None:
    """Whoever comes next must not find scores that are known already."""
    (home.cache / "scores.sqlite").unlink(missing_ok=True)


def spread(values: list[float]) -> dict[str, float]:
    """Median, least and greatest, in seconds."""
    return {
        "median": round(statistics.median(values), 3),
        "least": round(min(values), 3),
        "greatest": round(max(values), 3),
    }
