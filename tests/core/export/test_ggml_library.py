"""llama.cpp's quantising code: its bytes, and what is said where it is of no use."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.random
import pytest
from gguf import GGML_QUANT_SIZES
from gguf import GGMLQuantizationType as Kind
from gguf.quants import dequantize, quantize

from core.engine.export.ggml_library import KINDS, GgmlLibrary, library_fault, open_library
from core.errors import ModelError
from core.export import quantiser

GOLDEN = {
    Kind.Q8_0: "073dd356a665653db157a53bab0314ca8a2c184921fd56aa38139b37965e0e06",
    Kind.Q5_0: "14cd1998e563d85fe67176d23e9a147b87ba2ea526ed4e023071dd51c8024d8e",
    Kind.Q5_1: "ada455475388ba4d8e42dedaef1efa25de986871f92c81bc758f38a7b4540bc6",
    Kind.Q4_K: "1e786e03d24166a395678ef07630cf83cb45ab0f5be6d3d1b875bb740c63846f",
    Kind.Q5_K: "51464d04abde87cdf5ce72f4caa3b6fcc3aaf1679ee44650758205094163fe70",
    Kind.Q6_K: "01d5e6bd4cf9151e77b1ce0493f55b68fac98779bb598919299b2c9651ed5f5e",
}
"""Of `numbers()` by llama.cpp b11549; a new version of the package that writes anything else is found here."""


def numbers() -> np.ndarray[Any, Any]:
    """Numbers between -1 and 1, (4, 512), the same on every machine."""
    count = np.arange(4 * 512, dtype=np.int64)
    return (((count * 7919) % 2003 - 1001) / 1024).astype(np.float32).reshape(4, 512)


@pytest.fixture
def forgetful() -> Iterator[None]:
    """The library is looked for anew, in the test and after it."""
    open_library.cache_clear()
    yield
    open_library.cache_clear()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other processors round a last bit differently")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_known_numbers_have_known_bytes(kind: Kind) -> None:
    assert sha256(open_library().quantise(numbers(), kind).tobytes()).hexdigest() == GOLDEN[kind]


@pytest.mark.parametrize("kind", [Kind.Q8_0, Kind.Q5_0, Kind.Q5_1], ids=lambda kind: kind.name)
def test_the_bytes_are_those_of_the_official_package_where_it_knows_the_kind(kind: Kind) -> None:
    assert (open_library().quantise(numbers(), kind) == quantize(numbers(), kind)).all()


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        (Kind.Q8_0, 1 / 127),
        (Kind.Q6_K, 1 / 31),
        (Kind.Q5_K, 2 / 31),
        (Kind.Q5_1, 2 / 31),
        (Kind.Q5_0, 2 / 16),  # one end of its scale has a step less, so errors reach a whole one
        (Kind.Q4_K, 2 / 15),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_numbers_come_back_within_half_a_step(kind: Kind, step: float) -> None:
    back = dequantize(open_library().quantise(numbers(), kind), kind)
    assert np.abs(back - numbers()).max() <= 1.05 * step / 2  # the steps themselves are rounded, too


def test_numbers_in_another_order_of_memory_are_read_as_they_stand() -> None:
    library = open_library()
    turned = np.asfortranarray(numbers())
    assert (library.quantise(turned, Kind.Q4_K) == library.quantise(numbers(), Kind.Q4_K)).all()


def test_threads_do_not_disturb_each_other() -> None:
    library = open_library()
    alone = [library.quantise(numbers() * scale, Kind.Q4_K) for scale in range(1, 9)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda scale: library.quantise(numbers() * scale, Kind.Q4_K), range(1, 9)))
    assert np.array_equal(together, alone)


def test_a_result_that_the_library_holds_for_damaged_is_refused() -> None:
    with pytest.raises(ModelError, match="could not be written as Q4_K"):
        open_library().quantise(numbers() * np.float32(1e10), Kind.Q4_K)


def test_the_installed_library_is_of_use() -> None:
    assert library_fault() == ""


@pytest.mark.usefixtures("forgetful")
def test_a_package_that_is_not_there_is_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantiser, "find_spec", lambda name: None)
    assert "xllamacpp, which is not installed. Run: .venv/bin/pip install" in library_fault()


def test_a_function_that_is_gone_is_named() -> None:
    other = Path(numpy.random._mt19937.__file__)  # a real library, but not llama.cpp's
    with pytest.raises(ModelError, match=r"no function ggml_quantize_chunk, which quantises\. Run: "):
        GgmlLibrary(other)


def test_a_kind_that_is_written_otherwise_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GGML_QUANT_SIZES, Kind.Q5_K, (256, 180))
    with pytest.raises(ModelError, match="writes Q5_K in a form unknown here"):
        GgmlLibrary(quantiser.library_file())


def test_a_damaged_library_is_told_from_a_missing_system_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "xllamacpp.abi3.so").write_bytes(b"no library")
    with pytest.raises(ModelError, match=r"cannot be loaded\. Run: \.venv/bin/pip install --force-reinstall"):
        GgmlLibrary(tmp_path / "xllamacpp.abi3.so")

    def lacking(path: str) -> ctypes.CDLL:
        raise OSError("libgomp.so.1: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(ctypes, "CDLL", lacking)
    with pytest.raises(ModelError, match="libgomp1 is missing: run apt-get install libgomp1"):
        GgmlLibrary(tmp_path / "xllamacpp.abi3.so")


@pytest.mark.usefixtures("forgetful")
def test_a_processor_without_avx2_is_told_so_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantiser, "_lacks_avx2", lambda: True)
    monkeypatch.setattr(ctypes, "CDLL", lambda path: pytest.fail("it was loaded"))
    assert "needs a processor with AVX2" in library_fault()
