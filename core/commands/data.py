"""What the verbs of `python -m core data` do: from a source to a prepared data set without a browser."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import reduce
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from core.commands.verbs import finish_task
from core.config import SAMPLE, replace_fields, validation_sentence
from core.data.columns import guess_mapping
from core.data.draft import SPLITS, Draft, Mend
from core.data.findings import lasting_mends
from core.data.mending import Change, check_mapping, draft_of, preview
from core.data.prepared import PreparedData, find, list_prepared, verify
from core.data.quality import Finding, Report, is_current, kept_report
from core.data.sources import parse_source
from core.data.tables import ROW, Table, find_table, list_tables, text_columns
from core.errors import ConfigError, DataError
from core.paths import Home
from core.prompts import PROMPTS, check_prompt
from core.text import one_line

HUB = "hub:"
PAGE = 20
"""Rows on a page."""
_GUESSED_FROM = 100
"""How many rows are looked at to tell question and answer columns apart."""
_SHOWN = 12
"""How many row numbers of a finding are printed."""


def import_source(options: argparse.Namespace, home: Home) -> Any:
    """Read a source into a table, and guess what its columns mean."""
    source = parse_source(_source(options))
    table = find_table(home, finish_task(home, "import", source.model_dump(exclude_none=True))["table"])
    about, draft = table.about(), table.draft() or _guessed(table)
    if not options.json:
        print(f"Table {table.id}: {about.rows} rows with the columns {text_columns(about.columns)}.")
        print(*(f"Note: {note}" for note in about.notes), sep="\n", end="\n" if about.notes else "")
        if about.left_out:
            print(f"Left out: {about.left_out_count} row(s) that cannot be read.")
        for part in about.left_out[:_SHOWN]:
            print(f"Left out: line {part.line}: {one_line(part.reason)}")
        print(_meaning(draft) if draft else "Say which columns hold question and answer: python -m core data map")
    return {"table": table.id, **about.model_dump(mode="json"), "draft": draft and draft.model_dump(mode="json")}


def _source(options: argparse.Namespace) -> Mapping[str, Any]:
    if options.source == SAMPLE:
        return {"origin": "sample"}
    if options.source.startswith(HUB):
        names = ("id", "config", "split")
        given = zip(names, options.source.removeprefix(HUB).split(":", len(names) - 1), strict=False)
        return {"origin": "hub", **{name: value for name, value in given if value}}
    path = Path(options.source).expanduser()
    wanted = {"delimiter": options.delimiter, "encoding": options.encoding, "sheet": options.sheet}
    reading = {name: value for name, value in wanted.items() if value is not None}
    return {"origin": "file", "path": str(path.absolute()), "title": path.name, "skip_bad": options.skip_bad, **reading}


def _guessed(table: Table) -> Draft | None:
    mapping = guess_mapping(table.about().columns, table.page(0, _GUESSED_FROM))
    if mapping is None:
        return None
    guess = Draft(table=table.id, mapping=mapping, prompt=PROMPTS["concise"].prompt)
    return table.revise(lambda draft: draft or guess)


def _meaning(draft: Draft) -> str:
    mapping = draft.mapping
    split = f"the column {mapping.split!r}" if mapping.split else "a hash of the question"
    return f"Questions come from {mapping.question!r}, answers from {mapping.answer!r}, the split from {split}."


def _table(options: argparse.Namespace, home: Home) -> Table:
    if options.table != "last":
        return find_table(home, options.table)
    found = list_tables(home)
    if not found:
        raise DataError("There are no tables yet. Read a source with: python -m core data import sample")
    return found[0]


def tables(options: argparse.Namespace, home: Home) -> Any:
    """All tables, the newest first."""
    found = [(table, table.about()) for table in list_tables(home)]
    if not options.json:
        for table, about in found:
            print(f"{table.id:52} {about.rows:9d} rows  {one_line(about.title)}")
        if not found:
            print("There are no tables yet. Read a source with: python -m core data import sample")
    return [{"table": table.id, "title": a.title, "rows": a.rows, "columns": a.columns} for table, a in found]


def show(options: argparse.Namespace, home: Home) -> Any:
    """A page of a table's rows."""
    table = _table(options, home)
    if options.page < 1:
        raise ConfigError(f"--page is {options.page}: pages are counted from 1.")
    count = table.count(options.search)
    rows, pages = table.page((options.page - 1) * PAGE, PAGE, options.search), max(1, -(-count // PAGE))
    if not options.json:
        for row in rows:
            print(f"row {row.pop(ROW)}", *(f"  {name}: {one_line(text)}" for name, text in row.items()), sep="\n")
        print(f"Page {options.page} of {pages}: {count} rows" + (" found." if options.search else "."))
    return {"table": table.id, "page": options.page, "pages": pages, "count": count, "rows": rows}


def map_columns(options: argparse.Namespace, home: Home) -> Any:
    """Change what has been decided about a table; what no option names stays as it is."""
    table = _table(options, home)
    about, dropped = table.about(), 0
    system = _prompt_file(options.system) if options.system else None  # not under the lock: it may lie anywhere

    def mapped(before: Draft | None) -> Draft:
        nonlocal dropped
        wanted = _changed(before, table, options, system)
        check_mapping(wanted.mapping, about.columns, about.title)
        check_prompt(wanted.prompt)
        mends = lasting_mends(before, wanted.mapping) if before else ()
        dropped = len(wanted.mends) - len(mends)
        return wanted.model_copy(update={"mends": mends})

    draft = table.revise(mapped)
    if not options.json:
        print(_meaning(draft))
        if dropped:
            print(f"{dropped} mend(s) were for the texts of other columns and are dropped. Make the report again.")
    return draft.model_dump(mode="json")


def _changed(draft: Draft | None, table: Table, options: argparse.Namespace, system: str | None) -> Draft:
    """The draft with the options' changes; without a draft, the options have to name question and answer.

    Args:
        system: what stands in the file that `--system` names; None without it.
    """
    new = {"table": table.id, "mapping": {}, "prompt": PROMPTS["concise"].prompt.model_dump(), "shares": {}}
    values = draft.model_dump() if draft else new
    preset = PROMPTS[options.prompt].prompt.model_dump() if options.prompt else {}
    wanted = {
        "mapping.question": options.question,
        "mapping.answer": options.answer,
        "mapping.carried": options.carry,
        "prompt.system": preset.get("system") if system is None else system,
        "prompt.examples": preset.get("examples"),
        "prompt.tags.reasoning": options.reasoning_tag,
        "prompt.tags.answer": options.answer_tag,
        "prompt.prefill": options.prefill,
        "model": options.model,
        "max_prompt_length": options.max_prompt_length,
        "max_completion_length": options.max_completion_length,
        "shares.validation": options.validation,
        "shares.test": options.test,
    }
    changes = {path: value for path, value in wanted.items() if value is not None}
    if options.split is not None:
        changes["mapping.split"] = options.split or None
    try:
        return Draft.model_validate(replace_fields(values, changes))
    except ValidationError as error:
        raise ConfigError(validation_sentence(error)) from error


def _prompt_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise DataError(f"{path} cannot be read ({reason}). Name a text file with the system prompt.") from error


def report(options: argparse.Namespace, home: Home) -> Any:
    """Check the quality of the rows and list what was found."""
    table = _table(options, home)
    draft_of(table)
    found = Report.model_validate(finish_task(home, "report", {"table": table.id}))
    if not options.json:
        for number, finding in enumerate(found.findings, start=1):
            _print_finding(number, finding)
        print(f"{found.rows} rows, {len(found.findings)} finding(s).")
        print(f"Suggested --max-prompt-length {found.suggested_max_prompt_length}: {found.prompt_length_reason}")
        completion = found.suggested_max_completion_length
        print(f"Suggested --max-completion-length {completion}: {found.completion_length_reason}")
    return found.model_dump(mode="json")


def _print_finding(number: int, finding: Finding) -> None:
    rows = ", ".join(map(str, finding.rows[:_SHOWN])) + (" …" if len(finding.rows) > _SHOWN else "")
    print(f"{number:2d}. {finding.severity}: {finding.title}{'' if finding.mend else ' (no mend)'}")
    print(f"    {finding.detail}" + (f" Rows: {rows}." if rows else ""))


def mend(options: argparse.Namespace, home: Home) -> Any:
    """Apply the mends of findings of the last report, or take the last mend back."""
    table = _table(options, home)
    seen = draft_of(table)
    if options.preview and options.undo:
        raise ConfigError("--preview changes nothing and --undo takes a mend back. Give one or the other.")
    if options.preview:
        return _previewed(table, seen, _mends_of(table, options.findings), options)

    def mended(draft: Draft | None) -> Draft:
        draft = draft or seen
        chosen = _mends_of(table, options.findings)
        undone = draft.model_copy(update={"mends": draft.mends[:-1]}) if options.undo else draft
        return reduce(_with, chosen, undone)

    draft = table.revise(mended)
    if not options.json:
        print(f"{len(draft.mends)} mend(s) are applied. Run the report again to see what is left.")
    return draft.model_dump(mode="json")


def _mends_of(table: Table, numbers: Sequence[int]) -> list[Mend]:
    return [_mend_of(table, number) for number in numbers]


def _mend_of(table: Table, number: int) -> Mend:
    found = kept_report(table).findings
    if not is_current(table):
        raise DataError(
            "The report was made before something was decided otherwise about this table, so its rows may not be those "
            f"that stand there now. Make it again: python -m core data report {table.id}"
        )
    if not 1 <= number <= len(found):
        raise ConfigError(f"There is no finding {number}: the last report has {len(found)}. Look at it again first.")
    chosen = found[number - 1].mend
    if chosen is None:
        raise ConfigError(f"Finding {number} has no mend. Change the source, or leave it as it is.")
    return chosen


def _with(draft: Draft, mend: Mend) -> Draft:
    """The draft with one mend more, unless it has that one already: two findings may share a mend."""
    return draft if mend in draft.mends else draft.model_copy(update={"mends": (*draft.mends, mend)})


def _previewed(table: Table, draft: Draft, mends: Sequence[Mend], options: argparse.Namespace) -> Any:
    """What each mend would change behind those before it, as they would be applied."""
    changes: list[Change] = []
    for each in mends:
        if each not in draft.mends:
            changes += preview(table, draft, each)
            draft = _with(draft, each)
    if not options.json:
        for change in changes:
            after = "(left out)" if change.after is None else one_line(change.after)
            print(f"row {change.row}, {change.column}\n  before: {one_line(change.before)}\n  after:  {after}")
        print("Nothing has been changed yet. Leave --preview out to apply it.")
    return [asdict(change) for change in changes]


def prepare(options: argparse.Namespace, home: Home) -> Any:
    """Save the mended rows as a prepared data set."""
    table = _table(options, home)
    done = finish_task(home, "prepare", {"table": table.id, "name": options.name})
    saved = find(home, done["name"])
    if not options.json:
        print(f"Saved {saved.name} in {saved.folder}: {_counts(saved)}; fingerprint {saved.manifest.fingerprint[:12]}…")
        print(*(f"Note: {note}" for note in saved.manifest.notes), sep="\n", end="\n" if saved.manifest.notes else "")
        print(f"Train on it with: python -m core train --data {saved.name}")
    return {"name": saved.name, "folder": str(saved.folder), **saved.manifest.model_dump(mode="json")}


def _counts(saved: PreparedData) -> str:
    return ", ".join(f"{saved.manifest.rows(split)} {split}" for split in SPLITS)


def list_data(options: argparse.Namespace, home: Home) -> Any:
    """All prepared data sets, the newest first; one that has changed says so."""
    found = [(saved, _problem(saved)) for saved in list_prepared(home)]
    if not options.json:
        for saved, problem in found:
            print(f"{saved.name:32} {problem or f'{_counts(saved)}  {saved.manifest.fingerprint[:12]}'}")
        if not found:
            print("There are no prepared data sets yet. Save one with: python -m core data prepare TABLE --name NAME")
    return [
        {"name": saved.name, "problem": problem} | ({} if problem else saved.manifest.model_dump(mode="json"))
        for saved, problem in found
    ]


def _problem(saved: PreparedData) -> str:
    try:
        verify(saved)
    except DataError as error:
        return str(error)
    return ""
