"""People and roles on the Administration page: how people are known, who has which role, and giving one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from core.access.actors import ROLES, Role, same_name
from core.access.policy import (
    ADMINS_VARIABLE,
    Policy,
    first_admins,
    grant,
    policy_file,
    read_policy,
    revoke,
)
from core.access.ways import Way, way_in
from core.errors import StudioError
from core.paths import Home
from studio import identity, output, proxy_header, state

_NAME, _ROLE, _LEAVING = "admin.name", "admin.role", "admin.leaving"
_FORM = "admin.people"
ROLE_WORDS: Mapping[Role, str] = {
    "viewer": "Viewer: looks, compares, votes",
    "editor": "Editor: also prepares data, trains, evaluates, exports",
    "admin": "Admin: also deletes, publishes, writes reward code, gives roles",
}
_WAYS: Mapping[Way, str] = {
    "local": "One person works on this machine; nobody signs in.",
    "proxy": "A sign-in service in front of the studio names everybody in the header Remote-User.",
    "oidc": "People sign in with an account of your organisation and are known by its e-mail address.",
}


def draw(home: Home) -> None:
    """How people are known, the list of them, and the forms that change it."""
    st.write(_WAYS[identity.way()])
    if _believes_everybody():
        output.warning(
            "The studio listens on all addresses and believes the header from everybody who reaches it. Set "
            f"{proxy_header.ADDRESSES} to the addresses of the proxy, or let nobody but the proxy reach the studio."
        )
    try:
        policy = read_policy(home)
    except StudioError:
        return  # said above every page
    output.texts(rows(policy), "admin.people.table")
    _give(home)
    _take(home, [name for role in ROLES for name in policy.names(role)])
    problem = state.refusal(_FORM)
    if problem:
        output.problem(problem)
    st.caption(output.escape(f"Kept in {policy_file(home)}. Changes hold from the next click of each person on."))


def rows(policy: Policy) -> Sequence[Mapping[str, str]]:
    """Everybody who is named, admins first, then all others."""
    by_environment = first_admins()
    named = [(name, role) for role in reversed(ROLES) for name in policy.names(role)]
    listed = [(name, role, "this list") for name, role in named if same_name(name) not in by_environment]
    listing = [(name, "admin", ADMINS_VARIABLE) for name in sorted(by_environment)]
    listing += [*listed, *((who, role, "the default") for who, role in _unnamed(policy))]
    return [{"Name": name, "Role": role, "Given by": by} for name, role, by in listing]


def _unnamed(policy: Policy) -> Sequence[tuple[str, Role]]:
    """Those whom nothing names, with their role.

    Where nobody signs in, whoever asks from elsewhere is told apart from the one person at this machine, unless the
    environment says that there is nobody else.
    """
    if identity.way() != "local":
        return [("everybody else", policy.default or "viewer")]
    here: tuple[str, Role] = ("whoever sits at this machine", policy.default or "admin")
    return [here] if way_in() == "local" else [here, ("everybody else", "viewer")]


def _believes_everybody() -> bool:
    """Whether whoever reaches the studio can say that they are somebody else."""
    named = os.environ.get(proxy_header.ADDRESSES, "").strip()
    return identity.way() == "proxy" and not named and not identity.listens_here_only()


def _give(home: Home) -> None:
    left, middle, right = st.columns([3, 4, 1], vertical_alignment="bottom")
    left.text_input("Name or e-mail address, as the sign-in gives it", key=_NAME, max_chars=254)
    middle.selectbox("Role", ROLES, key=_ROLE, format_func=ROLE_WORDS.__getitem__)
    right.button("Give", key="admin.give", type="primary", width="stretch", on_click=_given, args=(home,))


def _take(home: Home, named: Sequence[str]) -> None:
    if not named:
        return
    left, right = st.columns([7, 1], vertical_alignment="bottom")
    left.selectbox("Take a role away from", named, key=_LEAVING, index=None, placeholder="Choose a person")
    right.button("Take away", key="admin.take", width="stretch", on_click=_taken, args=(home,))


def _given(home: Home) -> None:
    name = str(state.value(_NAME) or "")
    if _tried(lambda: grant(home, name, state.value(_ROLE))):
        state.put(_NAME, "")


def _taken(home: Home) -> None:
    name = state.value(_LEAVING)
    if name is not None and _tried(lambda: revoke(home, name)):
        state.put(_LEAVING, None)


def _tried(change: Callable[[], object]) -> bool:
    """Whether a change could be made; the reason why not is shown below the forms."""
    try:
        change()
    except StudioError as error:
        state.refuse(_FORM, str(error))
        return False
    state.accept(_FORM)
    return True
