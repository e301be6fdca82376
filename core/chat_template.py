"""Turns a conversation into the text a model reads, by the model's own chat template and without transformers.

The template is a Jinja program that came with a model, so it runs in a sandbox. The environment is the one transformers
sets up, so both write the same text; `tests/core/test_chat.py` compares them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from typing import Any, Literal, NoReturn

from jinja2 import Environment, Template, TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from core.errors import ModelError
from core.prompts import Message, begun_turn, merge_system

SystemRole = Literal["own", "merged"]
"""Whether a chat template has a place for the system prompt, or gets it in front of the first question."""

_PROBE = "These words must reach the model."


class _Generation(Extension):
    """The block `generation`, with which some templates mark the model's own turns; it changes no text."""

    tags = {"generation"}  # noqa: RUF012  # jinja2 declares it without ClassVar

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body).set_lineno(line)


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().strftime(form)


def _json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


@cache
def _environment() -> Environment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _json
    environment.globals.update(raise_exception=_raise, strftime_now=_now)
    return environment


@dataclass(frozen=True)
class ChatTemplate:
    """A model's chat template.

    Attributes:
        model: the model's name, for messages.
        source: the Jinja text.
        special_tokens: what the template may name, such as `bos_token`.
    """

    model: str
    source: str
    special_tokens: Mapping[str, str]

    def text(self, messages: Sequence[Message]) -> str:
        """The text of a conversation, up to where the model goes on by itself.

        Raises:
            ModelError: the template is faulty or refuses such a conversation.
        """
        turns, beginning = begun_turn(messages)
        try:
            return self._write(turns) + beginning
        except Exception as error:  # a template is a program; whatever it raises is the model's fault
            raise ModelError(refusal(self.model, error)) from error

    def fit(self, messages: Sequence[Message]) -> list[Message]:
        """The conversation as this model can read it: with the system prompt where its template takes one."""
        return list(messages) if self.system_role == "own" else merge_system(messages)

    @cached_property
    def system_role(self) -> SystemRole:
        """`merged` when the template refuses a system message, or drops it without a word.

        It is tried on a conversation with and one without an earlier exchange, since templates treat them differently.
        """
        question = {"role": "user", "content": "Question"}
        exchange = [question, {"role": "assistant", "content": "Answer"}]
        for before in ([], exchange):
            try:
                text = self._write([{"role": "system", "content": _PROBE}, *before, question])
            except Exception:  # it refuses, or stumbles over what it does not expect
                return "merged"
            if _PROBE not in text:
                return "merged"
        return "own"

    def _write(self, messages: Sequence[Message]) -> str:
        return self._program.render(
            messages=list(messages), tools=None, documents=None, add_generation_prompt=True, **self.special_tokens
        )

    @cached_property
    def _program(self) -> Template:
        return _environment().from_string(self.source)


def refusal(model: str, error: Exception) -> str:
    """What to say of a chat template that fails on a conversation."""
    return (
        f"The chat template of {model!r} cannot write this conversation ({error}). Choose another model, or correct "
        "its chat_template.jinja."
    )
