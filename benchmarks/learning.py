"""Does the demo learn? Three seeds, and a control whose learning rate is zero; all on the embedded model and data."""

from __future__ import annotations

from typing import Any

from core.config import with_changes
from core.errors import StudioError
from core.jobs import supervisor
from core.paths import Home
from core.presets import preset_config
from core.runs.completions import held_out
from core.runs.events import latest_metrics, read_events
from core.runs.run import Run

SEEDS = (0, 1, 2)
SECONDS = 360.0


def measure(home: Home) -> dict[str, Any]:
    """Mean reward and share of well-formed completions in the first and the last quarter of the steps."""
    runs = [_train(home, seed=seed, control=False) for seed in SEEDS]
    control = _train(home, seed=SEEDS[0], control=True)
    return {
        "runs": runs,
        "control": control,
        "met": {
            "reward rises by at least 0.15": all(run["reward"][1] - run["reward"][0] >= 0.15 for run in runs),
            "well-formed from under 60 % to over 85 %": all(
                run["well_formed"][0] < 0.60 and run["well_formed"][1] > 0.85 for run in runs
            ),
            "within 6 minutes of training": all(run["seconds"] <= SECONDS for run in runs),
            "the control does not rise": control["reward"][1] - control["reward"][0] < 0.15,
            "the control does not become well-formed": control["well_formed"][1] < 0.60,
        },
    }


def _train(home: Home, seed: int, control: bool) -> dict[str, Any]:
    changes: dict[str, Any] = {"train.seed": seed, "name": "control" if control else "demo"}
    if control:
        changes["train.learning_rate"] = 0.0
    run = supervisor.start(home, with_changes(preset_config("demo"), changes), "control" if control else "learning")
    if supervisor.wait(run, 2 * SECONDS + 600).state != "finished":
        raise StudioError(run.summary())
    found = _result(run, seed)
    print(found, flush=True)
    return found


def _result(run: Run, seed: int) -> dict[str, Any]:
    metrics = latest_metrics(read_events(run.events))
    quarter = len(metrics) // 4
    first, last = metrics[:quarter], metrics[-quarter:]
    answers = [(answer.before, answer.after) for answer in held_out(run) if answer.after is not None]
    return {
        "seed": seed,
        "steps": len(metrics),
        "seconds": round(run.status().trained_seconds, 1),
        "reward": [round(sum(m.reward for m in part) / quarter, 3) for part in (first, last)],
        "well_formed": [round(sum(m.well_formed for m in part) / quarter, 3) for part in (first, last)],
        "held_out_reward": [round(sum(pair[side].reward for pair in answers) / len(answers), 3) for side in (0, 1)],
        "curve": [round(m.reward, 3) for m in metrics],
    }
