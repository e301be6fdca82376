"""Questions that forms on several pages ask in the same way."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from studio import state


def choice(
    label: str,
    options: list[str],
    key: str,
    titles: dict[str, str] | None = None,
    show_label: bool = True,
    default: str | None = None,
    on_change: Callable[[], None] | None = None,
) -> str:
    """A row of options of which exactly one is chosen, at first the default or else the first."""
    shown = titles or {}
    if state.value(key) not in options:
        state.put(key, default or options[0])
    return str(
        st.segmented_control(
            label,
            options,
            required=True,
            label_visibility="visible" if show_label else "collapsed",
            key=key,
            format_func=lambda option: shown.get(option, option),
            on_change=on_change,
            wrap=True,
            persist_state="session",
        )
    )


def text(label: str, key: str, placeholder: str, note: str, value: str = "", max_chars: int | None = None) -> str:
    """A line of text without spaces around it, at first `value`; no more than `max_chars` can be typed."""
    written = st.text_input(
        label,
        max_chars=max_chars,
        key=state.begin(key, value),
        placeholder=placeholder,
        help=note or None,
        persist_state="session",
    )
    return (written or "").strip()
