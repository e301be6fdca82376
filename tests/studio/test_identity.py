"""Who is signed in: by the machine, by a proxy, by an account; and nobody by mistake."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import streamlit as st
from streamlit.runtime.context import StreamlitHeaders

from core.access.actors import Actor, current_actor, system_user
from core.access.policy import ADMINS_VARIABLE
from core.access.ways import IDENTITY, TRUSTED_PROXY
from core.errors import AccessDenied, ConfigError
from core.paths import Home
from studio import identity
from studio.identity import TRUSTED_ADDRESSES, SignInNeeded, alone, browser_mark, from_proxy, missing, way, who

Server = Callable[..., None]


@pytest.fixture
def server(home: Home, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Pretends that a request with these headers came to a server that listens on an address."""
    monkeypatch.delenv(IDENTITY, raising=False)
    monkeypatch.delenv(TRUSTED_PROXY, raising=False)

    def pretend(address: str = "127.0.0.1", account: dict[str, Any] | None = None, **headers: str) -> None:
        found = [(name.replace("_", "-"), value) for name, value in headers.items()]
        monkeypatch.setattr(type(st.context), "headers", StreamlitHeaders(found))
        monkeypatch.setattr(st, "get_option", {"server.address": address}.__getitem__)
        monkeypatch.setattr(type(st.user), "to_dict", lambda _: account or {})

    return pretend


def test_whoever_sits_at_the_machine_is_an_admin(server: Server) -> None:
    server(host="localhost:8501")
    assert who() == Actor(system_user().name, "admin", "local")
    assert missing() == ""


@pytest.mark.parametrize("address", ["", "0.0.0.0", "::", "10.0.0.7"])
def test_where_others_can_reach_the_studio_everybody_is_viewer_until_it_is_said_how_they_are_known(
    server: Server, address: str
) -> None:
    server(address, host="localhost:8501")
    assert who().role == "viewer"
    assert IDENTITY in missing()


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "studio.example.org"},
        {"host": "localhost:8501", "x_forwarded_for": "10.0.0.7"},
        {"host": "localhost:8501", "forwarded": "for=10.0.0.7"},
    ],
)
def test_a_proxy_that_nobody_has_declared_makes_nobody_an_admin(server: Server, headers: dict[str, str]) -> None:
    server(**headers)
    assert who().role == "viewer"


def test_a_container_can_be_told_that_it_has_one_user(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(IDENTITY, "local")
    server("0.0.0.0", host="studio.example.org")
    assert (who().role, alone()) == ("admin", True)


def test_the_proxy_says_who_somebody_is_and_the_list_what_they_may(
    server: Server, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TRUSTED_PROXY, "1")
    monkeypatch.setenv(ADMINS_VARIABLE, "ada")
    (home.root / "access.toml").write_text('editors = ["ben"]\n')
    roles = {}
    for name in ("ada", "ben", "cleo"):
        server(remote_user=name)
        roles[name] = who().role
    assert roles == {"ada": "admin", "ben": "editor", "cleo": "viewer"}


@pytest.mark.parametrize("names", [[], [""], ["ada", "ben"]])
def test_a_proxy_that_names_nobody_or_several_lets_nobody_in(
    server: Server, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server()
    monkeypatch.setenv(IDENTITY, "proxy")
    monkeypatch.setattr(type(st.context), "headers", StreamlitHeaders([("remote-user", name) for name in names]))
    with pytest.raises(AccessDenied, match="does not say who you are"):
        who()


@pytest.mark.parametrize("name", ["x" * 500, "a\u202eb"])
def test_a_name_that_cannot_be_read_is_refused(server: Server, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    server(remote_user=name)
    monkeypatch.setenv(IDENTITY, "proxy")
    with pytest.raises(AccessDenied, match="user name"):
        who()


def account(**changed: Any) -> dict[str, Any]:
    return {"is_logged_in": True, "email": "ada@clinic.org", "email_verified": True, "iat": time.time() - 60, **changed}


def test_an_account_is_known_by_its_address(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(IDENTITY, "oidc")
    server(account=account())
    assert who() == Actor("ada@clinic.org", "viewer", "oidc")


@pytest.mark.parametrize(
    "changed",
    [
        {"is_logged_in": False},
        {"iat": time.time() - 13 * 3600},
        {"email": None},
        {"email_verified": False},
        {"email_verified": None},
        {"email_verified": "false"},
    ],
)
def test_who_has_not_signed_in_lately_with_a_verified_address_is_asked_to(
    server: Server, changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(IDENTITY, "oidc")
    server(account=account(**changed))
    with pytest.raises(SignInNeeded):
        who()


def test_an_address_that_nobody_vouches_for_counts_only_where_that_was_said(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(IDENTITY, "oidc")
    monkeypatch.setenv(TRUSTED_ADDRESSES, "1")
    server(account=account(email_verified=None))
    assert who().name == "ada@clinic.org"
    server(account=account(email_verified=False))
    with pytest.raises(SignInNeeded):
        who()


@pytest.mark.parametrize("name", ["müller", "groß", "Ünal", "Zoà", "王芳", "ada"])
def test_a_name_arrives_as_the_proxy_wrote_it(server: Server, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(IDENTITY, "proxy")
    server(remote_user=name.encode().decode("latin-1"))
    assert who().name == name


def test_a_name_has_one_spelling_wherever_it_is_compared() -> None:
    assert from_proxy(["ada  ünal "]) == from_proxy(["ada \xc3\xbcnal"]) == "ada ünal"


def test_a_full_stop_behind_the_machines_name_makes_it_no_other(server: Server) -> None:
    server(host="localhost.:8501")
    assert who().role == "admin"


def test_a_way_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(IDENTITY, "ldap")
    with pytest.raises(ConfigError, match="local, proxy or oidc"):
        way()


def test_a_mark_of_a_browser_is_that_of_its_sign_in() -> None:
    first = browser_mark({"_streamlit_user": "a", "theme": "dark"})
    assert first == browser_mark({"_streamlit_user": "a"})
    assert first != browser_mark({"_streamlit_user": "b"})
    assert browser_mark({"theme": "dark"}) == ""


def test_outside_of_a_server_the_process_acts_for_who_started_it(home: Home) -> None:
    identity.require()
    assert current_actor() == system_user()
