"""What an export holds: which forms are made, of what, and every file with its size and SHA-256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import Field

from core.export.request import FORMS, Form
from core.jobs.tasks import Tell
from core.models import package_version
from core.settings_base import Settings

_CHUNK_BYTES = 1 << 22
_SOFTWARE = ("torch", "transformers", "peft", "trl", "safetensors", "gguf", "bitsandbytes")
"""The packages whose version can decide what is in a file, whichever form it is of."""


class FileEntry(Settings):
    """One file of an export.

    Attributes:
        path: inside the export's folder, with `/` between its parts.
        sha256: of its content, in hexadecimal digits.
    """

    path: str = Field(min_length=1)
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(Settings):
    """What is whole in an export; a form that is not named here may be there in part or not at all.

    Attributes:
        forms: those that are made, in the order in which they are made.
        files: of all these forms, and what stands beside them, ordered by path.
        base_model: what the adapter was trained on, as the run names it.
        base_commit: which state of a base model from the Hub it is, by the Hub's name; empty of a folder.
        adapter_sha256, adapter_config_sha256: of the adapter's weights and settings in the run, by which forms can be
            told to be of the same training.
        software: the versions of the packages and programs that made it.
        described: the forms that model cards and commands were written for; none while these are being written.
    """

    forms: tuple[Form, ...] = ()
    files: tuple[FileEntry, ...] = ()
    base_model: str = ""
    base_commit: str = ""
    adapter_sha256: str = ""
    adapter_config_sha256: str = ""
    software: dict[str, str] = Field(default_factory=dict)
    described: tuple[Form, ...] = ()

    def under(self, prefix: str) -> tuple[FileEntry, ...]:
        """The files whose path is `prefix`, or lies below it."""
        return tuple(entry for entry in self.files if entry.path == prefix or entry.path.startswith(f"{prefix}/"))

    def bytes_under(self, prefix: str) -> int:
        return sum(entry.bytes for entry in self.under(prefix))

    def with_form(self, form: Form, entries: Iterable[FileEntry]) -> Manifest:
        """This manifest with one form more, which these files belong to."""
        done = tuple(known for known in FORMS if known in (*self.forms, form))
        return self.model_copy(update={"forms": done}).with_files(entries)

    def with_files(self, entries: Iterable[FileEntry]) -> Manifest:
        """This manifest with these files; an entry takes the place of an earlier one of the same path."""
        files = {entry.path: entry for entry in (*self.files, *entries)}
        return self.model_copy(update={"files": tuple(files[path] for path in sorted(files))})


def software_versions() -> Mapping[str, str]:
    """The installed versions of what makes exports."""
    found = {name: package_version(name) for name in _SOFTWARE}
    return {name: version for name, version in found.items() if version is not None}


def files_below(folder: Path) -> list[Path]:
    """All files of a finished form, ordered by path; links are none."""
    return sorted(
        Path(place) / name
        for place, _, names in os.walk(folder)
        for name in names
        if not (Path(place) / name).is_symlink()
    )


def file_entries(root: Path, files: Sequence[Path], tell: Tell, phase: str = "checksums") -> list[FileEntry]:
    """Entries of `files`, which lie below `root`; they are read part by part, and `tell` counts the bytes."""
    total, done, found = sum(file.stat().st_size for file in files), 0, []
    for file in files:
        digest, size = hashlib.sha256(), 0
        for chunk in _chunks(file):
            digest.update(chunk)
            size += len(chunk)
            tell(phase, done + size, total)
        done += size
        found.append(FileEntry(path=file.relative_to(root).as_posix(), bytes=size, sha256=digest.hexdigest()))
    return found


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK_BYTES):
            yield chunk
