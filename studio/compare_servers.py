"""The models that are kept in memory for answers: what they hold, since when they rest, and a button to let go."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from core.access.starters import starter_of
from core.errors import StudioError
from core.models import EMBEDDED
from core.paths import Home
from core.serving import servers
from core.serving.server import SCORES, Server, State
from core.text import duration
from studio import access, live, output, settings, state
from studio.words import Colour

_OPEN, _FORM = "compare.servers", "compare.servers.stop"
_STATES: Mapping[State, tuple[str, Colour]] = {
    "loading": ("Loading", "orange"),
    "ready": ("Ready", "green"),
    "failed": ("Failed", "red"),
    "stopped": ("Stopped", "gray"),
}
_GIB = 2**30


def button(home: Home) -> None:
    """The button behind which the models in memory are listed; looked at only while it is open."""
    with st.popover("Models in memory", icon=":material/memory:", key=_OPEN, on_change="rerun", width="content"):
        if state.value(_OPEN):
            live.refreshing(_listed, settings.LIST_REFRESH_SECONDS, home)


def _listed(home: Home) -> None:
    found = servers.servers(home)
    st.caption(
        "A model that has answered stays in memory for some minutes, so that the next answer begins at once. It is "
        "let go by itself when nobody asks it any more, and before a training run starts."
    )
    if not found:
        st.write("No model is in memory.")
    for server in found:
        _one(server)
    problem = state.refusal(_FORM)
    if problem:
        output.problem(problem)


def _one(server: Server) -> None:
    label, colour = _STATES[server.state]
    with st.container(border=True):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(f"**{output.escape(_title(server))}**")
            st.badge(label, color=colour)
        if server.error:
            output.problem(server.error)
        st.caption(output.escape(" · ".join(_facts(server))))
        if server.live:
            access.button(
                "compare.stop",
                "Stop",
                icon=":material/stop_circle:",
                key=f"compare.stop.{server.task.id}",
                owner=starter_of(server.task.folder),
                help="Gives its memory back. It is loaded again when it is asked.",
                on_click=_stop,
                args=(server,),
            )


def _facts(server: Server) -> list[str]:
    held, idle = server.memory_bytes(), server.seconds_idle
    loading = server.state == "loading"
    return [
        *([_loading(server)] if loading else []),
        *([f"{held / _GIB:.1f} GiB of memory"] if held else []),
        *([f"idle for {duration(idle)}"] if idle and not loading else []),
    ]


def _title(server: Server) -> str:
    """What a server keeps: the models that score, or a base model with its adapters."""
    if server.model == SCORES:
        return "Models that score answers"
    embedded = EMBEDDED.get(server.model)
    return embedded.title if embedded else server.model


def _loading(server: Server) -> str:
    share = f", {server.done / server.total:.0%}" if server.total else ""
    return f"{server.phase or 'starting'}{share}"


def _stop(server: Server) -> None:
    try:
        servers.stop(server)
    except StudioError as error:
        state.refuse(_FORM, str(error))
        return
    state.accept(_FORM)
