"""Typed access to what the studio remembers of a session: what is open, in the address, and what widgets hold.

What the Rewards page remembers stands in `studio.lab_state`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.data.tables import Table, find_table
from core.errors import ConfigError
from core.paths import Home
from core.runs.run import Run, find_run, list_runs

_RUN = "run"
"""The query parameter that names the open run, so that a reload finds it again."""
_NEW = "new"
_RUN_CHOICE = "run_choice"
_TABLE = "table"
"""The query parameter that names the open table."""
_IMPORT = "import"
"""The query parameter that names the task that makes a table."""
_DATA = "data"
"""The query parameter of the form for a new run that names a prepared data set."""
_CLONE = "clone"
"""The query parameter of the form for a new run that names the run whose settings it starts from."""
_CHANGES = "changes"
"""The query parameter beside it: what is to differ, a JSON object of values by dotted path."""
_FORM_WIDGETS = "form.widgets"
"""The keys of the widgets of the form for a new run, by the paths of their settings, as they were drawn last."""
_FORM_PENDING = "form.pending"
"""Changes of settings that the form has not taken up yet."""
_FORM_BESIDE = "form.beside"
"""Changes of settings for which the form has no widget, by what the form starts from."""
_REFUSED = "refused"
"""Why the last values of a form could not be kept, by the name of the form."""
_COMPARE = "compare"
"""The query parameter of the Runs page that names the runs that are compared, with commas between them."""


def run_query(run_id: str) -> dict[str, str]:
    """The query parameters of the Train page with this run open."""
    return {_RUN: run_id}


def new_run_query() -> dict[str, str]:
    """The query parameters of the Train page with the form for a new run."""
    return {_RUN: _NEW}


@dataclass(frozen=True)
class Clone:
    """What the address asks a new run to start from: the settings of a run, with changes by dotted path."""

    run_id: str
    changes: Mapping[str, Any]


def clone_query(run_id: str, changes: Mapping[str, Any]) -> dict[str, str]:
    """The query parameters of the Train page with the form for a new run that starts from another's settings."""
    return {**new_run_query(), _CLONE: run_id, _CHANGES: json.dumps(dict(changes))}


def open_clone(run_id: str, changes: Mapping[str, Any]) -> None:
    """Make the Train page show the form for a new run that starts from another's settings."""
    st.query_params.from_dict(clone_query(run_id, changes))


def wanted_clone() -> Clone | None:
    """What the address asks a new run to start from; None when it asks for nothing.

    Raises:
        ConfigError: the changes in the address are not a JSON object.
    """
    run_id = st.query_params.get(_CLONE)
    if not run_id:
        return None
    try:
        changes = json.loads(st.query_params.get(_CHANGES, "{}"))
    except ValueError:
        changes = None
    if not isinstance(changes, dict):
        raise ConfigError("The address names changes that cannot be read. Open the run and clone it again.")
    return Clone(run_id, changes)


def open_run(run: Run) -> None:
    """Make the Train page show this run from its next run on."""
    st.query_params.from_dict(run_query(run.id))


def open_new_run() -> None:
    """Make the Train page show the form for a new run."""
    st.query_params.from_dict(new_run_query())


def open_chosen_run() -> None:
    """Callback of the run selector."""
    st.query_params.from_dict(run_query(st.session_state[_RUN_CHOICE] or _NEW))


def chosen_run(home: Home) -> Run | None:
    """The run that the address names, or the newest live run, which the address then names; None for the form.

    Raises:
        RunError: the address names a run that is not there.
    """
    asked = st.query_params.get(_RUN)
    if asked == _NEW:
        return None
    if asked:
        return find_run(home, asked)
    live = next((run for run in list_runs(home) if run.status().live), None)
    if live:
        open_run(live)  # when it ends, the page must not turn into the form
    return live


def run_selector(titles: Mapping[str, str], current: Run | None) -> None:
    """A select box of runs that opens the one chosen.

    Args:
        titles: how each run is offered, by its id; the one that is open is among them.
    """
    st.session_state[_RUN_CHOICE] = None if current is None else current.id
    st.selectbox(
        "Run",
        list(titles),
        key=_RUN_CHOICE,
        index=None,
        format_func=titles.__getitem__,
        placeholder="Open a run",
        label_visibility="collapsed",
        on_change=open_chosen_run,
        width=300,
    )


def new_run_on(name: str) -> dict[str, str]:
    """The query parameters of the Train page with the form for a new run on a prepared data set."""
    return {**new_run_query(), _DATA: name}


def compare(run_ids: Sequence[str]) -> None:
    """Make the Runs page compare these runs from its next run on."""
    st.query_params[_COMPARE] = ",".join(run_ids)


def compared() -> tuple[str, ...]:
    """The runs that the address asks to compare, each once; none for the list of runs."""
    return tuple(dict.fromkeys(filter(None, st.query_params.get(_COMPARE, "").split(","))))


