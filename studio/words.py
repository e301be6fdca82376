"""Says in plain words what numbers of a run mean. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from core.config import COMPONENTS, RunConfig
from core.events import Metrics
from core.job_folder import State, Status
from core.rewards import VALIDITY
from core.text import duration

Word = Literal["off", "dead", "saturated", "opposing", "weak", "balanced", "dominant"]
Colour = Literal["red", "orange", "yellow", "green", "blue", "gray", "violet"]

COMPONENT_TITLES = {"semantic": "Similarity", "fluency": "Fluency", "tags": "Tags"}
COMPONENT_HELP = {
    "semantic": "How close the answer is in meaning to the reference answer.",
    "fluency": "How natural the answer reads to a frozen language model.",
    "tags": "Whether the reasoning and answer tags are there and in order.",
}
PRESET_TITLES = {"robust": "Robust", "article": "Article", "notebook": "Notebook"}

MEANINGS: dict[Word, str] = {
    "off": "Its weight is zero.",
    "dead": "Hardly differs inside a group, so nothing is learned from it whatever its weight.",
    "saturated": "Nearly every completion has its full score: it is learned, and there is no more to gain from it.",
    "opposing": "Where it is high the reward tends to be low: the other components pull the other way.",
    "weak": "Decides less than its weight suggests.",
    "balanced": "Has its part in the decision.",
    "dominant": "Decides nearly everything; the others are hardly heard.",
}

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

_DEAD_SHARE = 0.05
_FULL_SCORE = 0.95
_DOMINANT_SHARE = 0.8
_RECENT = 10


@dataclass(frozen=True)
class Badge:
    """A state as it is shown."""

    label: str
    colour: Colour
    icon: str


BADGES: dict[State, Badge] = {
    "starting": Badge("Starting", "blue", ":material/hourglass_top:"),
    "running": Badge("Running", "blue", ":material/play_circle:"),
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
    "updating": "updating the policy",
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


def recent_shares(metrics: Sequence[Metrics]) -> dict[str, float] | None:
    """The effective weight of each component, and of validity, over the last steps; None while no group has varied."""
    varied = [m.effective for m in metrics[-_RECENT:] if m.effective]
    if not varied:
        return None
    return {name: sum(shares.get(name, 0.0) for shares in varied) / len(varied) for name in (*COMPONENTS, VALIDITY)}


def recent_scores(metrics: Sequence[Metrics]) -> dict[str, float]:
    """The mean score of each component over the last steps."""
    last = metrics[-_RECENT:]
    return {name: sum(m.components.get(name, 0.0) for m in last) / len(last) for name in COMPONENTS} if last else {}


def weight_word(weight: float, total: float, share: float | None, score: float) -> Word:
    """What a component really does in the reward.

    Args:
        weight: the configured weight.
        total: the sum of the absolute weights.
        share: its part of the within-group variance of the reward; None when nothing varies.
        score: its mean score, at most 1.

    >>> weight_word(0.4, 1.0, share=0.0, score=0.5), weight_word(0.1, 1.0, share=0.01, score=0.99)
    ('dead', 'saturated')
    """
    if weight == 0 or total == 0:
        return "off"
    if share is None or abs(share) < _DEAD_SHARE:
        return "saturated" if weight > 0 and score >= _FULL_SCORE else "dead"
    if share < 0:
        return "opposing"
    expected = abs(weight) / total
    if share >= _DOMINANT_SHARE and expected < _DOMINANT_SHARE:
        return "dominant"
    return "weak" if share < expected / 2 else "balanced"


def validity_word(share: float | None, valid: float) -> Word:
    """What being valid or not really does in the reward, by its share of the variance and the share of valid ones.

    >>> validity_word(0.0, valid=1.0), validity_word(0.9, valid=0.5)
    ('saturated', 'dominant')
    """
    if share is None or abs(share) < _DEAD_SHARE:
        return "saturated" if valid >= _FULL_SCORE else "dead"
    if share < 0:
        return "opposing"
    return "dominant" if share >= _DOMINANT_SHARE else "balanced"


def plan(config: RunConfig) -> str:
    """How much the run will do, in one sentence."""
    train = config.train
    group = f"{train.num_generations} completions of at most {train.max_completion_length} tokens"
    total = train.steps * train.prompts_per_step * train.num_generations
    prompts = "1 prompt" if train.prompts_per_step == 1 else f"{train.prompts_per_step} prompts"
    return f"{train.steps} steps of {prompts}, each answered by a group of {group}: {total:,} completions."


def formula(weights: dict[str, float]) -> str:
    """The weighted sum as it is computed."""
    parts = [f"{weight:g} × {COMPONENT_TITLES.get(name, name).lower()}" for name, weight in weights.items() if weight]
    return " + ".join(parts)
