"""What is asked in place of a server of others, llama.cpp's or vLLM's, and passes questions and answers on.

Whoever asks comes by here, where the token is looked at; the server behind answers to this process alone. Streams are
passed on part by part as they come, an answer that nobody waits for any more is given up, and a clock is told of who
asks.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path

import httpx
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from core.engine.serving.hosting import Clock, unless_gone
from core.engine.serving.protocol import ApiError, content, error_body

_EVENTS = "text/event-stream"
_CONNECT_SECONDS = 5.0
_LOOK_SECONDS = 10.0
"""How long a server may take to say how it is."""


@dataclass(frozen=True)
class Upstream:
    """A server of others that answers to this process alone.

    Attributes:
        name: for people.
        url: where it answers, without `/v1`.
        token: which it wants; empty where it wants none.
        socket: the Unix socket at which it answers, in place of the host and port of `url`.
    """

    name: str
    url: str
    token: str = ""
    socket: Path | None = None

    def client(self, seconds: float | None) -> httpx.AsyncClient:
        """What asks it, and waits so many seconds for each part of an answer; None waits without end."""
        return httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.token}"} if self.token else {},
            timeout=httpx.Timeout(seconds, connect=_CONNECT_SECONDS),
            transport=httpx.AsyncHTTPTransport(
                verify=False, trust_env=False, uds=str(self.socket) if self.socket else None
            ),
            trust_env=False,
        )


Finish = Callable[[httpx.Response], Response]
"""Makes the answer to whoever asked of a server's answer in one piece, errors too; it may raise `ApiError`."""


def as_it_is(answer: httpx.Response) -> Response:
    """A server's answer without any change."""
    return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))


class Front:
    """Passes on to one server what it is asked."""

    def __init__(self, upstream: Upstream, clock: Clock) -> None:
        """Args:
        clock: is told of each question.
        """
        self._upstream = upstream
        self._clock = clock

    async def look(self, request: Request) -> Response:
        """Pass on a GET, which counts as no question."""
        return await unless_gone(request, self._answer("GET", request.url.path, b"", as_it_is))

    async def ask(self, request: Request) -> Response:
        """Pass on a POST as it is.

        Raises:
            ApiError: it is too large, or the server has ended.
        """
        return await self.post(request, await content(request), as_it_is)

    async def post(self, request: Request, question: bytes, finish: Finish) -> Response:
        """Pass on a question to the path of `request`.

        Args:
            question: JSON.
            finish: is given an answer in one piece; streams are passed on as they are.

        Raises:
            ApiError: the server has ended, or what `finish` raises.
        """
        return await unless_gone(request, self._answer("POST", request.url.path, question, finish))

    async def _answer(self, method: str, path: str, question: bytes, finish: Finish) -> Response:
        """The whole answer, or the beginning of a stream."""
        asking = method == "POST"
        async with AsyncExitStack() as open_parts:
            open_parts.enter_context(self._clock.asked() if asking else nullcontext())
            # A client for each question: the server may close an old connection at the moment it is used again.
            client = await open_parts.enter_async_context(self._upstream.client(None if asking else _LOOK_SECONDS))
            headers = {"Content-Type": "application/json"} if asking else {}
            try:
                answer = await open_parts.enter_async_context(
                    client.stream(method, path, content=question, headers=headers)
                )
                if _streams(answer):
                    return _Passed(answer, self._gone, open_parts.pop_all())
                await answer.aread()
            except httpx.ReadTimeout as problem:
                raise ApiError(503, f"{self._upstream.name} does not answer. Wait, or stop the server.") from problem
            except httpx.TransportError as problem:
                raise ApiError(503, self._gone) from problem
            return finish(answer)

    @property
    def _gone(self) -> str:
        return f"{self._upstream.name} ended while it answered. Ask again; the model is loaded anew."


def _streams(answer: httpx.Response) -> bool:
    return answer.is_success and str(answer.headers.get("content-type", "")).startswith(_EVENTS)


class _Passed(StreamingResponse):
    """An answer that is passed on as it comes; whoever asked and goes away ends its writing."""

    def __init__(self, answer: httpx.Response, gone: str, open_parts: AsyncExitStack) -> None:
        super().__init__(_events(answer, gone), media_type=_EVENTS)
        self._open_parts = open_parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._open_parts:
            await super().__call__(scope, receive, send)


async def _events(answer: httpx.Response, gone: str) -> AsyncIterator[bytes]:
    try:
        async for part in answer.aiter_raw():
            yield part
    except httpx.TransportError:
        yield f"data: {json.dumps(error_body(503, gone))}\n\n".encode()
