"""The view Set up of the Export page: whose model, in which forms, what that takes, and the start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import streamlit as st

from core.config import RunConfig
from core.errors import StudioError
from core.export.disk import DiskNeed, needed_bytes
from core.export.quantiser import cannot_quantise
from core.export.request import FORM_TITLES, FORMS, ExportRequest, Form, make_export_request
from core.export.store import create_export
from core.export.task import start_export
from core.export.unsloth import cannot_use_unsloth, offered_forms
from core.paths import Home
from core.runs.files import Size
from core.runs.lines import present_lines
from core.runs.run import find_run, list_runs
from core.serving.candidates import Candidate, candidates_of
from core.training.setting_checks import lacks
from studio import access, export_state, forms, navigation, output, state, this_machine
from studio.export_words import FORM_NOTES

_FORM, _TITLE = "export.setup", "export.title"
_QUESTIONS = "export.questions"
_USUAL: tuple[Form, ...] = ("adapter", "gguf_q8_0")
_CHECKPOINTS = {"": "The final state", "best": "The best on validation"}


def draw(home: Home) -> None:
    """The three steps; the last two are not there while no model is."""
    offered = _offered(home)
    if not offered:
        st.info("There is no trained model yet. Train one first; every run keeps its model.", icon=":material/info:")
        if st.button("Train a model", type="primary", key="export.train"):
            st.switch_page(navigation.TRAIN.path, query_params=state.new_run_query())
        return
    st.subheader("1 · Which model", anchor=False)
    run, checkpoint = _model(home, offered)
    st.subheader("2 · In which forms", anchor=False)
    sizes = _sizes(home, run, checkpoint)
    if sizes is None:
        return
    chosen = _forms(home, find_run(home, run).config(), sizes)
    st.subheader("3 · Check and start", anchor=False)
    questions = _questions()
    _start_row(home, run, checkpoint, chosen, questions)
    problem = state.refusal(_FORM)
    if problem:
        output.problem(problem)


def _offered(home: Home) -> dict[str, list[Candidate]]:
    """The adapters of each run that has one, by its id, the newest run first; archived runs are left out."""
    found = {}
    for line in present_lines(list_runs(home)):
        if line.label.archived or line.config is None:
            continue
        with suppress(StudioError):  # a run that is damaged says so where it is looked at
            adapters = [one for one in candidates_of(line.run) if one.kind == "adapter"]
            if adapters:
                found[line.run.id] = adapters
    return found


def _model(home: Home, offered: Mapping[str, Sequence[Candidate]]) -> tuple[str, str]:
    """The run and the checkpoint that are chosen."""
    titles = {line.run.id: line.title for line in present_lines(list_runs(home))}
    left, right = st.columns([3, 2])
    with left:
        run = export_state.run_selector(
            {name: f"{titles[name]} · {name}" if titles.get(name) else name for name in offered}
        )
    with right:
        checkpoint = export_state.checkpoint_selector(
            {one.checkpoint: _CHECKPOINTS.get(one.checkpoint, f"Step {one.checkpoint}") for one in offered[run]}
        )
    st.caption(f"Trained from {output.escape(offered[run][0].model)}")
    return run, checkpoint


def _sizes(home: Home, run: str, checkpoint: str) -> Mapping[Form, int] | None:
    """About how large each form will be, empty where that cannot be told; None for a model that cannot be exported."""
    try:
        need = needed_bytes(home, make_export_request(run=run, checkpoint=checkpoint, forms=FORMS))
    except StudioError as error:
        output.problem(error)
        return None
    return need.forms if need else {}


def _forms(home: Home, config: RunConfig, sizes: Mapping[Form, int]) -> tuple[Form, ...]:
    """The forms that are ticked, of those that a run with these settings may have."""
    machine, offered = this_machine.inspected(home), offered_forms(config)
    reasons = {form: cannot_quantise(form) or cannot_use_unsloth(form, machine) for form in offered}
    reasons["merged_4bit"] = lacks(machine, "bitsandbytes", "Merged, 4 bits")
    with st.container(border=True, gap="small"):
        return tuple(form for form in offered if _tick(form, sizes.get(form), reasons[form]))


def _tick(form: Form, size: int | None, reason: str) -> bool:
    """One form; returns whether it is ticked.

    Args:
        reason: why it cannot be made here; empty when it can.
    """
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        with st.container(gap=None, width="stretch"):
            ticked = st.checkbox(
                f"**{FORM_TITLES[form]}**",
                key=state.begin(f"export.form.{form}", form in _USUAL),
                disabled=bool(reason),
                persist_state="session",
            )
            st.caption(output.escape(reason) if reason else FORM_NOTES[form])
        if size is not None:
            st.text(f"about {Size(size, whole=True)}", width="content")
    return ticked and not reason


def _questions() -> int:
    """On how many questions the forms are held against the model that was trained."""
    with st.container(horizontal=True, vertical_alignment="center"):
        questions = st.number_input(
            "Questions",
            1,
            100,
            key=state.begin(_QUESTIONS, 8),
            persist_state="session",
            width=140,
            help="More questions take longer and show rarer differences.",
        )
        st.caption(
            "Each file is loaded by the program that will run it and asked so many questions that were never trained "
            "on. That finds a lost chat template, a lost stop sign or too coarse rounding before a reader does."
        )
    return int(questions)


def _start_row(home: Home, run: str, checkpoint: str, chosen: tuple[Form, ...], questions: int) -> None:
    need, problem = None, "Choose at least one form."
    if chosen:
        request = make_export_request(run=run, checkpoint=checkpoint, forms=chosen, questions=questions)
        need, problem = _need(home, request)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        note = "What lists and files call it."
        title = forms.text("Name", _TITLE, f"{run}", note, max_chars=200)
        started = access.button(
            "export.create",
            "Start",
            icon=":material/play_arrow:",
            type="primary",
            key="export.start",
            disabled=bool(problem),
        )
    if problem:
        st.caption(f":material/error: {output.escape(problem)}")
    elif need:
        st.caption(
            f"About {Size(need.total, whole=True)} in the end, at most {Size(need.peak, whole=True)} while it is made; "
            f"{Size(need.free, whole=True)} are free. It goes on when you close the page."
        )
    if started and chosen:
        _start(home, request.model_copy(update={"title": title}))


def _need(home: Home, request: ExportRequest) -> tuple[DiskNeed | None, str]:
    """What it takes, where that can be told, and why it cannot be started."""
    try:
        need = needed_bytes(home, request)
    except StudioError as error:
        return None, str(error)
    if need is None or need.fits:
        return need, ""
    return need, (
        f"It needs about {Size(need.peak, whole=True)} of disk while it is made, and {Size(need.free, whole=True)} are "
        "free. Free some space, or choose fewer forms."
    )


def _start(home: Home, request: ExportRequest) -> None:
    """Make the export's folder, start its task and open it."""
    try:
        export = create_export(home, request)
    except StudioError as error:
        state.refuse(_FORM, str(error))
        st.rerun()
    export_state.open_export(export.id)
    try:
        start_export(home, export)
    except StudioError as error:
        state.refuse(export.id, str(error))
    state.accept(_FORM)
    state.forget(_TITLE)
    st.rerun()
