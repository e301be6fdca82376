"""Rules of the coach on how long answers are: cut at the limit, drifting up to it, or shrinking to nothing."""

from __future__ import annotations

import math
from statistics import NormalDist

from core.training.advice import Finding, Mend
from core.training.coach_record import Record
from core.training.coach_words import began, learning_rate, of_ten, pull, setting
from core.training.fields import label
from core.training.preflight_rules import longer_limit

MOST_CUT = 0.75
"""The embedded model, untrained, has up to 60 % of its answers cut in the demo, and still learns to stop in time
(measured). With three of four cut, a group of eight has two whose answer can be seen."""
MANY_CUT, PATIENCE = 0.5, 20
"""Where half of them are still cut after so many steps, it has not learned that: the demo needs 12."""
NEARLY_ALL_CUT = 0.9
"""Then hardly one answer of a group of eight is seen whole."""
FEW_CUT = 0.25
"""What a run that drifts up to the limit has left behind."""
DRIFT = 1.15
"""By how much answers must have grown to call it a drift; runs that learn well kept within a tenth, or got shorter."""
NEAR_LIMIT = 0.75
"""A mean length this close to the limit means that the longest answers are cut there."""
HARDLY_CUT = 0.05
"""How many answers a longer limit may still cut."""
PAID = 0.25
"""Share of valid answers: where fewer earn anything, it is not the reward that makes them long."""
SHRUNK, VERY_SHORT = 0.5, 32
"""The demo's answers shrink to two thirds, and to 28 tokens, while it learns to stop in time. A model that rambles at
first may well halve its answers; in 32 tokens, of which the tags take a dozen, there is no room left for reasons."""

A_FEW_TOKENS = 4
_MULTIPLE = 8


def truncation(record: Record) -> Finding | None:
    """Most answers are cut before they have ended."""
    share, limit = record.recent("truncated"), record.config.train.max_completion_length
    if not share >= (MOST_CUT if record.step < PATIENCE else MANY_CUT):
        return None
    unread = 1 - record.recent("well_formed")
    before = f" before </{record.config.prompt.tags.answer}>" if unread >= share / 2 else ""
    longer = wanted_limit(limit, share, record.recent("ended_tokens"))
    return Finding(
        "truncation",
        "stop" if share >= NEARLY_ALL_CUT else "warning",
        f"{began(of_ten(share))} {_is(share)} cut at {limit} tokens{before}: raise "
        f"{label('train.max_completion_length')} to {longer}. "
        "An answer without its end cannot be judged, so the model learns nothing from it but to be short.",
        (setting("train.max_completion_length", longer),),
    )


def wanted_limit(limit: int, share: float, ended: float) -> int:
    """A limit that would cut hardly any answer, as far as the lengths tell.

    Lengths are taken to scatter normally. Two things are known of them: a share is longer than the limit, and the mean
    of the others. That gives their mean and deviation, and the length that `HARDLY_CUT` of them exceed.

    Args:
        share: of the answers that are cut.
        ended: mean length of the others, in tokens; NaN when hardly any has ended.

    >>> wanted_limit(42, 0.65, 38), wanted_limit(128, 0.9, 100), wanted_limit(16, 1.0, math.nan)
    (56, 256, 32)
    """
    most = longer_limit(limit, share)
    if share >= 1 or not ended < limit:
        return most
    standard = NormalDist()
    cut_at = standard.inv_cdf(1 - share)  # the limit, in deviations from the mean
    deviation = (limit - ended) / (cut_at + standard.pdf(cut_at) / standard.cdf(cut_at))
    wanted = limit + (standard.inv_cdf(1 - HARDLY_CUT) - cut_at) * deviation
    return min(most, math.ceil(wanted / _MULTIPLE) * _MULTIPLE)


def _is(share: float) -> str:
    return "are" if 0.05 < share < 0.95 else "is"


def length_up(record: Record) -> Finding | None:
    """Answers have grown until the limit cuts them."""
    limit = record.config.train.max_completion_length
    length = record.change("completion_tokens", least=0.1 * limit)
    cut = record.change("truncated", least=MANY_CUT / 2)
    if not (length.rose and length.after >= DRIFT * length.before and length.after >= NEAR_LIMIT * limit):
        return None
    if not (cut.rose and cut.before <= FEW_CUT and record.recent("valid") >= PAID):
        return None
    return Finding(
        "length_up",
        "warning",
        f"Answers grow: {length.before:.0f} tokens at the start, {length.after:.0f} now, and {of_ten(cut.after)} "
        f"{_is(cut.after)} cut at {limit}. The reward seems to pay for length; look at the longest answers before you "
        "give them more room.",
        _against_length(record),
    )


def _against_length(record: Record) -> tuple[Mend, ...]:
    """Dr. GRPO divides every answer by the same length, so that long bad answers are not let off lightly (Liu et al.
    2025); the pull to the base model keeps lengths near its own."""
    train = record.config.train
    fair = (Mend("Loss dr_grpo", {"train.loss_type": "dr_grpo"}),) if train.loss_type == "grpo" else ()
    longer = setting("train.max_completion_length", longer_limit(train.max_completion_length, MANY_CUT))
    return (*fair, pull(record.config), longer)


def length_down(record: Record) -> Finding | None:
    """Answers have become so short that they can hardly say anything."""
    length = record.change("completion_tokens", least=A_FEW_TOKENS)
    if not (length.fell and length.after <= min(SHRUNK * length.before, VERY_SHORT)):
        return None
    shortest = record.recent("shortest")
    least = f", the shortest {shortest:.0f}" if math.isfinite(shortest) else ""
    return Finding(
        "length_down",
        "warning",
        f"Answers shrink: {length.before:.0f} tokens at the start, {length.after:.0f} now{least}. Read some of them: "
        "if they no longer say enough, the reward pays for brevity, or the learning rate drives the model too hard.",
        (learning_rate(record.config, 1 / 3),),
    )
