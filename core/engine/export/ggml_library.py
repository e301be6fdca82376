"""llama.cpp's own quantising code, from the library inside the package `xllamacpp`.

The package uses these functions for itself and does not promise them to others, so they are looked up by name, and
asked for the sizes of what they write, before anything is written.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from gguf import GGML_QUANT_SIZES
from gguf import GGMLQuantizationType as Kind
from gguf.quants import quantize as quantise_in_python

from core.errors import ModelError
from core.export.quantiser import NO_OPENMP, PACKAGE, WAY_OUT, library_file
from core.models import package_version

KINDS = (Kind.Q8_0, Kind.Q5_0, Kind.Q5_1, Kind.Q4_K, Kind.Q5_K, Kind.Q6_K)
"""What is asked of the library."""

_LONG, _SIZE = ctypes.c_int64, ctypes.c_size_t
_SYMBOLS: Mapping[str, tuple[Any, tuple[Any, ...]]] = {
    "ggml_quantize_chunk": (
        _SIZE,
        (ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, _LONG, _LONG, _LONG, ctypes.c_void_p),
    ),
    "ggml_validate_row_data": (ctypes.c_bool, (ctypes.c_int, ctypes.c_void_p, _SIZE)),
    "ggml_row_size": (_SIZE, (ctypes.c_int, _LONG)),
    "ggml_type_name": (ctypes.c_char_p, (ctypes.c_int,)),
}
"""What each function returns and takes; from ggml.h of llama.cpp."""


class Kernel(Protocol):
    """Turns rows of numbers into their quantised bytes; may be called by several threads at once."""

    def quantise(self, numbers: np.ndarray[Any, Any], kind: Kind) -> np.ndarray[Any, Any]:
        """Bytes (rows, bytes of a row) of finite float32 `numbers` (rows, width); the width fills whole blocks."""
        ...


class GgmlLibrary:
    """The functions of the library; Python's lock is released while they compute."""

    def __init__(self, path: Path) -> None:
        """Raises:
        ModelError: it cannot be loaded, lacks a function, or writes other sizes than GGUF files have.
        """
        try:
            self._library = ctypes.CDLL(str(path))
        except OSError as error:
            mend = NO_OPENMP if "libgomp" in str(error) else WAY_OUT
            raise ModelError(f"llama.cpp's library in {PACKAGE} cannot be loaded. {mend}") from error
        for name, (result, arguments) in _SYMBOLS.items():
            function = getattr(self._library, name, None)
            if function is None:
                raise ModelError(f"The installed {PACKAGE} has no function {name}, which quantises. {WAY_OUT}")
            function.restype, function.argtypes = result, arguments
        wrong = [kind.name for kind in KINDS if not self._writes(kind)]
        if wrong:
            raise ModelError(f"The installed {PACKAGE} writes {', '.join(wrong)} in a form unknown here. {WAY_OUT}")

    def quantise(self, numbers: np.ndarray[Any, Any], kind: Kind) -> np.ndarray[Any, Any]:
        """As `Kernel` has it.

        Raises:
            ModelError: the library holds its own result for damaged.
        """
        rows, width = numbers.shape
        block, size = GGML_QUANT_SIZES[kind]
        numbers = np.ascontiguousarray(numbers, np.float32)
        written = np.empty((rows, width // block * size), np.uint8)
        count = self._library.ggml_quantize_chunk(kind, numbers.ctypes.data, written.ctypes.data, 0, rows, width, None)
        if count != written.nbytes or not self._library.ggml_validate_row_data(kind, written.ctypes.data, count):
            raise ModelError(
                f"Weights could not be written as {kind.name}: some are too large. Export GGUF f16 and look at the "
                "training's curves."
            )
        return written

    def _writes(self, kind: Kind) -> bool:
        block, size = GGML_QUANT_SIZES[kind]
        name = (self._library.ggml_type_name(kind) or b"").decode()
        return name.lower() == kind.name.lower() and int(self._library.ggml_row_size(kind, block)) == int(size)


class PythonKernel:
    """gguf's own code, which knows Q8_0 and writes it byte for byte as llama.cpp does, only slower."""

    def quantise(self, numbers: np.ndarray[Any, Any], kind: Kind) -> np.ndarray[Any, Any]:
        """As `Kernel` has it."""
        written: np.ndarray[Any, Any] = quantise_in_python(numbers, kind)
        return written


@cache
def open_library() -> GgmlLibrary:
    """llama.cpp's quantising code, loaded once for each process.

    Raises:
        ModelError: it is not installed, or not of use; the sentence says what to do.
    """
    return GgmlLibrary(library_file())


def library_fault() -> str:
    """Why the library is of no use here, in one or two sentences; empty where it is."""
    try:
        open_library()
    except ModelError as error:
        return str(error)
    return ""


def library_version() -> str:
    """The package with its version."""
    return f"{PACKAGE} {package_version(PACKAGE) or ''}".strip()
