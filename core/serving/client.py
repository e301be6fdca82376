"""Asks models over HTTP and tells what comes, as it comes.

Nothing here raises for what an endpoint does: an answer that is not whole says so in `Answer.error`. The client library
takes about a second to load, so it is loaded with the first question (`core.serving.chat_completions`).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from pydantic import Field

from core.prompts import Message
from core.serving.endpoint import Endpoint
from core.settings_base import Settings


class Decoding(Settings):
    """How tokens are chosen, the same for all that are compared.

    Attributes:
        temperature: 0 always takes the likeliest token.
        top_p: the share of probability from which tokens are drawn.
        max_tokens: where an answer is cut off.
        seed: the same one gives the same answer on the same machine.
    """

    temperature: float = Field(default=0.7, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: int = Field(default=256, ge=1, le=8192)
    seed: int = Field(default=0, ge=0, lt=2**31)


@dataclass(frozen=True)
class Answer:
    """What an endpoint answered.

    Attributes:
        text: what it wrote, as far as it came; text from a model.
        tokens: how many it wrote; None where the endpoint does not tell.
        seconds: from the question to the end.
        first_seconds: from the question to the first piece of text; None when none came.
        truncated: whether it ended for want of tokens.
        error: why it is not whole, one sentence for people; empty when it is.
    """

    text: str
    tokens: int | None
    seconds: float
    first_seconds: float | None
    truncated: bool
    error: str = ""


@dataclass(frozen=True)
class Patience:
    """How long an endpoint is waited for.

    Attributes:
        connect_seconds: until it takes the connection.
        silent_seconds: until the next piece of its answer.
        retries: how often the client library asks again, after pauses of its own, when no answer has begun.
    """

    connect_seconds: float = 10.0
    silent_seconds: float = 60.0
    retries: int = 2


def patience_with(endpoint: Endpoint) -> Patience:
    """Longer with the studio's own servers: on a processor many questions wait for each other there, and one that dies
    is noticed at once."""
    return Patience(silent_seconds=300.0) if endpoint.local else Patience()


@cache
def warm_up() -> None:
    """Load the client library in the background, so that the first question does not wait for it; once a process."""

    def load() -> None:
        from core.serving.chat_completions import certificates  # noqa: PLC0415 takes a second

        certificates()

    threading.Thread(target=load, name="client", daemon=True).start()


def stream(
    endpoint: Endpoint,
    conversation: Sequence[Message],
    decoding: Decoding,
    told: Callable[[str], None],
    stopped: Callable[[], bool] = lambda: False,
    patience: Patience | None = None,
) -> Answer:
    """Ask once and wait for the whole answer; for threads, which must not have an event loop of their own.

    Args:
        told: is given each piece of text as it comes.
        stopped: asked a few times a second; once it says so, the connection is closed and what has come is returned.
        patience: by default that of `patience_with`.
    """
    from core.serving.chat_completions import Writing, ask, client_of, until_stopped  # noqa: PLC0415 takes a second

    given = patience or patience_with(endpoint)

    async def answer() -> Answer:
        writing = Writing(told)
        async with client_of(endpoint, given) as client:
            task = asyncio.create_task(ask(client, endpoint, conversation, decoding, given, writing))
            return await until_stopped(task, stopped, writing)

    return asyncio.run(answer())


async def ask_all(
    endpoint: Endpoint,
    conversations: Mapping[int, Sequence[Message]],
    decoding: Decoding,
    at_once: int,
    patience: Patience | None = None,
) -> AsyncGenerator[tuple[int, Answer], None]:
    """Ask many questions, `at_once` of them at a time; gives each key with its answer as soon as that is there.

    Whoever breaks off closes the iterator, which breaks off all that is under way.
    """
    from core.serving.chat_completions import Writing, ask, client_of  # noqa: PLC0415

    given, turns = patience or patience_with(endpoint), asyncio.Semaphore(at_once)
    async with client_of(endpoint, given) as client:

        async def answer(key: int) -> tuple[int, Answer]:
            async with turns:
                writing = Writing(lambda piece: None)
                return key, await ask(client, endpoint, conversations[key], decoding, given, writing)

        tasks = [asyncio.create_task(answer(key)) for key in conversations]
        try:
            for next_one in asyncio.as_completed(tasks):
                yield await next_one
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
