"""What is asked in place of llama.cpp's own server, and passes questions and answers on.

It holds llama.cpp to what all servers of the studio have in common: the model's name, plain sampling without further
cuts, an answer without the beginning that it was given, errors as sentences, and a clock of who asks.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from core.engine.serving.hosting import Clock
from core.engine.serving.protocol import BASE, HEALTH, ApiError, ChatRequest, body, error_body

_SAMPLING: Mapping[str, Any] = {"samplers": ["temperature", "top_p"], "top_k": 0, "min_p": 0.0}
"""Temperature first and then top p, as the other servers have it, without the cuts that llama.cpp makes by itself."""
_SEEDS = 2**32 - 1
"""llama.cpp's seeds are 32 bits wide, and the last one stands for none."""
_GONE = "llama.cpp ended while it answered. Ask again; the model is loaded anew."
_CONNECT_SECONDS = 5.0
_HUNG_UP = 499
"""The status, which nobody reads any more, of a request whose sender has left; nginx's number."""


class Front:
    """The routes of a GGUF file's server."""

    def __init__(self, url: str, token: str, context: int, clock: Clock) -> None:
        """Stand in front of one server.

        Args:
            url: where llama.cpp answers.
            token: which it wants.
            context: tokens that a question and its answer have room for.
            clock: is told of each request.
        """
        self._url = f"{url}/v1/chat/completions"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._context = context
        self._clock = clock
        self.routes = [
            Route(HEALTH, _health),
            Route("/v1/models", self._models),
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            Route("/v1/load_lora_adapter", _no_adapters, methods=["POST"]),
            Route("/v1/unload_lora_adapter", _no_adapters, methods=["POST"]),
        ]

    async def _models(self, request: Request) -> Response:
        model = {"id": BASE, "object": "model", "created": 0, "owned_by": "llama.cpp", "max_model_len": self._context}
        return JSONResponse({"object": "list", "data": [model]})

    async def _chat(self, request: Request) -> Response:
        asked = await body(request, ChatRequest)
        if asked.model != BASE:
            raise ApiError(404, f"There is no model {asked.model!r} here. A GGUF file is asked by the name {BASE!r}.")
        return await _unless_gone(request, self._answer(asked))

    async def _answer(self, asked: ChatRequest) -> Response:
        """The whole answer, or the beginning of a stream."""
        async with AsyncExitStack() as open_parts:
            open_parts.enter_context(self._clock.asked())
            try:
                answer = await open_parts.enter_async_context(self._ask(asked, open_parts))
                if answer.is_error or not asked.stream:
                    await answer.aread()
            except httpx.TransportError as problem:
                raise ApiError(503, _GONE) from problem
            if answer.is_error:
                raise self._refusal(answer)
            if not asked.stream:
                return JSONResponse(_without_beginning(answer.json(), asked))
            return _Passed(answer, open_parts.pop_all())

    def _ask(self, asked: ChatRequest, open_parts: AsyncExitStack) -> Any:
        """The answer of llama.cpp, to be entered; the connection is closed with `open_parts`."""
        client = httpx.AsyncClient(
            trust_env=False, verify=False, timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS), headers=self._headers
        )
        open_parts.push_async_callback(client.aclose)
        return client.stream("POST", self._url, json=_fields(asked))

    def _refusal(self, answer: httpx.Response) -> ApiError:
        """Why llama.cpp does not answer, as a sentence."""
        try:
            told = answer.json()["error"]
            kind, message = str(told["type"]), str(told["message"])
        except (ValueError, KeyError, TypeError):
            return ApiError(502, f"llama.cpp answered with the status {answer.status_code} and no reason. Ask again.")
        if kind == "exceed_context_size_error":
            return ApiError(
                400,
                f"The question has {told.get('n_prompt_tokens', 'more')} tokens and there is room for {self._context} "
                "with the answer. Ask something shorter.",
            )
        return ApiError(answer.status_code, f"llama.cpp refused the question: {message[:300]}")


async def _unless_gone(request: Request, work: Coroutine[Any, Any, Response]) -> Response:
    """What `work` makes; it is given up when whoever asked hangs up."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else Response(status_code=_HUNG_UP)
    finally:
        working.cancel()
        leaving.cancel()


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class _Passed(StreamingResponse):
    """An answer that is passed on as it comes; whoever asked and goes away ends its writing."""

    def __init__(self, answer: httpx.Response, open_parts: AsyncExitStack) -> None:
        super().__init__(_events(answer), media_type="text/event-stream")
        self._open_parts = open_parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._open_parts:
            await super().__call__(scope, receive, send)


async def _events(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for part in answer.aiter_raw():
            yield part
    except httpx.TransportError:
        yield f"data: {json.dumps(error_body(503, _GONE))}\n\n".encode()


async def _health(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _no_adapters(request: Request) -> Response:
    raise ApiError(400, "A GGUF file takes no adapter. Ask the run's base model with it instead.")


def _fields(asked: ChatRequest) -> dict[str, Any]:
    """The question in llama.cpp's terms."""
    fields = asked.model_dump(
        exclude_none=True, include={"messages", "stream", "stream_options", "temperature", "top_p"}
    )
    if asked.tokens is not None:
        fields["max_tokens"] = asked.tokens
    if asked.seed is not None:
        fields["seed"] = asked.seed % _SEEDS
    begun = asked.continue_final_message
    turns = {"continue_final_message": begun, "add_generation_prompt": not begun}
    return {**fields, **turns, **_SAMPLING, "stop": list(asked.stops)}


def _without_beginning(answer: Any, asked: ChatRequest) -> Any:
    """An answer in one piece, which llama.cpp begins with the turn that was begun for it; its streams have none."""
    if asked.continue_final_message:
        message = answer["choices"][0]["message"]
        message["content"] = str(message["content"]).removeprefix(asked.messages[-1].content)
    return answer
