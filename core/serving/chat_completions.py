"""One answer over OpenAI's chat completions, and every way in which it can fail, as a sentence.

Retries and their waiting are the client library's. What an endpoint writes in place of an answer is never repeated: it
may hold anything.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import cache
from typing import Any

import httpx2
import openai
from openai import AsyncOpenAI
from pydantic import BaseModel, ConfigDict, Field

from core.endpoints import ENDPOINTS
from core.prompts import Message
from core.serving.checked_transport import CheckedTransport, Forbidden, proxy_for
from core.serving.client import Answer, Decoding, Patience
from core.serving.endpoint import KEYS, Endpoint

_STREAM = "text/event-stream"
_MOST_CHARACTERS = 1_000_000
"""An endpoint that writes without end must not fill the memory; no answer of 8192 tokens is as long."""
_LIMITS = ("max_tokens", "max_completion_tokens")
"""What remote endpoints call the most tokens of an answer; when one calls a request bad, the other name is tried."""


class _Read(BaseModel):
    """What is read of a piece of the stream; the rest of it is passed over."""

    model_config = ConfigDict(from_attributes=True, protected_namespaces=())


class _Delta(_Read):
    content: str | None = None


class _Choice(_Read):
    delta: _Delta = _Delta()
    finish_reason: str | None = None


class _Usage(_Read):
    completion_tokens: int = Field(ge=0)


class _Piece(_Read):
    choices: list[_Choice]
    usage: _Usage | None = None


class Writing:
    """An answer while it is written."""

    def __init__(self, told: Callable[[str], None]) -> None:
        """`told` is given each piece of text as it comes."""
        self._told = told
        self._began = time.monotonic()
        self._pieces: list[str] = []
        self._characters = 0
        self._first_seconds: float | None = None
        self._tokens: int | None = None
        self._reason: str | None = None
        self.is_stream = True
        self.replied = False

    async def read(self, pieces: AsyncIterator[Any]) -> None:
        """Take in a stream up to its end.

        Raises:
            ValueError: a piece of it is no chat completion.
            openai.OpenAIError: it broke off.
        """
        async for raw in pieces:
            piece = _Piece.model_validate(raw)
            if piece.usage is not None:
                self._tokens = piece.usage.completion_tokens
            if piece.choices:
                self._reason = piece.choices[0].finish_reason or self._reason
                self._add(piece.choices[0].delta.content or "")
            if self._characters > _MOST_CHARACTERS:
                break

    def _add(self, text: str) -> None:
        if not text:
            return
        if self._first_seconds is None:
            self._first_seconds = time.monotonic() - self._began
        clean = text.encode("utf-8", "replace").decode()  # halves of surrogate pairs cannot be written to a file
        self._pieces.append(clean)
        self._characters += len(clean)
        self._told(clean)

    def answer(self, endpoint: Endpoint) -> Answer:
        """The answer after the stream has ended; one that has no proper end has an error."""
        if self._characters > _MOST_CHARACTERS:
            return self.broken(f"{_who(endpoint)} wrote more than {_MOST_CHARACTERS} characters and was cut off.")
        if self._reason is None and not self.is_stream:
            return self.broken(_no_completion(endpoint))
        if self._reason is None:
            return self.broken(f"{_who(endpoint)} ended in the middle of its answer. Ask again.")
        if self._reason == "content_filter":
            return self.broken(f"{_who(endpoint)} held the answer back: its own filter objects to the content.")
        return self.broken("")

    def broken(self, error: str) -> Answer:
        """What has come so far, and why there is no more."""
        seconds = time.monotonic() - self._began
        truncated = self._reason == "length"
        return Answer("".join(self._pieces), self._tokens, seconds, self._first_seconds, truncated, error)


BeforeRequest = Callable[[httpx2.Request], Awaitable[None]]
"""Awaited before each request, also before those that the client library makes by itself."""


def open_client(
    base_url: str, key: str, timeout: Any, retries: int, local: bool = False, before: BeforeRequest | None = None
) -> AsyncOpenAI:
    """A client that follows no redirection, which would lead texts to a place that nobody has allowed, and connects
    only to machines that its address may lead to.

    Args:
        timeout: as the client library takes it.
        local: whether the address is the studio's own, to which no proxy leads.
        before: what each request waits for.
    """
    proxy = None if local else proxy_for(base_url)
    web = openai.DefaultAsyncHttpxClient(
        follow_redirects=False,
        trust_env=False,
        verify=certificates(),
        proxy=proxy,
        transport=None if proxy else CheckedTransport(base_url, certificates()),
        event_hooks={"request": [before] if before is not None else []},
    )
    return AsyncOpenAI(api_key=key, base_url=base_url, timeout=timeout, max_retries=retries, http_client=web)


@cache
def certificates() -> ssl.SSLContext:
    """Whom to trust; reading the certificates takes longer than the first token of a small model."""
    return httpx2.create_ssl_context()


def client_of(endpoint: Endpoint, patience: Patience) -> AsyncOpenAI:
    """A client for the answers of one endpoint; whoever opens it closes it."""
    timeout = openai.Timeout(patience.silent_seconds, connect=patience.connect_seconds)
    return open_client(endpoint.base_url, endpoint.key, timeout, patience.retries, endpoint.local)


async def ask(
    client: AsyncOpenAI,
    endpoint: Endpoint,
    conversation: Sequence[Message],
    decoding: Decoding,
    patience: Patience,
    writing: Writing,
) -> Answer:
    """One answer; whatever goes wrong is told in it, and the text that had come is kept."""
    try:
        stream = await _begin(client, endpoint, conversation, decoding)
        writing.replied = True
        writing.is_stream = _STREAM in stream.response.headers.get("content-type", "")
        async with stream:
            await writing.read(aiter(stream))
    except (openai.OpenAIError, ValueError, RecursionError) as error:
        return writing.broken(_sentence(error, endpoint, patience, writing.replied))
    return writing.answer(endpoint)


async def _begin(
    client: AsyncOpenAI, endpoint: Endpoint, conversation: Sequence[Message], decoding: Decoding
) -> openai.AsyncStream[Any]:
    """The stream of an answer, before its first piece."""
    messages: Any = [
        {name: text.encode("utf-8", "replace").decode() for name, text in turn.items()} for turn in conversation
    ]
    begun = endpoint.local and messages[-1]["role"] == "assistant"
    extra = {"continue_final_message": True, "add_generation_prompt": False} if begun else None
    for limit in _LIMITS:
        limits: Any = {limit: decoding.max_tokens}
        try:
            found: openai.AsyncStream[Any] = await client.chat.completions.create(
                model=endpoint.model,
                messages=messages,
                temperature=decoding.temperature,
                top_p=decoding.top_p,
                seed=decoding.seed,
                stream=True,
                stream_options={"include_usage": True},
                extra_body=extra,
                **limits,
            )
            break
        except openai.BadRequestError:
            if endpoint.local or limit == _LIMITS[-1]:
                raise
    return found


def _sentence(error: Exception, endpoint: Endpoint, patience: Patience, replied: bool) -> str:
    """What a fault comes down to."""
    who = _who(endpoint)
    match error:
        case openai.AuthenticationError() | openai.PermissionDeniedError():
            remedy = "Stop it and ask again." if endpoint.local else f"Check {' or '.join(KEYS)}."
            return f"{who} refused the key ({error.status_code}). {remedy}"
        case openai.APIStatusError():
            return f"{who} {_refusal(error, endpoint)}"
        case openai.APITimeoutError():
            return f"{who} said nothing for {patience.silent_seconds:g} s. Ask again, or see what it is busy with."
        case openai.APIConnectionError(__cause__=Forbidden()):
            return f"{who} leads to a machine that must not be asked. Whoever runs the studio can check {ENDPOINTS}."
        case openai.APIConnectionError() if replied:
            return f"{who} broke off in the middle of its answer. Ask again."
        case openai.APIConnectionError():
            remedy = "It has just ended; ask again." if endpoint.local else "Check the address and whether it runs."
            return f"{who} cannot be reached. {remedy}"
        case openai.APIError() if replied:
            return f"{who} reported an error in the middle of its answer. Ask again."
    return _no_completion(endpoint)


def _refusal(error: openai.APIStatusError, endpoint: Endpoint) -> str:
    """Why a request was not answered, by its status."""
    match error.status_code:
        case 404:
            return f"does not know the model {endpoint.model} (404). Check its name and the address."
        case 400 | 422:
            return (
                f"refused the question ({error.status_code}). Mostly it is longer than the model can read, or the most "
                "tokens are too many for it: shorten the question, or allow fewer tokens."
            )
        case 413:
            return "refused the question (413): it is too long. Shorten it."
        case 429:
            return "allows no more questions now (429). Wait a while, then ask again."
        case status if status >= 500:
            return f"met an error of its own ({status}). Ask again later."
    return f"answered with status {error.status_code} in place of an answer. Check the address."


def _no_completion(endpoint: Endpoint) -> str:
    return (
        f"{_who(endpoint)} wrote something that is no streamed chat completion. Check that the address is that of an "
        "OpenAI-compatible API; mostly it ends in /v1."
    )


def _who(endpoint: Endpoint) -> str:
    return "The model's server" if endpoint.local else f"The endpoint {endpoint.base_url}"


async def until_stopped(answering: asyncio.Task[Answer], stopped: Callable[[], bool], writing: Writing) -> Answer:
    """Wait for an answer, and give it up soon after `stopped` says so."""
    while not (await asyncio.wait({answering}, timeout=0.1))[0]:
        if stopped():
            answering.cancel()
            await asyncio.wait({answering})
            return writing.broken("Stopped before the answer was whole.")
    return answering.result()
