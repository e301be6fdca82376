"""An installed llama.cpp, or llama-cpp-python, that converts or quantises in place of the studio's own code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.engine.export.gguf_mix import FILE_TYPES
from core.errors import ModelError
from core.export.quantiser import CONVERTER, LLAMA_CPP_DIR, PROGRAM, has_llama_cpp_python, installed_program
from core.export.request import Form
from core.jobs.processes import tethered
from core.jobs.tasks import Tell
from core.machine import cpu_cores
from core.secrets import without_secrets

SHARE: Mapping[Form, float] = {"gguf_q8_0": 0.53, "gguf_q5_k_m": 0.36, "gguf_q4_k_m": 0.31}
"""About how large each form is beside the file with 16-bit weights."""

_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class LlamaTool:
    """A program that turns a 16-bit GGUF file into a quantised one.

    Attributes:
        name: for people.
        command: what is started; the two files, llama.cpp's number of the form and how many threads follow.
    """

    name: str
    command: tuple[str, ...]


def installed_tool() -> LlamaTool | None:
    """The program that is used first, or None where the studio's own code has to do it.

    Raises:
        ConfigError: `LLAMA_CPP_DIR` names a folder without it.
    """
    program = installed_program()
    if program is not None:
        return LlamaTool(PROGRAM, (str(program),))
    if has_llama_cpp_python():
        return LlamaTool("llama-cpp-python", (sys.executable, "-m", "core.engine.export.llama_cpp_child"))
    return None


def run_tool(tool: LlamaTool, source: Path, target: Path, form: Form, phase: str, tell: Tell) -> None:
    """Let the program write `target`; how far it is, is told by how large the file is by now.

    Raises:
        ModelError: the program ended with an error; what it said stands in the log.
        TaskStopped: as `tell` does; the program is ended then.
    """
    total = int(source.stat().st_size * SHARE[form])
    numbers = (str(int(FILE_TYPES[form])), str(cpu_cores()))
    code = _run([*tool.command, str(source), str(target), *numbers], target, total, phase, tell)
    if code or not _size(target):
        raise ModelError(
            f"{tool.name} could not quantise the model (exit code {code}). What it said stands in the export's log. "
            f"Mend it, or leave it out: without {LLAMA_CPP_DIR} and llama-cpp-python the studio does it itself."
        )


def run_converter(script: Path, merged_folder: Path, target: Path, title: str, phase: str, tell: Tell) -> None:
    """Let llama.cpp's own script write `target`, a GGUF file in 16 bits; told is how large it is by now.

    Args:
        merged_folder: the model, which the script keeps as it is.
        title: what programs call the model.

    Raises:
        ModelError: the script ended with an error; what it said stands in the log.
        TaskStopped: as `tell` does; the script is ended then.
    """
    total = sum(_size(file) for file in merged_folder.glob("*.safetensors"))
    command = [sys.executable, str(script), str(merged_folder), "--outfile", str(target), "--outtype", "f16"]
    code = _run([*command, "--model-name", title], target, total, phase, tell)
    if code or not _size(target):
        raise ModelError(
            f"{CONVERTER} of the installed llama.cpp could not convert the model (exit code {code}); what it said "
            "stands in the export's log."
        )


def _run(command: Sequence[str], target: Path, total: int, phase: str, tell: Tell) -> int:
    """Run a program that writes `target`, about `total` bytes of it; returns its exit code."""
    environment = {**without_secrets(os.environ), "OMP_WAIT_POLICY": "PASSIVE"}
    with tethered(command, environment) as process:
        while True:
            tell(phase, min(_size(target), total), total)
            with suppress(subprocess.TimeoutExpired):
                return process.wait(_POLL_SECONDS)


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0
