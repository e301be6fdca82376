"""What a chat template writes around messages, found by having it write conversations and looking what is between.

Most templates put the same text before and after every turn of a kind. Those that do can be told to programs that do
not run Jinja. Whether a template is one of them is not guessed from its text: what was found is used to write further
conversations, and each must come out as the template writes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.chat_template import ChatTemplate
from core.errors import ModelError
from core.prompts import Message, begun_turn
from core.tokenizer_files import CONFIG

_SYSTEM, _FIRST, _REPLY, _SECOND = "Qsystem0Q", "Quser1Q", "Qassistant2Q", "Quser3Q"
_TODAY = "strftime_now"
"""The function by which templates write today's date."""


@dataclass(frozen=True)
class ChatParts:
    """What stands around messages; `core.prompts.merge_system` counts as the template's work where it is needed.

    Attributes:
        begin: before the first question where there is no system prompt.
        system_begin: before the system prompt.
        system_end: between the system prompt and the first question.
        question_end: between a question and an earlier answer.
        answer_end: between an earlier answer and the next question.
        opening: after the last question; the model goes on from there.
    """

    begin: str
    system_begin: str
    system_end: str
    question_end: str
    answer_end: str
    opening: str

    def text(self, conversation: Sequence[Message]) -> str:
        """A conversation as the template would write it, up to where the model goes on."""
        turns, beginning = begun_turn(conversation)
        has_system = turns[0]["role"] == "system"
        written = [self.system_begin if has_system else self.begin]
        for place, turn in enumerate(turns):
            last = place == len(turns) - 1
            end = {
                "system": self.system_end,
                "user": self.opening if last else self.question_end,
                "assistant": self.answer_end,
            }[turn["role"]]
            written += [turn["content"], end]
        return "".join(written) + beginning


def chat_parts(template: ChatTemplate) -> ChatParts:
    """What a template writes around messages.

    Raises:
        ModelError: it writes today's date, or treats conversations in a way that such parts cannot tell.
    """
    if _TODAY in template.source:
        raise _cannot("it writes today's date into every prompt")
    alone = _between(template, [_user(_FIRST)])
    begun = _between(template, [_system(_SYSTEM), _user(_FIRST)])
    whole = _between(template, [_user(_FIRST), _assistant(_REPLY), _user(_SECOND)])
    parts = ChatParts(
        begin=alone[0],
        system_begin=begun[0],
        system_end=begun[1],
        question_end=whole[1],
        answer_end=whole[2],
        opening=alone[1],
    )
    for conversation in _conversations():
        refuse_difference(template, parts, conversation)
    return parts


def refuse_difference(template: ChatTemplate, parts: ChatParts, conversation: Sequence[Message]) -> None:
    """Raise ModelError unless `parts` writes a conversation exactly as the template does."""
    if template.text(template.fit(conversation)) != parts.text(conversation):
        raise _cannot("it does not write every conversation in the same way")


def adds_begin(folder: Path, tokenizer: Any, begin: int) -> bool:
    """Whether a model's tokenizer puts the token `begin` before every text: as its settings say, else as it does.

    GGUF files say it, and Modelfiles, which then must not write that token, go by it.

    Args:
        folder: with the tokenizer's files.
        tokenizer: a `tokenizers.Tokenizer`.
    """
    file = folder / CONFIG
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    asked = known.get("add_bos_token")
    return bool(tokenizer.encode("a").ids[:1] == [begin] if asked is None else asked)


def _between(template: ChatTemplate, conversation: Sequence[Message]) -> list[str]:
    """The texts around and between the messages of a conversation."""
    text = template.text(template.fit(conversation))
    pieces = re.split("|".join(re.escape(turn["content"]) for turn in conversation), text)
    if len(pieces) != len(conversation) + 1:
        raise _cannot("it leaves messages out or repeats them")
    return pieces


def _conversations() -> list[list[Message]]:
    """Conversations of different shapes: with and without a system prompt, and with several exchanges."""
    exchange = [_user("What is it?"), _assistant("<reasoning>a</reasoning>\n<answer>b</answer>")]
    begun = [*exchange, *exchange, _user("Why\n\nthen: {{ x }}?"), _assistant("<reasoning>")]
    return [
        found
        for system in ([], [_system("Be brief.\nUse <answer>.")])
        for found in ([*system, _user("Why?")], [*system, *exchange, _user("Why?")], [*system, *begun])
    ]


def _cannot(reason: str) -> ModelError:
    return ModelError(
        f"The chat template of this model cannot be written for Ollama exactly: {reason}. Use llama.cpp with --jinja, "
        "which runs the template that is inside the GGUF file."
    )


def _system(content: str) -> Message:
    return {"role": "system", "content": content}


def _user(content: str) -> Message:
    return {"role": "user", "content": content}


def _assistant(content: str) -> Message:
    return {"role": "assistant", "content": content}
