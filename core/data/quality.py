"""The quality report: what somebody should know about the rows before a model is trained on them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from core.chat import ChatModel
from core.data import checks
from core.data.draft import Draft
from core.data.duplicates import near_groups
from core.data.findings import Finding, LengthReport, Lengths, Report, Rows, TokenCounter
from core.data.lengths import completion_limit, distribution, measure, prompt_limit
from core.data.mending import draft_of, prepared_rows
from core.data.scan import scanning
from core.data.tables import Table, find_table
from core.errors import DataError
from core.jobs.tasks import Tell, silent
from core.paths import Home, write_json

__all__ = [
    "Finding",
    "KeptReport",
    "LengthReport",
    "Lengths",
    "Report",
    "TokenCounter",
    "is_current",
    "kept_report",
    "report",
    "run_report",
]

_FILE = "report.json"
_ORDER = ("problem", "warning", "note")


class KeptReport(BaseModel):
    """A report beside its table, with the draft that made the rows it is about."""

    model_config = ConfigDict(frozen=True)
    draft: Draft
    report: Report


def report(table: pa.Table, draft: Draft, chat: TokenCounter, progress: Tell = silent) -> Report:
    """Look at the rows as they now stand.

    Args:
        table: columns row (int64), question, answer and split; texts may be null.
        draft: what the rows were made with: its prompt, tags, limits and split column.
        chat: counts tokens as the model to be trained does.
        progress: told how far it is; may raise to stop.
    """
    rows = Rows.of(table)
    with scanning(rows) as scan:
        measured = measure(rows, draft, chat, progress)
        lengths = LengthReport(prompt=distribution(measured.prompts), answer=distribution(measured.answers))
        prompt = prompt_limit(lengths.prompt, draft)
        completion = completion_limit(lengths.answer, measured.tags, draft)
        groups = near_groups(rows.questions, progress=progress)
        findings = [
            *checks.empty_cells(rows),
            *checks.repeated(rows),
            *checks.nearly_repeated(rows, groups),
            *checks.in_two_splits(rows, groups, draft),
            *checks.with_reasoning(rows, draft.prompt.tags),
            *checks.too_long(rows, measured, draft, prompt, completion),
        ]
        scanned = scan(progress)
    findings += [*checks.other_languages(rows, scanned), *checks.identifying(rows, scanned)]
    return Report(
        rows=len(rows.numbers),
        findings=tuple(sorted(findings, key=lambda finding: _ORDER.index(finding.severity))),
        lengths=lengths,
        languages=checks.language_shares(scanned),
        suggested_max_prompt_length=prompt.tokens,
        prompt_length_reason=prompt.reason,
        suggested_max_completion_length=completion.tokens,
        completion_length_reason=completion.reason,
    )


def run_report(home: Home, arguments: Mapping[str, Any], progress: Tell) -> dict[str, Any]:
    """The task "report": `{"table": id}` to a `Report` as JSON, which is also kept beside the table.

    Raises:
        DataError: there is no such table, or nothing has been decided about it yet.
        ModelError: the draft's model cannot be found.
    """
    table = find_table(home, arguments["table"])
    draft = draft_of(table)
    progress("reading the rows", 0, 0)
    rows = prepared_rows(table, draft, progress)
    chat = ChatModel.open(draft.model, home)
    kept = KeptReport(draft=draft, report=report(rows, draft, chat, progress))
    write_json(table.folder / _FILE, json.loads(kept.model_dump_json()))
    return kept.report.model_dump(mode="json")


def kept_report(table: Table) -> Report:
    """The last report on a table.

    Raises:
        DataError: there is none yet.
    """
    kept = _kept(table)
    if kept is None:
        raise DataError(f"There is no report on {table.about().title} yet. Make one first.")
    return kept.report


def is_current(table: Table) -> bool:
    """Whether there is a report that was made with the table's present draft."""
    kept = _kept(table)
    return kept is not None and kept.draft == table.draft()


def _kept(table: Table) -> KeptReport | None:
    file = table.folder / _FILE
    return KeptReport.model_validate_json(file.read_text(encoding="utf-8")) if file.is_file() else None
