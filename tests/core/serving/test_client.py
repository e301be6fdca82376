"""The client against a real server on this machine that answers well, badly, late or never."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from core.prompts import Message
from core.serving.client import Answer, Decoding, Patience, ask_all, stream
from core.serving.endpoint import Endpoint
from tests.build_async import run_apart
from tests.build_endpoint import DONE, FakeEndpoint, Reply, event, piece, serving, usage, whole

QUESTION: list[Message] = [{"role": "user", "content": "Why?"}]
BEGUN: list[Message] = [*QUESTION, {"role": "assistant", "content": "<reasoning>"}]
HASTY = Patience(connect_seconds=5.0, silent_seconds=0.2, retries=0)
SECRET = "what-the-endpoint-wrote"


@pytest.fixture
def server() -> Iterator[FakeEndpoint]:
    with serving() as found:
        yield found


def ask(server: FakeEndpoint, local: bool = False, conversation: list[Message] = QUESTION, **options: Any) -> Answer:
    options = {"decoding": Decoding(), "told": lambda text: None, "patience": HASTY} | options
    return stream(server.endpoint(local), conversation, **options)


def test_an_answer_is_told_piece_by_piece_and_whole(server: FakeEndpoint) -> None:
    server.answer = lambda request: Reply(whole("Rest", ", then", " wait.", tokens=7))
    told: list[str] = []
    answer = ask(server, told=told.append)
    assert (told, answer.text, answer.error) == (["Rest", ", then", " wait."], "Rest, then wait.", "")
    assert (answer.tokens, answer.truncated) == (7, False)
    assert answer.first_seconds is not None and 0 < answer.first_seconds <= answer.seconds


def test_the_question_goes_out_as_it_is_to_be_sampled(server: FakeEndpoint) -> None:
    ask(server, decoding=Decoding(temperature=0.3, top_p=0.9, max_tokens=12, seed=5))
    request = server.requests[0]
    assert request["messages"] == QUESTION and request["model"] == "m" and request["stream"] is True
    assert (request["temperature"], request["top_p"], request["max_tokens"], request["seed"]) == (0.3, 0.9, 12, 5)
    assert server.keys == ["Bearer k"]


def test_an_answer_that_ran_out_of_tokens_is_truncated_and_no_error(server: FakeEndpoint) -> None:
    server.answer = lambda request: Reply(whole("Rest and", finish="length"))
    answer = ask(server)
    assert (answer.truncated, answer.error) == (True, "")


def test_tokens_are_unknown_where_the_endpoint_does_not_count(server: FakeEndpoint) -> None:
    server.answer = lambda request: Reply([piece("Rest."), piece(finish="stop"), DONE])
    assert ask(server).tokens is None


def test_only_own_servers_go_on_with_a_begun_turn(server: FakeEndpoint) -> None:
    ask(server, local=True, conversation=BEGUN)
    ask(server, local=True)
    ask(server, local=False, conversation=BEGUN)
    begun = [(r.get("continue_final_message"), r.get("add_generation_prompt")) for r in server.requests]
    assert begun == [(True, False), (None, None), (None, None)]


def test_the_other_name_of_the_token_limit_is_tried(server: FakeEndpoint) -> None:
    server.answer = lambda request: Reply(whole("Rest.")) if "max_completion_tokens" in request else Reply(status=400)
    assert ask(server, decoding=Decoding(max_tokens=9)).text == "Rest."
    assert server.requests[1]["max_completion_tokens"] == 9 and "max_tokens" not in server.requests[1]


STATUSES = {
    400: "longer than the model can read",
    401: "refused the key (401)",
    403: "refused the key (403)",
    404: "does not know the model m (404)",
    413: "too long",
    422: "refused the question (422)",
    429: "no more questions now (429)",
    500: "error of its own (500)",
    503: "error of its own (503)",
    307: "answered with status 307",
    418: "answered with status 418",
}


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("status", STATUSES)
def test_a_refusal_is_one_sentence_without_what_the_endpoint_wrote(
    server: FakeEndpoint, status: int, local: bool
) -> None:
    body = json.dumps({"error": {"message": SECRET, "code": SECRET, "type": SECRET}})
    server.answer = lambda request: Reply([body], status, "application/json", {"Location": f"{server.url}/elsewhere"})
    answer = ask(server, local)
    assert STATUSES[status] in answer.error and SECRET not in answer.error and "\n" not in answer.error
    assert ("The model's server" in answer.error) is local
    assert (answer.text, answer.tokens, answer.first_seconds) == ("", None, None)


def test_a_redirection_is_not_followed(server: FakeEndpoint) -> None:
    server.answer = lambda request: Reply(status=307, headers={"Location": f"{server.url}/chat/completions"})
    ask(server)
    assert len(server.requests) == 1


def test_what_may_pass_is_asked_again_by_the_library(server: FakeEndpoint) -> None:
    late = {"retry-after-ms": "1"}
    server.answer = lambda request: (
        Reply(whole("Rest.")) if len(server.requests) > 1 else Reply(status=429, headers=late)
    )
    assert ask(server, patience=Patience(5, 5, retries=1)).text == "Rest."


STREAMS = {
    "no JSON": [piece("Rest"), f"data: {{{SECRET}\n\n"],
    "no object": [piece("Rest"), event([SECRET])],
    "a text": [piece("Rest"), event(SECRET)],
    "other fields": [piece("Rest"), event({"wrong": SECRET})],
    "choices that are none": [piece("Rest"), event({"choices": SECRET})],
    "text that is none": [piece("Rest"), event({"choices": [{"index": 0, "delta": {"content": 5}}]})],
    "nested without end": [piece("Rest"), "data: " + "[" * 200_000 + "\n\n"],
    "tokens below zero": [piece("Rest"), usage(-1)],
}


@pytest.mark.parametrize("parts", STREAMS.values(), ids=STREAMS)
def test_a_piece_that_is_none_ends_the_answer_and_keeps_its_text(server: FakeEndpoint, parts: list[str]) -> None:
    server.answer = lambda request: Reply(parts)
    answer = ask(server)
    assert answer.text == "Rest"
    assert "no streamed chat completion" in answer.error and SECRET not in answer.error


@pytest.mark.parametrize("end", [[], [DONE]])
def test_a_stream_without_a_finish_reason_is_not_whole(server: FakeEndpoint, end: list[str]) -> None:
    server.answer = lambda request: Reply([piece("Rest"), *end])
    answer = ask(server)
    assert (answer.text, "ended in the middle" in answer.error) == ("Rest", True)


def test_an_error_in_the_middle_keeps_the_text(server: FakeEndpoint) -> None:
    server.answer = lambda request: Reply([piece("Rest"), event({"error": {"message": SECRET}})])
    answer = ask(server)
    assert answer.text == "Rest" and "reported an error" in answer.error and SECRET not in answer.error


@pytest.mark.parametrize("kind", ["text/html", "application/json"])
def test_a_page_in_place_of_a_stream_is_told(server: FakeEndpoint, kind: str) -> None:
    server.answer = lambda request: Reply([f"<html><body>{SECRET}</body></html>"], kind=kind)
    answer = ask(server)
    assert "mostly it ends in /v1" in answer.error and SECRET not in answer.error


def test_a_server_that_dies_in_the_middle_of_an_answer_leaves_its_text(server: FakeEndpoint) -> None:
    server.answer = lambda request: Reply([piece("Rest")], missing=1000)
    answer = ask(server)
    assert (answer.text, "broke off in the middle" in answer.error) == ("Rest", True)


@pytest.mark.parametrize("place", [0, 1])
def test_silence_is_not_waited_for_without_end(server: FakeEndpoint, place: int) -> None:
    server.answer = lambda request: Reply(whole("Rest", "."), wait_before=place)
    answer = ask(server)
    assert (answer.text, "said nothing for 0.2 s" in answer.error) == ("Rest" if place else "", True)


def test_a_place_where_nobody_listens_is_told() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        answer = stream(Endpoint(url, "k", "m"), QUESTION, Decoding(), lambda text: None, patience=HASTY)
    assert "cannot be reached" in answer.error


def test_stopping_breaks_off_even_while_nothing_comes(server: FakeEndpoint) -> None:
    server.answer = lambda request: Reply(whole("Rest", "."), wait_before=1)
    answer = ask(server, stopped=server.waiting.is_set, patience=Patience(5, 60, 0))
    assert (answer.text, answer.error) == ("Rest", "Stopped before the answer was whole.")


def test_an_endpoint_that_writes_without_end_is_cut_off(server: FakeEndpoint) -> None:
    server.answer = lambda request: Reply([piece("x" * 100_000)] * 12)
    answer = ask(server)
    assert 1_000_000 < len(answer.text) <= 1_100_000 and "was cut off" in answer.error


def test_halves_of_surrogate_pairs_never_come_in_or_go_out(server: FakeEndpoint) -> None:
    server.answer = lambda request: Reply(whole("a\ud800b"))
    answer = ask(server, conversation=[{"role": "user", "content": "c\udfffd"}])
    assert (answer.text, answer.error) == ("a?b", "")
    assert server.requests[0]["messages"][0]["content"] == "c?d"


def test_a_question_of_50_000_characters_is_sent(server: FakeEndpoint) -> None:
    ask(server, conversation=[{"role": "user", "content": "y" * 50_000}])
    assert len(server.requests[0]["messages"][0]["content"]) == 50_000


def test_many_questions_are_asked_at_once_but_not_more_than_allowed(server: FakeEndpoint) -> None:
    server.answer = lambda request: Reply(whole(request["messages"][0]["content"]))
    questions = {number: [{"role": "user", "content": f"q{number}"}] for number in range(12)}

    async def collect() -> dict[int, str]:
        return {key: a.text async for key, a in ask_all(server.endpoint(), questions, Decoding(), 3, HASTY)}

    assert run_apart(collect()) == {number: f"q{number}" for number in range(12)}
    assert server.most_at_once <= 3


def test_a_fault_of_one_question_leaves_the_others_alone(server: FakeEndpoint) -> None:
    server.answer = lambda r: Reply(status=500) if r["messages"][0]["content"] == "q1" else Reply(whole("Rest."))
    questions = {number: [{"role": "user", "content": f"q{number}"}] for number in range(3)}

    async def collect() -> dict[int, bool]:
        return {key: bool(a.error) async for key, a in ask_all(server.endpoint(), questions, Decoding(), 3, HASTY)}

    assert run_apart(collect()) == {0: False, 1: True, 2: False}


def test_the_key_is_in_no_picture_of_an_endpoint() -> None:
    assert "opensesame" not in repr(Endpoint("http://localhost/v1", "opensesame", "m"))
