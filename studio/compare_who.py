"""Who answers on the Compare page: chosen from what is there, or added by folder, file or address."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import streamlit as st

from core.errors import StudioError
from core.paths import Home
from core.runs.run import Run
from core.serving.adapter_files import CONFIG
from core.serving.candidates import Candidate, candidates_of, offered, parse_candidate
from studio import access, compare_names, compare_state, forms, navigation, output, state
from studio.compare_open import Opened
from studio.navigation import Entry

MOST = 8
_WHERE, _MODEL, _GGUF, _URL, _REMOTE = (
    "compare.add.where",
    "compare.add.model",
    "compare.add.gguf",
    "compare.add.url",
    "compare.add.remote",
)
_LOCAL, _FILE, _ADDRESS = "Model", "GGUF file", "Remote service"
_ADD = "compare.add"
_SENT = "The question and the prompt are sent to that service. Do not use it with patient data unless you may."


def choose(home: Home, opened: Opened | None) -> list[Candidate]:
    """The row in which is chosen who answers; returns them in the order of their columns.

    Args:
        opened: what is open; those who answered it are chosen while nobody has chosen others.
    """
    everybody = offered(home)
    current, problems = _current(home, opened, everybody)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        listed = list(dict.fromkeys([*everybody, *current]))
        titles = dict(zip(map(str, listed), compare_names.names(home, listed), strict=True))
        compare_state.picker(titles, [str(candidate) for candidate in current], MOST)
        _add_button(home, current)
    for problem in problems:
        output.problem(problem)
    return current


def _current(home: Home, opened: Opened | None, everybody: Sequence[Candidate]) -> tuple[list[Candidate], list[str]]:
    """Who the address names, else who answered what is open, else the newest trained model beside its base; and why
    somebody who is named is not there."""
    found, problems = [], []
    for name in compare_state.chosen():
        try:
            found.append(parse_candidate(name, home))
        except StudioError as error:
            problems.append(str(error))
    problems = list(dict.fromkeys(problems))
    if found or problems or compare_state.chose_nobody():
        return found, problems
    return (list(opened.request.candidates) if opened else first_pair(everybody)), []


def first_pair(everybody: Sequence[Candidate]) -> list[Candidate]:
    """The first trained model with the model it was trained from; with no trained model the first there is."""
    trained = next((candidate for candidate in everybody if candidate.kind == "adapter"), None)
    if trained is None:
        return list(everybody[:1])
    base = (one for one in everybody if one.kind == "model" and one.model == trained.model)
    return [*islice(base, 1), trained]


def compare_button(run: Run, key: str) -> None:
    """A button that opens the Compare page with a run's model beside the model it was trained from."""
    note = "Asks the model before and after training the same questions, side by side."
    _pair_button(run, key, "Compare with the base model", navigation.COMPARE, note)


def evaluate_button(run: Run, key: str) -> None:
    """A button that opens the set-up of an evaluation of a run's model against the model it was trained from."""
    note = "Tells on test questions whether the model after training is better, with judges, intervals and a report."
    _pair_button(run, key, "Evaluate", navigation.EVALUATE, note)


def _pair_button(run: Run, key: str, label: str, page: Entry, note: str) -> None:
    """A button that opens a page with a run's model and its base model chosen.

    Nothing for a run that is live, whose memory a model server would want, or that has saved no adapter yet.
    """
    saved = run.checkpoint_steps() or (run.adapter / CONFIG).is_file()
    if run.status().live or not saved:
        return
    if not st.button(label, icon=page.icon, key=key, help=note):
        return
    try:
        pair = first_pair(candidates_of(run))
    except StudioError as error:
        output.problem(error)
        return
    st.switch_page(page.path, query_params=compare_state.query([str(one) for one in pair], run.id))


def _add_button(home: Home, current: Sequence[Candidate]) -> None:
    offer = access.needs("compare.add")
    with st.popover(
        "Add a model",
        icon=":material/add:",
        key=compare_state.ADD_OPEN,
        on_change="rerun",
        disabled=offer.disabled,
        help=offer.help,
    ):
        if offer.disabled:
            return
        where = forms.choice("Where it is", [_LOCAL, _FILE, _ADDRESS], _WHERE, show_label=False)
        if where == _LOCAL:
            st.text_input(
                "Folder or Hugging Face id",
                key=_MODEL,
                placeholder="/models/my-model or Qwen/Qwen2.5-0.5B-Instruct",
                help="A folder with safetensors weights, such as a merged model that was exported.",
            )
        elif where == _FILE:
            st.text_input("Path of the file on this machine", key=_GGUF, placeholder="/models/my-model.gguf")
        else:
            st.text_input("Address", key=_URL, placeholder="https://api.openai.com/v1")
            st.text_input("Name of the model there", key=_REMOTE, placeholder="gpt-4o-mini")
            st.caption(f"Any OpenAI-compatible service; its key comes from the environment. {_SENT}")
        st.button(
            "Add", type="primary", key="compare.add.yes", on_click=_add, args=(home, where, tuple(map(str, current)))
        )
        problem = state.refusal(_ADD)
        if problem:
            output.problem(problem)


def _add(home: Home, where: str, current: tuple[str, ...]) -> None:
    """Add the model that is entered to those who answer, or say why not."""
    texts = {key: (state.value(key) or "").strip() for key in (_MODEL, _GGUF, _URL, _REMOTE)}
    name = {
        _LOCAL: f"model:{texts[_MODEL]}",
        _FILE: f"gguf:{texts[_GGUF]}",
        _ADDRESS: f"endpoint:{texts[_URL]}#{texts[_REMOTE]}",
    }[where]
    if len(current) >= MOST:
        state.refuse(_ADD, f"{MOST} answer already. Take one of them away first.")
        return
    try:
        added = str(parse_candidate(name, home))
    except StudioError as error:
        state.refuse(_ADD, str(error))
        return
    state.accept(_ADD)
    state.forget(_MODEL, _GGUF, _URL, _REMOTE)
    compare_state.choose([*current, added])
    state.put(compare_state.ADD_OPEN, False)
