"""The coach: what the numbers of a run say about how it goes, in sentences with a mend.

Each rule is a small function of a `Record` that answers with a finding or with nothing. Rules speak only of what is
beyond chance (`core.training.coach_record`), and where one finding is the consequence of another, the cause alone is
told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from core.config import RunConfig
from core.runs.events import Metrics, Validation
from core.training import coach_lengths, coach_policy, coach_reward, coach_validation
from core.training.advice import Finding, Level
from core.training.coach_record import ENOUGH, Record

LOOKS_AT = 100
"""How many of the newest steps the rules need at most: enough to know the noise of a number well."""
STARTS_WITH = 20
"""How many of the first steps they need: what a run began with."""

_RISE = 0.05
_RULES: Sequence[Callable[[Record], Finding | None]] = (
    coach_policy.not_a_number,
    coach_policy.learning_rate_high,
    coach_validation.overfit,
    coach_validation.hacking,
    coach_lengths.length_up,
    coach_lengths.truncation,
    coach_reward.invalid,
    coach_policy.kl_blow_up,
    coach_policy.entropy_collapse,
    coach_policy.cold,
    coach_reward.zero_variance,
    coach_lengths.length_down,
    coach_policy.clipped,
    coach_reward.no_opinion,
    coach_reward.dominant,
    coach_reward.dead,
    coach_reward.saturated,
    coach_policy.learning_rate_low,
    coach_policy.no_progress,
)
"""The most serious first."""

_NOTHING_VARIES = ("not_a_number", "learning_rate_high", "truncation", "invalid", "zero_variance")
_EXPLAINED_BY: Mapping[str, Sequence[str]] = {
    "hacking": ("overfit",),
    "length_up": ("learning_rate_high",),
    "truncation": ("learning_rate_high", "length_up"),
    "invalid": ("learning_rate_high", "truncation"),
    "kl_blow_up": ("learning_rate_high",),
    "entropy_collapse": ("learning_rate_high",),
    "cold": ("entropy_collapse", "zero_variance"),
    "zero_variance": ("learning_rate_high", "truncation", "invalid", "entropy_collapse"),
    "length_down": ("learning_rate_high",),
    "clipped": ("learning_rate_high",),
    "dominant_term": _NOTHING_VARIES,
    "dead_term": _NOTHING_VARIES,
    "saturated_term": _NOTHING_VARIES,
    "no_progress": (*_NOTHING_VARIES, "learning_rate_low"),
}
"""Findings that are not told beside one that causes them."""
_ORDER: Mapping[Level, int] = {"stop": 0, "warning": 1, "ok": 2}


def coach(
    config: RunConfig,
    metrics: Sequence[Metrics],
    validations: Sequence[Validation] = (),
    weights_changed: Sequence[int] = (),
) -> list[Finding]:
    """What there is to say of a run, the most serious first; nothing before enough steps.

    Args:
        config: with the reward weights that are in force now.
        metrics: the first `STARTS_WITH` and the newest `LOOKS_AT` steps, in any order; steps may be there twice.
        validations: in the order of their steps.
        weights_changed: the steps from which on the user had the reward weighed otherwise.
    """
    record = Record.of(config, metrics, validations, weights_changed)
    if not record.metrics:
        return []
    broken = coach_policy.not_a_number(record)
    if broken is not None:
        return [broken]
    if len(record.metrics) < ENOUGH:
        return []
    found = [finding for rule in _RULES if (finding := rule(record)) is not None]
    names = {finding.name for finding in found}
    told = [finding for finding in found if names.isdisjoint(_EXPLAINED_BY.get(finding.name, ()))]
    return sorted(told, key=lambda finding: _ORDER[finding.level]) or [going_well(record)]


def going_well(record: Record) -> Finding:
    """What has improved, when no rule has anything to say."""
    gains = []
    for name, title, unit in (("reward", "the mean reward", ".2f"), ("well_formed", "the well-formed answers", ".0%")):
        gain = record.change(name, _RISE)
        if gain.rose:
            gains.append(f"{title} rose from {gain.before:{unit}} to {gain.after:{unit}}")
    if not gains:
        return Finding("steady", "ok", f"Nothing stands out after {record.step} steps; no clear gain yet.")
    return Finding("going_well", "ok", f"Going well: {' and '.join(gains)} in {record.step} steps.")
