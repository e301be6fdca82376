"""What the model server answers to a real `openai` client: as the lone model would, whoever else asks."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
import torch
from openai import OpenAI

from core.engine.serving.app import ModelServer
from core.engine.serving.hosting import listening, running
from core.engine.serving.side_by_side import RowByRow
from tests.build_async import run_apart
from tests.build_model_server import (
    ASK,
    OTHER,
    TOKEN,
    alone,
    load,
    load_adapter,
    post,
    save_adapter,
    text_of,
)


def test_the_answer_is_the_lone_models(client: OpenAI, base: Path) -> None:
    assert text_of(client) == alone(base) != ""


def test_base_and_adapters_asked_together_answer_as_each_does_alone(
    client: OpenAI, url: str, base: Path, adapter: Path, tmp_path: Path
) -> None:
    second = save_adapter(base, tmp_path / "second", seed=2)
    assert load_adapter(url, "run@20", adapter).is_success
    assert load_adapter(url, "run@final", second).is_success
    asked = [(model, ask) for model in ("base", "run@20", "run@final") for ask in (ASK, OTHER)]
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda one: text_of(client, *one), asked))
    folders = {"base": None, "run@20": adapter, "run@final": second}
    assert answers == [alone(base, folders[model], ask) for model, ask in asked]
    assert len(set(answers[::2])) == 3
    assert post(url, "unload_lora_adapter", {"lora_name": "run@20"}).is_success
    assert post(url, "unload_lora_adapter", {"lora_name": "run@final"}).is_success
    assert text_of(client) == alone(base)


def test_a_model_that_cannot_be_read_side_by_side_is_read_row_by_row(
    base: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.engine.serving.batching.reader_for", RowByRow)
    server = ModelServer.of(load(base))
    with listening(0) as own, running(server.app(TOKEN), own):
        url = f"http://127.0.0.1:{own.getsockname()[1]}"
        load_adapter(url, "a", adapter)
        with OpenAI(base_url=f"{url}/v1", api_key=TOKEN) as client, ThreadPoolExecutor(2) as pool:
            found = list(pool.map(lambda model: text_of(client, model), ("base", "a")))
    server.engine.close()
    assert found == [alone(base), alone(base, adapter)]


def test_a_long_prompt_is_read_in_pieces_with_the_same_answer(client: OpenAI, base: Path) -> None:
    long = [{"role": "user", "content": "pain in the chest " * 110}]  # more than is read at once
    assert text_of(client, ask=long, max_tokens=8) == alone(base, ask=long, tokens=8)


def test_a_stream_is_the_whole_answer_in_pieces(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model="base",
        messages=ASK,
        temperature=1,
        seed=4,
        max_tokens=30,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == text_of(client, temperature=1, seed=4, max_tokens=30)
    assert len([piece for piece in pieces if piece]) > 5
    assert chunks[-1].usage is not None and chunks[-1].usage.completion_tokens == 30
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"


def test_an_answer_with_a_seed_depends_neither_on_the_time_nor_on_others(client: OpenAI) -> None:
    asked = [(ASK if number % 2 else OTHER, number) for number in range(8)]

    def ask(one: tuple[list[Any], int]) -> str:
        return text_of(client, ask=one[0], seed=one[1], temperature=1, top_p=0.9)

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(ask, asked))
    assert together == [ask(one) for one in asked]
    assert len(set(together)) == 8


def test_an_answer_ends_before_a_stop_text_however_it_is_split(client: OpenAI) -> None:
    whole = text_of(client, temperature=1, seed=5, max_tokens=40)
    stop = whole[10:16]
    reply = client.chat.completions.create(
        model="base", messages=ASK, temperature=1, seed=5, max_tokens=40, stop=[stop], stream=True
    )
    chunks = list(reply)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole[: whole.index(stop)]
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_a_begun_answer_is_gone_on_with(client: OpenAI, base: Path) -> None:
    begun = [*ASK, {"role": "assistant", "content": "<reasoning>"}]
    settings = {"extra_body": {"continue_final_message": True, "add_generation_prompt": False}}
    assert text_of(client, ask=begun, **settings) == alone(base, ask=begun) != alone(base)


def test_what_prompts_have_in_common_is_read_once(base: Path) -> None:
    server = ModelServer.of(load(base))
    told = {"role": "system", "content": "Answer in one short sentence, as a careful clinician would do. " * 4}
    asked = [[told, *ASK], [told, *OTHER], [told, *ASK]]
    counts: list[int] = []
    read = server.engine._reader.read

    def counted(model: Any, ids: torch.Tensor, *rest: Any, **more: Any) -> torch.Tensor:
        counts.append(ids.numel())
        return read(model, ids, *rest, **more)

    server.engine._reader.read = counted
    with listening(0) as own, running(server.app(TOKEN), own):
        address = f"http://127.0.0.1:{own.getsockname()[1]}/v1"
        with OpenAI(base_url=address, api_key=TOKEN, max_retries=0) as client:
            answers = [text_of(client, ask=ask) for ask in asked]
    server.engine.close()
    assert answers == [alone(base, ask=ask) for ask in asked]
    first, *later = [count for count in counts if count > 1]
    assert all(count < first / 2 for count in later)


def test_the_models_are_the_base_and_its_adapters(client: OpenAI, url: str, adapter: Path) -> None:
    load_adapter(url, "listed", adapter)
    load_adapter(url, "listed", adapter)
    assert [model.id for model in client.models.list()] == ["base", "listed"]
    post(url, "unload_lora_adapter", {"lora_name": "listed"})
    assert [model.id for model in client.models.list()] == ["base"]
    with pytest.raises(openai.NotFoundError, match="no model 'listed' here; there are base"):
        text_of(client, "listed")


def test_a_new_question_is_answered_while_a_long_answer_is_written(
    client: OpenAI, served: tuple[ModelServer, str]
) -> None:
    long = client.chat.completions.create(model="base", messages=ASK, temperature=0, max_tokens=1900, stream=True)
    next(iter(long))
    assert text_of(client, ask=OTHER, max_tokens=4)
    assert served[0].engine.call(lambda: len(served[0].engine._answers)).result() == 1
    long.close()


def test_many_at_once_wait_for_their_turn(url: str) -> None:
    async def ask_all() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=TOKEN, max_retries=0) as client:
            asked = [
                client.chat.completions.create(model="base", messages=ASK, seed=number, max_tokens=4)
                for number in range(40)
            ]
            return [reply.choices[0].finish_reason for reply in await asyncio.gather(*asked)]

    assert set(run_apart(ask_all())) <= {"length", "stop"}
