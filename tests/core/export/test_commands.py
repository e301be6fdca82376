"""The commands by which other programs load an export."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from core.config import with_changes
from core.export.commands import commands_markdown, commands_of, wanted_context
from core.paths import Home
from core.presets import preset_config
from core.runs.run import Run
from tests.build_export import ALL, exportable_run, made_up_export


@pytest.fixture
def run(home: Home, tmp_path: Path) -> Run:
    return exportable_run(home, tmp_path / "base")


def test_only_programs_that_can_load_what_is_there_are_told(home: Home, run: Run) -> None:
    told = {
        form: {one.program for one in commands_of(made_up_export(home, run, [form]), run.config(), 4)}
        for form in ("adapter", "merged", "gguf_q8_0")
    }
    assert told["adapter"] == {"vLLM, LoRA adapter", "Python"}
    assert told["merged"] == {"vLLM, Merged, 16 bits"}
    assert told["gguf_q8_0"] == {"llama.cpp", "Ollama", "LM Studio", "Jan", "Open WebUI"}


def test_every_file_that_is_named_is_there(home: Home, run: Run) -> None:
    export = made_up_export(home, run)
    named = {
        word
        for one in commands_of(export, run.config(), 4)
        for line in one.lines
        if one.language == "sh"
        for word in shlex.split(line.replace("=", " "))
        if word.endswith(".gguf") or word.startswith("./")
    }
    assert named and all((export.folder / word).exists() for word in named)


def test_the_smallest_file_is_the_one_to_run(home: Home, run: Run) -> None:
    export = made_up_export(home, run, ["gguf_f16", "gguf_q8_0"])
    llama = commands_of(export, run.config(), 4)[0]
    assert all("q8_0.gguf" in line and "--jinja" in line for line in llama.lines)


def test_why_there_is_no_modelfile_stands_in_its_place(home: Home, run: Run) -> None:
    export = made_up_export(home, run)
    ollama = next(one for one in commands_of(export, run.config(), 4, "It writes a date.") if one.program == "Ollama")
    assert (ollama.note, ollama.lines) == ("It writes a date.", ())


def test_commands_beside_a_form_name_its_files_from_there(home: Home, run: Run) -> None:
    export = made_up_export(home, run)
    [vllm] = commands_of(export, run.config(), 4, start=export.form_folder("merged"))
    assert vllm.lines == (f"vllm serve . --served-model-name {export.slug}",)


def test_how_an_answer_is_begun_is_told_for_every_program(home: Home, run: Run) -> None:
    export, config = made_up_export(home, run), run.config()
    begun = with_changes(config, {"prompt.prefill": True})
    told = {one.program: one for one in commands_of(export, begun, 4)}
    silent = {name for name, one in told.items() if "<reasoning>" not in one.note}
    assert silent == {"Ollama"}  # its Modelfile does it
    assert '"continue_final_message": true' in told["llama.cpp"].note
    assert '"continue_final_message": true' in told["vLLM, Merged, 16 bits"].note
    assert not any("llama-cli" in line for line in told["llama.cpp"].lines)
    text = commands_markdown(export, begun, list(told.values()))
    assert text.count("<reasoning>") == text.count("`<reasoning>`")
    assert "begun" not in commands_markdown(export, config, commands_of(export, config, 4))


def test_a_rank_is_one_that_vllm_takes(home: Home, run: Run) -> None:
    export = made_up_export(home, run, ["adapter"])
    for rank, told in ((4, 8), (16, 16), (17, 32)):
        assert f"--max-lora-rank {told} " in commands_of(export, run.config(), rank)[0].lines[0]


def test_no_path_of_this_machine_is_told(home: Home, run: Run) -> None:
    export = made_up_export(home, run)
    text = commands_markdown(export, run.config(), commands_of(export, run.config(), 4))
    assert str(home.root.parent) not in text
    assert not re.search(r"[ '\"](/\w+)+", text.replace("http://localhost:8080/v1", ""))


def test_room_for_prompt_and_answer_is_asked_for() -> None:
    config = preset_config("demo")
    assert wanted_context(with_changes(config, {"train.max_prompt_length": 6000})) == 8192
    assert wanted_context(config) == 4096


def test_a_title_cannot_become_a_command(home: Home, run: Run) -> None:
    export = made_up_export(home, run, ALL, title="x; rm -rf ~ `id` $(id)")
    text = commands_markdown(export, run.config(), commands_of(export, run.config(), 4))
    assert "x-rm-rf-id-id" in text and "rm -rf" not in text
