"""Exports on disk: what a run's adapter was made into, to be used outside the studio.

<run>/exports/<export id>/
  request.json     which adapter, in which forms; never changed afterwards
  adapter/  merged/  merged-4bit/  merged-unsloth/
                   one folder for each form that a program loads as a folder
  gguf/            the GGUF files, one for each form, with their Modelfiles
  parity.json      how each form answers, held against the adapter
  acknowledged.json
                   that somebody has read of a drift in this parity.json and wants to publish all the same
  manifest.json    which forms are whole, and every file with its size and SHA-256
  COMMANDS.md      how other programs are told to load it
  pushes/          where it was published; see `core.export.hub`
  export.lock      held by whoever writes
  .part-*          what is being written; removed by whoever writes next
"""

from __future__ import annotations

import re
import secrets
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from core.access import audit
from core.access.permissions import allow
from core.compare.comparison import throw_away
from core.errors import DataError, RunError, StudioError
from core.export.disk import check_disk
from core.export.manifest import Manifest, sha256_of
from core.export.parity_report import ParityReport
from core.export.request import FORMS, GGUF_FORMS, ExportRequest, Form
from core.export.unsloth import refuse_unsloth
from core.locks import held
from core.paths import Home, is_name, new_folder, storage_error, write_json
from core.runs.files import EXPORT_LOCK, EXPORTS
from core.runs.run import Run, find_run, list_runs
from core.serving.adapter_files import Adapter
from core.serving.candidates import adapter_candidate, adapter_of
from core.settings_base import Settings

REQUEST, MANIFEST, PARITY, ACKNOWLEDGED = "request.json", "manifest.json", "parity.json", "acknowledged.json"
COMMANDS, CARD = "COMMANDS.md", "README.md"
PART = ".part-"
"""What the names of files and folders that are being written begin with."""

_FOLDERS: dict[Form, str] = {
    "adapter": "adapter",
    "merged": "merged",
    "merged_4bit": "merged-4bit",
    "unsloth_merged": "merged-unsloth",
}
_GGUF_FOLDER = "gguf"
_MOST_LETTERS = 40


class Acknowledgement(Settings):
    """That somebody knows of the drift in one parity report.

    Attributes:
        parity_sha256: of the report's file; another report is not meant.
        time: in seconds since 1970.
    """

    parity_sha256: str
    time: float


