"""What the model server refuses and survives."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import torch
from openai import OpenAI

from core.engine.serving.app import ModelServer
from core.engine.serving.protocol import LARGEST_BODY
from tests.build_model_server import (
    ASK,
    TOKEN,
    alone,
    load,
    load_adapter,
    post,
    save_adapter,
    save_model,
    text_of,
)


def test_whoever_hangs_up_is_not_written_for_any_longer(client: OpenAI, served: tuple[ModelServer, str]) -> None:
    engine = served[0].engine
    stream = client.chat.completions.create(model="base", messages=ASK, temperature=0, max_tokens=1900, stream=True)
    next(iter(stream))
    stream.close()
    left = threading.Event()
    for _ in range(500):  # a call comes back after a step, so this waits for the server and not for the clock
        if not engine.call(lambda: list(engine._answers)).result():
            left.set()
            break
    assert left.is_set()


def test_whoever_hangs_up_while_the_whole_answer_is_written_is_not_written_for_either(
    url: str, served: tuple[ModelServer, str]
) -> None:
    engine = served[0].engine
    content = json.dumps({"model": "base", "messages": ASK, "temperature": 0, "max_tokens": 1900}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as line:
        line.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        while not engine.call(lambda: list(engine._answers)).result():
            pass
    left = any(not engine.call(lambda: list(engine._answers)).result() for _ in range(500))
    assert left


def test_a_request_without_the_token_is_refused(url: str) -> None:
    refused = pytest.raises(openai.AuthenticationError, match="does not know this token")
    with OpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0) as stranger, refused:
        text_of(stranger)
    assert httpx.get(f"{url}/v1/models").status_code == 401
    assert httpx.get(f"{url}/health").status_code == 200


def test_a_prompt_longer_than_the_context_is_refused_with_both_numbers(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match=r"The prompt has \d{5} tokens, and the model can read 2048"):
        text_of(client, ask=[{"role": "user", "content": "q? " * 17_000}])


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"temperature": -1}, "temperature: Input should be greater than or equal to 0"),
        ({"messages": []}, "messages: List should have at least 1 item"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [*ASK, {"role": "assistant", "content": "x"}]}, "continue_final_message"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 2}, "n: Input should be 1"),
        ({"top_p": 0}, "top_p"),
        ({"seed": 2**63}, "seed"),
    ],
)
def test_wrong_fields_are_named(url: str, wrong: dict[str, Any], sentence: str) -> None:
    reply = post(url, "chat/completions", {"model": "base", "messages": ASK, **wrong})
    assert reply.status_code == 400
    assert sentence in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"\xff\xfe", 400),
        (b'{"model": "base", "messages": [{"role": "user", "content": "\\ud800"}]}', 400),
        (b" " * (LARGEST_BODY + 1), 413),
    ],
)
def test_bodies_that_are_no_requests_are_refused(url: str, content: bytes, status: int) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    reply = httpx.post(f"{url}/v1/chat/completions", content=content, headers=headers, timeout=30)
    assert reply.status_code == status
    assert reply.json()["error"]["code"] == status


def test_an_address_that_is_not_there_is_told_in_the_same_form(url: str) -> None:
    assert post(url, "embeddings", {}).json()["error"]["code"] == 404


def test_damaged_and_foreign_adapters_are_refused_and_the_server_goes_on(
    client: OpenAI, url: str, base: Path, adapter: Path, tmp_path: Path
) -> None:
    wide = load(base).model.config
    wide.hidden_size, wide.intermediate_size = 48, 96
    other = save_model(wide, base, tmp_path / "other")
    foreign = save_adapter(other, tmp_path / "foreign", seed=1)
    cut = save_adapter(base, tmp_path / "cut", seed=1) / "adapter_model.safetensors"
    cut.write_bytes(cut.read_bytes()[:-100])
    deep = load(base).model.config
    deep.num_hidden_layers = 3
    more = save_adapter(save_model(deep, base, tmp_path / "deep"), tmp_path / "more", seed=1)
    dora = save_adapter(base, tmp_path / "dora", seed=1, use_dora=True)
    for first in (True, False):  # before there is an adapter, and beside one
        told = {folder.name: load_adapter(url, "bad", folder) for folder in (foreign, cut.parent, more, dora, tmp_path)}
        assert {reply.status_code for reply in told.values()} == {400}
        messages = {name: reply.json()["error"]["message"] for name, reply in told.items()}
        assert "belongs to another base model" in messages["foreign"]
        assert "belongs to another base model" in messages["more"]
        assert "cannot be read" in messages["cut"] and "cut" in messages["cut"]
        assert "not plain LoRA" in messages["dora"]
        assert "cannot be read" in messages[tmp_path.name]
        assert text_of(client) == alone(base)
        if first:
            assert load_adapter(url, "good", adapter).is_success
        assert text_of(client, "good") == alone(base, adapter)
    post(url, "unload_lora_adapter", {"lora_name": "good"})


def test_want_of_memory_fails_the_answer_and_not_the_server(
    client: OpenAI, served: tuple[ModelServer, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(*args: Any, **kwargs: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(served[0].engine._reader, "read", too_large)
    with pytest.raises(openai.InternalServerError, match="not enough memory") as told:
        text_of(client)
    assert told.value.status_code == 503
    with pytest.raises(openai.APIError, match="not enough memory"):
        list(client.chat.completions.create(model="base", messages=ASK, stream=True))
    monkeypatch.undo()
    assert text_of(client) != ""


def test_a_defect_fails_the_answer_and_not_the_server(
    client: OpenAI, served: tuple[ModelServer, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*args: Any, **kwargs: Any) -> Any:
        raise IndexError("a defect")

    monkeypatch.setattr(served[0].engine, "_read", defect)
    with pytest.raises(openai.InternalServerError, match="does not know") as told:
        text_of(client)
    assert told.value.status_code == 500
    monkeypatch.undo()
    assert text_of(client) != ""


def test_whoever_gives_up_waiting_for_an_adapter_harms_nobody(served: tuple[ModelServer, str]) -> None:
    engine, go_on = served[0].engine, threading.Event()
    engine.call(go_on.wait)
    given_up = engine.call(lambda: 1)
    assert given_up.cancel()
    go_on.set()
    assert engine.call(lambda: 2).result(60) == 2


def test_an_adapter_that_is_given_up_finishes_its_answers(
    client: OpenAI, url: str, base: Path, adapter: Path, served: tuple[ModelServer, str]
) -> None:
    load_adapter(url, "former", adapter)
    stream = client.chat.completions.create(model="former", messages=ASK, temperature=0, max_tokens=200, stream=True)
    chunks = iter(stream)
    next(chunks)
    assert post(url, "unload_lora_adapter", {"lora_name": "former"}).is_success
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == alone(base, adapter, tokens=200)
    assert post(url, "unload_lora_adapter", {"lora_name": "former"}).status_code == 404
    with pytest.raises(openai.NotFoundError):
        text_of(client, "former")
    assert served[0].engine.call(lambda: served[0].adapters.model).result() is served[0].policy.model
