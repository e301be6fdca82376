"""The task "export_model": makes the forms of an export, compares how they answer, and writes what goes with them.

Each form is written under a name that begins with `.part-` and renamed when it is whole, then named in the manifest. So
a task that was stopped or killed is simply started again: it makes what is missing. A form that cannot be made does not
keep the others from being made; the task then fails in the end with the reason.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from core.engine.export.adapter_form import adapter_copy
from core.engine.export.base import base_commit, base_folder
from core.engine.export.four_bit import merged_4bit
from core.engine.export.ggml_library import library_fault
from core.engine.export.gguf_convert import convert
from core.engine.export.gguf_quantise import quantise
from core.engine.export.llama_tools import installed_tool
from core.engine.export.merge import merge
from core.engine.export.parity import parity
from core.engine.export.source import copy_source
from core.engine.export.unsloth_forms import by_unsloth
from core.errors import ModelError, RunError, StorageError, StudioError
from core.export.companions import write_companions
from core.export.disk import check_disk, makes_f16
from core.export.manifest import file_entries, files_below, sha256_of, software_versions
from core.export.names import public_name
from core.export.request import FORM_TITLES, UNSLOTH_FORMS, Form
from core.export.store import PART, Export, find_export, title_of, writing_alone
from core.jobs.tasks import Tell
from core.models import package_version
from core.paths import Home, storage_error, sync_files
from core.runs.files import Size
from core.runs.run import find_run
from core.serving.adapter_files import CONFIG, WEIGHTS


def export_model(home: Home, arguments: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """The task: `{"run": id, "export": id}` to the forms that are made, and whether one of them drifts.

    Raises:
        DataError: there is no such export, or it is damaged.
        RunError: somebody else makes it, the adapter has changed since it was begun, or a form cannot be made.
        ModelError: the adapter or its base model cannot be used.
        StorageError: the disk is full.
        TaskStopped: the user asked to stop; what is whole is kept.
    """
    export = find_export(home, str(arguments["export"]), str(arguments.get("run", "")))
    release = writing_alone(export)
    try:
        return Exporting(home, export, tell).run()
    except OSError as error:
        raise storage_error(error, export.folder / PART) or error from error
    finally:
        _remove_parts(export)
        release()


class Exporting:
    """One round of making what is missing of an export."""

    def __init__(self, home: Home, export: Export, tell: Tell) -> None:
        self._home, self._export, self._tell = home, export, tell
        self._request = export.request()
        self._model = find_run(home, self._request.run).config().model
        self._refused: dict[Form, str] = {}

    def run(self) -> dict[str, Any]:
        """Make the missing forms, then what goes with them."""
        self._tell("checking", 0, 0)
        _remove_parts(self._export)
        missing = self._export.missing
        if missing or self._export.uncompared:
            self._begin()
        for form in missing:
            self._attempt(form)
        made = self._export.made
        if not made:
            raise RunError(self._why())
        self._compare(any(form in made for form in missing))
        self._tell("writing model card and commands", 0, 0)
        notes = write_companions(self._home, self._export, self._base, self._tell)
        if self._refused:
            raise RunError(self._why())
        report = self._export.parity()
        return {"forms": list(made), "drift": report is not None and report.drift, "notes": list(notes)}

    def _begin(self) -> None:
        """Make sure that all forms are of the same adapter on the same base, and that they fit on the disk."""
        check_disk(self._home, self._request, self._export.made)
        copy_source(self._home, self._request, self._adapter)
        manifest = self._export.manifest()
        source = {
            "adapter_sha256": sha256_of(self._adapter / WEIGHTS),
            "adapter_config_sha256": sha256_of(self._adapter / CONFIG),
            "base_commit": base_commit(self._base),
        }
        for name, found in source.items():
            if getattr(manifest, name) not in ("", found):
                what = "base model" if name == "base_commit" else "run's adapter"
                raise RunError(
                    f"The {what} has changed since {self._export.id} was begun, so its forms would not be of the same "
                    "model. Make a new export."
                )
        software = {**manifest.software, **software_versions()}
        known = {"base_model": self._model, "software": software, **source}
        self._export.keep_manifest(manifest.model_copy(update=known))

    def _attempt(self, form: Form) -> None:
        """Make one form, or remember why it cannot be made."""
        started = time.monotonic()
        try:
            if not self._export.place_of(form).exists():
                self._make(form)
            self._record(form)
        except StorageError:
            raise
        except StudioError as error:
            self._refused[form] = str(error)
            print(f"{FORM_TITLES[form]} cannot be made: {error}", flush=True)
            return
        size = Size(self._export.bytes_of(form), whole=True)
        print(f"{FORM_TITLES[form]} is made: {size} in {time.monotonic() - started:.1f} s.", flush=True)
        self._drop_what_is_done_with(form)

    def _make(self, form: Form) -> None:
        makers: Mapping[Form, Callable[[Path], None]] = {
            "adapter": self._copy_adapter,
            "merged": self._merge,
            "merged_4bit": self._merge_4bit,
            "gguf_f16": self._convert,
        }
        if form in makers:
            self._publish(makers[form], form)
        elif form in UNSLOTH_FORMS:
            self._publish(lambda part: self._by_unsloth(part, form), form)
        else:
            self._publish(lambda part: self._quantise(part, form), form)

    def _publish(self, make: Callable[[Path], None], form: Form) -> None:
        """Have a form made under another name, and give it its own when it is on the disk."""
        part, place = self._part(form), self._export.place_of(form)
        place.parent.mkdir(exist_ok=True)
        make(part)
        sync_files(files_below(part) if part.is_dir() else [part])
        part.rename(place)

    def _record(self, form: Form) -> None:
        place = self._export.place_of(form)
        files = files_below(place) if place.is_dir() else [place]
        entries = file_entries(self._export.folder, files, self._tell)
        self._export.keep_manifest(self._export.manifest().with_form(form, entries))

    def _copy_adapter(self, part: Path) -> None:
        adapter_copy(self._base, self._adapter, part, self._tell, base_name=public_name(self._model))

    def _merge(self, part: Path) -> None:
        merge(self._base, self._adapter, part, self._tell)

    def _merge_4bit(self, part: Path) -> None:
        merged_4bit(self._source("merged"), part, self._tell)

    def _convert(self, part: Path) -> None:
        program = convert(self._source("merged"), part, self._tell, title=title_of(self._export))
        if program:
            self._note_software(program)

    def _quantise(self, part: Path, form: Form) -> None:
        quantise(self._source("gguf_f16"), part, form, self._tell)
        self._note_software(_quantiser(form))

    def _by_unsloth(self, part: Path, form: Form) -> None:
        scratch = self._export.folder / f"{PART}unsloth"
        by_unsloth(self._home, self._base, self._adapter, part, form, scratch, self._tell)
        self._note_software("unsloth")

    def _note_software(self, tool: str) -> None:
        """Take a package or program that made a form into the manifest."""
        manifest = self._export.manifest()
        software = {**manifest.software, tool: package_version(tool) or "(version unknown)"}
        self._export.keep_manifest(manifest.model_copy(update={"software": software}))

    def _source(self, form: Form) -> Path:
        """What another form is made of: a form of this export, or one that is only made on the way."""
        place, part = self._export.place_of(form), self._part(form)
        if place.exists():
            return place
        if form in self._refused:
            raise ModelError(self._refused[form])
        if not part.exists():
            try:
                self._merge(part) if form == "merged" else self._convert(part)
            except StorageError:
                raise
            except StudioError as error:
                self._refused[form] = str(error)
                raise
            self._drop_what_is_done_with(form)
        return part

    def _drop_what_is_done_with(self, form: Form) -> None:
        """Free the room of merged weights that nobody asked for as soon as no form is made of them any more."""
        of_merged = form in ("merged_4bit", "gguf_f16")
        if of_merged and (form == "gguf_f16" or not makes_f16(self._request.forms, self._export.made)):
            shutil.rmtree(self._part("merged"), ignore_errors=True)

    def _part(self, form: Form) -> Path:
        place = self._export.place_of(form)
        return self._export.folder / f"{PART}{place.name}"

    @property
    def _adapter(self) -> Path:
        """A copy of the run's adapter, which is there until the end of the round."""
        return self._export.folder / f"{PART}source"

    @cached_property
    def _base(self) -> Path:
        return base_folder(self._model, self._home, self._tell)

    def _compare(self, anew: bool) -> None:
        """Hold the answers of all forms against the adapter's, where that has not been done.

        Args:
            anew: forms were made in this round.
        """
        if not (anew or self._export.uncompared):
            return
        self._tell("comparing answers", 0, 0)
        report = parity(self._home, self._export, self._export.made, self._tell, adapter=self._adapter)
        self._export.keep_parity(report)

    def _why(self) -> str:
        """Why forms could not be made; what several have in common is said once."""
        forms: dict[str, list[str]] = {}
        for form in self._request.forms:
            if form in self._refused:
                forms.setdefault(self._refused[form], []).append(FORM_TITLES[form])
        return " ".join(f"{', '.join(titles)}: {reason}" for reason, titles in forms.items())


def _quantiser(form: Form) -> str:
    """The package or program that quantises a form here."""
    tool = installed_tool()
    if tool is not None:
        return tool.name
    return "gguf" if form == "gguf_q8_0" and library_fault() else "xllamacpp"


def _remove_parts(export: Export) -> None:
    """Remove what an earlier round was writing when it was broken off, or made only on the way."""
    for folder in (export.folder, export.form_folder("gguf_f16")):
        for part in folder.glob(f"{PART}*"):
            shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)
