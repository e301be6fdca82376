"""`python -m core data VERB`: the options of its verbs; see `core.commands.data` for what they do."""

from __future__ import annotations

import argparse
from pathlib import Path

from core.commands import data as data_verbs
from core.commands.data import HUB, PAGE
from core.commands.verbs import Verb, add_verb
from core.config import SAMPLE
from core.prompts import PROMPTS


def add_data_verbs(parser: argparse.ArgumentParser) -> None:
    """Give `parser`, that of the verb `data`, its own verbs."""
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def of_table(name: str, action: Verb, help_text: str) -> argparse.ArgumentParser:
        sub = add_verb(verbs, name, action, help_text)
        sub.add_argument("table", metavar="TABLE", help="table id, or 'last'")
        return sub

    _import_options(add_verb(verbs, "import", data_verbs.import_source, "Read a source into a table."))
    add_verb(verbs, "tables", data_verbs.tables, "List the tables, the newest first.")
    _show_options(of_table("show", data_verbs.show, "Show a page of a table's rows."))
    _map_options(of_table("map", data_verbs.map_columns, "Say what the columns mean, and what the prompt is."))
    of_table("report", data_verbs.report, "Check the quality of the rows and list what was found.")
    _mend_options(of_table("mend", data_verbs.mend, "Apply the mends of findings of the last report."))
    sub = of_table("prepare", data_verbs.prepare, "Save the mended rows as a data set that runs train on.")
    sub.add_argument("--name", required=True, metavar="NAME", help="name of the data set")
    add_verb(verbs, "list", data_verbs.list_data, "List the prepared data sets, and check that none has changed.")


def _show_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--page", type=int, default=1, metavar="N", help=f"page of {PAGE} rows, counted from 1")
    parser.add_argument("--search", default="", metavar="TEXT", help="only rows in which some column holds this")


def _mend_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "findings", metavar="N", type=int, nargs="*", help="numbers of findings, as the report lists them"
    )
    parser.add_argument("--preview", action="store_true", help="only show what would change")
    parser.add_argument("--undo", action="store_true", help="take the last mend back")


def _import_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=f"a file, '{SAMPLE}', or {HUB}ID[:CONFIG[:SPLIT]]")
    parser.add_argument("--delimiter", metavar="C", help="character between cells (default: found)")
    parser.add_argument("--encoding", metavar="NAME", help="text encoding (default: found)")
    parser.add_argument("--sheet", metavar="NAME", help="sheet of a workbook (default: the first)")
    parser.add_argument("--skip-bad", action="store_true", help="leave out rows that cannot be read, and list them")


def _map_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--question", metavar="COLUMN", help="column of the questions")
    parser.add_argument("--answer", metavar="COLUMN", help="column of the reference answers")
    parser.add_argument("--split", metavar="COLUMN", help="column that names each row's split; '' splits by question")
    parser.add_argument("--carry", metavar="COLUMN", action="append", help="a further column to keep; may be repeated")
    prompt = parser.add_mutually_exclusive_group()
    prompt.add_argument("--prompt", choices=PROMPTS, help="prompt preset (default: concise)")
    prompt.add_argument("--system", metavar="FILE", type=Path, help="text file with the system prompt")
    parser.add_argument("--reasoning-tag", metavar="NAME", help="name of the reasoning tag")
    parser.add_argument("--answer-tag", metavar="NAME", help="name of the answer tag")
    parser.add_argument(
        "--prefill",
        action=argparse.BooleanOptionalAction,
        help="begin the model's answer with the opening tag of the reasoning (default: no)",
    )
    parser.add_argument("--model", metavar="NAME", help="model whose tokens lengths are counted in")
    parser.add_argument("--max-prompt-length", type=int, metavar="N", help="in tokens")
    parser.add_argument("--max-completion-length", type=int, metavar="N", help="in tokens")
    parser.add_argument("--validation", type=float, metavar="SHARE", help="share of the questions for validation")
    parser.add_argument("--test", type=float, metavar="SHARE", help="share of the questions for the test")
