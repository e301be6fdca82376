"""What makes and quantises GGUF files on this machine, and why nothing does, without loading it.

A page must know that before somebody waits for an export. `core.engine.export` uses the same places.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from core.errors import ConfigError, ModelError
from core.export.request import QUANTISED, Form

LLAMA_CPP_DIR = "LLAMA_CPP_DIR"
"""The environment variable that names the folder of an installed llama.cpp."""
PROGRAM = "llama-quantize"
CONVERTER = "convert_hf_to_gguf.py"
"""llama.cpp's own script that makes GGUF files of safetensors; it comes with its source and not with every build."""
PACKAGE = "xllamacpp"
"""The package whose library holds llama.cpp's quantising code."""
WAY_OUT = (
    "Run: .venv/bin/pip install --force-reinstall xllamacpp==2026.10.11549, or set LLAMA_CPP_DIR to the folder of an "
    "installed llama.cpp."
)
NO_OPENMP = "libgomp1 is missing: run apt-get install libgomp1."
_OPENMP = "libgomp.so.1"
_FOLDERS = ("", "bin", "build/bin")


def cannot_quantise(form: Form) -> str:
    """Why a GGUF form cannot be made here, in one or two sentences; empty where it can, and for other forms."""
    if form not in QUANTISED:
        return ""
    try:
        if installed_program() is not None or has_llama_cpp_python():
            return ""
        if form != "gguf_q8_0":  # the package gguf knows that one by itself
            library_file()
    except (ConfigError, ModelError) as error:
        return str(error)
    return ""


def installed_program() -> Path | None:
    """`llama-quantize` of the llama.cpp that the environment names, or None where it names none.

    Raises:
        ConfigError: `LLAMA_CPP_DIR` names a folder without it.
    """
    folder, suffix = named_folder(), ".exe" if sys.platform == "win32" else ""
    if folder is None:
        return None
    for inner in _FOLDERS:
        program = folder / inner / f"{PROGRAM}{suffix}"
        if program.is_file() and os.access(program, os.X_OK):
            return program.resolve()
    raise ConfigError(
        f"{LLAMA_CPP_DIR} names {folder}, which holds no program {PROGRAM}. Name the folder of an installed "
        f"llama.cpp, or leave {LLAMA_CPP_DIR} unset: the studio then quantises by itself."
    )


def installed_converter() -> Path | None:
    """`convert_hf_to_gguf.py` of the llama.cpp that the environment names, or None where it holds none."""
    folder = named_folder()
    scripts = (folder / inner / CONVERTER for inner in _FOLDERS) if folder is not None else ()
    return next((script.resolve() for script in scripts if script.is_file()), None)


def named_folder() -> Path | None:
    """The folder of an installed llama.cpp that the environment names; None where it names none."""
    named = os.environ.get(LLAMA_CPP_DIR, "").strip()
    return Path(named).expanduser() if named else None


def has_llama_cpp_python() -> bool:
    """Whether llama-cpp-python is installed, which quantises where no program is named."""
    return find_spec("llama_cpp") is not None


def library_file() -> Path:
    """The library with llama.cpp's quantising code, where this machine can load it.

    Raises:
        ModelError: it is not installed, or the processor or a system library does not suit it.
    """
    if _lacks_avx2():
        raise ModelError(
            "The installed llama.cpp needs a processor with AVX2, and this one has none. Set LLAMA_CPP_DIR to the "
            "folder of a llama.cpp that was built on this machine."
        )
    spec = find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        for pattern in (f"{PACKAGE}*.so", f"{PACKAGE}*.pyd"):
            for found in sorted(Path(folder).glob(pattern)):
                if _lacks_openmp():
                    raise ModelError(f"llama.cpp's library in {PACKAGE} cannot be loaded. {NO_OPENMP}")
                return found
    raise ModelError(f"Files are quantised by llama.cpp's code in {PACKAGE}, which is not installed. {WAY_OUT}")


@cache
def _lacks_avx2() -> bool:
    """Whether the library would end this process: its x86 wheels use instructions that old processors lack."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    processors = Path("/proc/cpuinfo")
    return processors.is_file() and "avx2" not in processors.read_text(encoding="utf-8", errors="replace")


def _lacks_openmp() -> bool:
    """Whether the system library is missing that the wheels for Linux take for granted."""
    if sys.platform != "linux":
        return False
    try:
        ctypes.CDLL(_OPENMP)
    except OSError:
        return True
    return False
