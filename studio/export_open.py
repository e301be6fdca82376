"""The export that the address names, with what was asked for and what is whole of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.config import RunConfig
from core.errors import StudioError
from core.export.manifest import Manifest
from core.export.parity_report import ParityReport
from core.export.request import ExportRequest, Form
from core.export.store import Export, find_export, title_of
from core.paths import Home
from core.runs.run import Run
from studio import export_state, output


@dataclass(frozen=True)
class Opened:
    """An export as its files tell it.

    Attributes:
        made: the forms that are whole.
        report: how they answer; None before that was looked at.
        report_sha256: of its file, taken before it was read.
    """

    export: Export
    request: ExportRequest
    manifest: Manifest
    made: tuple[Form, ...]
    report: ParityReport | None
    report_sha256: str

    @property
    def id(self) -> str:
        return self.export.id

    @property
    def title(self) -> str:
        """What it is called; text from outside."""
        return title_of(self.export)

    @property
    def missing(self) -> tuple[Form, ...]:
        """The forms that were asked for and are not there."""
        return tuple(form for form in self.request.forms if form not in self.made)

    @property
    def run(self) -> Run:
        return Run(self.export.folder.parent.parent)

    def config(self) -> RunConfig:
        """The settings of the run.

        Raises:
            ConfigError: they cannot be read.
        """
        return self.run.config()

    def path(self, place: Path) -> str:
        """A place of the export as its manifest writes it."""
        return place.relative_to(self.export.folder).as_posix()

    def has(self, path: str) -> bool:
        return (self.export.folder / path).is_file()


def opened(home: Home) -> Opened | None:
    """What is open; None when nothing is, or when it is gone or damaged, which is said."""
    asked = export_state.opened()
    if not asked:
        return None
    try:
        return read(find_export(home, asked))
    except StudioError as error:
        output.problem(error)
        return None


def read(export: Export) -> Opened:
    """An export with what its files tell.

    Raises:
        DataError: it is damaged.
    """
    before = export.parity_sha256
    return Opened(export, export.request(), export.manifest(), export.made, export.parity(), before)
