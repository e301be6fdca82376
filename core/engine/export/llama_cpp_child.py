"""`python -m core.engine.export.llama_cpp_child SOURCE TARGET FILE_TYPE THREADS`: quantises with llama-cpp-python.

llama.cpp ends its whole process where it meets a fault of its own, so it never runs in the process of a task.
"""

from __future__ import annotations

import ctypes
import sys
from importlib import import_module


def main(source: str, target: str, file_type: str, threads: str) -> int:
    """Write the quantised file; returns llama.cpp's exit code.

    Args:
        file_type: llama.cpp's number of the form.
    """
    llama_cpp = import_module("llama_cpp")
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype, parameters.nthread = int(file_type), int(threads)
    return int(llama_cpp.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(parameters)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
