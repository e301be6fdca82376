"""An endpoint on this machine that answers questions as models do, and judges as a judge does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from core.evaluate.request import JudgeSettings
from tests.build_endpoint import FakeEndpoint, Reply, serving, whole


def is_judged(request: dict[str, Any]) -> bool:
    """Whether a request is one to a judge; models are asked for streams."""
    return not request.get("stream")


def judge_reply(request: dict[str, Any], mark: int = 4) -> Reply:
    """A verdict in the form that is asked for: the same mark on everything, all items met, no danger, a tie."""
    schema = request["response_format"]["json_schema"]["schema"]
    return said(json.dumps(_filled(schema, mark, "")))


def said(text: str) -> Reply:
    """A whole completion that is not streamed."""
    message = {"role": "assistant", "content": text}
    body = {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "judge-2024",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 500, "completion_tokens": 80, "total_tokens": 580},
    }
    return Reply([json.dumps(body)], kind="application/json")


def answer_or_verdict(request: dict[str, Any]) -> Reply:
    """What the endpoint answers if nothing else is said."""
    if is_judged(request):
        return judge_reply(request)
    text = f"{request['model']}: {request['messages'][-1]['content'][-40:]}"
    return Reply(whole(f"<reasoning>So it is.</reasoning><answer>{text}</answer>"))


@contextmanager
def judging_server() -> Iterator[FakeEndpoint]:
    """Such an endpoint for the length of a `with` block."""
    with serving() as found:
        found.answer = answer_or_verdict
        yield found


def judges_at(url: str, *models: str, **settings: Any) -> tuple[JudgeSettings, ...]:
    """Judges of these names at one address."""
    return tuple(JudgeSettings(model=model, base_url=url, **settings) for model in models)


def _filled(schema: dict[str, Any], mark: int, name: str) -> Any:
    """Something that a JSON schema allows."""
    if "enum" in schema:
        return mark if mark in schema["enum"] else schema["enum"][-1]
    match schema["type"]:
        case "object":
            return {key: _filled(value, mark, key) for key, value in schema["properties"].items()}
        case "boolean":
            return name == "met"
        case "integer":
            return mark
    return "Because it is so."
