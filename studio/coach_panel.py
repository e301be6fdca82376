"""The coach on the page of a run: what its numbers say, and for each mend a button that clones the run with it."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from core.config import RunConfig
from core.runs.run import Run
from core.training.advice import Finding, Level, Mend
from core.training.coach import LOOKS_AT, STARTS_WITH
from core.training.coach_reader import advise
from studio import output, state, words
from studio.feed import RunFeed, feed_of

_BADGES: Mapping[Level, words.Badge] = {
    "ok": words.Badge("Coach", "green", ":material/check_circle:"),
    "warning": words.Badge("Coach: worth a look", "orange", ":material/lightbulb:"),
    "stop": words.Badge("Coach: needs a change", "red", ":material/front_hand:"),
}
_HELP = "Opens the form for a new run with this run's settings and this change; this run stays as it is."


def draw(run: Run, config: RunConfig) -> None:
    """What the coach says of the run: a card for each finding, one line when all is well, nothing before enough steps.

    Args:
        config: as the run was started.
    """
    found = _findings(feed_of(run), config)
    if [finding.level for finding in found] == ["ok"]:
        _quiet(found[0])
        return
    for finding in found:
        _card(run, finding)


def _findings(feed: RunFeed, config: RunConfig) -> list[Finding]:
    metrics = [*feed.earliest(STARTS_WITH), *feed.newest(LOOKS_AT)]
    return advise(config, metrics, feed.validations, {change.step: change.weights for change in feed.changes})


def _quiet(finding: Finding) -> None:
    badge = _BADGES[finding.level]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(badge.label, icon=badge.icon, color=badge.colour)
        st.caption(output.escape(finding.message), width="stretch")


def _card(run: Run, finding: Finding) -> None:
    badge = _BADGES[finding.level]
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge(badge.label, icon=badge.icon, color=badge.colour)
            st.text(finding.message, width="stretch")
        if finding.mends:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.caption("Clone with this change", width="content")
                for number, mend in enumerate(finding.mends):
                    _button(run, mend, f"coach.{finding.name}.{number}")


def _button(run: Run, mend: Mend, key: str) -> None:
    if st.button(output.escape(mend.label), icon=":material/content_copy:", key=key, help=_HELP):
        state.open_clone(run.id, mend.changes)
        st.rerun()
