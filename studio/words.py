"""Says in plain words what numbers of a run mean. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from core.config import RewardConfig, RunConfig
from core.jobs.folder import State, Status
from core.reward.formula import PRESETS
from core.reward.verdicts import component_title
from core.runs.events import Metrics
from core.text import duration

Colour = Literal["red", "orange", "yellow", "green", "blue", "gray", "violet"]

PRESET_TITLES = {"robust": "Robust", "article": "Article", "notebook": "Notebook"}

WORD_COLOURS: tuple[Colour, ...] = (
    "gray",
    "red",
    "blue",
    "orange",
    "yellow",
    "green",
    "violet",
)
"""In the order of `MEANINGS`."""

RECENT_STEPS = 10
"""How many steps "over the last steps" are."""


@dataclass(frozen=True)
class Badge:
    """A state as it is shown."""

    label: str
    colour: Colour
    icon: str


BADGES: dict[State, Badge] = {
    "queued": Badge("Queued", "gray", ":material/schedule:"),
    "starting": Badge("Starting", "blue", ":material/hourglass_top:"),
    "running": Badge("Running", "blue", ":material/play_circle:"),
    "paused": Badge("Paused", "orange", ":material/pause_circle:"),
    "stopping": Badge("Stopping", "orange", ":material/pending:"),
    "stopped": Badge("Stopped", "gray", ":material/stop_circle:"),
    "finished": Badge("Finished", "green", ":material/check_circle:"),
    "failed": Badge("Failed", "red", ":material/error:"),
    "interrupted": Badge("Interrupted", "orange", ":material/power_off:"),
}

_PHASES = {
    "loading": "loading the models",
    "generating": "generating completions",
    "scoring": "scoring completions",
    "updating": "learning",
    "answering held-out questions": "answering held-out questions",
}
_UNITS = {"generating": "tokens", "answering held-out questions": "questions"}
_PHASE_SHARES = {"generating": (0.0, 0.55), "scoring": (0.55, 0.0), "updating": (0.6, 0.0)}
"""Where in a step a phase begins and how much of the step it takes; rough, it only makes the bar move inside a step."""


def busy_with(status: Status, now: float) -> str:
    """What the job does at this moment, and how far it is with it.

    >>> busy_with(Status("running", phase="generating", done=12, total=48), now=0.0)
    'generating completions, 12 of 48 tokens'
    """
    name = _PHASES.get(status.phase, status.phase or "starting")
    if status.total:
        return f"{name}, {status.done} of {status.total} {_UNITS.get(status.phase, '')}".rstrip()
    waited = now - status.updated
    return f"{name}, {duration(waited)}" if status.updated and waited >= 2 else name


def time_left(status: Status, since_step: float) -> str:
    """The time left, counted down from the end of the last step."""
    if status.eta_seconds is None:
        return ""
    return f"about {duration(max(status.eta_seconds - since_step, 1.0))} left"


def progress(status: Status) -> float:
    """How much of the run is done, from 0 to 1, the part of the step that is under way included."""
    if status.steps <= 0:
        return 0.0
    start, span = _PHASE_SHARES.get(status.phase, (0.0, 0.0))
    inside = start + span * (status.done / status.total if status.total else 0.0)
    inside = inside if status.live and status.step < status.steps else 0.0
    return min((status.step + inside) / status.steps, 1.0)


def preset_title(name: str) -> str:
    """What a reward preset is called: built-in ones have a title, saved ones the name they were given."""
    return PRESET_TITLES.get(name, name)


def reward_title(reward: RewardConfig) -> str:
    """What a run's reward is called; a built-in preset that was changed before the start says so.

    >>> reward_title(PRESETS["robust"]), reward_title(PRESETS["robust"].model_copy(update={"invalid_reward": 0.0}))
    ('Robust', 'Robust, changed')
    """
    title, preset = preset_title(reward.preset), PRESETS.get(reward.preset)
    if preset is None:
        return title
    weighed = {name: weight for name, weight in reward.weights.items() if weight}
    return title if reward.model_copy(update={"weights": weighed}) == preset else f"{title}, changed"


def recent_shares(metrics: Sequence[Metrics]) -> dict[str, float] | None:
    """The effective weight of each component, and of validity, over the last steps; None while no group has varied."""
    varied = [m.effective for m in metrics[-RECENT_STEPS:] if m.effective]
    if not varied:
        return None
    return {name: sum(shares.get(name, 0.0) for shares in varied) / len(varied) for name in varied[-1]}


def recent_scores(metrics: Sequence[Metrics]) -> dict[str, float]:
    """The mean score of each component over the last steps."""
    last = metrics[-RECENT_STEPS:]
    return (
        {name: sum(m.components.get(name, 0.0) for m in last) / len(last) for name in last[-1].components}
        if last
        else {}
    )


def plan(config: RunConfig) -> str:
    """How much the run will do, in one sentence."""
    train = config.train
    group = f"{train.num_generations} completions of at most {train.max_completion_length} tokens"
    total = train.steps * train.prompts_per_step * train.num_generations
    prompts = "1 prompt" if train.prompts_per_step == 1 else f"{train.prompts_per_step} prompts"
    return f"{train.steps} steps of {prompts}, each answered by a group of {group}: {total:,} completions."


def formula(weights: dict[str, float]) -> str:
    """The weighted sum as it is computed."""
    parts = [f"{weight:g} × {component_title(name).lower()}" for name, weight in weights.items() if weight]
    return " + ".join(parts)


def told_apart(titles: Mapping[str, str]) -> dict[str, str]:
    """Titles by id, those that several share with the end of the id: a box knows its options by what they read.

    >>> told_apart({"eval-1": "Ward", "eval-2": "Ward", "eval-3": "Clinic"})
    {'eval-1': 'Ward (1)', 'eval-2': 'Ward (2)', 'eval-3': 'Clinic'}
    """
    counts = Counter(titles.values())
    return {
        name: title if counts[title] == 1 else f"{title} ({name.rpartition('-')[2]})" for name, title in titles.items()
    }
