"""Files to which JSON objects are only ever appended, one a line.

A line is written in one go. A last line that is not finished, because somebody is writing it or was killed while they
did, is passed over by readers and ended by the next writer.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from core.paths import storage_error

_Line = TypeVar("_Line", bound=BaseModel)
_Key = TypeVar("_Key", bound=Any)


def finite(value: Any) -> Any:
    """`value`, for JSON, with null for every number that is not finite: JSON has none of those.

    >>> finite({"scores": (0.5, math.nan)})
    {'scores': [0.5, None]}
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


def json_line(value: Any) -> str:
    """`value` as JSON on one line, null where a number is not finite."""
    return json.dumps(finite(value), ensure_ascii=False, allow_nan=False)


class LineWriter:
    """Appends objects to a file, making it when it is not there; several writers of one file must take turns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._end_torn_line()

    def write(self, record: Mapping[str, Any], sync: bool = False) -> None:
        """Append one object; with `sync` it is on the disk, not only on its way there, when this returns.

        Raises:
            StorageError: the disk is full.
        """
        line = json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
        left = line.encode("utf-8", "replace")
        try:
            while left:  # a disk that is nearly full takes a part; the next write then says that it is full
                left = left[os.write(self._file, left) :]
            if sync:
                os.fsync(self._file)
        except OSError as error:
            raise storage_error(error, self._path) or error from error

    def close(self) -> None:
        os.close(self._file)

    def _end_torn_line(self) -> None:
        """What follows half a line must start on a line of its own."""
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")


def finished(chunk: bytes) -> bytes:
    """The part of `chunk` that ends with its last whole line."""
    return chunk[: chunk.rfind(b"\n") + 1]


def objects(chunk: bytes) -> Iterator[dict[str, Any]]:
    """The JSON objects in the lines of `chunk`; what is anything else, such as half a line, is passed over."""
    for line in chunk.split(b"\n"):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):  # the second is what very deep brackets come to
            continue
        if isinstance(record, dict):
            yield record


def latest(file: Path, model: type[_Line], key: Callable[[_Line], _Key]) -> dict[_Key, _Line]:
    """The last line of each key in a file, ordered by key; nothing where there is no file.

    Lines that are no `model`, such as those of another version, are passed over.
    """
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return {}
    found: dict[_Key, _Line] = {}
    for record in objects(finished(content)):
        try:
            line = model.model_validate(record)
        except ValidationError:
            continue
        found[key(line)] = line
    return {known: found[known] for known in sorted(found)}
