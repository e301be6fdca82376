"""The page of whoever is signed in: as whom, what they may do, and the way out."""

from __future__ import annotations

import streamlit as st

from core.access.actors import Actor, Source
from core.access.permissions import PERMISSIONS, permitted
from studio import output, sign_in

_ROLES = {
    "viewer": "You may look at everything, compare answers and vote.",
    "editor": "You may prepare data, train, evaluate and export.",
    "admin": "You may do everything, also delete, publish and change who may do what.",
}
_KNOWN: dict[Source, str] = {
    "local": "You work on the machine itself.",
    "proxy": "The sign-in service in front of the studio says who you are.",
    "oidc": "You have signed in with the account of your organisation.",
    "command line": "You started the studio.",
    "job": "A job works for you.",
}


def draw(actor: Actor) -> None:
    """Who is signed in and what their role lets them do, with every single action in a fold."""
    with st.container(horizontal=True, gap="large"):
        output.labelled("Name", actor.name)
        output.labelled("Role", actor.role)
    st.caption(f"{_KNOWN[actor.source]} {_ROLES[actor.role]}")
    if actor.source == "oidc":
        st.button("Sign out", icon=":material/logout:", key="sign_out", on_click=sign_in.sign_out)
    allowed = [one.words for name, one in PERMISSIONS.items() if permitted(actor, name)]
    refused = [(one.words, one.role) for name, one in PERMISSIONS.items() if not permitted(actor, name)]
    if refused:
        st.write("If you need to do more, ask an admin of this studio to give you another role.")
    with st.expander("Everything you may and may not do", key="account.all"):
        left, right = st.columns(2, gap="large")
        left.subheader("You may", anchor=False)
        left.markdown("\n".join(f"- {words}" for words in allowed))
        if refused:
            right.subheader("You may not", anchor=False)
            right.markdown("\n".join(f"- {words} (needs {role})" for words, role in refused))