@dataclass(frozen=True)
class Export:
    """One export's folder."""

    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def run_id(self) -> str:
        return self.folder.parent.parent.name

    @property
    def created(self) -> float:
        """When it was asked for, in seconds since 1970; 0 of one that has just been deleted."""
        try:
            return (self.folder / REQUEST).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def request(self) -> ExportRequest:
        """What was asked for.

        Raises:
            DataError: the file is damaged.
        """
        try:
            return ExportRequest.model_validate_json((self.folder / REQUEST).read_bytes())
        except (ValidationError, FileNotFoundError) as error:
            raise DataError(
                f"The export {self.id} is damaged: its {REQUEST} cannot be read. Make a new one."
            ) from error

    def manifest(self) -> Manifest:
        """What is whole of it; empty before the first form is made.

        Raises:
            DataError: the file is damaged.
        """
        try:
            return Manifest.model_validate_json((self.folder / MANIFEST).read_bytes())
        except FileNotFoundError:
            return Manifest()
        except ValidationError as error:
            raise DataError(
                f"The export {self.id} is damaged: its {MANIFEST} cannot be read. Make a new export."
            ) from error

    def keep_manifest(self, manifest: Manifest) -> None:
        """Put `manifest` in the place of an earlier one, in one step.

        Raises:
            StorageError: the disk is full.
        """
        write_json(self.folder / MANIFEST, manifest.model_dump(mode="json"))

    def parity(self) -> ParityReport | None:
        """How each form answers, held against the adapter; None before that was looked at.

        Raises:
            DataError: the file is damaged.
        """
        try:
            return ParityReport.model_validate_json((self.folder / PARITY).read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise DataError(
                f"The parity report of {self.id} cannot be read. Remove {PARITY} and start the export again: it only "
                "makes what is missing."
            ) from error

    def keep_parity(self, report: ParityReport) -> None:
        """Put `report` in the place of an earlier one, in one step.

        Raises:
            StorageError: the disk is full.
        """
        write_json(self.folder / PARITY, report.model_dump(mode="json"))

    @property
    def acknowledged(self) -> bool:
        """Whether somebody has said that they know what the present parity report tells."""
        try:
            said = Acknowledgement.model_validate_json((self.folder / ACKNOWLEDGED).read_bytes())
            return said.parity_sha256 == self.parity_sha256
        except (ValidationError, FileNotFoundError):
            return False

    @property
    def parity_sha256(self) -> str:
        """The SHA-256 of the present parity report's file; empty where there is none."""
        try:
            return sha256_of(self.folder / PARITY)
        except FileNotFoundError:
            return ""

    def acknowledge(self, read: str = "") -> None:
        """Write down that somebody knows what the present parity report tells.

        Args:
            read: the SHA-256 of the report's file as somebody has read it (`parity_sha256`); empty where it cannot have
                changed since.

        Raises:
            AccessDenied: whoever acts now may not.
            RunError: there is no report, or it is another than the one that was read.
            StorageError: the disk is full.
        """
        allow("export.create")
        present = self.parity_sha256
        if not present:
            raise RunError(f"{self.id} has no parity report that could be acknowledged. Start the export again.")
        if read and read != present:
            raise RunError(
                f"The answers of {self.id} have been compared again since. Read the new comparison before you "
                "acknowledge it."
            )
        said = Acknowledgement(parity_sha256=present, time=time.time())
        write_json(self.folder / ACKNOWLEDGED, said.model_dump(mode="json"))
        home = audit.home_of(self.folder.parent.parent)
        audit.record(home, "export.acknowledge", self.id, report=present)

    @property
    def slug(self) -> str:
        """What files and models that come of it are called: the title, else the run, as plain letters.

        It is the same as long as the export is there, since the request never changes.
        """
        return slug_of(self.request())

    def form_folder(self, form: Form) -> Path:
        """Where a form lies, or will lie; the GGUF files share one folder."""
        return self.folder / _FOLDERS.get(form, _GGUF_FOLDER)

    def file_of(self, form: Form) -> Path:
        """Where the GGUF file of a form lies, or will lie."""
        return self.form_folder(form) / f"{self.slug}-{form.removeprefix('gguf_')}.gguf"

    def place_of(self, form: Form) -> Path:
        """What a program is told to load: the GGUF file, else the folder."""
        return self.file_of(form) if form in GGUF_FORMS else self.form_folder(form)

    @property
    def made(self) -> tuple[Form, ...]:
        """The forms that are whole, in the order in which they are made; raises as `manifest` does."""
        done = self.manifest().forms
        return tuple(form for form in FORMS if form in done and self.place_of(form).exists())

    @property
    def missing(self) -> tuple[Form, ...]:
        """The forms that were asked for and are not there yet; raises as `request` and `manifest` do."""
        made = self.made
        return tuple(form for form in self.request().forms if form not in made)

    @property
    def uncompared(self) -> tuple[Form, ...]:
        """The forms that are made and have not been held against the adapter; raises as `manifest` and `parity` do."""
        report = self.parity()
        return tuple(form for form in self.made if report is None or report.of(form) is None)

    @property
    def described(self) -> bool:
        """Whether cards and commands are there, and speak of the forms that are made; raises as `manifest` does."""
        manifest = self.manifest()
        return manifest.described == self.made and all(
            _size(self.folder / entry.path) == entry.bytes
            for entry in manifest.files
            if entry.path.rpartition("/")[2] in (COMMANDS, CARD)
        )

    @property
    def whole(self) -> bool:
        """Whether nothing is left to be done; raises as `request`, `manifest` and `parity` do."""
        return not self.missing and not self.uncompared and self.described

    def bytes_of(self, form: Form) -> int:
        """How much disk a finished form takes; 0 of one that is not there. Raises as `manifest` does."""
        return self.manifest().bytes_under(self.place_of(form).relative_to(self.folder).as_posix())


def _size(file: Path) -> int | None:
    return file.stat().st_size if file.is_file() else None


def slug_of(request: ExportRequest) -> str:
    """Plain lower-case letters, digits and hyphens for the files of an export.

    >>> slug_of(ExportRequest(run="demo-1", title="Ward 7: Émile’s model!", forms=("adapter",)))
    'ward-7-emiles-model'
    """
    for text in (request.title, request.run):
        letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
        slug = re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[:_MOST_LETTERS].strip("-")
        if slug:
            return slug
    return "model"


def adapter_to_export(home: Home, request: ExportRequest) -> Adapter:
    """The adapter that is asked for, with its files checked.

    Raises:
        RunError: the run is gone, or has no such adapter.
        ConfigError: the checkpoint is none, or the run's configuration cannot be read.
        ModelError: the adapter is damaged, or belongs to another base model than the run's.
    """
    return adapter_of(home, adapter_candidate(find_run(home, request.run), request.checkpoint))


def create_export(home: Home, request: ExportRequest) -> Export:
    """Make the folder of a new export; nothing is exported yet.

    Raises:
        AccessDenied: whoever acts now may not.
        RunError: the run is gone, or has no such adapter.
        ConfigError: the checkpoint is none, the run's configuration cannot be read, or Unsloth cannot make one of its
            forms of this run or on this machine.
        ModelError: the adapter is damaged, or belongs to another base model than the run's.
        StorageError: there is not enough room for it, or the run's folder cannot be written.
    """
    allow("export.create")
    adapter_to_export(home, request)
    run = find_run(home, request.run)
    refuse_unsloth(home, request, run.config())
    check_disk(home, request)
    parent = run.folder / EXPORTS
    try:
        parent.mkdir(exist_ok=True)
        folder = new_folder(parent, f"export-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}")
        write_json(folder / REQUEST, request.model_copy(update={"run": run.id}).model_dump(mode="json"))
    except OSError as error:
        raise storage_error(error, parent / REQUEST) or error from error
    audit.record(home, "export.create", folder.name, run=run.id, forms=", ".join(request.forms))
    return Export(folder)


def find_export(home: Home, export_id: str, run: str = "") -> Export:
    """The export with this id; `last` means the newest, of `run` where one is named.

    Raises:
        DataError: there is no such export.
    """
    if export_id == "last" and (found := list_exports(home, run)):
        return found[0]
    if is_name(export_id):
        owners = [Run(home.runs / run)] if is_name(run) else list_runs(home)
        for owner in owners:
            folder = owner.folder / EXPORTS / export_id
            if (folder / REQUEST).is_file():
                return Export(folder)
    raise DataError(f"There is no export {export_id!r}. Choose one from the list, or make a new one.")


def list_exports(home: Home, run: str = "") -> list[Export]:
    """The exports of the run with this id, or of all runs; the newest first."""
    owners = [Run(home.runs / run)] if run else list_runs(home)
    found = [Export(folder) for owner in owners for folder in _export_folders(owner)]
    dated = sorted(((export.created, export.id, export) for export in found), key=lambda one: one[:2], reverse=True)
    return [export for created, _, export in dated if created]  # another process may just have deleted one


def _export_folders(run: Run) -> list[Path]:
    """An export that is just being made is none yet."""
    folders = (run.folder / EXPORTS).glob("export-*") if is_name(run.id) else ()
    return [folder for folder in folders if is_name(folder.name) and (folder / REQUEST).is_file()]


def writing_alone(export: Export) -> Callable[[], None]:
    """Keep everybody else from writing or deleting an export until the returned function is called, by any thread.

    Raises:
        RunError: it is being written already.
        StorageError: its folder cannot be written.
    """
    busy = f"{export.id} is being made or uploaded just now. Wait until that is done, or stop it."
    return held(export.folder / EXPORT_LOCK, busy)


def delete_export(home: Home, export: Export) -> None:
    """Remove an export with all its files; the run and its adapters stay.

    Raises:
        AccessDenied: whoever acts now may not.
        RunError: it is being made.
        StorageError: its files cannot be moved or removed.
    """
    allow("export.delete")
    release = writing_alone(export)
    try:
        throw_away(home, export.folder)
        audit.record(home, "export.delete", export.id)
    finally:
        release()


def title_of(export: Export) -> str:
    """What lists call it: its title, else its run and checkpoint."""
    try:
        request = export.request()
    except StudioError:
        return export.id
    which = {"": "final", "best": "best on validation"}.get(request.checkpoint, f"step {request.checkpoint}")
    return request.title or f"{request.run}, {which}"
