"""Under which names, and from which pages, the studio lets itself be asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from core.errors import ConfigError
from studio import borders as module
from studio.borders import BorderGuard, Borders, borders

PUBLIC = "https://studio.example.org"
LISTED = {"GRPO_STUDIO_ALLOWED_ORIGINS": f" {PUBLIC}:443/ , http://other.example.org:8080"}
PROXY = {"GRPO_STUDIO_TRUSTED_PROXY": "1"}


def _scope(host: str = "", origin: str | None = None, kind: str = "websocket", method: str = "GET") -> dict[str, Any]:
    headers = [(b"host", host.encode("latin-1"))] if host else []
    headers += [] if origin is None else [(b"origin", origin.encode("latin-1"))]
    return {"type": kind, "method": method, "path": "/", "headers": headers}


def _let_in(environment: Mapping[str, str], address: str = "127.0.0.1", **request: Any) -> bool:
    return not borders(address, environment).fault(_scope(**request))


@pytest.mark.parametrize("host", ["localhost:8501", "127.0.0.1:8501", "[::1]:8501", "LOCALHOST"])
def test_this_machine_is_let_in_by_its_own_names(host: str) -> None:
    assert _let_in({}, host=host, origin=f"http://{host}")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8501", "127.0.0.1.evil.example", "", "[", "a@127.0.0.1", "127.0.0.1:x"]
)
def test_a_name_that_was_made_to_point_here_is_refused(host: str) -> None:
    assert not _let_in({}, host=host, origin=f"http://{host}")
    assert not _let_in({}, host=host, kind="http")


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "http://127.0.0.1:3000", "http://localhost:8501", "null", "", "http://[", f"{PUBLIC}.evil"],
)
def test_a_page_of_somebody_else_opens_no_socket_and_uploads_nothing(origin: str) -> None:
    request = {"host": "127.0.0.1:8501", "origin": origin}
    assert not _let_in(LISTED, **request)
    assert not _let_in(LISTED, **request, kind="http", method="PUT")


def test_another_page_may_link_here() -> None:
    assert _let_in({}, host="127.0.0.1:8501", origin="https://intranet.example", kind="http")


@pytest.mark.parametrize("host", ["127.0.0.1:8501", "studio.example.org"])
def test_a_listed_origin_is_let_in_whatever_the_proxy_makes_of_the_name(host: str) -> None:
    assert _let_in(LISTED, host=host, origin=PUBLIC)


@pytest.mark.parametrize("environment", [PROXY, {"GRPO_STUDIO_IDENTITY": "proxy"}])
def test_behind_a_trusted_proxy_any_name_will_do_but_not_any_page(environment: Mapping[str, str]) -> None:
    assert _let_in(environment, host="app.example.org", origin="https://app.example.org")
    assert not _let_in(environment, host="app.example.org", origin="https://evil.example")


@pytest.mark.parametrize("address", ["0.0.0.0", "", "127.0.0.1"])
def test_whoever_counts_as_the_one_user_of_a_machine_asks_by_its_names(address: str) -> None:
    own = {"GRPO_STUDIO_IDENTITY": "local", **PROXY}
    assert _let_in(own, address, host="localhost:8501", origin="http://localhost:8501")
    assert not _let_in(own, address, host="evil.example:8501", origin="http://evil.example:8501")
    assert not _let_in(own, address, host="evil.example:8501", kind="http")
    assert _let_in({**own, **LISTED}, address, host="studio.example.org", origin=PUBLIC)


def test_a_server_on_all_addresses_is_asked_by_any_name() -> None:
    assert _let_in({}, address="0.0.0.0", host="box.example.org:8501", origin="http://box.example.org:8501")


@pytest.mark.parametrize(
    "listed", ["*", "studio.example.org", "https://a.example/path", "https://u:p@a.example", "x y"]
)
def test_what_is_no_origin_is_named_by_its_variable_and_not_repeated(listed: str) -> None:
    with pytest.raises(ConfigError, match="GRPO_STUDIO_ALLOWED_ORIGINS") as error:
        borders("127.0.0.1", {"GRPO_STUDIO_ALLOWED_ORIGINS": listed})
    assert listed not in str(error.value)


async def _answered(monkeypatch: pytest.MonkeyPatch, scope: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """What the application behind the guard saw, and what the browser was sent."""
    seen, sent = list[Any](), list[Any]()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    monkeypatch.setattr(module, "borders", lambda address: Borders(frozenset({PUBLIC}), frozenset({"127.0.0.1"})))
    await BorderGuard(application)(scope, receive, send)
    return seen, sent


@pytest.mark.anyio
async def test_who_is_refused_does_not_reach_the_application(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, sent = await _answered(monkeypatch, _scope("127.0.0.1", "https://evil.example"))
    assert not seen
    assert [message["type"] for message in sent] == ["websocket.close"]


@pytest.mark.anyio
async def test_behind_a_proxy_the_application_sees_the_name_that_the_browser_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen, _ = await _answered(monkeypatch, _scope("127.0.0.1", PUBLIC))
    assert dict(seen[0]["headers"])[b"host"] == b"studio.example.org"


@pytest.mark.anyio
async def test_no_other_site_may_show_the_studio_in_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    _, sent = await _answered(monkeypatch, _scope("127.0.0.1", kind="http"))
    headers = dict(sent[0]["headers"])
    assert headers[b"content-security-policy"] == f"frame-ancestors 'self' {PUBLIC}".encode()
    assert headers[b"x-content-type-options"] == b"nosniff"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
