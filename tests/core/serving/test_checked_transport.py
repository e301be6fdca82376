"""To which machines a connection leads."""

from __future__ import annotations

import socket
from typing import Any

import httpx2
import pytest

from core.endpoints import may_connect
from core.serving import checked_transport
from core.serving.chat_completions import certificates, open_client
from core.serving.checked_transport import CheckedTransport, Forbidden, proxy_for
from tests.build_async import run_apart
from tests.build_endpoint import serving

HOSPITAL = "https://llm.hospital.example/v1"
NAMED = {"GRPO_STUDIO_ENDPOINTS": HOSPITAL}
OPENAI = "https://api.openai.com/v1"


@pytest.mark.parametrize(
    "machine",
    [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
        "fe80::1%eth0",
        "0.0.0.0",
        "::",
        "224.0.0.1",
    ],
)
def test_no_name_leads_to_where_a_cloud_hands_out_credentials(machine: str) -> None:
    assert not may_connect(HOSPITAL, machine, NAMED)
    assert not may_connect(OPENAI, machine, {})
    assert not may_connect("http://localhost:8000/v1", machine, {})


@pytest.mark.parametrize("machine", ["10.0.0.8", "192.168.1.4", "127.0.0.1", "::1", "::ffff:10.0.0.8", "fd12::8"])
def test_only_a_name_that_was_listed_leads_into_the_own_network(machine: str) -> None:
    assert may_connect(HOSPITAL, machine, NAMED)
    assert not may_connect(OPENAI, machine, {})


def test_the_environments_own_address_counts_as_listed() -> None:
    assert may_connect(HOSPITAL, "10.0.0.8", {"OPENAI_BASE_URL": f"{HOSPITAL}/"})


@pytest.mark.parametrize(
    "url", ["http://llm.hospital.example/v1", f"{HOSPITAL}/other", "https://llm.hospital.example:8443/v1"]
)
def test_an_address_that_only_resembles_a_listed_one_is_not_listed(url: str) -> None:
    assert not may_connect(url, "10.0.0.8", NAMED)


def test_public_machines_may_be_asked() -> None:
    assert may_connect(OPENAI, "162.159.140.245", {})


def test_this_machines_name_leads_nowhere_else() -> None:
    assert may_connect("http://localhost:8000/v1", "127.0.0.1", {})
    assert not may_connect("http://localhost:8000/v1", "93.184.216.34", {})


def test_an_address_that_was_listed_as_a_number_may_be_any() -> None:
    assert may_connect("http://169.254.10.1/v1", "169.254.10.1", {"GRPO_STUDIO_ENDPOINTS": "http://169.254.10.1/v1"})


def _resolve(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Have the resolver give one answer after the other; returns the names that it was asked for."""
    asked, coming = list[str](), iter(answers)

    async def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (machine, port)) for machine in next(coming)]

    monkeypatch.setattr(checked_transport.anyio, "getaddrinfo", getaddrinfo)
    return asked


def _post(url: str, environment: dict[str, str]) -> httpx2.Response:
    async def post() -> httpx2.Response:
        transport = CheckedTransport(url, certificates(), environment)
        async with httpx2.AsyncClient(transport=transport, trust_env=False) as client:
            return await client.post(f"{url}/chat/completions", json={})

    return run_apart(post())


def test_the_connection_goes_to_the_machine_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as server:
        url = server.url.replace("127.0.0.1", "llm.hospital.example")
        asked = _resolve(monkeypatch, ["127.0.0.1"])
        assert _post(url, {"GRPO_STUDIO_ENDPOINTS": url}).status_code == 200
        assert asked == ["llm.hospital.example"]


def test_a_machine_that_must_not_be_asked_is_never_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as server:
        url = server.url.replace("127.0.0.1", "api.example")
        _resolve(monkeypatch, ["127.0.0.1"])
        with pytest.raises(Forbidden):
            _post(url, {})
        assert not server.requests


def test_of_several_machines_the_one_that_answers_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as server:
        url = server.url.replace("127.0.0.1", "llm.hospital.example")
        _resolve(monkeypatch, ["169.254.169.254", "127.0.0.9", "127.0.0.1"])
        assert _post(url, {"GRPO_STUDIO_ENDPOINTS": url}).status_code == 200


def test_a_name_without_an_answer_cannot_be_reached() -> None:
    with pytest.raises(httpx2.ConnectError):
        _post("http://nowhere.invalid/v1", {"GRPO_STUDIO_ENDPOINTS": "http://nowhere.invalid/v1"})


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"https_proxy": "proxy:3128"}, "http://proxy:3128"),
        ({"ALL_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "hospital.example"}, None),
        ({"HTTP_PROXY": "http://proxy:3128"}, None),
    ],
)
def test_a_proxy_of_the_environment_is_used(
    variables: dict[str, str], proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(HOSPITAL) == proxy


def test_the_studios_own_servers_are_reached_past_any_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with serving() as server:

        async def ask() -> Any:
            async with open_client(server.url, "k", 5, 0, local=True) as client:
                return await client.post("/chat/completions", cast_to=httpx2.Response, body={})

        assert run_apart(ask()).status_code == 200
