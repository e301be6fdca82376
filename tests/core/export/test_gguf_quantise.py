"""Quantised GGUF files: what they hold, that llama.cpp runs them, and that none is ever left half written."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFReader, GGUFWriter, LlamaFileType
from gguf.quants import dequantize

from core.engine.export import gguf_quantise
from core.engine.export.ggml_library import GgmlLibrary, open_library
from core.engine.export.gguf_quantise import quantise, quantiser
from core.errors import ModelError, StorageError
from core.export.request import QUANTISED, Form
from core.jobs.tasks import TaskStopped, silent
from core.paths import PROJECT
from tests.build_gguf import write_f16, write_out

CHANGED = ("general.file_type", "general.quantization_version")
GENERATE = """
import json, os, sys
import xllamacpp

parameters = xllamacpp.CommonParams()
parameters.model.path = sys.argv[1]
parameters.n_ctx = 64
parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(parameters)
asked = {"prompt": "Hello there", "n_predict": 5, "temperature": 0, "n_probs": 1, "ignore_eos": True}
with open(sys.argv[2], "w") as file:
    json.dump(server.handle_completions(asked), file)
os._exit(0)
"""


@pytest.fixture(autouse=True)
def no_other_quantiser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf_quantise, "installed_tool", lambda: None)


@pytest.fixture(scope="module")
def f16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_f16(tmp_path_factory.mktemp("f16") / "tiny-f16.gguf")


def one_weight(path: Path, numbers: np.ndarray[Any, Any], name: str = "output.weight") -> Path:
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_tensor(name, numbers)
    write_out(writer)
    return path


def contents(reader: GGUFReader) -> dict[str, Any]:
    return {key: (field.types, field.contents()) for key, field in reader.fields.items() if "GGUF." not in key}


@pytest.mark.parametrize(
    ("form", "file_type"),
    [
        ("gguf_q8_0", LlamaFileType.MOSTLY_Q8_0),
        ("gguf_q5_k_m", LlamaFileType.MOSTLY_Q5_K_M),
        ("gguf_q4_k_m", LlamaFileType.MOSTLY_Q4_K_M),
    ],
)
def test_all_that_the_file_says_is_kept_but_for_its_kind(
    f16: Path, tmp_path: Path, form: Form, file_type: LlamaFileType
) -> None:
    quantise(f16, tmp_path / "a.gguf", form, silent)
    before, after = contents(GGUFReader(f16)), contents(GGUFReader(tmp_path / "a.gguf"))
    assert {key: value for key, value in after.items() if key not in CHANGED} == {
        key: value for key, value in before.items() if key not in CHANGED
    }
    assert after["general.file_type"][1] == file_type
    assert after["general.quantization_version"][1] == 2


@pytest.mark.parametrize(("form", "error"), [("gguf_q8_0", 0.006), ("gguf_q5_k_m", 0.05), ("gguf_q4_k_m", 0.1)])
def test_each_weight_is_there_in_its_order_and_about_what_it_was(
    f16: Path, tmp_path: Path, form: Form, error: float
) -> None:
    quantise(f16, tmp_path / "a.gguf", form, silent)
    before, after = GGUFReader(f16).tensors, GGUFReader(tmp_path / "a.gguf").tensors
    assert [(one.name, one.shape.tolist()) for one in after] == [(one.name, one.shape.tolist()) for one in before]
    for old, new in zip(before, after, strict=True):
        exact = np.asarray(old.data, np.float32)
        apart = dequantize(new.data, new.tensor_type) - exact
        assert np.sqrt((apart**2).mean() / (exact**2).mean()) < (error if old.n_elements > 256 else 1e-9), old.name


@pytest.mark.parametrize("form", QUANTISED)
def test_the_size_of_the_pieces_changes_no_byte(
    f16: Path, tmp_path: Path, form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    quantise(f16, tmp_path / "a.gguf", form, silent)
    monkeypatch.setattr(gguf_quantise, "_PIECE", 3 * 256)
    monkeypatch.setattr(gguf_quantise, "cpu_cores", lambda: 3)
    quantise(f16, tmp_path / "b.gguf", form, silent)
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


@pytest.mark.parametrize("kind", [Kind.F32, Kind.BF16], ids=lambda kind: kind.name)
def test_weights_of_other_kinds_are_quantised_as_their_numbers_are(tmp_path: Path, kind: Kind) -> None:
    numbers = np.linspace(-1, 1, 4 * 256, dtype=np.float32).reshape(4, 256)
    raw = numbers if kind == Kind.F32 else (numbers.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
    writer = GGUFWriter(tmp_path / "wide.gguf", "llama")
    writer.add_tensor("output.weight", raw, raw_dtype=kind)
    write_out(writer)
    quantise(tmp_path / "wide.gguf", tmp_path / "a.gguf", "gguf_q8_0", silent)
    (tensor,) = GGUFReader(tmp_path / "a.gguf").tensors
    exact = numbers if kind == Kind.F32 else dequantize(raw, kind)
    assert (tensor.data == open_library().quantise(exact, Kind.Q8_0)).all()


def test_weights_begin_where_the_file_says_they_are_aligned(tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "f16.gguf", "llama")
    writer.add_custom_alignment(256)
    for number in range(3):
        writer.add_tensor(f"blk.{number}.attn_q.weight", np.full((3, 96), number, np.float16))
    write_out(writer)
    quantise(tmp_path / "f16.gguf", tmp_path / "a.gguf", "gguf_q8_0", silent)
    tensors = GGUFReader(tmp_path / "a.gguf").tensors
    assert [tensor.data_offset % 256 for tensor in tensors] == [0, 0, 0]
    assert [dequantize(tensor.data, Kind.Q8_0).round(2).max() for tensor in tensors] == [0, 1, 2]


@pytest.mark.parametrize("width", [256, 96], ids=["whole blocks", "fallback"])
@pytest.mark.parametrize("form", QUANTISED)
def test_llama_cpp_loads_the_file_and_goes_on_with_a_text(tmp_path: Path, form: Form, width: int) -> None:
    source = write_f16(tmp_path / "f16.gguf", width, hidden=2 * width, tied=False)
    quantise(source, tmp_path / "a.gguf", form, silent)
    command = [sys.executable, "-c", GENERATE, str(tmp_path / "a.gguf"), str(tmp_path / "answer.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert answer["usage"]["completion_tokens"] == 5
    assert all(-20 < token["logprob"] <= 0 for token in answer["choices"][0]["logprobs"]["content"])


def test_the_bytes_that_are_done_grow_to_all_there_are(f16: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    quantise(f16, tmp_path / "a.gguf", "gguf_q4_k_m", lambda *progress: told.append(progress))
    assert {phase for phase, _, _ in told} == {"quantising q4_k_m"}
    done = [done for _, done, _ in told]
    assert done == sorted(done)
    assert told[-1][1] == told[-1][2] == sum(tensor.n_bytes for tensor in GGUFReader(f16).tensors)


def test_a_stop_half_way_leaves_nothing_behind(f16: Path, tmp_path: Path) -> None:
    def stop(phase: str, done: int, total: int) -> None:
        if done > total / 2:
            raise TaskStopped

    with pytest.raises(TaskStopped):
        quantise(f16, tmp_path / "a.gguf", "gguf_q4_k_m", stop)
    assert list(tmp_path.iterdir()) == []


def test_a_kill_half_way_leaves_no_file_of_that_name_and_the_next_start_makes_it(f16: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.gguf"
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom core.engine.export.gguf_quantise import quantise\n"
        "def die(phase, done, total): done > total / 2 and os._exit(9)\n"
        "quantise(Path(sys.argv[1]), Path(sys.argv[2]), 'gguf_q4_k_m', die)\n"
    )
    command = [sys.executable, "-c", program, str(f16), str(target)]
    assert subprocess.run(command, cwd=PROJECT, timeout=120, check=False).returncode == 9
    assert [file.name for file in tmp_path.iterdir()] == [".part-a.gguf"]
    quantise(f16, target, "gguf_q4_k_m", silent)
    quantise(f16, tmp_path / "b.gguf", "gguf_q4_k_m", silent)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.gguf", "b.gguf"]
    assert target.read_bytes() == (tmp_path / "b.gguf").read_bytes()


def test_a_full_disk_is_told_and_leaves_nothing_behind(
    f16: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(gguf_quantise.os, "fsync", full)
    with pytest.raises(StorageError, match="is full"):
        quantise(f16, tmp_path / "a.gguf", "gguf_q4_k_m", silent)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_never_overwritten(f16: Path, tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_text("somebody's work")
    with pytest.raises(StorageError, match=r"a\.gguf is there already and is not overwritten"):
        quantise(f16, tmp_path / "a.gguf", "gguf_q4_k_m", silent)
    assert (tmp_path / "a.gguf").read_text() == "somebody's work"


@pytest.mark.parametrize("broken", [np.inf, np.nan])
def test_a_weight_that_is_no_number_is_named(tmp_path: Path, broken: float) -> None:
    numbers = np.zeros((4, 256), np.float16)
    numbers[2, 7] = broken
    with pytest.raises(ModelError, match=r"The weight blk\.0\.ffn_up\.weight holds numbers that are not finite"):
        quantise(
            one_weight(tmp_path / "f16.gguf", numbers, "blk.0.ffn_up.weight"), tmp_path / "a.gguf", "gguf_q8_0", silent
        )
    assert [file.name for file in tmp_path.iterdir()] == ["f16.gguf"]


@pytest.mark.parametrize("cut", [lambda size: size - 1000, lambda size: 600, lambda size: 0])
def test_a_part_of_a_file_is_refused(f16: Path, tmp_path: Path, cut: Callable[[int], int]) -> None:
    content = f16.read_bytes()
    (tmp_path / "part.gguf").write_bytes(content[: cut(len(content))])
    with pytest.raises(ModelError, match=r"part\.gguf is not a GGUF file that can be read, or only a part of one"):
        quantise(tmp_path / "part.gguf", tmp_path / "a.gguf", "gguf_q4_k_m", silent)


def test_a_large_weight_is_never_held_whole_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = one_weight(tmp_path / "f16.gguf", np.ones((30_000, 1024), np.float16))
    monkeypatch.setattr(gguf_quantise, "cpu_cores", lambda: 2)
    open_library()
    tracemalloc.start()
    try:
        quantise(source, tmp_path / "a.gguf", "gguf_q8_0", silent)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "a.gguf").stat().st_size > 30_000_000
    assert peak < 30_000_000


def without_library() -> GgmlLibrary:
    raise ModelError("There is no library.")


def test_without_the_library_q8_0_is_the_same_and_the_others_are_refused(
    f16: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quantise(f16, tmp_path / "a.gguf", "gguf_q8_0", silent)
    monkeypatch.setattr(gguf_quantise, "open_library", without_library)
    monkeypatch.setattr(gguf_quantise, "library_fault", lambda: "There is no library.")
    quantise(f16, tmp_path / "b.gguf", "gguf_q8_0", silent)
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()
    with pytest.raises(ModelError, match=r"There is no library\."):
        quantise(f16, tmp_path / "c.gguf", "gguf_q4_k_m", silent)
    assert quantiser() == "There is no library. Without it only GGUF f16 and q8_0 are made."


def test_what_quantises_is_told_with_its_version() -> None:
    assert quantiser().startswith("Quantised by llama.cpp's code in xllamacpp 20")
