"""What the servers of this machine understand and answer: OpenAI's chat completions, and vLLM's way to load adapters.

https://platform.openai.com/docs/api-reference/chat, https://docs.vllm.ai/en/stable/features/lora
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from core.prompts import Message

BASE = "base"
"""The base model's name in requests."""
HEALTH = "/health"
LARGEST_BODY = 4_000_000

_KINDS = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error", 413: "request_too_large"}
_INT64 = 2**63


class ChatMessage(BaseModel):
    """One turn; the last one may be the model's own, begun for it."""

    role: Literal["system", "user", "assistant"]
    content: str


class StreamOptions(BaseModel):
    include_usage: bool = False


class ChatRequest(BaseModel):
    """The fields of a chat completion that count here; further ones are let pass, as OpenAI's clients send many.

    Attributes:
        temperature: 0 takes the most likely token.
        seed: equal requests with equal seeds have equal answers; None draws one.
        stop: texts before which an answer ends.
        continue_final_message: whether the last message is the beginning of the answer, as vLLM has it.
    """

    model: str
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: float = Field(default=1.0, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    seed: int | None = Field(default=None, ge=-_INT64, lt=_INT64)
    stop: str | list[Annotated[str, Field(min_length=1)]] | None = None
    n: Literal[1] = 1
    add_generation_prompt: bool = True
    continue_final_message: bool = False

    @model_validator(mode="after")
    def _turns(self) -> ChatRequest:
        if self.continue_final_message != (self.messages[-1].role == "assistant"):
            raise ValueError("the last message is the assistant's exactly where continue_final_message is true")
        return self

    @property
    def tokens(self) -> int | None:
        """How many tokens the answer may have; None for as many as there is room for."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def stops(self) -> tuple[str, ...]:
        wanted = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(text for text in wanted if text)

    @property
    def conversation(self) -> list[Message]:
        return [{"role": turn.role, "content": turn.content} for turn in self.messages]

    @property
    def tells_usage(self) -> bool:
        """Whether a stream ends with how many tokens there were."""
        return self.stream_options is not None and self.stream_options.include_usage


class LoadAdapter(BaseModel):
    """Asks for an adapter to be loaded from a folder of this machine."""

    lora_name: str = Field(min_length=1, max_length=300)
    lora_path: str = Field(min_length=1)


class UnloadAdapter(BaseModel):
    """Asks for an adapter to be given up."""

    lora_name: str


class ApiError(Exception):
    """A request that is answered with an error: an HTTP status and a sentence for people."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def error_body(status: int, message: str) -> dict[str, dict[str, str | int]]:
    """An error in OpenAI's form."""
    return {"error": {"message": message, "type": _KINDS.get(status, "server_error"), "code": status}}


def error(status: int, message: str) -> JSONResponse:
    """The answer to a request that cannot be fulfilled."""
    return JSONResponse(error_body(status, message), status)


Body = TypeVar("Body", bound=BaseModel)


async def content(request: Request) -> bytes:
    """What a request brings along.

    Raises:
        ApiError: it is too large.
    """
    sent = bytearray()
    async for part in request.stream():
        sent += part
        if len(sent) > LARGEST_BODY:
            raise ApiError(413, f"The request is larger than {LARGEST_BODY // 1_000_000} MB. Ask something shorter.")
    return bytes(sent)


async def body(request: Request, model: type[Body]) -> Body:
    """What a request asks for.

    Raises:
        ApiError: it is too large, no JSON, or a field is wrong.
    """
    sent = await content(request)
    try:
        return model.model_validate_json(sent)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise ApiError(400, f"The request cannot be used: {f'{field}: ' if field else ''}{first['msg']}.") from invalid


def protected(routes: Sequence[Route], token: str) -> Starlette:
    """An application that answers whoever has the token, and `GET /health` to all; errors are in OpenAI's form."""
    return Starlette(
        routes=list(routes),
        middleware=[Middleware(_Bearer, token=token)],
        exception_handlers={ApiError: _told, HTTPException: _told_of_address, Exception: _told_of_defect},
    )


class _Bearer:
    """Lets only those requests through that carry the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._wanted = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = next((value for name, value in scope.get("headers", ()) if name == b"authorization"), b"")
        if scope.get("path") == HEALTH or secrets.compare_digest(given, self._wanted):
            await self._app(scope, receive, send)
        else:
            await error(401, "The server does not know this token.")(scope, receive, send)


def _told(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, ApiError)
    return error(problem.status, str(problem))


def _told_of_address(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    return error(problem.status_code, f"There is nothing at {request.method} {request.url.path} ({problem.detail}).")


def _told_of_defect(request: Request, problem: Exception) -> Response:
    """The traceback goes to the log."""
    return error(500, "The server met an error it does not know. Its worker.log has more.")
