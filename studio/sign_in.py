"""What somebody sees who has not signed in, and what is missing so that people are told apart."""

from __future__ import annotations

from importlib.util import find_spec

import streamlit as st

from core.access.policy import policy_problem
from core.paths import Home
from studio import identity, output


def draw(reason: identity.SignInNeeded) -> None:
    """The way to sign in, in the place of a page."""
    st.title("GRPO Studio", anchor=False)
    lacking = _lacking()
    if lacking:
        output.problem(lacking)
        return
    st.write(output.escape(str(reason)))
    st.button("Sign in", type="primary", icon=":material/login:", key="sign_in", on_click=_sign_in)


def warn(home: Home) -> None:
    """Say above every page why people may do less than they should: nobody is told apart, or the list is broken."""
    missing, broken = identity.missing(), policy_problem(home)
    if missing:
        output.warning(
            "This studio does not know who you are, so you can only look, compare and vote. If you need to do more, "
            "ask whoever runs this studio."
        )
        with st.popover("For whoever runs this studio", type="tertiary", key="identity.missing"):
            st.write(missing)
    if broken:
        output.warning(broken)


def _lacking() -> str:
    """What signing in with accounts needs and is not there; empty when all is."""
    if not identity.has_accounts():
        return (
            "People are to sign in with accounts, but Streamlit's secrets have no section auth. Whoever runs the "
            "studio adds it to .streamlit/secrets.toml."
        )
    if find_spec("authlib") is None:
        return "Signing in needs the package Authlib. Whoever runs the studio installs it with: make install"
    return ""


def _sign_in() -> None:
    st.login()


def sign_out() -> None:
    """Callback: forget who is signed in in this browser."""
    st.logout()
