"""What an upload to the Hugging Face Hub would send, and where it would lie there.

Only the forms that are chosen go, with their model card, system prompt and, for Ollama, Modelfiles; the latter hold the
worked examples of the prompt as well. What the parity check asked and heard stays here: its questions are rows of the
run's data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError, field_validator

from core.config import validation_sentence
from core.errors import ConfigError, RunError, StorageError
from core.export.commands import MODELFILE
from core.export.manifest import FileEntry
from core.export.request import FORM_TITLES, FORMS, GGUF_FORMS, Form
from core.export.store import CARD, Export
from core.runs.run import Run
from core.settings_base import Settings

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9][A-Za-z0-9_.-]{0,95}")
_AT_THE_TOP: tuple[Form, ...] = ("merged", "merged_4bit", "unsloth_merged", *GGUF_FORMS, "adapter")
"""Whose files lie at the top of a repository that holds several forms, where programs look first."""


class PushRequest(Settings):
    """What is published, and where.

    Attributes:
        export: the id of the export.
        repository: owner and name on the Hub.
        forms: which of its forms.
        private: whether only the owner can see the repository.
        may_exist: whether the repository may be there already; files of the same name then get a new version, and
            other weights at its top are taken away.
    """

    export: str = Field(min_length=1)
    repository: str
    forms: tuple[Form, ...] = Field(min_length=1)
    private: bool = True
    may_exist: bool = False

    @field_validator("forms")
    @classmethod
    def _in_order(cls, forms: tuple[Form, ...]) -> tuple[Form, ...]:
        return tuple(form for form in FORMS if form in forms)

    @field_validator("repository")
    @classmethod
    def _owner_and_name(cls, repository: str) -> str:
        name = repository.strip()
        ending = name.endswith((".git", ".ipynb", "-", "."))
        if not _REPOSITORY.fullmatch(name) or ending or "--" in name or ".." in name:
            raise ValueError(
                "must be owner/name, such as ward-7/triage-model: letters, digits, single '-', '_' and '.'"
            )
        return name


@dataclass(frozen=True)
class PlannedFile:
    """One file that goes.

    Attributes:
        source: where it lies.
        path: where it will lie in the repository.
        bytes, sha256: of its content, as they were when it was made and checked.
    """

    source: Path
    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Plan:
    """What an upload would send.

    Attributes:
        files: in the order in which they are sent: small ones first.
        warnings: what the user should know before, a sentence each.
    """

    export: Export
    request: PushRequest
    files: tuple[PlannedFile, ...]
    warnings: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


def make_push_request(**values: object) -> PushRequest:
    """The request that these values, named as the fields, describe.

    Raises:
        ConfigError: names every one that is wrong.
    """
    try:
        return PushRequest.model_validate(values)
    except ValidationError as error:
        raise ConfigError(validation_sentence(error)) from error


def make_plan(export: Export, request: PushRequest) -> Plan:
    """What would be sent; nobody is asked, and nothing is changed.

    Raises:
        RunError: a form is not made yet, or has no model card yet, or the forms answer differently and nobody has
            acknowledged it.
        StorageError: a file is missing or is not as it was made.
        DataError: the export is damaged.
        ConfigError: the run's configuration cannot be read.
    """
    made = export.made
    for form in request.forms:
        if form not in made:
            raise RunError(
                f"{FORM_TITLES[form]} is not made yet in {export.id}. Start the export again, or leave it out."
            )
    refuse_drift(export)
    if not export.described:
        raise RunError(
            f"Model card and commands of {export.id} are not written for all of its forms yet. Start the export again: "
            "it only makes what is missing."
        )
    first = next(form for form in _AT_THE_TOP if form in request.forms)
    planned: dict[str, PlannedFile] = {}
    for form in request.forms:
        folder = export.form_folder(form).name
        top = "" if export.form_folder(form) == export.form_folder(first) else f"{folder}/"
        for entry in _entries(export, form):
            path = top + entry.path.removeprefix(f"{folder}/")
            planned[path] = _as_made(export, entry, path)
    files = sorted(planned.values(), key=lambda file: (file.bytes, file.path))
    return Plan(export, request, tuple(files), _warnings(export, request, planned))


def refuse_drift(export: Export) -> None:
    """Raise RunError unless the answers of all forms were compared, and differences, where found, acknowledged."""
    report = export.parity()
    if export.uncompared:
        raise RunError(f"The answers of {export.id} have not been compared yet. Start the export again to do that.")
    if report is not None and report.drift and not export.acknowledged:
        raise RunError(
            f"A form of {export.id} answers differently from the adapter it was made of. Read the comparison, and "
            "acknowledge it if you want to publish all the same."
        )


def _entries(export: Export, form: Form) -> list[FileEntry]:
    """The files of a form; GGUF files share a folder, and each takes what lies there for all of them or for itself."""
    entries = export.manifest().under(export.form_folder(form).name)
    if form not in GGUF_FORMS:
        return list(entries)
    others = {other.removeprefix("gguf_") for other in GGUF_FORMS if other != form}
    own = export.file_of(form).name
    return [
        entry
        for entry in entries
        if Path(entry.path).name == own
        or not (entry.path.endswith(".gguf") or entry.path.rpartition(".")[2].removeprefix("gguf_") in others)
    ]


def _as_made(export: Export, entry: FileEntry, path: str) -> PlannedFile:
    source = export.folder / entry.path
    if not source.is_file() or source.is_symlink() or source.stat().st_size != entry.bytes:
        raise changed_file(entry.path)
    return PlannedFile(source, path, entry.bytes, entry.sha256)


def changed_file(path: str) -> StorageError:
    """What to say of a file that is no longer what was made and checked."""
    return StorageError(
        f"{path} is missing, or has changed since it was made. Nothing else is sent: make a new export."
    )


def _warnings(export: Export, request: PushRequest, files: Mapping[str, PlannedFile]) -> tuple[str, ...]:
    found = []
    if not request.private:
        found.append("Everybody will be able to see and download this repository.")
    if CARD not in files:
        found.append("There is no model card at the top of the repository.")
    unsent = [form for form in GGUF_FORMS if form in export.made and form not in request.forms]
    if unsent and set(request.forms) & set(GGUF_FORMS):
        titles = ", ".join(FORM_TITLES[form] for form in unsent)
        found.append(f"The model card of the GGUF files names {titles} too, which would not be sent.")
    return (*found, *_examples_warning(export, files))


def _examples_warning(export: Export, files: Mapping[str, PlannedFile]) -> list[str]:
    """What to look through before it is published; nothing where the prompt has no worked examples."""
    count = len(Run(export.folder.parent.parent).config().prompt.examples)
    if not count:
        return []
    told = any(Path(path).name.startswith(MODELFILE) for path in files)
    where = "would be sent in the Modelfiles" if told else "would not be sent"
    return [
        f"The prompt's {count} worked example{'s' if count > 1 else ''} {where}; its system prompt is sent in "
        "SYSTEM.txt and in the model card. Make sure that no patient can be recognised in them."
    ]
