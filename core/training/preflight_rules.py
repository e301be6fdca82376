"""Whether a run is worth starting, from what its pre-flight measured: one small rule for each thing that goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import log

from core.config import RunConfig
from core.reward.verdicts import component_title
from core.text import duration
from core.training.advice import Finding, Level, Mend
from core.training.format_mends import format_mends, rounded_up
from core.training.preflight import Measured, PreflightResult, expected_seconds
from core.training.preflight_memory import memory

MANY_TRUNCATED = 0.25
"""A completion that is cut has no closing tag and counts as invalid. At a quarter of them, a group of eight has two
whose low reward speaks of length alone."""
NEARLY_ALL_TRUNCATED = 0.9
FEW_VALID = 0.5
"""Cut like that, and mostly before there is an answer, the policy can learn little but to be short."""
TRUNCATED_AIM = 0.05
"""How many completions a longer limit should still cut."""
FEW_OPENED = 0.5
"""Below this, most of what the policy learns at first is to write a tag; an example teaches that at once."""
GROUPS_WITH_AN_ANSWER = 0.5
"""A group without a readable answer teaches nothing about answers; at least half of the groups should have one."""
MANY_EQUAL = 0.5
"""Groups without variance give no gradient (DAPO leaves them out, Yu et al. 2025); at half of them, half of the time
is lost."""
NEARLY_ALL_EQUAL = 0.95
MANY_WITHOUT_OPINION = 0.1
"""A missing score counts as the group's mean. Up to one in ten that hardly moves an advantage in a group of eight."""
MANY_LEFT_OUT = 0.05
"""More rows than this make the data another one than was chosen."""
LONG_SECONDS = 86_400.0
"""A run of more than a day deserves a second thought before it starts."""
MOST_GENERATIONS = 64

_LONGER = (1.25, 2.0)
"""The least and the greatest factor by which a limit is raised at once: the lengths beyond it were not seen."""
_CHAIN = ("tags", "parsing", "zero_variance")
"""Rules each of which fires because the one before it does."""


def judge(result: PreflightResult, config: RunConfig) -> list[Finding]:
    """What there is to say before this run starts, the reasons against it first.

    Args:
        config: the settings that were tried.
    """
    found = [memory(result, config), *_failure(result)]
    if result.measured is not None:
        found += _without_consequences([rule(result, result.measured, config) for rule in _RULES])
    order: Mapping[Level, int] = {"stop": 0, "warning": 1, "ok": 2}
    return sorted(found, key=lambda finding: order[finding.level])


def _without_consequences(found: list[Finding]) -> list[Finding]:
    """Without tags there are no answers, and without answers no differences: of these the first alone is said."""
    stops = [name for name in _CHAIN if any(f.name == name and f.level == "stop" for f in found)]
    return [finding for finding in found if not stops or finding.name not in _CHAIN[_CHAIN.index(stops[0]) + 1 :]]


def _failure(result: PreflightResult) -> list[Finding]:
    if result.failure == "scorer":
        return [Finding("scorers", "stop", f"The reward cannot be computed. {result.failure_detail}")]
    if result.failure == "numbers":
        message = "The loss is no finite number before anything was learned. Choose another model or number format."
        return [Finding("numbers", "stop", message)]
    return []


def _tags(result: PreflightResult, measured: Measured, config: RunConfig) -> Finding:
    share, tags = measured.opened, config.prompt.tags
    if config.prompt.prefill or share >= FEW_OPENED:
        return Finding("tags", "ok", f"{_of(share, measured)} hold an opening tag.")
    level: Level = "stop" if share == 0 else "warning"
    message = (
        f"{'Not one completion writes' if share == 0 else f'Only {_of(share, measured)} write'} <{tags.reasoning}> or "
        f"<{tags.answer}>. What is never written cannot be rewarded, so it is not learned either."
    )
    return Finding("tags", level, message, format_mends(config, result.longest_prompt))


def _parsing(result: PreflightResult, measured: Measured, config: RunConfig) -> Finding:
    """A share p of readable answers leaves (1 - p)^G of the groups of G without any."""
    share, size = measured.valid, config.train.num_generations
    if share == 0:
        mends = [*_length_mends(measured, config), *format_mends(config, result.longest_prompt)]
        return Finding(
            "parsing",
            "stop",
            f"No answer can be read from any of the {measured.completions} completions, so all earn the same.",
            tuple(mends),
        )
    said = f"From {_of(share, measured)} an answer can be read; {measured.well_formed:.0%} are exactly in the form"
    with_one = 1 - (1 - share) ** size
    if with_one >= GROUPS_WITH_AN_ANSWER:
        return Finding("parsing", "ok", f"{said}.")
    needed = log(1 - GROUPS_WITH_AN_ANSWER) / log(1 - share)
    mends = [*format_mends(config, result.longest_prompt), *_generation_mends(config, needed)]
    message = f"{said}. About {1 - with_one:.0%} of the groups of {size} have no readable answer to learn from."
    return Finding("parsing", "warning", message, tuple(mends))


