"""Quantises a GGUF file with 16-bit weights to q8_0, q5_k_m or q4_k_m.

An installed llama.cpp does it where there is one (`llama_tools`), else llama.cpp's own code in the package `xllamacpp`
(`ggml_library`), piece by piece, with the mix of bits that llama.cpp documents (`gguf_mix`). A weight is never held
whole in memory.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGML_QUANT_SIZES, GGML_QUANT_VERSION, Keys
from gguf import GGMLQuantizationType as Kind
from gguf.quants import dequantize

from core.engine.export.ggml_library import Kernel, PythonKernel, library_fault, library_version, open_library
from core.engine.export.gguf_head import GgufHead, KeptKeysWriter, Weight, read_head
from core.engine.export.gguf_mix import FILE_TYPES, Mix
from core.engine.export.llama_tools import installed_tool, run_tool
from core.errors import ConfigError, ModelError, StorageError
from core.export.request import Form
from core.jobs.tasks import Tell
from core.machine import cpu_cores
from core.paths import storage_error

_PIECE = 1_000_000
"""Numbers that are read, quantised and written together, about: a piece takes some eight megabytes of memory."""
_MOST_THREADS = 16
"""More would wait for the disk, and take memory."""
_AHEAD = 2
"""Pieces that wait for each thread, so that none of them ever waits for the disk."""


@dataclass(frozen=True)
class _Piece:
    """Rows of one weight, `last` of them or not, and how they will be stored."""

    weight: Weight
    kind: Kind
    first: int
    rows: int

    @property
    def last(self) -> bool:
        return self.first + self.rows == self.weight.rows


def quantise(f16_file: Path, target: Path, form: Form, tell: Tell) -> None:
    """Write the quantised file, beside its place first and renamed when it is whole.

    Args:
        f16_file: a GGUF file with weights of 16 or 32 bits.
        target: what is made; nothing may be there, and its folder must be.
        form: `gguf_q8_0`, `gguf_q5_k_m` or `gguf_q4_k_m`.
        tell: told the phase and the bytes done; may raise `TaskStopped`, after which nothing is left behind.

    Raises:
        ModelError: the file cannot be read, or such a model cannot be quantised here; the sentence says what to do.
        ConfigError: `LLAMA_CPP_DIR` names a folder without `llama-quantize`.
        StorageError: something is at `target`, the disk is full, or the folder cannot be written.
    """
    if target.exists():
        raise StorageError(f"{target.name} is there already and is not overwritten. Start another export.")
    phase, part = f"quantising {form.removeprefix('gguf_')}", target.with_name(f".part-{target.name}")
    tool = installed_tool()
    try:
        part.unlink(missing_ok=True)
        if tool is None:
            head = read_head(f16_file)
            _write(head, Mix(form, head), part, form, _kernel(form), phase, tell)
        else:
            run_tool(tool, f16_file, part, form, phase, tell)
            read_head(part)  # a file that its program left half written is refused here
        part.replace(target)
    except OSError as error:
        raise storage_error(error, target) or error from error
    finally:
        part.unlink(missing_ok=True)


def quantiser() -> str:
    """What quantises GGUF files here, or why not all forms are made, in a sentence or two."""
    try:
        tool = installed_tool()
    except ConfigError as error:
        return str(error)
    if tool is not None:
        return f"Quantised by {tool.name}."
    fault = library_fault()
    if fault:
        return f"{fault} Without it only GGUF f16 and q8_0 are made."
    return f"Quantised by llama.cpp's code in {library_version()}."


def _kernel(form: Form) -> Kernel:
    """llama.cpp's code; for q8_0 gguf's own will do.

    Raises:
        ModelError: there is none for this form.
    """
    if form == "gguf_q8_0" and library_fault():
        return PythonKernel()
    return open_library()


def _write(head: GgufHead, mix: Mix, part: Path, form: Form, kernel: Kernel, phase: str, tell: Tell) -> None:
    """Write the whole file: the keys as they were but for its kind, and the weights piece by piece."""
    total = sum(_bytes(weight, weight.kind) for weight in head.weights)
    writer, done = KeptKeysWriter(part, head), 0
    try:
        _write_keys(writer, head, mix, form)
        file = writer.fout[0]
        with closing(_quantised(head, mix, kernel)) as pieces:  # a stop waits for the threads
            for piece, content in pieces:
                file.write(content.data)
                if piece.last:
                    writer.write_padding(file, _bytes(piece.weight, piece.kind))
                done += piece.rows * _bytes(piece.weight, piece.weight.kind) // piece.weight.rows
                tell(phase, done, total)
        writer.flush()
        os.fsync(file.fileno())  # before it gets its name: a machine may lose its power
    finally:
        writer.close()


def _write_keys(writer: KeptKeysWriter, head: GgufHead, mix: Mix, form: Form) -> None:
    writer.set_number(Keys.General.FILE_TYPE, int(FILE_TYPES[form]))
    writer.set_number(Keys.General.QUANTIZATION_VERSION, GGML_QUANT_VERSION)
    for weight in head.weights:
        kind = mix.kind(weight)
        writer.add_tensor_info(weight.name, weight.shape, np.dtype(np.float32), _bytes(weight, kind), kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.write_padding(writer.fout[0], writer.fout[0].tell())


def _quantised(head: GgufHead, mix: Mix, kernel: Kernel) -> Generator[tuple[_Piece, np.ndarray[Any, Any]]]:
    """The pieces in the order of the file with their bytes; some are computed ahead, by all cores."""
    threads = min(cpu_cores(), _MOST_THREADS)
    waiting: deque[tuple[_Piece, Future[np.ndarray[Any, Any]]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for piece in _pieces(head, mix):
                waiting.append((piece, pool.submit(_content, head, piece, kernel)))
                if len(waiting) > threads * _AHEAD:
                    first, future = waiting.popleft()
                    yield first, future.result()
            for first, future in waiting:
                yield first, future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _pieces(head: GgufHead, mix: Mix) -> Iterator[_Piece]:
    for weight in head.weights:
        kind, rows = mix.kind(weight), max(1, _PIECE // weight.width)
        for first in range(0, weight.rows, rows):
            yield _Piece(weight, kind, first, min(rows, weight.rows - first))


def _content(head: GgufHead, piece: _Piece, kernel: Kernel) -> np.ndarray[Any, Any]:
    """The bytes of a piece as they are written.

    Raises:
        ModelError: the weight holds numbers that are not finite.
    """
    weight = piece.weight
    size = _bytes(weight, weight.kind) // weight.rows
    raw = np.fromfile(head.path, np.uint8, piece.rows * size, offset=weight.offset + piece.first * size)
    if piece.kind == weight.kind:
        return raw
    numbers = dequantize(raw.reshape(piece.rows, size), weight.kind)
    if not np.isfinite(numbers).all():
        raise ModelError(
            f"The weight {weight.name} holds numbers that are not finite, so the model is broken. Export an earlier "
            "checkpoint of the run."
        )
    return kernel.quantise(numbers, piece.kind)


def _bytes(weight: Weight, kind: Kind) -> int:
    """What a weight takes in a file when it is stored so."""
    block, size = GGML_QUANT_SIZES[kind]
    return weight.rows * weight.width // int(block) * int(size)
