"""Widgets that only some may use: dimmed for the others, with the reason as their help.

The core refuses as well; these only say beforehand what it would say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO

import streamlit as st

from core.access import audit
from core.access.actors import Actor, bound
from core.access.permissions import Action, allow, why_not
from core.errors import AccessDenied
from core.paths import Home
from core.serving.candidates import Candidate, allow_candidates
from studio import output, settings


@dataclass(frozen=True)
class Offer:
    """How a widget is offered to whoever looks.

    Attributes:
        disabled: whether it cannot be used.
        help: its help text, or why they may not use it.
    """

    disabled: bool
    help: str | None


def needs(action: Action, disabled: bool = False, help: str | None = None, owner: Actor | None = None) -> Offer:
    """How a widget that does `action` is offered.

    Args:
        disabled: whether there is nothing to be done for anybody.
        help: what it says to those who may use it.
        owner: who made what it acts on, and may do it whatever their role.
    """
    reason = why_not(action, owner)
    return Offer(True, output.escape(reason)) if reason else Offer(disabled, help)


def asking(home: Home, candidates: Iterable[Candidate], help: str | None = None) -> Offer:
    """How a widget is offered that asks these models; `help` as in `needs`."""
    try:
        allow_candidates(home, dict.fromkeys(candidates))
    except AccessDenied as error:
        return Offer(True, output.escape(str(error)))
    return Offer(False, help)


def button(
    action: Action,
    label: str,
    *,
    key: str,
    disabled: bool = False,
    help: str | None = None,
    owner: Actor | None = None,
    **options: Any,
) -> bool:
    """`st.button` for something that only some may do; `owner` as in `needs`."""
    offer = needs(action, disabled, help, owner)
    return st.button(label, key=key, disabled=offer.disabled, help=offer.help, **options)


def download_button(
    label: str,
    make: Callable[[], bytes | str | BinaryIO],
    *,
    subject: str,
    key: str,
    file_name: str,
    action: Action = "file.download",
    **options: Any,
) -> bool:
    """`st.download_button` for those who may take files out of the studio; each time goes into the audit log.

    Args:
        make: makes what is downloaded when it is clicked.
        subject: what it belongs to, for the audit log: the id of a comparison, an evaluation, a run.
        action: what they must be allowed to do.
    """

    def made() -> bytes | str | BinaryIO:
        allow(action)
        content = make()
        audit.record(settings.open_home(), "file.download", subject, file=file_name)
        return content

    offer = needs(action, help=options.pop("help", None))
    # The server calls it when the browser asks for the file, in a thread that belongs to no session.
    content = made if offer.disabled else bound(made)
    return st.download_button(
        label, content, file_name=file_name, key=key, disabled=offer.disabled, help=offer.help, **options
    )


def refuse(action: Action) -> bool:
    """Whether whoever looks may not do `action`, which is then said."""
    reason = why_not(action)
    if reason:
        st.info(output.escape(reason), icon=":material/lock:")
    return bool(reason)