def _truncation(result: PreflightResult, measured: Measured, config: RunConfig) -> Finding:
    share, limit = measured.truncated, config.train.max_completion_length
    said = f"{_of(share, measured)} are cut at {limit} tokens"
    if share < MANY_TRUNCATED:
        return Finding("truncation", "ok", f"{said}; the mean length is {measured.mean_tokens:.0f}.")
    level: Level = "stop" if share >= NEARLY_ALL_TRUNCATED and measured.valid < FEW_VALID else "warning"
    message = f"{said}, before they end by themselves; {_of(1 - measured.valid, measured)} have no readable answer."
    return Finding("truncation", level, message, tuple(_length_mends(measured, config)))


def _zero_variance(result: PreflightResult, measured: Measured, config: RunConfig) -> Finding:
    share, temperature = measured.zero_variance, config.train.temperature
    said = f"In {round(share * measured.prompts)} of {measured.prompts} groups all completions earn the same"
    if share < MANY_EQUAL:
        return Finding("zero_variance", "ok", f"{said}.")
    level: Level = "stop" if share >= NEARLY_ALL_EQUAL else "warning"
    hotter = Mend(f"Temperature {max(1.0, temperature + 0.2):.1f}", {"train.temperature": max(1.0, temperature + 0.2)})
    more = _generation_mends(config, config.train.num_generations + 1)
    mends = [hotter, *more] if temperature < 1 else [*more, hotter]
    return Finding("zero_variance", level, f"{said}. From such a group nothing is learned.", tuple(mends))


def _opinions(result: PreflightResult, measured: Measured, config: RunConfig) -> Finding:
    weights = {name: weight for name, weight in config.reward.weights.items() if weight}
    shares = {name: share for name, share in measured.without_opinion.items() if name in weights}
    name = max(shares, key=lambda name: shares[name], default="")
    share = shares.get(name, 0.0)
    notes = "".join(f" {note}" for note in result.notes)
    if share <= MANY_WITHOUT_OPINION:
        return Finding(
            "opinions", "warning" if notes else "ok", f"The reward could judge nearly every completion.{notes}"
        )
    title = component_title(name)
    without = Mend(f"Leave out {title}", {f"reward.weights.{name}": 0.0})
    message = f"{title} had no opinion on {_of(share, measured)}, where it then decides nothing.{notes}"
    return Finding("opinions", "stop" if share == 1 else "warning", message, (without,) if len(weights) > 1 else ())


def _prompts(result: PreflightResult, measured: Measured, config: RunConfig) -> Finding:
    out, limit = result.rows_left_out, config.train.max_prompt_length
    said = f"{out} of {result.rows} rows have a prompt of more than {limit} tokens and are left out"
    if out <= MANY_LEFT_OUT * result.rows:
        return Finding("prompts", "ok", f"{said}." if out else f"Every prompt fits into {limit} tokens.")
    longer = rounded_up(result.longest_prompt)
    return Finding(
        "prompts", "warning", f"{said}.", (Mend(f"Max prompt length {longer}", {"train.max_prompt_length": longer}),)
    )


def _time(result: PreflightResult, measured: Measured, config: RunConfig) -> Finding:
    step = measured.step_seconds
    seconds = expected_seconds(result, config) or 0.0
    parts = f"{measured.generate_seconds / step:.0%} writing, {measured.score_seconds / step:.0%} scoring"
    said = f"A step takes {step:.1f} s ({parts}); {measured.tokens_per_second:,.0f} tokens are written in a second"
    if seconds < LONG_SECONDS:
        return Finding("time", "ok", f"{said}.")
    return Finding("time", "warning", f"{said}. The whole run takes {duration(seconds)}.")


_RULES: tuple[Callable[[PreflightResult, Measured, RunConfig], Finding], ...] = (
    _tags,
    _parsing,
    _truncation,
    _zero_variance,
    _opinions,
    _prompts,
    _time,
)


def longer_limit(limit: int, truncated: float) -> int:
    """A limit that would cut about `TRUNCATED_AIM` of the completions, of which `limit` cuts a share of `truncated`.

    Lengths are taken to fall off exponentially: a share s that is longer than L makes s^(M / L) longer than M.

    >>> longer_limit(64, 0.25), longer_limit(128, 0.9)
    (128, 256)
    """
    factor = log(TRUNCATED_AIM) / log(truncated) if truncated < 1 else _LONGER[1]
    return rounded_up(limit * min(max(factor, _LONGER[0]), _LONGER[1]))


def _length_mends(measured: Measured, config: RunConfig) -> list[Mend]:
    if measured.truncated < MANY_TRUNCATED:
        return []
    longer = longer_limit(config.train.max_completion_length, measured.truncated)
    return [Mend(f"Max completion length {longer}", {"train.max_completion_length": longer})]


def _generation_mends(config: RunConfig, needed: float) -> list[Mend]:
    """Twice as many completions a group, or as often twice as it takes; every other setting stays legal."""
    size = config.train.num_generations
    while size < needed and size < MOST_GENERATIONS:
        size *= 2
    if size == config.train.num_generations or size > MOST_GENERATIONS:
        return []
    return [Mend(f"{size} completions per group", {"train.num_generations": size})]


def _of(share: float, measured: Measured) -> str:
    return f"{round(share * measured.completions)} of {measured.completions} completions"
