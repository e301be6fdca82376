"""Answers of a GGUF file: the embedded model's own, by llama.cpp, asked by the real `openai` client."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import psutil
import pytest
from gguf import GGUFWriter

from core.config import EMBEDDED_POLICY
from core.engine.serving import gguf
from core.errors import ModelError, OutOfMemory
from core.jobs.supervisor import start_task
from core.jobs.tasks import Progress, Task, create_task
from core.models import EMBEDDED
from core.paths import Home
from core.serving.lifetime import use

pytestmark = pytest.mark.real

MODEL = EMBEDDED[EMBEDDED_POLICY].source()
SECONDS = 60.0
QUESTION: list[Any] = [{"role": "user", "content": "What is 2+2?"}]
BEGUN: list[Any] = [*QUESTION, {"role": "assistant", "content": "<reasoning>"}]
STORY: list[Any] = [{"role": "user", "content": "Write a very long story about a journey around the world."}]
GO_ON = {"continue_final_message": True, "add_generation_prompt": False}


def start(home: Home) -> tuple[Task, psutil.Process]:
    """A server of the embedded file that answers, and its process."""
    task = start_task(home, "serve_model", {"model": str(MODEL), "max_rank": 8, "port": 0})
    use(task)
    worker = psutil.Process(task.written_status().pid)
    wait_until_ready(task, worker)
    return task, worker


def wait_until_ready(task: Task, worker: psutil.Process) -> None:
    for _ in range(int(SECONDS * 10)):
        if task.status().phase == "ready":
            return
        if psutil.wait_procs([worker], timeout=0.1)[0]:
            break
    pytest.fail(f"{task.status()}\n{task.log.read_text()}")


def llama(worker: psutil.Process) -> list[psutil.Process]:
    """What the server has started: the tether, and llama.cpp as its child."""
    return worker.children(recursive=True)


def client_of(task: Task) -> openai.OpenAI:
    address = json.loads((task.folder / "address.json").read_text())
    return openai.OpenAI(base_url=f"{address['url']}/v1", api_key=address["token"], max_retries=0, timeout=SECONDS)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Task]:
    task, worker = start(Home.open(tmp_path_factory.mktemp("gguf") / "home"))
    yield task
    task.stop_request.touch()
    assert not psutil.wait_procs([worker], timeout=SECONDS)[1]


@pytest.fixture
def client(served: Task) -> Iterator[openai.OpenAI]:
    with client_of(served) as opened:
        yield opened


def text(client: openai.OpenAI, messages: list[Any], **fields: Any) -> str:
    answer = client.chat.completions.create(model="base", messages=messages, **fields)
    return str(answer.choices[0].message.content)


def streamed(client: openai.OpenAI, messages: list[Any], **fields: Any) -> list[Any]:
    wanted: dict[str, Any] = {"stream_options": {"include_usage": True}, **fields}
    return list(client.chat.completions.create(model="base", messages=messages, stream=True, **wanted))


def joined(pieces: list[Any]) -> str:
    return "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)


def test_an_answer_ends_at_the_end_token_of_chats(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="base", messages=QUESTION, temperature=0, max_tokens=60)
    assert answer.choices[0].finish_reason == "stop"
    assert "4" in str(answer.choices[0].message.content)
    assert "<|" not in str(answer.choices[0].message.content)


def test_a_stream_brings_the_same_text_in_pieces_and_its_tokens_last(client: openai.OpenAI) -> None:
    pieces = streamed(client, QUESTION, temperature=0, max_tokens=60)
    assert len(pieces) > 5
    assert joined(pieces) == text(client, QUESTION, temperature=0, max_tokens=60)
    assert pieces[-2].choices[0].finish_reason == "stop"
    assert 0 < pieces[-1].usage.completion_tokens < 60


def test_an_answer_that_is_cut_off_says_so(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="base", messages=QUESTION, temperature=0, max_completion_tokens=3)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3


def test_equal_seeds_give_equal_answers_and_others_others(client: openai.OpenAI) -> None:
    ask: list[Any] = [{"role": "user", "content": "Invent a story about a fox."}]
    first, again, other = (text(client, ask, temperature=1.0, max_tokens=16, seed=seed) for seed in (5, 5, 6))
    assert first == again != other


def test_the_likeliest_tokens_alone_are_drawn_with_a_small_top_p(client: openai.OpenAI) -> None:
    greedy = text(client, QUESTION, temperature=0, max_tokens=12)
    assert text(client, QUESTION, temperature=2.0, top_p=0.0001, max_tokens=12, seed=1) == greedy


def test_an_answer_ends_before_a_stop_text(client: openai.OpenAI) -> None:
    whole = text(client, QUESTION, temperature=0, max_tokens=60)
    assert text(client, QUESTION, temperature=0, max_tokens=60, stop="classic") == whole.partition("classic")[0]


def test_a_begun_answer_is_gone_on_with_and_not_repeated(client: openai.OpenAI) -> None:
    whole = text(client, BEGUN, temperature=0, max_tokens=8, extra_body=GO_ON)
    assert whole.startswith("2 + 2")
    assert joined(streamed(client, BEGUN, temperature=0, max_tokens=8, extra_body=GO_ON)) == whole


def test_a_short_answer_need_not_wait_for_a_long_one(client: openai.OpenAI) -> None:
    long = client.chat.completions.create(model="base", messages=STORY, stream=True, temperature=0, max_tokens=120)
    first = next(long)
    rest: list[Any] = []
    reader = threading.Thread(target=lambda: rest.extend(long))
    reader.start()
    text(client, QUESTION, temperature=0, max_tokens=2)
    still_writing = reader.is_alive()
    reader.join(SECONDS)
    assert first
    assert still_writing
    assert rest


def hang_up_on_a_stream(client: openai.OpenAI) -> None:
    pieces = client.chat.completions.create(model="base", messages=STORY, stream=True, max_tokens=3000)
    next(pieces)
    pieces.close()


def hang_up_on_a_whole_answer(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APITimeoutError):
        text(client.with_options(timeout=1.0), STORY, max_tokens=3000, temperature=0, seed=1)


@pytest.mark.parametrize(
    "hang_up", [hang_up_on_a_stream, pytest.param(hang_up_on_a_whole_answer, marks=pytest.mark.slow)]
)
def test_an_answer_that_nobody_waits_for_is_given_up(
    client: openai.OpenAI, served: Task, hang_up: Callable[[openai.OpenAI], None]
) -> None:
    def given_up() -> int:
        return (served.folder / "llama.log").read_text().count("cancel task")

    before = given_up()
    with client_of(served) as leaving:
        hang_up(leaving)
    for _ in range(200):
        text(client, QUESTION, max_tokens=1)
        if given_up() > before:
            return
    pytest.fail((served.folder / "llama.log").read_text())


def test_the_base_model_is_named_as_on_all_servers(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["base"]


@pytest.mark.parametrize(
    ("fields", "error", "sentence"),
    [
        ({"model": "other"}, openai.NotFoundError, "There is no model 'other' here"),
        ({"messages": [{"role": "user", "content": "word " * 6000}]}, openai.BadRequestError, "room for 4096"),
        ({"temperature": "hot"}, openai.BadRequestError, "temperature"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_answered_is_refused_with_a_sentence(
    client: openai.OpenAI, fields: dict[str, Any], error: type[Exception], sentence: str, stream: bool
) -> None:
    with pytest.raises(error, match=sentence):
        client.chat.completions.create(**{"model": "base", "messages": QUESTION, "stream": stream, **fields})


def test_adapters_are_refused_with_a_sentence(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="takes no adapter"):
        client.post("/load_lora_adapter", cast_to=object, body={"lora_name": "a", "lora_path": "/tmp"})


def test_only_whoever_has_the_token_is_answered(client: openai.OpenAI, served: Task) -> None:
    with pytest.raises(openai.AuthenticationError):
        text(client.with_options(api_key="wrong"), QUESTION)
    inner = json.loads((served.folder / "llama.json").read_text())["url"]
    assert httpx.post(f"{inner}/v1/chat/completions", json={"messages": QUESTION}).status_code == 401
    assert httpx.get(str(client.base_url).replace("/v1/", "/health")).status_code == 200


def test_it_does_not_outlive_its_task_even_when_that_is_killed(home: Home) -> None:
    _, worker = start(home)
    started = llama(worker)
    worker.kill()
    assert started
    assert not psutil.wait_procs([worker, *started], timeout=SECONDS)[1]


def test_llama_killed_in_the_middle_of_an_answer_is_told_to_both_sides(home: Home) -> None:
    task, worker = start(home)
    with client_of(task) as client:
        pieces = client.chat.completions.create(model="base", messages=STORY, stream=True, max_tokens=3000)
        next(pieces)
        llama(worker)[-1].kill()
        with pytest.raises(openai.APIError, match=r"llama\.cpp ended while it answered"):
            list(pieces)
    assert not psutil.wait_procs([worker], timeout=SECONDS)[1]
    assert task.status().state == "failed"
    assert "llama.cpp ended while it served" in task.status().error


def serve(home: Home, model: Path) -> Any:
    """The server in this process, for files that it refuses."""
    return gguf.serve(home, {"model": str(model), "port": 0}, Progress(create_task(home, "serve_model", {})))


def test_a_file_that_is_cut_off_is_refused(home: Home, tmp_path: Path) -> None:
    half = tmp_path / "half.gguf"
    half.write_bytes(MODEL.read_bytes()[:50_000_000])
    with pytest.raises(ModelError, match=r"half\.gguf is damaged or only a part"):
        serve(home, half)


def test_an_architecture_that_llama_cpp_does_not_know_is_refused_by_name(home: Home, tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "new.gguf", "brandnew")
    writer.add_tensor("token_embd.weight", np.zeros((8, 64), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ModelError, match=r"new\.gguf holds a model of the kind 'brandnew'"):
        serve(home, tmp_path / "new.gguf")


def test_a_missing_package_is_told_with_how_to_install_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install xllamacpp=="):
        serve(home, MODEL)


def test_a_process_killed_while_it_loads_has_run_out_of_memory(tmp_path: Path) -> None:
    file = gguf.read_gguf(MODEL)
    assert isinstance(gguf._why(137, file, tmp_path / "none"), OutOfMemory)
