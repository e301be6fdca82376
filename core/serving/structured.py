"""Asks a model for a JSON object of a given form, and says what it comes down to when an endpoint does not answer.

Retries and their waiting are the client library's. What an endpoint writes in place of an answer is never part of a
reason: it may hold anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2
import openai
from openai import AsyncOpenAI
from pydantic import BaseModel, Field, ValidationError

from core.endpoints import ENDPOINTS, JUDGE_KEYS
from core.serving.checked_transport import Forbidden

_PATH = "/chat/completions"
_BAD_REQUEST = (400, 413, 422)
"""What endpoints answer to a request that they do not take, such as one that is longer than the model reads."""
_TEMPERATURE, _FORM = "temperature", "response_format"
_WAYS: Sequence[tuple[str, ...]] = (
    (_TEMPERATURE, _FORM),
    (_TEMPERATURE,),  # for endpoints without structured output
    (_FORM,),  # for models that take no temperature
    (),
)
"""The options that an endpoint is asked with; when it calls a request bad, the next way is tried and kept."""


class NoCompletion(Exception):
    """What came is no chat completion, such as a proxy's page.

    Attributes:
        text: what came; it may be anything.
    """

    def __init__(self, text: str) -> None:
        super().__init__("what came is no chat completion")
        self.text = text


@dataclass(frozen=True)
class StructuredReply:
    """What an endpoint replied; all of it is text from outside.

    Attributes:
        text: what the model wrote; empty when it wrote nothing.
        refusal: what the model said in declining, where the endpoint tells that apart.
        finish_reason: why it ended, such as `stop`, `length` or `content_filter`.
        model, system_fingerprint: what the endpoint says has answered.
        parameters: how it was asked.
        input_tokens, output_tokens: None where the endpoint does not tell.
    """

    text: str
    refusal: str = ""
    finish_reason: str = ""
    model: str = ""
    system_fingerprint: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True)
class Fault:
    """Why nothing came.

    Attributes:
        reason: in a few words.
        lasting: whether asking anything more is of no use.
        of_request: whether this one request was called bad, such as for its length, which says nothing of others.
    """

    reason: str
    lasting: bool
    of_request: bool = False


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    model: str | None = None
    system_fingerprint: str | None = None
    usage: _Usage | None = None


class StructuredModel:
    """A model that is asked for JSON objects; remembers which options its endpoint takes, from client to client."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._way = 0

    async def ask(self, client: AsyncOpenAI, system: str, user: str, schema: Mapping[str, Any]) -> StructuredReply:
        """One reply, at temperature 0 and in the form of a JSON schema as far as the endpoint takes these options.

        Raises:
            openai.OpenAIError: nothing came; see `fault_of`.
            NoCompletion: something else came.
        """
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        form = {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": schema}}
        values: Mapping[str, Any] = {_TEMPERATURE: 0, _FORM: form}
        way = self._way
        while True:
            body = {"model": self._name, "messages": messages, **{name: values[name] for name in _WAYS[way]}}
            try:  # not through `chat.completions`, which walks through messages and schema anew for every request
                raw = await client.post(_PATH, cast_to=httpx2.Response, body=body)
                break
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                way += 1
                if way == len(_WAYS) or is_filtered(error):
                    raise
        self._way = max(self._way, way)
        parameters = {_TEMPERATURE: "0", _FORM: "json_schema"}
        return _reply(raw.content, {name: parameters[name] for name in _WAYS[way]})


def _reply(content: bytes, parameters: Mapping[str, str]) -> StructuredReply:
    try:
        found = _Completion.model_validate_json(content)
    except ValidationError:
        raise NoCompletion(content.decode("utf-8", "replace")) from None
    choice, usage = found.choices[0], found.usage or _Usage()
    return StructuredReply(
        text=choice.message.content or "",
        refusal=choice.message.refusal or "",
        finish_reason=choice.finish_reason or "",
        model=found.model or "",
        system_fingerprint=found.system_fingerprint or "",
        parameters=parameters,
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
    )


def is_filtered(error: openai.APIStatusError) -> bool:
    """Whether a request was refused by the endpoint's filter of contents, as some say by a status."""
    return error.code == "content_filter"


def fault_of(error: Exception, model: str, seconds: float) -> Fault | None:
    """What a question without an answer comes down to; None where that is not the endpoint's doing.

    Args:
        model: its name at the endpoint.
        seconds: how long it was waited for.
    """
    match error:
        case openai.AuthenticationError() | openai.PermissionDeniedError():
            keys = " or ".join(JUDGE_KEYS)
            return Fault(f"the endpoint refused the key ({error.status_code}); check {keys}", lasting=True)
        case openai.NotFoundError():
            return Fault(f"the endpoint does not know the model {model} (404)", lasting=True)
        case openai.RateLimitError():
            said = "the endpoint allows no more questions now (429); ask fewer at once or raise its limit"
            return Fault(said, lasting=False)
        case openai.APIStatusError():
            said = f"the endpoint answered with status {error.status_code}"
            return Fault(said, lasting=False, of_request=error.status_code in _BAD_REQUEST)
        case openai.APITimeoutError() | TimeoutError():
            return Fault(f"there was no answer within {seconds:g} s", lasting=False)
        case openai.APIConnectionError(__cause__=Forbidden()):
            return Fault(f"the endpoint leads to a machine that must not be asked; check {ENDPOINTS}", lasting=True)
        case openai.APIConnectionError():
            return Fault("the endpoint cannot be reached", lasting=True)
    return None
