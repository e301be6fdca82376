"""Whose word is taken for who asks."""

from __future__ import annotations

from typing import Any

import pytest
import streamlit as st

from core.access.ways import IDENTITY
from core.errors import ConfigError
from studio.proxy_header import ADDRESSES, REWRITING, ProxyHeader, proxies
from tests.build_async import run_apart

Pair = tuple[bytes, bytes]


def passed_on(sender: str, *more: Pair, kind: str = "websocket") -> list[Pair]:
    """The headers that reach the studio when `sender` says that it asks for Ada."""
    seen: list[Pair] = []

    async def studio(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(scope["headers"])

    scope = {"type": kind, "client": (sender, 4711), "headers": [(b"Remote-User", b"ada"), (b"host", b"x"), *more]}
    run_apart(ProxyHeader(studio)(scope, None, None))  # type: ignore[arg-type]
    return seen


def believed(sender: str, *more: Pair, kind: str = "websocket") -> bool:
    return any(name.lower() == b"remote-user" for name, _ in passed_on(sender, *more, kind=kind))


@pytest.fixture(autouse=True)
def behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(IDENTITY, "proxy")
    monkeypatch.delenv(ADDRESSES, raising=False)
    monkeypatch.delenv(REWRITING, raising=False)
    monkeypatch.setattr(st, "get_option", {"server.address": "0.0.0.0"}.__getitem__)


@pytest.mark.parametrize("kind", ["websocket", "http"])
def test_without_a_proxy_nobody_is_believed_and_all_else_is_passed_on(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(IDENTITY, "local")
    assert passed_on("127.0.0.1", kind=kind) == [(b"host", b"x")]


def test_where_no_address_is_named_everybody_who_reaches_the_studio_is_the_proxy() -> None:
    assert believed("10.0.0.5")


@pytest.mark.parametrize(
    ("sender", "expected"), [("10.0.0.5", True), ("10.1.200.3", True), ("::ffff:10.0.0.5", True), ("10.0.0.6", False)]
)
def test_only_the_named_addresses_are_believed(sender: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADDRESSES, "10.0.0.5, 10.1.0.0/16")
    assert believed(sender) is expected


def test_an_address_that_the_request_names_itself_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADDRESSES, "10.0.0.5")
    forged = (b"x-forwarded-for", b"10.0.0.5")
    assert not believed("10.0.0.5", forged)  # the web server may have put it there
    monkeypatch.setenv(REWRITING, "")
    assert believed("10.0.0.5", forged)  # it may not, so the sender is who it seems


def test_a_server_of_this_machine_alone_is_asked_by_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(st, "get_option", {"server.address": "127.0.0.1"}.__getitem__)
    monkeypatch.setenv(ADDRESSES, "127.0.0.1")
    assert believed("192.0.2.7", (b"x-forwarded-for", b"192.0.2.7"))
    monkeypatch.setenv(ADDRESSES, "10.0.0.5")
    assert not believed("10.0.0.5", (b"x-forwarded-for", b"10.0.0.5"))


def test_addresses_that_are_none_are_named_and_nobody_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADDRESSES, "proxy.local")
    assert not believed("10.0.0.5")
    with pytest.raises(ConfigError, match="is wrong"):
        proxies()
