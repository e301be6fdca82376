"""A folder as a zip that is made while it is sent: no file of it is written, and no more than a part of it is held."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, cast

_CHUNK_BYTES = 1 << 20
NO_TEXTS: Mapping[str, str] = {}


def zip_stream(root: Path, files: Sequence[Path], top: str, texts: Mapping[str, str] = NO_TEXTS) -> Iterator[bytes]:
    """The bytes of a zip of `files`, which lie below `root`, in a folder named `top`; part by part.

    Weights cannot be made smaller, so nothing is compressed.

    Args:
        texts: what the folder holds besides, by file name.

    Raises:
        OSError: a file is gone, or cannot be read, so that the rest of the zip does not come.
    """
    sink = _Sink()
    with zipfile.ZipFile(cast("IO[bytes]", sink), "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
        for file in files:
            entry = zipfile.ZipInfo.from_file(
                file, f"{top}/{file.relative_to(root).as_posix()}", strict_timestamps=False
            )
            with file.open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                while chunk := source.read(_CHUNK_BYTES):
                    target.write(chunk)
                    yield sink.take()
            yield sink.take()
        for name, text in texts.items():
            archive.writestr(f"{top}/{name}", text)
    yield sink.take()


class _Sink:
    """What `zipfile` writes to: it can be neither read nor gone back in, and is emptied again and again."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, part: bytes) -> int:
        self._parts.append(bytes(part))
        return len(part)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        """What was written since the last time."""
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken
