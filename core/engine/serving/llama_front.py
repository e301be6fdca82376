"""What is asked in place of llama.cpp's own server.

It holds llama.cpp to what all servers of the studio have in common: the model's name, plain sampling without further
cuts, an answer without the beginning that it was given, and errors as sentences.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.engine.serving.front import Front
from core.engine.serving.protocol import BASE, HEALTH, ApiError, ChatRequest, body

_SAMPLING: Mapping[str, Any] = {"samplers": ["temperature", "top_p"], "top_k": 0, "min_p": 0.0}
"""Temperature first and then top p, as the other servers have it, without the cuts that llama.cpp makes by itself."""
_SEEDS = 2**32 - 1
"""llama.cpp's seeds are 32 bits wide, and the last one stands for none."""


class LlamaFront:
    """The routes of a GGUF file's server."""

    def __init__(self, front: Front, context: int) -> None:
        """Args:
        front: passes on to llama.cpp.
        context: tokens that a question and its answer have room for.
        """
        self._front = front
        self._context = context
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

        def finish(answer: httpx.Response) -> Response:
            if answer.is_error:
                raise self._refusal(answer)
            return JSONResponse(_without_beginning(answer.json(), asked))

        return await self._front.post(request, json.dumps(_fields(asked)).encode(), finish)

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
