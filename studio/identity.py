"""Who is signed in, and what they may do: asked anew for every session and every run of a page.

One of three ways, which `GRPO_STUDIO_IDENTITY` names:

- `local`: one person at this machine, who is an admin.
- `proxy`: a sign-in service in front of the studio names everybody in the header `Remote-User`; see
  `studio.proxy_header` for whose word is taken.
- `oidc`: people sign in here with their organisation's account (OpenID Connect), which names them by e-mail address.

Streamlit runs callbacks and the parts of a page without its main script, each time in a thread of its own. So the core
is given a function that reads the session of the thread that asks, and no session can act for another's user.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from functools import cache
from typing import Any, cast

import streamlit as st
from streamlit.runtime import exists
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core.access.actors import Actor, Role, Source, identify_with, system_user
from core.access.policy import role_of
from core.access.ways import IDENTITY, Way, way_in
from core.addresses import host_name, is_loopback
from core.content_hash import content_hash
from core.errors import AccessDenied, ConfigError, StudioError
from core.lab.vote_files import rater_name
from core.paths import HOME_VARIABLE, Home

TRUSTED_ADDRESSES = "GRPO_STUDIO_OIDC_TRUST_EMAIL"
"""The environment variable that is 1 where the sign-in does not say of an e-mail address that it was verified, but only
the organisation itself can give one to an account."""
USER_HEADER = "Remote-User"
"""The header in which such a proxy says it."""
_FORWARDED = ("X-Forwarded-For", "X-Forwarded-Host", "Forwarded")
"""Headers that only a proxy sends."""
_COOKIE = "_streamlit_user"
"""How the cookies begin in which Streamlit keeps who is signed in with an account."""
_SIGNED_IN_HOURS = 12.0
"""How long a sign-in with an organisation's account holds; Streamlit alone would take it for 30 days."""
EVERYBODY = "whoever opens this address"
"""The name of all whom nothing tells apart."""


class SignInNeeded(AccessDenied):
    """Whoever asks can sign in here."""


def require() -> None:
    """From now on nobody may do anything in this process without being known."""
    identify_with(_asking)


def _asking() -> Actor | None:
    """Whoever asks in this thread; None when nobody is known.

    Outside of a server there is nobody to tell apart: the process then acts for the user who started it.
    """
    if get_script_run_ctx(suppress_warning=True) is None:
        return None if exists() else system_user()
    try:
        return who()
    except StudioError:
        return None


def who() -> Actor:
    """Whose session this is.

    Raises:
        SignInNeeded: they have not signed in, or so long ago that they have to do it again.
        AccessDenied: the proxy does not say who they are.
        ConfigError: `GRPO_STUDIO_IDENTITY` names none of the ways.
    """
    chosen = way()
    if chosen == "proxy":
        return _known(from_proxy(st.context.headers.get_all(USER_HEADER)), "proxy")
    if chosen == "oidc":
        return _known(_from_account(), "oidc")
    if alone():
        return _known(system_user().name, "local")
    return Actor(EVERYBODY, "viewer", "local")


def way() -> Way:
    """How people are known here.

    Raises:
        ConfigError: `GRPO_STUDIO_IDENTITY` names none of the ways.
    """
    return way_in() or ("oidc" if has_accounts() else "local")


def named_by_secrets() -> bool:
    """Whether nothing says how people are known but the section `auth` of Streamlit's secrets."""
    return way_in() is None and has_accounts()


def has_accounts() -> bool:
    """Whether Streamlit's secrets say where people sign in."""
    return bool(st.secrets.load_if_toml_exists() and "auth" in st.secrets)


def tells_apart() -> bool:
    """Whether people sign in, each under a name of their own."""
    return way() != "local"


def alone() -> bool:
    """Whether whoever asks is the one person at this machine.

    It is so where that was said, and where the studio listens on this machine only and no proxy passes on what others
    ask. A container listens on all addresses, so there it has to be said.
    """
    if way_in() == "local":
        return True
    headers = st.context.headers
    passed_on = any(headers.get(name) for name in _FORWARDED)
    return listens_here_only() and not passed_on and is_loopback(host_name(headers.get("Host") or "localhost"))


