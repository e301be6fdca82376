"""The web side of the model server: from OpenAI's chat completions to questions for the engine, and back."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from core.chat_template import refusal
from core.engine.generation import Sampling
from core.engine.policy import Policy, conversation_token_ids
from core.engine.serving.adapters import Adapters
from core.engine.serving.answers import Ended, Event, Failed, Question, Written
from core.engine.serving.batching import Engine
from core.engine.serving.hosting import Clock, unless_gone
from core.engine.serving.protocol import (
    BASE,
    HEALTH,
    ApiError,
    ChatRequest,
    LoadAdapter,
    UnloadAdapter,
    body,
    error_body,
    protected,
)
from core.errors import ModelError, lacks_memory

_ALIVE_SECONDS = 5.0
"""How often a stream without news says that it is alive, so that a long prompt does not pass for a hanging server."""


@dataclass(frozen=True)
class ModelServer:
    """One base model with its adapters, and what answers for it.

    Attributes:
        context: how many tokens prompt and answer may have together.
    """

    policy: Policy
    adapters: Adapters
    engine: Engine
    clock: Clock
    context: int

    @classmethod
    def of(cls, policy: Policy) -> ModelServer:
        """Start the engine of a loaded model."""
        adapters = Adapters(policy.model)
        shape = policy.model.config.get_text_config()
        context = getattr(shape, "max_position_embeddings", policy.tokenizer.model_max_length)
        return cls(policy, adapters, Engine(policy, adapters), Clock(), int(context))

    def app(self, token: str) -> Starlette:
        """What answers to `token`."""
        routes = [
            Route(HEALTH, self._health),
            Route("/v1/models", self._models),
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            Route("/v1/load_lora_adapter", self._load, methods=["POST"]),
            Route("/v1/unload_lora_adapter", self._unload, methods=["POST"]),
        ]
        return protected(routes, token)

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"status": "ready"})

    async def _models(self, request: Request) -> Response:
        models = [{"id": name, "object": "model", "owned_by": "local"} for name in (BASE, *self.adapters.names())]
        return JSONResponse({"object": "list", "data": models})

    async def _load(self, request: Request) -> Response:
        with self.clock.asked():
            wanted = await body(request, LoadAdapter)
            if wanted.lora_name == BASE:
                raise ApiError(400, f'lora_name is "{BASE}", which is the base model. Choose another name.')
            try:
                load = self.engine.call(lambda: self.adapters.load(wanted.lora_name, Path(wanted.lora_path)))
                await asyncio.wrap_future(load)
            except ModelError as error:
                raise ApiError(400, str(error)) from error
            except (RuntimeError, MemoryError) as error:
                if not lacks_memory(error):
                    raise
                raise ApiError(503, f"There is not enough memory for the adapter in {wanted.lora_path}.") from error
            return JSONResponse({"loaded": wanted.lora_name})

    async def _unload(self, request: Request) -> Response:
        wanted = await body(request, UnloadAdapter)
        if not await asyncio.wrap_future(self.engine.call(lambda: self.adapters.unload(wanted.lora_name))):
            raise ApiError(404, f"There is no adapter {wanted.lora_name!r} to unload.")
        return JSONResponse({"unloaded": wanted.lora_name})

    async def _chat(self, request: Request) -> Response:
        asked = await body(request, ChatRequest)
        adapter = self.adapters.inner(asked.model)
        if adapter is None:
            known = ", ".join((BASE, *self.adapters.names()))
            raise ApiError(404, f"There is no model {asked.model!r} here; there are {known}.")
        prompt = await run_in_threadpool(self._prompt, asked)
        reply = _Reply(self, asked, adapter, prompt)
        if asked.stream:
            return StreamingResponse(reply.stream(), media_type="text/event-stream")
        return await unless_gone(request, reply.whole())

    def _prompt(self, asked: ChatRequest) -> list[int]:
        """The token ids that the model reads.

        Raises:
            ApiError: the chat template refuses the conversation, or it is longer than the model can read.
        """
        template = self.policy.template
        try:
            ids = conversation_token_ids(self.policy.tokenizer, template.fit(asked.conversation))
        except TemplateError as error:
            raise ApiError(400, refusal(template.model, error)) from error
        if len(ids) >= self.context:
            raise ApiError(
                400,
                f"The prompt has {len(ids)} tokens, and the model can read {self.context} with the answer. Ask "
                "something shorter.",
            )
        return ids


class _Reply:
    """One answer on its way to whoever asked."""

    def __init__(self, server: ModelServer, asked: ChatRequest, adapter: str, prompt: list[int]) -> None:
        self._server = server
        self._asked = asked
        self._adapter = adapter
        self._prompt = prompt
        self._id = f"chatcmpl-{secrets.token_hex(12)}"
        self._created = int(time.time())

    async def stream(self) -> AsyncIterator[str]:
        """The answer as server-sent events, as OpenAI has them."""
        yield self._chunk({"role": "assistant", "content": ""})
        async for event in self._events():
            match event:
                case None:
                    yield ": still at work\n\n"
                case Failed(status, message):
                    yield _data(error_body(status, message))
                    return
                case Written(text) if text:
                    yield self._chunk({"content": text})
                case Ended(text, tokens, finish):
                    if text:
                        yield self._chunk({"content": text})
                    yield self._chunk({}, finish)
                    if self._asked.tells_usage:
                        yield _data(
                            {**self._head("chat.completion.chunk"), "choices": [], "usage": self._usage(tokens)}
                        )
        yield "data: [DONE]\n\n"

    async def whole(self) -> Response:
        """The answer in one piece."""
        text = ""
        async for event in self._events():
            match event:
                case Failed(status, message):
                    raise ApiError(status, message)
                case Written(piece):
                    text += piece
                case Ended(piece, tokens, finish):
                    turn = {"role": "assistant", "content": text + piece}
                    choice = {"index": 0, "message": turn, "logprobs": None, "finish_reason": finish}
                    usage = self._usage(tokens)
                    return JSONResponse({**self._head("chat.completion"), "choices": [choice], "usage": usage})
        raise AssertionError("an answer ends with Ended or Failed")

    async def _events(self) -> AsyncIterator[Event | None]:
        """What the engine tells, to the end; None where it has told nothing for a while."""
        loop, queue = asyncio.get_running_loop(), asyncio.Queue[Event]()
        with self._server.clock.asked():
            question = self._question(lambda event: loop.call_soon_threadsafe(queue.put_nowait, event))
            answer = self._server.engine.ask(question)
            try:
                event: Event | None = None
                while not isinstance(event, Ended | Failed):
                    event = None
                    with suppress(TimeoutError):
                        event = await asyncio.wait_for(queue.get(), _ALIVE_SECONDS)
                    yield event
            finally:
                answer.cancelled.set()

    def _question(self, tell: Any) -> Question:
        room = self._server.context - len(self._prompt)
        return Question(
            self._prompt,
            self._adapter,
            Sampling(min(self._asked.tokens or room, room), self._asked.temperature, self._asked.top_p),
            secrets.randbits(63) if self._asked.seed is None else self._asked.seed,
            self._asked.stops,
            tell,
        )

    def _usage(self, tokens: int) -> dict[str, int]:
        read = len(self._prompt)
        return {"prompt_tokens": read, "completion_tokens": tokens, "total_tokens": read + tokens}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self._id, "object": kind, "created": self._created, "model": self._asked.model}

    def _chunk(self, delta: dict[str, str], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _data({**self._head("chat.completion.chunk"), "choices": [choice]})


def _data(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
