"""`python -m core export`: make a trained model into files for other programs, and publish them."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, TextIO

from core.commands.generate import plain
from core.commands.verbs import add_verb, follow_task
from core.errors import ConfigError, RunError, StudioError
from core.export.hub import TOKEN_VARIABLE, push_records, start_push
from core.export.hub_plan import make_push_request
from core.export.request import FORM_TITLES, FORMS, make_export_request
from core.export.store import Export, create_export, delete_export, find_export, list_exports, title_of
from core.export.task import start_export
from core.paths import Home
from core.runs.files import Size
from core.serving.candidates import parse_candidate
from core.text import one_line

_QUESTIONS = 8


def add_export_verb(verbs: Any) -> None:
    """Give the command line its verb; `verbs` is what `add_subparsers` returned."""
    text = "Make a trained model into files for other programs: adapter, merged weights, GGUF; publish them."
    parser = add_verb(verbs, "export", export, text)
    parser.add_argument("run", metavar="RUN[@best|@STEP]", nargs="?", help="run id or 'last', with a checkpoint of it")
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--resume", metavar="ID", help="go on with an export, or 'last'; only what is missing is made")
    other.add_argument("--list", action="store_true", help="list exports, the newest first; of RUN alone if named")
    other.add_argument("--delete", metavar="ID", help="remove an export with all its files; the run stays")
    parser.add_argument(
        "--form", action="append", choices=FORMS, help="what is made; repeatable (default: gguf_q4_k_m)"
    )
    parser.add_argument("--title", default="", metavar="TEXT", help="what lists and files call it (default: the run)")
    compared = f"on which all forms are compared with the adapter (default: {_QUESTIONS})"
    parser.add_argument("--questions", type=int, metavar="N", help=compared)
    _add_push_options(parser)


def _add_push_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--push", metavar="OWNER/NAME", help="publish it on the Hugging Face Hub when it is made")
    parser.add_argument("--public", action="store_true", help="with --push: for everybody to see (default: private)")
    parser.add_argument(
        "--existing",
        action="store_true",
        help="with --push: the repository may exist already; other weights at its top are taken away",
    )
    parser.add_argument(
        "--token-env",
        default=TOKEN_VARIABLE,
        metavar="NAME",
        help=f"variable with the token (default: {TOKEN_VARIABLE})",
    )
    parser.add_argument(
        "--acknowledge-drift",
        action="store_true",
        help="with --push: publish though answers differ from the adapter's, as an earlier command has told",
    )


def export(options: argparse.Namespace, home: Home) -> Any:
    """Do what the options say: export, go on, list or delete.

    Raises:
        StudioError: the export failed or was stopped; what is whole of it is kept.
    """
    if options.list:
        return _list(options, home)
    if bool(options.run) + bool(options.resume) + bool(options.delete) != 1:
        raise ConfigError("Name a run to export, or one of --resume, --list and --delete.")
    _refuse_unheard(options)
    if options.delete:
        return _delete(options, home)
    if options.push and not os.environ.get(options.token_env, "").strip():
        raise ConfigError(
            f"--push needs a token, and the variable {options.token_env} is empty. Set it to a token that may write, "
            "or name another one with --token-env."
        )
    found = find_export(home, options.resume) if options.resume else _new(options, home)
    read = found.parity_sha256
    _finish(home, found)
    if options.push or not options.json:
        _show(found, sys.stderr if options.json else sys.stdout)
    if options.push:
        _push(options, home, found, read)
    if not options.json:
        for pushed in push_records(found):
            print(plain(f"  Published: {pushed.url}"))
    return record(found) if options.json else None


def _refuse_unheard(options: argparse.Namespace) -> None:
    """Say of options that only a new export can have that they would not be heard."""
    given = {
        "--form": options.form,
        "--title": options.title,
        "--questions": options.questions is not None,
    }
    named = ", ".join(name for name, value in given.items() if value)
    if named and not options.run:
        raise ConfigError(
            f"{named} can only be given to a new export: what was asked of one that is there never changes. Leave it "
            "out, or name a run."
        )


def _new(options: argparse.Namespace, home: Home) -> Export:
    candidate = parse_candidate(f"run:{options.run}", home)
    request = make_export_request(
        title=options.title,
        run=candidate.run,
        checkpoint=candidate.checkpoint,
        forms=options.form or ["gguf_q4_k_m"],
        questions=_QUESTIONS if options.questions is None else options.questions,
    )
    made = create_export(home, request)
    print(f"Kept as {made.id}.", file=sys.stderr, flush=True)
    return made


def _finish(home: Home, found: Export) -> None:
    """Make what is missing: forms, their comparison, cards and commands."""
    if found.whole:
        return
    try:
        follow_task(start_export(home, found))
    except StudioError:
        print(f"Go on with: python -m core export --resume {found.id}", file=sys.stderr)
        raise


def _push(options: argparse.Namespace, home: Home, found: Export, read: str) -> None:
    """Publish it; drift is acknowledged only where an earlier command has told the findings.

    Args:
        read: the SHA-256 of the parity report that was there when this command began.
    """
    report = found.parity()
    if report is not None and report.drift and options.acknowledge_drift:
        if read != found.parity_sha256:
            raise RunError(
                f"The answers of {found.id} were compared only now, and a form differs. Read what was found. If it may "
                f"be published all the same, go on with --resume {found.id}, --push and --acknowledge-drift."
            )
        found.acknowledge(read)
    request = make_push_request(
        export=found.id,
        repository=options.push,
        forms=found.made,
        private=not options.public,
        may_exist=options.existing,
    )
    follow_task(start_push(home, found, request, os.environ[options.token_env]))


def record(found: Export) -> dict[str, Any]:
    """An export as `--json` prints it."""
    request, report, manifest = found.request(), found.parity(), found.manifest()
    return {
        "export": found.id,
        "title": title_of(found),
        "run": found.run_id,
        "checkpoint": request.checkpoint,
        "folder": str(found.folder),
        "forms": {form: {"path": str(found.place_of(form)), "bytes": found.bytes_of(form)} for form in found.made},
        "missing": list(found.missing),
        "files": [entry.model_dump(mode="json") for entry in manifest.files],
        "parity": None if report is None else report.model_dump(mode="json", exclude={"questions", "reference"}),
        "pushed": [one.model_dump(mode="json") for one in push_records(found)],
    }


def _show(found: Export, target: TextIO) -> None:
    """Print what is made and how it answers."""
    report = found.parity()
    print(f"{found.id} lies in {found.folder}.", file=target)
    for form in found.made:
        checked = None if report is None else report.of(form)
        divergence = "" if checked is None or checked.divergence is None else f"  divergence {checked.divergence:.5f}"
        print(f"  {FORM_TITLES[form]:30} {Size(found.bytes_of(form), whole=True)!s:>10}{divergence}", file=target)
    for finding in () if report is None else report.findings:
        print(plain(f"  {finding.severity}, {FORM_TITLES[finding.form]}: {finding.sentence}"), file=target)


def _list(options: argparse.Namespace, home: Home) -> Any:
    """All exports, or those of one run."""
    run = parse_candidate(f"run:{options.run}", home).run if options.run else ""
    found = list_exports(home, run)
    if options.json:
        return [record(one) for one in found]
    for one in found:
        made = ", ".join(FORM_TITLES[form] for form in one.made) or "nothing yet"
        missing = f" ({len(one.missing)} missing)" if one.missing else ""
        print(plain(f"{one.id}  {one_line(title_of(one), 60)}  {made}{missing}"))
    if not found:
        print("There are no exports yet.")
    return None


def _delete(options: argparse.Namespace, home: Home) -> Any:
    found = find_export(home, options.delete)
    if found.id != options.delete:
        raise RunError("Name the export that is deleted by its id; --list shows them.")
    delete_export(home, found)
    if not options.json:
        print(f"{found.id} is deleted.")
    return {"deleted": found.id}
