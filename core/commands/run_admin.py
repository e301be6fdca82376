"""The verbs that keep runs in order: tag, archive, unarchive, delete, export-run, import-run, compare."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.commands.verbs import add_run_verb, add_verb
from core.errors import RunError
from core.paths import Home
from core.runs.difference import Setting, differing
from core.runs.export import export_run, export_to_home
from core.runs.files import delete_run, size_of
from core.runs.importing import import_run
from core.runs.labels import Label, change_label
from core.runs.lines import RunLine, Search, line_of
from core.runs.results import RunResults, results_of
from core.runs.run import Run, find_run, list_runs
from core.text import duration, one_line


def add_run_admin_verbs(verbs: Any) -> None:
    """Add the verbs to what `add_subparsers` returned."""
    tagged = add_run_verb(verbs, "tag", tag, "Show or change the title, tags and note of a run.")
    tagged.add_argument("tags", metavar="TAG", nargs="*", help="tags to add")
    tagged.add_argument("--remove", metavar="TAG", action="append", default=[], help="a tag to take away; repeatable")
    tagged.add_argument(
        "--title", metavar="TEXT", help="what the run is called in lists; '' for the name it began with"
    )
    tagged.add_argument("--note", metavar="TEXT", help="what you want to remember about it")
    add_run_verb(verbs, "archive", archive, "Leave a run out of lists; nothing of it is removed.")
    add_run_verb(verbs, "unarchive", unarchive, "Put an archived run back into the lists.")
    deleted = add_run_verb(verbs, "delete", delete, "Remove a run for good, with its checkpoints and its adapter.")
    deleted.add_argument("--yes", action="store_true", help="do not ask")
    packed = add_run_verb(verbs, "export-run", export, "Pack a run into a zip file.")
    packed.add_argument("--to", metavar="FILE", type=Path, help="a new file (default: in the home's exports/)")
    packed.add_argument("--checkpoints", action="store_true", help="with checkpoints, to resume the run elsewhere")
    brought = add_verb(verbs, "import-run", bring_in, "Bring in a run from a zip file that export-run has made.")
    brought.add_argument("file", metavar="FILE", type=Path, help="the zip file")
    compared = add_verb(verbs, "compare", compare, "Compare runs: what came of them, and where their settings differ.")
    compared.add_argument("runs", metavar="RUN", nargs="+", help="two run ids or more")


def add_search_options(parser: argparse.ArgumentParser) -> None:
    """Give the verb that lists runs the options that narrow its list."""
    parser.add_argument("--search", metavar="TEXT", default="", help="in id, title, tags, model, data or reward")
    parser.add_argument("--tag", metavar="TAG", action="append", default=[], help="runs with this tag; repeatable")
    parser.add_argument("--archived", action="store_true", help="archived runs as well")


def found_lines(options: argparse.Namespace, home: Home) -> list[RunLine]:
    """The runs that the options of `add_search_options` ask for, the newest first."""
    search = Search(options.search, tags=options.tag, archived=options.archived)
    return [line for line in map(line_of, list_runs(home)) if search.finds(line)]


def tag(options: argparse.Namespace, home: Home) -> Any:
    """Write on a run, and show what stands there then."""
    run = find_run(home, options.run)
    label = change_label(run, title=options.title, note=options.note, add=options.tags, remove=options.remove)
    return _labelled(run, label, options)


def archive(options: argparse.Namespace, home: Home) -> Any:
    """Leave a run out of lists."""
    run = find_run(home, options.run)
    return _labelled(run, change_label(run, archived=True), options)


def unarchive(options: argparse.Namespace, home: Home) -> Any:
    """Put a run back into the lists."""
    run = find_run(home, options.run)
    return _labelled(run, change_label(run, archived=False), options)


def _labelled(run: Run, label: Label, options: argparse.Namespace) -> Any:
    if not options.json:
        print(f"{run.id}{' (archived)' if label.archived else ''}")
        print(f"  title: {one_line(label.title) or '–'}\n  tags:  {', '.join(map(one_line, label.tags)) or '–'}")
        print(f"  note:  {one_line(label.note) or '–'}")
    return {"run": run.id, **label.model_dump(mode="json")}


def delete(options: argparse.Namespace, home: Home) -> Any:
    """Remove a run, after a question on a terminal."""
    run = find_run(home, options.run)
    size = size_of(run)
    if not options.yes and not _agreed(f"Delete {run.id} for good? It frees {size}. [y/N] "):
        raise RunError(f"{run.id} was not deleted. Say y, or give --yes where nobody can be asked.")
    delete_run(home, run)
    if not options.json:
        print(f"{run.id} is deleted; {size} are free.")
    return {"deleted": run.id, "bytes": size.bytes}


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        return False
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def export(options: argparse.Namespace, home: Home) -> Any:
    """Pack a run."""
    run = find_run(home, options.run)
    if options.to:
        file = export_run(run, options.to.resolve(), options.checkpoints)
    else:
        file = export_to_home(home, run, options.checkpoints)
    if not options.json:
        print(f"{run.id} is packed into {file}.")
    return {"run": run.id, "file": str(file), "bytes": file.stat().st_size}


def bring_in(options: argparse.Namespace, home: Home) -> Any:
    """Bring in a run."""
    imported = import_run(home, options.file)
    if not options.json:
        print(f"{imported.run.id}: {imported.run.summary()}", *map(one_line, imported.notes), sep="\n")
    return {"run": imported.run.id, "notes": list(imported.notes)}


def compare(options: argparse.Namespace, home: Home) -> Any:
    """Compare runs."""
    runs = [find_run(home, run) for run in dict.fromkeys(options.runs)]
    if len(runs) < 2:
        raise RunError("A comparison needs two runs or more. Name another one.")
    results, settings = [results_of(run) for run in runs], differing([run.config() for run in runs])
    if not options.json:
        _print_table(results, settings)
    return {"runs": [asdict(result) for result in results], "differences": [asdict(setting) for setting in settings]}


def _print_table(results: Sequence[RunResults], settings: Sequence[Setting]) -> None:
    """Two tables of text with a column for each run: what came of it, and the settings that are not all the same."""
    for result in results:
        print(
            f"{result.run:32} step {result.steps:<6d} reward {_number(result.reward)}  "
            f"validation {_number(result.validation)}  "
            f"held-out {_number(result.held_out_before)} -> {_number(result.held_out_after)}  "
            f"{duration(result.seconds)}"
        )
    for setting in settings:
        print(f"\n{setting.label}")
        for result, value in zip(results, setting.values, strict=True):
            print(f"  {result.run:32} {one_line(value)}")
    if not settings:
        print("Their settings are the same.")


def _number(value: float | None) -> str:
    return "    –" if value is None else f"{value:+.2f}"
