"""A folder as a zip that is made while it is sent."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from core.export.zip_stream import zip_stream


def test_the_zip_holds_the_files_below_one_folder_and_is_whole(tmp_path: Path) -> None:
    contents = {"README.md": b"# Card", "merged/model.safetensors": bytes(range(256)) * 20_000, "merged/empty": b""}
    for name, content in contents.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
    packed = b"".join(zip_stream(tmp_path, [tmp_path / name for name in contents], "ward-7"))
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        assert {entry.filename: archive.read(entry) for entry in archive.infolist()} == {
            f"ward-7/{name}": content for name, content in contents.items()
        }


def test_texts_that_are_no_files_lie_beside_the_others(tmp_path: Path) -> None:
    packed = b"".join(zip_stream(tmp_path, [], "ward-7", {"SHA256SUMS": "é"}))
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"ward-7/SHA256SUMS": "é".encode()}


def test_no_more_than_a_part_of_a_file_is_held(tmp_path: Path) -> None:
    large = tmp_path / "model.gguf"
    size = 96 << 20
    with large.open("wb") as file:
        file.truncate(size)
    sent = 0
    tracemalloc.start()
    try:
        for part in zip_stream(tmp_path, [large], "ward-7"):
            sent += len(part)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sent > size and peak < 16 << 20


def test_a_file_that_is_gone_ends_the_zip_with_an_error(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"1")
    with pytest.raises(FileNotFoundError):
        list(zip_stream(tmp_path, [tmp_path / "there", tmp_path / "gone"], "ward-7"))
