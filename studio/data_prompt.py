"""The third step of the Data page: what stands before every question, and exactly what the chosen model reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import streamlit as st

from core.chat import Rendered
from core.config import PromptConfig, Tags
from core.data.draft import Draft, changed_fields
from core.data.tables import Table
from core.errors import ConfigError, ModelError, StudioError
from core.paths import Home
from core.prompts import PROMPTS, check_prompt, make_tags, messages
from studio import data_draft, data_model, output, state
from studio.data_preview import AsTrained

_PREVIEW_HEIGHT = 560
_EDITOR_HEIGHT = 210


@dataclass(frozen=True)
class Reading:
    """What a model reads of one row, or why that cannot be told."""

    rendered: Rendered | None
    merged: bool
    problem: str


def problem(home: Home, draft: Draft) -> str | None:
    """Why this prompt cannot be used with this model; None when it can."""
    try:
        check_prompt(draft.prompt)
        data_model.opened(home, draft.model)
    except StudioError as error:
        return str(error)
    return None


def read(home: Home, draft: Draft, question: str) -> Reading:
    """The whole prompt of a question as the chosen model reads it."""
    try:
        chat = data_model.opened(home, draft.model)
        return Reading(chat.render(messages(draft.prompt, question)), chat.system_role == "merged", "")
    except ModelError as error:
        return Reading(None, False, str(error))


def editor(table: Table, draft: Draft) -> None:
    """Model, preset, system prompt, tags, worked examples, the beginning of an answer, and limits."""
    data_model.choose(table, draft)
    _preset(table, draft)
    _system(table, draft)
    left, right = st.columns(2)
    with left:
        _tag(table, draft, "reasoning")
    with right:
        _tag(table, draft, "answer")
    reason = state.refusal(_tags_form(table))
    if reason is not None:
        output.problem(reason)
    try:
        check_prompt(draft.prompt)
    except ConfigError as error:
        output.problem(error)
    _examples(table, draft)
    _prefill(table, draft)
    left, right = st.columns(2)
    with left:
        _limit(
            table, draft, "max_prompt_length", "Longest prompt", "Rows with a longer prompt are left out of training."
        )
    with right:
        _limit(
            table, draft, "max_completion_length", "Longest completion", "What the model may write, reasoning included."
        )


def preview(home: Home, draft: Draft, row: AsTrained | None) -> None:
    """What the model reads for one row: special tokens marked, tokens counted, what is over the limit shown."""
    if row is None:
        st.caption("Choose a row above to see its prompt.")
        return
    reading = read(home, draft, row.question)
    st.markdown(f"**What the model reads for row {row.row}**")
    if reading.rendered is None:
        output.problem(reading.problem)
        st.caption("The prompt is kept all the same; choose a model whose tokenizer can be had to see it here.")
        return
    _count(reading.rendered, draft.max_prompt_length)
    if reading.merged:
        st.info(
            "This model's chat template has no place for a system prompt, so its text stands in front of the first "
            "question. Training does the same.",
            icon=":material/info:",
        )
    for message in reading.rendered.altered:
        output.warning(f"The chat template changes or drops the text of a {message['role']} message.")
    marked, plain = st.tabs(["Special tokens marked", "As one text"])
    with marked:
        with st.container(height=_PREVIEW_HEIGHT, border=True, gap="xxsmall", key="prompt_pieces"):
            _pieces(reading.rendered)
        st.caption("↵ marks a line break. The model goes on behind the last character.")
    with plain:
        st.code(reading.rendered.text, language=None, height=_PREVIEW_HEIGHT, wrap_lines=True)


def _count(rendered: Rendered, limit: int) -> None:
    cut = rendered.cut(limit)
    if cut is None:
        st.badge(f"{rendered.tokens} tokens, within the limit of {limit}", icon=":material/check:", color="green")
        return
    st.badge(
        f"{rendered.tokens} tokens, {cut.tokens} over the limit of {limit}", icon=":material/content_cut:", color="red"
    )
    output.warning(
        "Nothing is cut in training: a row whose prompt is over the limit is left out. This would be too much:"
    )
    st.code(cut.beyond, language=None, height=120, wrap_lines=True)


def with_breaks(text: str) -> str:
    """`text` with a mark at the end of each line, since a browser shows neither the last break nor blanks before it.

    >>> with_breaks("user\\nWhy?\\n")
    'user↵\\nWhy?↵'
    """
    return text.replace("\n", "↵\n").removesuffix("\n")


def _pieces(rendered: Rendered) -> None:
    """Each special token as a badge, with the text up to the next one beside it."""
    line = st.container()
    for piece in rendered.pieces:
        if piece.special:
            line = st.container(horizontal=True, wrap=False, gap="xsmall")
            line.badge(output.escape(piece.text), color="violet", help="A special token: a mark of the model's own.")
        else:
            line.text(with_breaks(piece.text), width="stretch")


def preset_of(prompt: PromptConfig) -> str | None:
    """The preset that a prompt is, whatever its tags are called; None when somebody has changed it."""
    same = (
        name
        for name, preset in PROMPTS.items()
        if (preset.prompt.system, preset.prompt.examples) == (prompt.system, prompt.examples)
    )
    return next(same, None)


def _preset(table: Table, draft: Draft) -> None:
    key, chosen = f"{table.id}.preset", preset_of(draft.prompt)
    state.show(key, chosen)
    st.segmented_control(
        "Prompt",
        list(PROMPTS),
        format_func=_preset_title,
        key=key,
        help="A preset replaces the system prompt and the worked examples; the tag names stay.",
        on_change=_keep_preset,
        args=(table,),
    )
    st.caption(PROMPTS[chosen].note if chosen else "Your own: changed from a preset.")


def _preset_title(name: str) -> str:
    return PROMPTS[name].title


def _keep_preset(table: Table) -> None:
    name = state.value(f"{table.id}.preset")
    if name:
        preset = PROMPTS[name].prompt
        data_draft.change(table, {"prompt.system": preset.system, "prompt.examples": preset.examples})


def _system(table: Table, draft: Draft) -> None:
    key = f"{table.id}.system"
    state.show(key, draft.prompt.system)
    st.text_area(
        "System prompt",
        key=key,
        height=_EDITOR_HEIGHT,
        help="{reasoning} and {answer} stand for the two tag names. Click outside to see the change beside it.",
        on_change=_keep_system,
        args=(table,),
    )


def _keep_system(table: Table) -> None:
    data_draft.change(table, {"prompt.system": state.value(f"{table.id}.system") or ""})


def _tag(table: Table, draft: Draft, part: Literal["reasoning", "answer"]) -> None:
    key = f"{table.id}.tag.{part}"
    state.show(key, getattr(draft.prompt.tags, part), _tags_form(table))
    st.text_input(
        f"{part.capitalize()} tag",
        key=key,
        help=f"The model writes its {part} between <…> and </…> of this name.",
        on_change=_keep_tags,
        args=(table, draft.prompt.tags),
    )


def _tags_form(table: Table) -> str:
    return f"{table.id}.tags"


def _keep_tags(table: Table, seen: Tags) -> None:
    reasoning, answer = (state.value(f"{table.id}.tag.{part}") or "" for part in ("reasoning", "answer"))
    try:
        changed = changed_fields(seen, make_tags(reasoning, answer))
        data_draft.change(table, {f"prompt.tags.{part}": name for part, name in changed.items()})
    except ConfigError as error:
        state.refuse(_tags_form(table), str(error))
        return
    state.accept(_tags_form(table))


def _examples(table: Table, draft: Draft) -> None:
    examples = draft.prompt.examples
    if not examples:
        st.caption("No worked examples: small models write the tags only when they have seen them.")
        return
    with st.expander(f"Worked examples ({len(examples)})", icon=":material/school:"):
        for number, example in enumerate(examples):
            output.labelled(f"Question {number + 1}", example.question)
            output.labelled("Reasoning", example.reasoning)
            output.labelled("Answer", example.answer)
            st.button(
                "Remove this example",
                icon=":material/close:",
                key=f"{table.id}.example.{number}",
                on_click=data_draft.remove_example,
                args=(table, example),
            )


def _prefill(table: Table, draft: Draft) -> None:
    key, tag = f"{table.id}.prefill", f"<{draft.prompt.tags.reasoning}>"
    state.show(key, draft.prompt.prefill)
    st.checkbox(
        f"Begin the model's answer with {output.escape(tag)}",
        key=key,
        help="The opening tag is written for the model, which goes on behind it. It helps a model that never begins "
        "with the tag. The tag counts as part of every answer, but the model learns only from what it wrote itself, "
        "so it has to be written for it wherever the trained model is used.",
        on_change=_keep_prefill,
        args=(table,),
    )


def _keep_prefill(table: Table) -> None:
    data_draft.change(table, {"prompt.prefill": bool(state.value(f"{table.id}.prefill"))})


def _limit(table: Table, draft: Draft, field: str, label: str, note: str) -> None:
    key = f"{table.id}.{field}"
    state.show(key, getattr(draft, field))
    st.number_input(
        f"{label}, in tokens",
        16 if field == "max_prompt_length" else 8,
        1_000_000,
        step=8,
        key=key,
        help=note,
        on_change=_keep_limit,
        args=(table, field),
    )


def _keep_limit(table: Table, field: str) -> None:
    data_draft.change(table, {field: int(state.value(f"{table.id}.{field}"))})
