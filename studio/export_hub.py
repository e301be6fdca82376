"""The view Publish of the Export page: what would go to the Hugging Face Hub, and the upload."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.errors import ConfigError, StudioError
from core.export.hub import (
    KIND,
    TOKEN_VARIABLE,
    environment_token,
    may_add,
    push_records,
    push_task,
    start_push,
)
from core.export.hub_look import DryRun, dry_run
from core.export.hub_plan import Plan, PushRequest, make_plan, make_push_request, refuse_drift
from core.export.request import FORM_TITLES, Form
from core.jobs.tasks import Task
from core.paths import Home
from core.runs.files import Size
from studio import access, data_tasks, export_progress, export_state, forms, live, output, settings, state
from studio.export_open import Opened

_TOKEN = "export.hub.token"
_FORM = "export.hub"


def draw(home: Home, found: Opened, running: bool) -> None:
    """The form, what would go, and where it went before."""
    if running or not found.made:
        st.info("An export can be published when its forms are made.", icon=":material/hourglass_empty:")
        return
    task = push_task(home, found.export)
    if task is not None and task.status().live:
        live.refreshing(_under_way, settings.REFRESH_SECONDS, task)
        _records(found)
        return
    if _blocked(found):
        return
    request = _request(found)
    if request is not None:
        _planned(home, found, request)
    data_tasks.explain(task, KIND, "What has arrived is not sent again: publish once more to go on.")
    if task is not None and task.status().state != "finished":
        export_progress.log(task)
    _records(found)


def _under_way(task: Task) -> None:
    """The bar; the page is drawn again when the upload has ended."""
    status = task.status()
    if not status.live:
        st.rerun()
    with st.container(border=True):
        data_tasks.bar(task, status, export_progress.progress_text(status), "export.hub.stop")
        if status.total:
            st.caption(f"{Size(status.done, whole=True)} of {Size(status.total, whole=True)}")
        export_progress.log(task)


def _blocked(found: Opened) -> bool:
    """Say what keeps it from being published until somebody has read it; returns whether anything does."""
    try:
        refuse_drift(found.export)
    except StudioError as error:
        output.problem(error)
        st.button(
            "Read the comparison",
            icon=":material/compare:",
            key="export.hub.answers",
            on_click=export_state.show_view,
            args=(export_state.ANSWERS,),
        )
        return True
    return False


def _request(found: Opened) -> PushRequest | None:
    """What is entered; None while it is not enough, which is said."""
    left, right = st.columns([3, 2])
    with left:
        repository = forms.text(
            "Repository", "export.hub.repository", f"your-name/{found.export.slug}", "Owner and name on the Hub."
        )
    with right:
        chosen = st.multiselect(
            "Forms",
            list(found.made),
            default=list(found.made),
            format_func=FORM_TITLES.__getitem__,
            key=f"export.hub.forms.{found.id}.{len(found.made)}",
            help="Several forms can lie in one repository.",
        )
    with st.container(horizontal=True):
        private = st.toggle(
            "Private",
            key=state.begin("export.hub.private", True),
            help="Only you, or your organisation, can see it. It can be made public on the Hub later.",
        )
        may_exist = st.toggle(
            "The repository may be there already",
            key=state.begin("export.hub.may_exist", False),
            help="Otherwise an existing repository is left alone. Files of the same name get a new version, and other "
            "weights at its top are taken away; both stay in its history.",
        )
    _token()
    return _checked(found, repository, chosen, private, may_exist)


def _token() -> None:
    here = bool(environment_token())
    st.text_input(
        "Token",
        type="password",
        key=_TOKEN,
        autocomplete="new-password",
        placeholder=f"{TOKEN_VARIABLE} of the environment is used" if here else "hf_…",
        help="From the settings of your account on the Hub, with the right to write. It is handed to the upload and "
        "written nowhere; this field is emptied when the upload starts.",
    )


def _checked(
    found: Opened, repository: str, chosen: Sequence[Form], private: bool, may_exist: bool
) -> PushRequest | None:
    if not repository:
        st.caption("Name the repository to see what would go.")
        return None
    try:
        return make_push_request(
            export=found.id, repository=repository, forms=tuple(chosen), private=private, may_exist=may_exist
        )
    except ConfigError as error:
        output.problem(error)
        return None


def _planned(home: Home, found: Opened, request: PushRequest) -> None:
    """What would go, and the buttons; when files are not as they were made, why there are none."""
    try:
        plan = make_plan(found.export, request)
    except StudioError as error:
        output.problem(error)
        return
    for sentence in plan.warnings:
        output.warning(sentence)
    with st.expander(f"{len(plan.files)} files, {Size(plan.bytes, whole=True)}, would go"):
        _files(plan)
    with st.container(horizontal=True, vertical_alignment="center"):
        asked = access.button(
            "export.push",
            "Dry run",
            icon=":material/checklist:",
            key="export.hub.dry",
            help="Asks the Hub what it would find there. Nothing is sent or changed.",
        )
        access.button(
            "export.push",
            "Publish",
            icon=":material/cloud_upload:",
            type="primary",
            key="export.hub.publish",
            on_click=_publish,
            args=(home, found, request),
        )
    if asked:
        _ask(plan)
    problem = state.refusal(_FORM)
    if problem:
        output.problem(problem)


def _files(plan: Plan) -> None:
    st.dataframe(
        pd.DataFrame(
            {
                "File": [file.path for file in plan.files],
                "Bytes": [file.bytes for file in plan.files],
                "SHA-256": [file.sha256 for file in plan.files],
            }
        ),
        hide_index=True,
        key="export.hub.files",
        alt="Files that would be sent",
        column_config={"File": output.WIDE_TEXT, "SHA-256": st.column_config.TextColumn(width="medium")},
    )


def _given_token() -> str:
    return (state.value(_TOKEN) or "").strip() or environment_token()


def _ask(plan: Plan) -> None:
    """Say what the Hub has there already."""
    try:
        with st.spinner("Asking the Hub"):
            answer = dry_run(plan, _given_token())
    except StudioError as error:
        output.problem(error)
        return
    st.info(output.escape(dry_run_words(plan, answer)), icon=":material/checklist:")


def dry_run_words(plan: Plan, answer: DryRun) -> str:
    """What the Hub has there already, in sentences; text from outside."""
    request = plan.request
    privacy = "private" if request.private else "public"
    told = [f"Signed in as {answer.account}."]
    if not answer.exists:
        told.append(f"{request.repository} would be made, {privacy}.")
    else:
        told.append(f"{request.repository} is there, {'private' if answer.private else 'public'}.")
        if not may_add(plan.export, request):
            told.append("Publishing is refused unless you allow that it may be there already.")
    if answer.there:
        told.append(f"{len(answer.there)} files are there already and are not sent again.")
    if answer.replaced:
        told.append(f"{len(answer.replaced)} files are there with another content and would get a new version.")
    if answer.removed:
        told.append(
            f"{', '.join(answer.removed)} would be taken away, since programs would load it instead of what is sent. "
            "It stays in the repository's history."
        )
    told.append(f"{Size(answer.bytes, whole=True)} would be sent.")
    return " ".join(told)


def _publish(home: Home, found: Opened, request: PushRequest) -> None:
    """Start the upload and forget the token. A callback."""
    try:
        start_push(home, found.export, request, _given_token())
    except StudioError as error:
        state.refuse(_FORM, str(error))
        return
    state.accept(_FORM)
    state.put(_TOKEN, "")


def _records(found: Opened) -> None:
    """Where it went, or was begun to go."""
    for record in push_records(found.export):
        with st.container(horizontal=True, vertical_alignment="center"):
            state_words = "Published" if record.commit else "Begun, not whole"
            output.labelled(f"{state_words} · {'private' if record.private else 'public'}", record.url)
