"""The pre-flight in the form for a new run: a button, the progress, the figures, and what to change first."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace

import streamlit as st
from pydantic import ValidationError

from core.config import RunConfig
from core.errors import StudioError
from core.jobs.tasks import Task, newest_task
from core.paths import Home
from core.runs.difference import difference
from core.training import preflight_task
from core.training.preflight import PreflightResult, expected_seconds, is_measured, settings_hash, verdict
from core.training.preflight_rules import judge
from core.training.preflight_task import KIND
from core.training.preflight_words import figures
from studio import access, data_tasks, findings, output, state

_AGAIN = "If memory ran out, choose fewer prompts a step or shorter completions. Then try it again."
_COLUMNS = 2
_NAMED = 4
"""How many settings are named that are not those that were tried."""


def draw(home: Home, config: RunConfig) -> None:
    """Offer to try the run of the form, follow that, and show what came of it; found again after a reload.

    Args:
        config: the settings as they stand in the form.
    """
    own = newest_task(home, KIND, {"settings": settings_hash(config)})
    newest = newest_task(home, KIND, {})
    task = own or newest
    if newest is not None and newest.status().live:
        task = newest
        data_tasks.follow(newest)
    else:
        _button(home, config, "Try it again" if _found(own) else "Try it first (about a minute)")
        data_tasks.explain(own, KIND, _AGAIN)
    _result(task, config)


def _button(home: Home, config: RunConfig, label: str) -> None:
    access.button(
        "train.preflight",
        label,
        icon=":material/flight_takeoff:",
        key="preflight",
        width="stretch",
        help="Answers eight of your questions with this model and scores the answers, as the run would, without "
        "learning and without keeping anything. Then it says how long the run takes, whether it fits into memory, and "
        "what to change first.",
        on_click=_start,
        args=(home, config),
    )


def _start(home: Home, config: RunConfig) -> None:
    try:
        preflight_task.refuse(home, config)
    except StudioError as error:
        state.refuse(KIND, str(error))
        return
    data_tasks.start(home, KIND, preflight_task.arguments(config))


def _result(task: Task | None, config: RunConfig) -> None:
    """What a task has found out; about the form's settings as they are, or about others, which it then says."""
    found, tried = _found(task), _tried(task)
    if task is None or tried is None or not (found or task.status().live):
        return
    if settings_hash(tried) != settings_hash(config):
        _say_other_settings(tried, config, there=found is not None)
        if found is not None:
            _figures(found, tried)
    elif found is not None:
        _verdict(found, config)


def _found(task: Task | None) -> PreflightResult | None:
    """What a task has found out; None also when another version of the studio wrote it in another form."""
    with suppress(ValidationError):
        return preflight_task.result(task)
    return None


def _tried(task: Task | None) -> RunConfig | None:
    """The settings that a task tries; None also when another version of the studio wrote them in another form."""
    with suppress(StudioError):
        return None if task is None else preflight_task.asked(task)
    return None


def _say_other_settings(tried: RunConfig, config: RunConfig, there: bool) -> None:
    names = [row.label for row in difference(tried, config) if is_measured(row.path)]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    what = "The figures below belong" if there else "The pre-flight under way belongs"
    output.warning(f"{what} to other settings: {', '.join(names[:_NAMED])}{more} differ from the form.")


def _verdict(found: PreflightResult, config: RunConfig) -> None:
    judged = judge(found, config)
    said = verdict(judged, expected_seconds(found, config), time.time())
    wanted = [finding for finding in judged if finding.level != "ok"]
    if said.go:
        st.success(said.sentence, icon=":material/flight_takeoff:")
    else:
        findings.draw([replace(wanted.pop(0), message=said.sentence)], "preflight", state.apply)
    _figures(found, config)
    findings.draw(wanted, "preflight", state.apply)
    fine = [finding.message for finding in judged if finding.level == "ok"]
    if fine:
        with st.expander(f"{len(fine)} checks found nothing to change", icon=":material/check_circle:"):
            for message in fine:
                st.caption(output.escape(message))


def _figures(found: PreflightResult, config: RunConfig) -> None:
    cells = st.columns(_COLUMNS)
    for number, figure in enumerate(figures(found, config)):
        cells[number % _COLUMNS].metric(figure.label, figure.value, help=figure.help)
