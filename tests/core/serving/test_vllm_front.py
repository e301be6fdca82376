"""What reaches vLLM through the model server, and how its answers come back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from core.paths import Home
from tests.build_vllm import SECONDS, Started, started
from tests.vllm_stand_in import FIRST, LAST

CHAT = "/v1/chat/completions"
PASSED_ON = (
    ("GET", "/v1/models"),
    ("POST", CHAT),
    ("POST", "/v1/load_lora_adapter"),
    ("POST", "/v1/unload_lora_adapter"),
)


@pytest.fixture
def server(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    with started(home, monkeypatch) as found:
        yield found


@pytest.fixture
def client(server: Started) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened


def question(content: str) -> dict[str, Any]:
    return {"model": "base", "messages": [{"role": "user", "content": content}], "seed": 5, "of_vllm_alone": 1}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *[("POST", path) for path in ("/invocations", "/tokenize", "/pause", "/v1/completions", "/v1/models")],
        *[("GET", path) for path in ("/metrics", "/version", "/v1/load_lora_adapter", "/health/", "/v1/../pause")],
    ],
)
def test_nothing_else_of_vllm_can_be_reached_even_with_the_token(client: httpx.Client, method: str, path: str) -> None:
    answer = client.request(method, path, json=question("hello"), follow_redirects=False)
    assert answer.status_code in (307, 404, 405)


def test_only_whoever_has_the_token_reaches_vllm(client: httpx.Client) -> None:
    for method, path in PASSED_ON:
        assert client.request(method, path, headers={"Authorization": "Bearer x"}, json={}).status_code == 401
    assert client.get("/health", headers={"Authorization": ""}).is_success


def test_questions_and_answers_are_passed_on_as_they_are_but_without_the_token(client: httpx.Client) -> None:
    told = client.post(CHAT, json=question("hello")).json()
    assert json.loads(told["asked"]) == question("hello")
    assert told["authorization"] is None


def test_adapters_are_loaded_by_vllm(client: httpx.Client) -> None:
    assert client.post("/v1/load_lora_adapter", json={}).text == "Success: the adapter is there."


def test_what_vllm_refuses_is_told_in_its_own_words(client: httpx.Client) -> None:
    answer = client.post(CHAT, json=question("refuse"))
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "too long")


def test_a_question_that_is_too_large_does_not_reach_vllm(client: httpx.Client) -> None:
    answer = client.post(CHAT, json=question("x" * 4_000_000))
    assert (answer.status_code, "larger than 4 MB" in answer.json()["error"]["message"]) == (413, True)


def test_each_part_of_a_stream_is_there_before_the_next_one_is_written(client: httpx.Client, server: Started) -> None:
    with client.stream("POST", CHAT, json=question("stream")) as answer:
        parts = answer.iter_raw()
        assert next(parts) == FIRST
        with server.client() as another:
            another.post("/v1/load_lora_adapter", json={})  # upon which the stand-in writes the rest
        assert b"".join(parts) == LAST


def leave_a_stream(client: httpx.Client) -> None:
    with client.stream("POST", CHAT, json=question("stream")) as answer:
        next(answer.iter_raw())


def leave_a_whole_answer(client: httpx.Client) -> None:
    with pytest.raises(httpx.ReadTimeout):
        client.post(CHAT, json=question("wait"), timeout=httpx.Timeout(SECONDS, read=1.0))


@pytest.mark.parametrize("leave", [leave_a_stream, leave_a_whole_answer])
def test_an_answer_that_nobody_waits_for_is_given_up(
    client: httpx.Client, server: Started, leave: Callable[[httpx.Client], None]
) -> None:
    with server.client() as leaving:
        leave(leaving)
    for _ in range(500):
        if client.get("/v1/models").json()["data"][1]["id"] == "given up: 1":
            return
    pytest.fail("vLLM still writes")


def test_vllm_that_ends_is_told_to_all_who_wait_for_an_answer(client: httpx.Client, server: Started) -> None:
    with client.stream("POST", CHAT, json=question("stream")) as answer:
        parts = answer.iter_raw()
        next(parts)
        with server.client() as another:
            whole = another.post(CHAT, json=question("end"))
        told = b"".join(parts).decode()
    assert whole.status_code == 503
    for said in (whole.text, told.removeprefix("data: ")):
        assert "vLLM ended while it answered" in json.loads(said)["error"]["message"]
