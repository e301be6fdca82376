"""What a judge replies, for the server of `tests.build_endpoint`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.build_endpoint import Reply


def completion(
    text: str | None, finish: str = "stop", refusal: str | None = None, tokens: tuple[int, int] | None = (500, 80)
) -> Reply:
    """A whole chat completion with this text; `tokens` are those read and written."""
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}
    body: dict[str, Any] = {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "judge-2024-07-18",
        "system_fingerprint": "fp_1",
        "choices": [choice],
    }
    if refusal is not None:
        choice["message"] = {"role": "assistant", "content": text, "refusal": refusal}
    if tokens is not None:
        body["usage"] = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    return Reply([json.dumps(body)], kind="application/json")


def filled(schema: dict[str, Any], score: object = 4, yes: object = False, preferred: object = "tie") -> Any:
    """A value of the form that a schema asks for, with the same mark, truth and rationale all over."""
    if schema["type"] == "object":
        return {name: filled(part, score, yes, preferred) for name, part in schema["properties"].items()}
    if schema["type"] == "string":
        return preferred if "enum" in schema else "Because."
    return score if schema["type"] == "integer" else yes


def judging(**values: object) -> Callable[[dict[str, Any]], Reply]:
    """The answer of a server that gives `filled` verdicts; it wants to be asked with a schema."""

    def answer(request: dict[str, Any]) -> Reply:
        schema = request["response_format"]["json_schema"]["schema"]
        return completion(json.dumps(filled(schema, **values)))

    return answer
