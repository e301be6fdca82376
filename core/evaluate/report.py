"""Writes the evidence pack of an evaluation: one HTML file that needs nothing else, and files for other programs.

The HTML file loads nothing from anywhere: its content security policy allows only the two scripts that stand in it, by
their hashes, so that no text of a model or of a person can ever run. The same evaluation gives the same bytes, the date
apart, on a machine with the same software.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from core.errors import StorageError
from core.evaluate import report_words as words
from core.evaluate.evaluation import Evaluation
from core.evaluate.evidence import Evidence, gather
from core.evaluate.exports import (
    answers_csv,
    answers_jsonl,
    packed,
    results_json,
    scores_csv,
    settings_json,
    verdicts_csv,
    verdicts_jsonl,
)
from core.evaluate.report_figures import report_figures
from core.evaluate.report_views import ReportView
from core.paths import ASSETS, Home, storage_error, write_bytes

REPORT, PACK = "report.html", "evidence.zip"
FILES = (
    *(REPORT, PACK, "answers.csv", "verdicts.csv", "scores.csv"),
    *("answers.jsonl", "verdicts.jsonl", "results.json", "settings.json"),
)
"""Everything that can lie in the folder of a report. While raters vote blindly on the answers, files that say who wrote
what are not there."""
_TEMPLATES = ASSETS / "report"


def report_folder(evaluation: Evaluation) -> Path:
    """Where the files of a report lie, whether they are there or not."""
    return evaluation.report_folder


def write_report(home: Home, evaluation: Evaluation, date: datetime) -> Path:
    """Write all files of the evidence pack, each in the place of an earlier one; returns their folder.

    Args:
        date: what the report bears as its date; the only thing in it that does not come from the evaluation.

    Raises:
        RunError: its statistics have not been counted yet.
        DataError: the comparison is gone, or a file is damaged.
        StorageError: the disk is full.
    """
    evidence = gather(home, evaluation)
    folder = evaluation.report_folder
    files = pack_files(evidence, date)
    try:
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            write_bytes(folder / name, content)
        for name in set(FILES) - set(files):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(error, folder) or StorageError(f"{folder} cannot be written ({error.strerror}).") from error
    return folder


def pack_files(evidence: Evidence, date: datetime) -> dict[str, bytes]:
    """The files of a pack by name."""
    files = {REPORT: report_html(evidence, date), "results.json": results_json(evidence)}
    files["settings.json"] = settings_json(evidence)
    if not evidence.vote_open:
        files |= {
            "answers.csv": answers_csv(evidence),
            "answers.jsonl": answers_jsonl(evidence),
            "verdicts.csv": verdicts_csv(evidence),
            "verdicts.jsonl": verdicts_jsonl(evidence),
            "scores.csv": scores_csv(evidence),
        }
    return {**files, PACK: packed(files)}


def report_html(evidence: Evidence, date: datetime) -> bytes:
    """The report as one HTML file in UTF-8."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_filters())
    library, script = get_plotlyjs(), (_TEMPLATES / "report.js").read_text(encoding="utf-8")
    text = environment.get_template("report.html.jinja").render(
        view=ReportView(evidence),
        evidence=evidence,
        results=evidence.results,
        date=date.strftime("%Y-%m-%d"),
        figures=report_figures(evidence),
        style=Markup((_TEMPLATES / "report.css").read_text(encoding="utf-8")),
        library=Markup(library),
        script=Markup(script),
        policy=_policy(library, script),
    )
    return text.encode("utf-8", "replace")


def _filters() -> Mapping[str, object]:
    names = ("number", "signed", "interval", "p_value", "percent", "share", "finding", "matter", "item", "day")
    return {name: getattr(words, name) for name in names}


def _policy(*scripts: str) -> str:
    """What a browser may do with the report: draw it, and run these scripts and no other."""
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    # Plotly writes its marks' looks into style attributes and one style element.
    allowed = f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:"
    return f"{allowed}; base-uri 'none'; form-action 'none'"


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