def close_comparison() -> None:
    """Make the Runs page list the runs again."""
    st.query_params.pop(_COMPARE, None)


def wanted_data() -> str | None:
    """The prepared data set that the address asks a new run to be trained on."""
    return st.query_params.get(_DATA)


def forget(*keys: str) -> None:
    """Make widgets start from their defaults when they are drawn next."""
    for key in keys:
        st.session_state.pop(key, None)


def drawn_before(key: str, ids: Sequence[str]) -> Sequence[str]:
    """Keep the ids of the lines of a table that is being drawn; returns those of the last time, which was clicked on.

    Args:
        key: of the table.
    """
    before: Sequence[str] = st.session_state.get(f"{key}.drawn", ids)
    st.session_state[f"{key}.drawn"] = ids
    return before


def open_table(table_id: str) -> None:
    """Make the Data page show this table from its next run on."""
    st.query_params.from_dict({_TABLE: table_id})


def close_table() -> None:
    """Make the Data page ask for a source again."""
    st.query_params.clear()


def chosen_table(home: Home) -> Table | None:
    """The table that the address names.

    Raises:
        DataError: it is not there.
    """
    asked = st.query_params.get(_TABLE)
    return find_table(home, asked) if asked else None


def open_import(task_id: str) -> None:
    """Make the Data page follow the task that makes a table."""
    st.query_params.from_dict({_IMPORT: task_id})


def chosen_import() -> str | None:
    """The task that the address names."""
    return st.query_params.get(_IMPORT)


def value(key: str) -> Any:
    """What the widget with this key holds; None when it was never drawn."""
    return st.session_state.get(key)


def show(key: str, kept: Any, form: str = "") -> None:
    """Make a widget hold what is kept on disk; while its form is refused it keeps what was entered."""
    if key not in st.session_state or refusal(form) is None:
        st.session_state[key] = kept


def start_with(key: str, first: Any) -> None:
    """Make a widget that has not been drawn before hold this."""
    if key not in st.session_state:
        st.session_state[key] = first


def refuse(form: str, reason: str) -> None:
    """Remember why what was entered in a form cannot be kept."""
    st.session_state.setdefault(_REFUSED, {})[form] = reason


def accept(form: str) -> None:
    """What is entered in a form has been kept."""
    st.session_state.setdefault(_REFUSED, {}).pop(form, None)


def refusal(form: str) -> str | None:
    """Why what is entered in a form cannot be kept; None when it has been."""
    reasons: dict[str, str] = st.session_state.get(_REFUSED, {})
    return reasons.get(form)


def begin(key: str, kept: Any) -> str:
    """Let a widget hold a value when it is drawn for the first time; returns its key."""
    if key not in st.session_state:
        st.session_state[key] = kept
    return key


def put(key: str, kept: Any) -> None:
    """Make a widget hold a value. Called before it is drawn, or from a callback."""
    st.session_state[key] = kept


def apply(changes: Mapping[str, Any]) -> None:
    """Change settings in the form for a new run when it is drawn next.

    Called from a callback, or before `st.rerun`; in a fragment followed by `st.rerun(scope="app")`.

    Args:
        changes: new values by dotted path, as a mend has them.
    """
    st.session_state[_FORM_PENDING] = {**st.session_state.get(_FORM_PENDING, {}), **changes}


def take_changes() -> dict[str, Any]:
    """The changes that the form has not taken up yet; it takes them now."""
    changes: dict[str, Any] = st.session_state.pop(_FORM_PENDING, {})
    return changes


def form_widgets() -> dict[str, str]:
    """The keys of the form's widgets by the paths of their settings. The form writes down those that it draws."""
    widgets: dict[str, str] = st.session_state.setdefault(_FORM_WIDGETS, {})
    return widgets


def changes_beside(prefix: str) -> dict[str, Any]:
    """Changes of settings for which the form has no widget.

    Args:
        prefix: how the keys of the form's widgets begin; a form that starts from something else has its own changes.
    """
    forms: dict[str, dict[str, Any]] = st.session_state.setdefault(_FORM_BESIDE, {})
    return forms.setdefault(prefix, {})


def chosen_row(table: Table) -> int | None:
    """The number of the row of a table that is looked at in full."""
    number: int | None = st.session_state.get(f"{table.id}.row")
    return number


def choose_row(table: Table, number: int) -> None:
    """Look at another row in full."""
    st.session_state[f"{table.id}.row"] = number


def looked_at(table: Table) -> tuple[int, str] | None:
    """The number of the finding whose mend's changes are shown, and that mend as JSON."""
    mend: tuple[int, str] | None = st.session_state.get(f"{table.id}.mend")
    return mend


def look_at(table: Table, number: int, mend: str) -> None:
    """Show what the mend of a finding changes."""
    st.session_state[f"{table.id}.mend"] = (number, mend)


def look_away(table: Table) -> None:
    """Show no mend's changes any more."""
    st.session_state.pop(f"{table.id}.mend", None)
