"""An installed llama.cpp, or llama-cpp-python, that quantises in place of the studio's own code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from core.engine.export.gguf_mix import FILE_TYPES
from core.errors import ConfigError, ModelError
from core.export.request import Form
from core.jobs.processes import tethered
from core.jobs.tasks import Tell
from core.machine import cpu_cores
from core.secrets import without_secrets

LLAMA_CPP_DIR = "LLAMA_CPP_DIR"
"""The environment variable that names the folder of an installed llama.cpp."""

SHARE: Mapping[Form, float] = {"gguf_q8_0": 0.53, "gguf_q5_k_m": 0.36, "gguf_q4_k_m": 0.31}
"""About how large each form is beside the file with 16-bit weights."""

_PROGRAM = "llama-quantize"
_FOLDERS = ("", "bin", "build/bin")
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
    named = os.environ.get(LLAMA_CPP_DIR, "").strip()
    if named:
        return LlamaTool(_PROGRAM, (str(_program(Path(named).expanduser())),))
    if find_spec("llama_cpp") is not None:
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
    environment = {**without_secrets(os.environ), "OMP_WAIT_POLICY": "PASSIVE"}
    with tethered([*tool.command, str(source), str(target), *numbers], environment) as process:
        code: int | None = None
        while code is None:
            tell(phase, min(_size(target), total), total)
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(_POLL_SECONDS)
    if code or not _size(target):
        raise ModelError(
            f"{tool.name} could not quantise the model (exit code {code}). What it said stands in the export's log. "
            f"Mend it, or leave it out: without {LLAMA_CPP_DIR} and llama-cpp-python the studio does it itself."
        )


def _program(folder: Path) -> Path:
    suffix = ".exe" if sys.platform == "win32" else ""
    for inner in _FOLDERS:
        program = folder / inner / f"{_PROGRAM}{suffix}"
        if program.is_file() and os.access(program, os.X_OK):
            return program.resolve()
    raise ConfigError(
        f"{LLAMA_CPP_DIR} names {folder}, which holds no program {_PROGRAM}. Name the folder of an installed "
        f"llama.cpp, or leave {LLAMA_CPP_DIR} unset: the studio then quantises by itself."
    )


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0
