"""The Modelfile by which Ollama loads a GGUF file: template, stop tokens, system prompt and lengths as in training.

Ollama does not run a model's own chat template but one in Go's template language, so the parts of the model's own
(`core.export.chat_parts`) are written in that. It hands the template all messages, the system prompt among them, and
puts the token that begins a text in front where the GGUF file says so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.chat import ChatModel
from core.config import RunConfig
from core.errors import ModelError
from core.export.chat_parts import ChatParts, adds_begin, chat_parts, refuse_difference
from core.export.commands import begun_text, wanted_context
from core.paths import Home
from core.prompts import Message, messages

_QUESTION = "Question?"
_QUOTES = '"""'
_NEWLINE = "\n"


@dataclass(frozen=True)
class ModelfileParts:
    """What a Modelfile says, apart from which file it is for.

    Attributes:
        template: in Go's template language.
        stops: texts at which an answer ends.
        messages: the system prompt, and the worked examples as earlier exchanges.
        context: how many tokens prompt and answer may have together.
        begun: what every answer begins with without the model writing it; mostly empty.
    """

    template: str
    stops: tuple[str, ...]
    messages: tuple[Message, ...]
    context: int
    begun: str

    def text(self, gguf_file: str) -> str:
        """The Modelfile for a GGUF file that lies beside it."""
        lines = [f"FROM ./{gguf_file}", f"TEMPLATE {_quoted(self.template)}"]
        if self.begun:
            lines.insert(0, f"# Every answer begins with {self.begun} without Ollama showing it, as in training.")
        lines += [f'PARAMETER stop "{stop}"' for stop in self.stops]
        lines += [f"PARAMETER num_ctx {self.context}", "PARAMETER temperature 0", "PARAMETER repeat_penalty 1"]
        for message in self.messages:
            role = "SYSTEM" if message["role"] == "system" else f"MESSAGE {message['role']}"
            lines.append(f"{role} {_quoted(message['content'])}")
        return _NEWLINE.join(lines) + _NEWLINE


def modelfile_parts(home: Home, folder: Path, config: RunConfig) -> ModelfileParts:
    """What Modelfiles of a run's model say.

    Args:
        folder: the base model, for what its files say of lengths and end tokens.
        config: of the run, for its model and prompt.

    Raises:
        ModelError: the template cannot be written exactly in Go's language; the sentence names the way out.
    """
    model = ChatModel.open(config.model, home)
    parts = chat_parts(model.template)
    *turns, question = messages(config.prompt.model_copy(update={"prefill": False}), _QUESTION)
    said = [{"role": turn["role"], "content": turn["content"].strip()} for turn in turns if turn["content"].strip()]
    if model.template.text(model.template.fit([*turns, question])) != parts.text([*said, question]):
        refuse_difference(model.template, parts, [*turns, question])
        said = turns
    begun = begun_text(config)
    template = go_template(parts, begun, _added_begin(folder, model))
    if any(_QUOTES in text for text in (template, *(turn["content"] for turn in said))):
        raise ModelError(
            f"The prompt of this run contains {_QUOTES}, which a Modelfile of Ollama cannot hold. Use llama.cpp with "
            "--jinja."
        )
    return ModelfileParts(
        template=template,
        stops=stop_texts(folder, model, parts),
        messages=tuple(said),
        context=context_length(folder, config),
        begun=begun,
    )


def go_template(parts: ChatParts, begun: str = "", added: str = "") -> str:
    """The chat template in Go's template language, as Ollama runs it.

    Args:
        begun: what the model's turn begins with.
        added: the token that is put in front of every text by whoever runs the model, and so must not be written.
    """
    begin, system_begin = parts.begin.removeprefix(added), parts.system_begin.removeprefix(added)
    opening = parts.opening + begun
    turns = (
        "{{ range $i, $_ := .Messages }}{{ $last := eq (len (slice $.Messages $i)) 1 }}"
        '{{ if eq .Role "system" }}{{ .Content }}' + _text(parts.system_end) + "{{ end }}"
        '{{ if eq .Role "user" }}{{ .Content }}'
        "{{ if $last }}" + _text(opening) + "{{ else }}" + _text(parts.question_end) + "{{ end }}{{ end }}"
        '{{ if eq .Role "assistant" }}{{ .Content }}{{ if not $last }}' + _text(parts.answer_end) + "{{ end }}{{ end }}"
        "{{ end }}"
    )
    return "{{ if .System }}" + _text(system_begin) + "{{ else }}" + _text(begin) + "{{ end }}" + turns


def stop_texts(folder: Path, model: ChatModel, parts: ChatParts) -> tuple[str, ...]:
    """The tokens at which an answer ends: what the model's files say, and what the template writes after an answer."""
    tokenizer = model.tokenizer
    generation = _json(folder / "generation_config.json").get("eos_token_id", [])
    numbers = generation if isinstance(generation, list) else [generation]
    found = [tokenizer.id_to_token(number) for number in numbers if isinstance(number, int)]
    found.append(model.template.special_tokens.get("eos_token"))
    after = tokenizer.encode(parts.answer_end, add_special_tokens=False).ids
    if after and after[0] in model.special_ids:
        found.append(tokenizer.id_to_token(after[0]))
    return tuple(dict.fromkeys(token for token in found if token))


def context_length(folder: Path, config: RunConfig) -> int:
    """How many tokens prompt and answer may have: what is wanted, and at most what the model takes."""
    known = _json(folder / "config.json")
    longest = (known.get("text_config") or known).get("max_position_embeddings")
    wanted = wanted_context(config)
    return min(longest, wanted) if isinstance(longest, int) and longest > 0 else wanted


def _added_begin(folder: Path, model: ChatModel) -> str:
    """The token that is put in front of every text by whoever runs the GGUF file, as text; empty where none is."""
    first: str | None = model.template.special_tokens.get("bos_token")
    number = model.tokenizer.token_to_id(first) if first else None
    return first if first and number is not None and adds_begin(folder, model.tokenizer, number) else ""


def _text(text: str) -> str:
    """A text that stands in a Go template as it is."""
    return text.replace("{{", '{{ "{{" }}')


def _quoted(text: str) -> str:
    return f"{_QUOTES}{text}{_QUOTES}"


def _json(file: Path) -> dict[str, Any]:
    """A JSON object from a file of the model; nothing where there is none."""
    found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found if isinstance(found, dict) else {}
