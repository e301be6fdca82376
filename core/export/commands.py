"""How other programs are told to load what an export holds: lines to copy, for people who run them on their machine."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.config import RunConfig
from core.export.names import public_name
from core.export.request import FORM_TITLES, GGUF_FORMS, Form
from core.export.store import Export
from core.prompts import begun_turn, messages, render_system

MODELFILE, SYSTEM = "Modelfile", "SYSTEM.txt"
_PORT = 8080
_LEAST_CONTEXT = 4096
_SMALLEST_FIRST: tuple[Form, ...] = (
    *("gguf_q4_k_m", "unsloth_q4_k_m", "gguf_q5_k_m"),
    *("gguf_q8_0", "unsloth_q8_0", "gguf_f16"),
)
"""Which GGUF file is named where one is enough: the smallest that is there."""
_MERGED: tuple[Form, ...] = ("merged", "merged_4bit", "unsloth_merged")


@dataclass(frozen=True)
class Commands:
    """What one program is told.

    Attributes:
        program: its name.
        form: what it loads; of GGUF files, the one that is named.
        note: what to know before, one or two sentences.
        lines: to be run in the export's folder, in Python's case by Python; none where windows are clicked through.
        language: `sh` or `python`.
    """

    program: str
    form: Form
    note: str
    lines: tuple[str, ...] = ()
    language: str = "sh"


def commands_of(
    export: Export, config: RunConfig, rank: int, ollama_refusal: str = "", start: Path | None = None
) -> list[Commands]:
    """What programs are told to load the forms that are made.

    Args:
        config: of the run.
        rank: the largest of the adapter's layers.
        ollama_refusal: why there is no Modelfile; empty when there is one.
        start: the folder in which they are run, and below which all forms lie that they load; by default the export's.

    Raises:
        DataError: the export is damaged.
    """
    start = start or export.folder
    made = [form for form in export.made if export.place_of(form).is_relative_to(start)]
    found: list[Commands] = []
    ggufs = [form for form in GGUF_FORMS if form in made]
    if ggufs:
        smallest = next(form for form in _SMALLEST_FIRST if form in ggufs)
        found += _for_gguf(_Places(export, start), smallest, ggufs, config, ollama_refusal)
    found += [_vllm(_Places(export, start), form, config) for form in _MERGED if form in made]
    if "adapter" in made:
        found += _for_adapter(_Places(export, start), config, rank)
    return found


def wanted_context(config: RunConfig) -> int:
    """How many tokens prompt and answer may have together: a power of two that training would have fitted into."""
    trained = config.train.max_prompt_length + config.train.max_completion_length
    return max(_LEAST_CONTEXT, 1 << (trained - 1).bit_length())


@dataclass(frozen=True)
class _Places:
    """How files are named from the folder in which commands are run."""

    export: Export
    start: Path

    def of(self, form: Form) -> str:
        return self.name(self.export.place_of(form))

    def folder_of(self, form: Form) -> str:
        """Of a folder, named so that no program takes it for a name on the Hub."""
        name = self.of(form)
        return name if name == "." else f"./{name}"

    def beside(self, form: Form, file: str) -> str:
        return self.name(self.export.form_folder(form) / file)

    def name(self, place: Path) -> str:
        return place.relative_to(self.start).as_posix()


def modelfile_name(form: Form) -> str:
    """What the Modelfile of a GGUF form is called.

    >>> modelfile_name("gguf_q4_k_m")
    'Modelfile.q4_k_m'
    """
    return f"{MODELFILE}.{form.removeprefix('gguf_')}"


def _for_gguf(
    places: _Places, form: Form, all_forms: list[Form], config: RunConfig, ollama_refusal: str
) -> Iterator[Commands]:
    file, name = places.of(form), places.export.slug
    context, begun = wanted_context(config), begun_text(config)
    chat = f"llama-cli -m {file} --jinja --system-prompt-file {places.beside(form, SYSTEM)} -c {context} --temp 0"
    left = f" It cannot begin answers with {begun} as training did, so they may differ." if begun else ""
    yield Commands(
        "llama.cpp",
        form,
        f"--jinja runs the chat template that is inside the file. The server speaks OpenAI's protocol on port {_PORT}; "
        f"whoever asks it sends the text of SYSTEM.txt as the system message.{_asked_to_go_on(begun)}",
        (
            *(() if begun else (chat,)),  # it cannot be told how an answer begins
            f"llama-server -m {file} --jinja -c {context} --port {_PORT}",
        ),
    )
    if ollama_refusal:
        yield Commands("Ollama", form, ollama_refusal)
    else:
        yield Commands(
            "Ollama",
            form,
            "The Modelfile holds template, stop tokens and system prompt, and asks for the likeliest words, without "
            "chance.",
            (
                *(
                    f"ollama create {_tagged(name, one)} -f {places.beside(one, modelfile_name(one))}"
                    for one in all_forms
                ),
                f"ollama run {_tagged(name, form)}",
            ),
        )
    yield Commands(
        "LM Studio",
        form,
        f"Choose the model in the list, and put the text of SYSTEM.txt into its system prompt.{left}",
        (f"lms import --copy {file}",),
    )
    yield Commands(
        "Jan",
        form,
        f"Settings, Model Providers, Llama.cpp, Import: choose {file}. Put the text of "
        f"SYSTEM.txt into the assistant's instructions.{left}",
    )
    yield Commands(
        "Open WebUI",
        form,
        "It lists what Ollama has. For llama.cpp's server add the address below in Settings, Connections, and put the "
        "text of SYSTEM.txt into the model's system prompt."
        + (f" With llama.cpp answers cannot be begun with {begun} from here; with Ollama they are." if begun else ""),
        (f"http://localhost:{_PORT}/v1",),
    )


def _vllm(places: _Places, form: Form, config: RunConfig) -> Commands:
    return Commands(
        f"vLLM, {FORM_TITLES[form]}",
        form,
        "Needs an NVIDIA GPU. Send the text of SYSTEM.txt as the system message." + _asked_to_go_on(begun_text(config)),
        (f"vllm serve {places.folder_of(form)} --served-model-name {places.export.slug}",),
    )


def _for_adapter(places: _Places, config: RunConfig, rank: int) -> Iterator[Commands]:
    base, adapter, begun = _base(config), places.folder_of("adapter"), begun_text(config)
    yield Commands(
        "vLLM, LoRA adapter",
        "adapter",
        f"Loads the base model and the adapter beside it. Needs an NVIDIA GPU.{_asked_to_go_on(begun)}",
        (
            f"vllm serve {shlex.quote(base)} --enable-lora --max-lora-rank {_rank(rank)} "
            f"--lora-modules {places.export.slug}={adapter}",
        ),
    )
    yield Commands(
        "Python",
        "adapter",
        "With the packages transformers and peft."
        + (f" In training every answer was begun with {begun}: put it behind the text of the prompt." if begun else ""),
        (
            "from peft import PeftModel",
            "from transformers import AutoModelForCausalLM, AutoTokenizer",
            f"model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained({base!r}), {adapter!r})",
            f"tokenizer = AutoTokenizer.from_pretrained({adapter!r})",
        ),
        "python",
    )


def commands_markdown(export: Export, config: RunConfig, commands: list[Commands]) -> str:
    """COMMANDS.md: all of it as text; what comes from people stands in blocks of code."""
    parts = [
        f"# How to run {export.slug}",
        "Run the commands in the folder that holds this file. A model answers as in training only with the system "
        "prompt it was trained with, which is in SYSTEM.txt beside the model"
        + _examples_note(config)
        + "."
        + _begun_note(config),
    ]
    for one in commands:
        parts.append(f"## {one.program}")
        parts.append(_as_code(one.note, begun_text(config)))
        if one.lines:
            parts.append("\n".join([f"```{one.language}", *one.lines, "```"]))
    return "\n\n".join(parts) + "\n"


def system_text(config: RunConfig) -> str:
    """The system prompt with which the model was trained."""
    return render_system(config.prompt)


def begun_text(config: RunConfig) -> str:
    """What every answer was begun with in training, without the model writing it; mostly empty."""
    return begun_turn(messages(config.prompt, ""))[1]


def _begun_note(config: RunConfig) -> str:
    begun = begun_text(config)
    if not begun:
        return ""
    return (
        f" Every answer was begun with `{begun}` in training, and the model goes on from there. Ollama does that by "
        "its Modelfile; a server has to be asked for it, as told below; programs that cannot do it answer otherwise."
    )


def _asked_to_go_on(begun: str) -> str:
    """How a server that speaks OpenAI's protocol is asked to go on with an answer that is begun."""
    if not begun:
        return ""
    return (
        f" In training every answer was begun with {begun}: send that as the last message, of the role assistant, and "
        'ask with "add_generation_prompt": false and "continue_final_message": true.'
    )


def _as_code(note: str, begun: str) -> str:
    """A note in Markdown, where a tag would be taken for HTML."""
    return note.replace(begun, f"`{begun}`") if begun else note


def _examples_note(config: RunConfig) -> str:
    count = len(config.prompt.examples)
    if not count:
        return ""
    return f", and with the {count} worked example{'s' * (count > 1)} as earlier exchanges, which are in the Modelfiles"


def _tagged(name: str, form: Form) -> str:
    return f"{name}:{form.removeprefix('gguf_')}"


def _base(config: RunConfig) -> str:
    """What a person gives for the base model; a folder of this machine is told by its name alone."""
    return public_name(config.model) or Path(config.model).name


def _rank(rank: int) -> int:
    """The smallest rank that vLLM takes for an adapter of this one."""
    return next((known for known in (8, 16, 32, 64, 128, 256, 320, 512) if known >= rank), rank)
