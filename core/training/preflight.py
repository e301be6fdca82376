"""What the pre-flight of a run found out: a few real steps of it, without learning and without keeping anything.

`core.engine.preflight` measures, `core.training.preflight_rules` judges, and pages and the command line show both.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Annotated, Literal

from pydantic import Field

from core.config import RunConfig
from core.content_hash import content_hash
from core.settings_base import Settings
from core.text import duration
from core.training.advice import Finding
from core.training.memory import Place

PROMPTS = 8
"""How many prompts are tried at least; a step of more than that tries all of its own."""
Share = Annotated[float, Field(ge=0, le=1)]
Failure = Literal["memory", "scorer", "numbers"]
"""Memory ran out, a scorer of the reward failed, or the loss is no finite number."""

_NOT_MEASURED: dict[str, set[str]] = {
    "data": {"fingerprint"},
    "train": {
        *("steps", "learning_rate", "lr_schedule", "warmup", "weight_decay", "max_grad_norm"),
        *("save_every", "keep_checkpoints", "validate_every", "validation_rows", "held_out_rows", "trackers"),
    },
}
"""Settings that change nothing of what is measured: how long a run goes on, how fast it learns, what it keeps."""


class Memory(Settings):
    """Memory that the pre-flight took, in bytes.

    Attributes:
        place: whose memory it is.
        peak: the most that was taken at one time.
        free: what was free before the job took any.
        total: what there is.
        estimated: what was expected before anything was loaded; None when that could not be told.
    """

    place: Place
    peak: int
    free: int
    total: int
    estimated: int | None = None


class Measured(Settings):
    """What a few steps showed; shares are of all their completions, seconds those of a usual step.

    Attributes:
        steps, prompts, completions: how many there were.
        generate_seconds, score_seconds, update_seconds, step_seconds: of one step.
        answer_seconds: to answer and score a batch of questions that are not trained on.
        answer_batch: how many questions such a batch has at most.
        save_seconds: to save one checkpoint.
        tokens_per_second: written while completions were generated.
        mean_tokens, longest_tokens: of a completion.
        truncated: cut off at the limit.
        opened: with an opening tag of either kind.
        valid: from which an answer could be read that is neither empty nor copied.
        well_formed: exactly in the form that was asked for.
        zero_variance: share of groups in which all completions earned the same.
        reward: mean reward.
        without_opinion: by component, the share of completions that it could not judge.
    """

    steps: int
    prompts: int
    completions: int
    generate_seconds: float
    score_seconds: float
    update_seconds: float
    step_seconds: float
    answer_seconds: float
    answer_batch: int
    save_seconds: float
    tokens_per_second: float
    mean_tokens: float
    longest_tokens: int
    truncated: Share
    opened: Share
    valid: Share
    well_formed: Share
    zero_variance: Share
    reward: float
    without_opinion: dict[str, Share]


class PreflightResult(Settings):
    """What a pre-flight found out.

    Attributes:
        settings: of which settings it speaks, see `settings_hash`.
        ended: when it was done, in seconds since 1970.
        load_seconds: until the first step began.
        rows, rows_left_out: rows to train on, and how many of them have a prompt over the limit.
        longest_prompt: in tokens, those over the limit included.
        held_out_rows, validation_rows: how many questions of either kind there are within the limit.
        memory: what was taken.
        failure: why the steps did not come to their end; None when they did.
        failure_detail: what the job was busy with when memory ran out, or what was said of the failure.
        notes: what scorers say of their scores.
        measured: None when there was a failure.
    """

    settings: str
    ended: float
    load_seconds: float
    rows: int
    rows_left_out: int
    longest_prompt: int
    held_out_rows: int
    validation_rows: int
    memory: Memory
    failure: Failure | None = None
    failure_detail: str = ""
    notes: tuple[str, ...] = ()
    measured: Measured | None = None


@dataclass(frozen=True)
class Verdict:
    """Whether the run should be started as it is, and one sentence that says so."""

    go: bool
    sentence: str


def settings_hash(config: RunConfig) -> str:
    """Names all that a pre-flight's figures depend on; 16 characters."""
    measured = config.model_dump(mode="json", exclude={"name": True, **_NOT_MEASURED})
    return content_hash([json.dumps(measured, sort_keys=True)], "preflight").hex()[:16]


def is_measured(path: str) -> bool:
    """Whether the setting at a dotted path changes what a pre-flight measures.

    >>> is_measured("train.temperature"), is_measured("train.steps"), is_measured("name")
    (True, False, False)
    """
    group, _, name = path.partition(".")
    return path != "name" and name.partition(".")[0] not in _NOT_MEASURED.get(group, ())


def steps_of(config: RunConfig) -> int:
    """How many steps a pre-flight takes, so that `PROMPTS` prompts are tried.

    Completions are written at least twice: the first time is slower than all others.
    """
    return max(2, ceil(PROMPTS / config.train.prompts_per_step)) * config.train.num_iterations


def expected_seconds(result: PreflightResult, config: RunConfig) -> float | None:
    """How long the whole run will take: loading, steps, checkpoints, validation, held-out questions before and after.

    None when nothing was measured. `config` may be another one than was tried, as far as `settings_hash` allows.
    """
    measured, train = result.measured, config.train
    if measured is None:
        return None
    held_out = 2 * ceil(min(train.held_out_rows, result.held_out_rows) / measured.answer_batch)
    validation = ceil(min(train.validation_rows, result.validation_rows) / measured.answer_batch)
    validations = ceil(train.steps / train.validate_every) if train.validate_every else 0  # the last step always
    saved = 1 + ceil(train.steps / train.save_every)
    return (
        result.load_seconds
        + train.steps * measured.step_seconds
        + saved * measured.save_seconds
        + (held_out + validations * validation) * measured.answer_seconds
    )


def verdict(findings: Sequence[Finding], seconds: float | None, now: float) -> Verdict:
    """What to do, after what the rules found, the reasons against the run first.

    Args:
        seconds: how long the run will take; None only where there is a reason against it.
        now: the time at which it would start, in seconds since 1970.
    """
    first = findings[0]
    if first.level == "stop" or seconds is None:
        return Verdict(False, f"Not yet: {first.message[:1].lower()}{first.message[1:]}")
    return Verdict(True, f"Go: about {duration(seconds)}, ends {ends_at(now + seconds, now)}.")


def ends_at(end: float, now: float) -> str:
    """A moment as people say it on this machine's clock: the time, and the day when that is another one."""
    there, here = time.localtime(end), time.localtime(now)
    if there[:3] == here[:3]:
        return time.strftime("at %H:%M", there)
    return time.strftime("on %A at %H:%M" if end - now < 6 * 86_400 else "on %d %B at %H:%M", there)