def listens_here_only() -> bool:
    """Whether other machines cannot reach the studio but through a program on this one."""
    return is_loopback(str(st.get_option("server.address") or ""))


def missing() -> str:
    """What whoever runs the studio has to set so that people are told apart; empty when they are."""
    if way() != "local" or alone():
        return ""
    return (
        f"Set {IDENTITY}: proxy behind a sign-in service, oidc to sign in with "
        "accounts of your organisation, or local if nobody but you can reach it."
    )


def from_proxy(named: list[str]) -> str:
    """The name that the proxy gives, as `_readable` writes it.

    Args:
        named: the values of the header; several mean that somebody has added one.

    Raises:
        AccessDenied: there is none, or more than one, or it cannot be used.
    """
    if len(named) == 1 and named[0].strip():
        return _readable(_as_sent(named[0]))
    raise AccessDenied(
        "The sign-in service in front of the studio does not say who you are, so nothing can be shown. Open the studio "
        "through that service; if you did, tell whoever runs it that the header Remote-User does not arrive."
    )


def _from_account() -> str:
    """The e-mail address of the account that somebody has signed in with."""
    account = cast("dict[str, Any]", st.user.to_dict())
    if not account.get("is_logged_in"):
        raise SignInNeeded("Sign in with the account of your organisation.")
    since = account.get("iat")
    if isinstance(since, int | float) and time.time() - since > _SIGNED_IN_HOURS * 3600:
        raise SignInNeeded(f"You signed in more than {_SIGNED_IN_HOURS:.0f} hours ago. Sign in again.")
    address = account.get("email")
    if not isinstance(address, str) or not address.strip() or not _is_verified(account.get("email_verified")):
        raise SignInNeeded(
            "Your sign-in gives no verified e-mail address, by which the studio knows you. Use another account, or ask "
            "whoever runs this studio."
        )
    return address


def _is_verified(said: object) -> bool:
    """Whether an account's e-mail address is its owner's, by what the sign-in says about it.

    Where people can write any address into their account and the sign-in says nothing, an address proves nothing.
    """
    return said is True or (said is None and os.environ.get(TRUSTED_ADDRESSES) == "1")


def _known(name: str, source: Source) -> Actor:
    """The person of this name, with the role that they have here; raises as `_readable`."""
    kept = _readable(name)
    return Actor(kept, role_for(kept, source), source)


def _readable(name: str) -> str:
    """A user name in the one spelling in which it is kept.

    Raises:
        AccessDenied: it cannot be used.
    """
    try:
        return rater_name(name)
    except ConfigError as error:
        raise AccessDenied("Your user name is too long or holds characters that cannot be seen.") from error


def _as_sent(header: str) -> str:
    """What stands in a header: web servers read its bytes as Latin-1, while proxies write UTF-8.

    >>> _as_sent("mÃ¼ller"), _as_sent("müller"), _as_sent("ada")
    ('müller', 'müller', 'ada')
    """
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeError:  # a proxy that writes Latin-1 itself
        return header


def role_for(name: str, source: Source) -> Role:
    """What somebody may do now; it may have changed since they opened the page."""
    return role_of(_home(os.environ.get(HOME_VARIABLE)), name, source)


@cache
def _home(root: str | None) -> Home:
    """The home folder; opening it writes, which is too much for each question who somebody is."""
    return Home.open(root)


def browser_mark(cookies: Mapping[str, str]) -> str:
    """A mark of the browser that is signed in with an account, so that an address made for it is of no use elsewhere.

    It goes when they sign out. Empty where nobody signs in here.
    """
    signed = sorted((name, value) for name, value in cookies.items() if name.startswith(_COOKIE))
    return content_hash([part for pair in signed for part in pair]).hex() if signed else ""
