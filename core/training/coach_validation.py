"""Rules of the coach on what the reward is worth: whether it rises for good answers or for a trick."""

from __future__ import annotations

import math

import numpy as np

from core.config import COMPONENTS, JUDGE
from core.reward.verdicts import component_title
from core.training.advice import Finding, Mend
from core.training.coach_record import WINDOW, Change, Record, Series, change
from core.training.coach_words import learning_rate, pull, setting

RISE = 0.05
"""What the training reward must have gained before its gain is suspected."""
FALL = 0.05
"""What must have been lost on questions that are always the same; the cosine of unrelated texts varies by as much."""
FEWEST = 4
"""Validations that are needed: two for the start and two for now."""
SAME_FORM = 0.15
"""Answers without tags are judged as a whole, tags and all; similarities are compared between steps at which about as
many answers were well-formed as now."""
LOST_FORM = 0.2
"""Any good answer has the form that the prompt asks for; runs that learn well have more of them from step to step."""
MANY_PASSES = 5
"""How often a question may come up before its answer is learned by heart; one to three passes are usual."""
CARRIED_OVER = 0.5
"""What is learned of few questions should help with others at least half as much as with themselves."""
ONE_SIDED = 2.0
"""So many standard errors above what was measured lies only one in forty."""
_VALIDATE_EVERY = 10
_HELD_OUT = " on the validation questions"
_UNKNOWN = Change(math.nan, math.nan, sure=False)
_TRUSTED = (COMPONENTS[0], JUDGE)
"""What compares an answer with the truth: the similarity with its reference, and the judge. A model can please the
other components without being right."""


def overfit(record: Record) -> Finding | None:
    """The training reward rises on a few questions, and that of the validation questions does not follow."""
    rows, train = record.config.train.train_rows, record.config.train
    if rows is None or record.step * train.prompts_per_step / rows < MANY_PASSES:
        return None
    training, held = record.change("reward", RISE), _validated(record, "reward")
    carried_over = held.after - held.before + ONE_SIDED * held.error  # at most
    if not (training.rose and carried_over < CARRIED_OVER * (training.after - training.before)):
        return None
    return Finding(
        "overfit",
        "warning",
        f"The model learns its {rows} training questions by heart: their reward went from {training.before:.2f} to "
        f"{training.after:.2f}, that of the validation questions from {held.before:.2f} to {held.after:.2f}."
        f"{_best(record)}",
        (Mend("Train on all rows", {"train.train_rows": None}), *_stop_earlier(record)),
    )


def hacking(record: Record) -> Finding | None:
    """The training reward rises while what it should stand for falls."""
    training = record.change("reward", RISE)
    if not training.rose:
        return None
    rise = f"The training reward rose from {training.before:.2f} to {training.after:.2f}"
    held = _validated(record, "reward")
    if held.fell:
        fall = f"on the validation questions it fell from {held.before:.2f} to {held.after:.2f}"
        return _suspicion(record, f"{rise}, but {fall}.{_best(record)}", _stop_earlier(record))
    for name in _TRUSTED:
        truth, where = _truth(record, name)
        if truth.fell:
            fall = f"{component_title(name)}{where} fell from {truth.before:.2f} to {truth.after:.2f}"
            return _suspicion(record, f"{rise}, but {fall}.")
    form, where = _form(record)
    if form.fell:
        fall = f"well-formed answers{where} fell from {form.before:.0%} to {form.after:.0%}"
        return _suspicion(record, f"{rise}, but {fall}.")
    return None


def _suspicion(record: Record, said: str, mends: tuple[Mend, ...] = ()) -> Finding:
    return Finding(
        "hacking",
        "warning",
        f"{said} The model may have found a trick that pays: read its best answers, and mend the reward before you "
        "train on.",
        (*_watch(record), *mends, pull(record.config), learning_rate(record.config, 1 / 3)),
    )


def _best(record: Record) -> str:
    """Which adapter is kept; it is chosen by the weights of the start, which changed ones say nothing of."""
    best = max(record.validations, key=lambda v: v.reward, default=None)
    if best is None or record.reweighed:
        return ""
    return f" The adapter that did best in validation, of step {best.step}, is kept."


def _watch(record: Record) -> tuple[Mend, ...]:
    """Validation shows a trick on questions that are always the same."""
    return () if record.config.train.validate_every else (setting("train.validate_every", _VALIDATE_EVERY),)


def _stop_earlier(record: Record) -> tuple[Mend, ...]:
    """As many steps as led to the best validation reward."""
    best = max(record.validations, key=lambda v: v.reward, default=None)
    return (setting("train.steps", best.step),) if best is not None and 0 < best.step < record.step else ()


def _validated(record: Record, name: str) -> Change:
    """How a number of the validations has changed."""
    return _few(np.array([getattr(v, name) for v in record.validations], dtype=np.float64))


def _form(record: Record) -> tuple[Change, str]:
    """How the share of well-formed answers has changed, and where; as `_truth`."""
    if _is_validated(record):
        return _validated(record, "well_formed"), _HELD_OUT
    return record.change("well_formed", LOST_FORM), ""


def _is_validated(record: Record) -> bool:
    return len(record.validations) >= FEWEST


def _few(values: Series) -> Change:
    if len(values) < FEWEST:
        return _UNKNOWN
    return change(values, FALL, window=max(2, len(values) // 3))


def _truth(record: Record, name: str) -> tuple[Change, str]:
    """How a trusted component has changed, and where: on the validation questions where there are enough of them, else
    on those of the training steps."""
    if _is_validated(record):
        formed = np.array([v.well_formed for v in record.validations])
        scores = np.array([v.components.get(name, math.nan) for v in record.validations])
        return _few(scores[formed >= formed[-1] - SAME_FORM]), _HELD_OUT
    formed, now = record.series("well_formed"), record.recent("well_formed")
    scores = np.array([m.components.get(name, math.nan) for m in record.metrics])
    alike = scores[np.abs(formed - now) <= SAME_FORM]
    return (change(alike, FALL) if len(alike) >= 2 * WINDOW else _UNKNOWN), ""
