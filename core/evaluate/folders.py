"""Where evaluations lie, and which of them a comparison must not be taken away from.

Apart from `core.evaluate.evaluation`, which knows comparisons, so that comparisons can ask this.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from core.evaluate.request import EvaluationRequest
from core.paths import Home, is_name

REQUEST = "request.json"


def evaluations_folder(home: Home) -> Path:
    folder = home.root / "evaluations"
    folder.mkdir(exist_ok=True)
    return folder


def evaluation_folders(home: Home) -> list[Path]:
    """The folders of all evaluations, in no order; one that is just being made is none yet."""
    folders = (folder for folder in evaluations_folder(home).iterdir() if is_name(folder.name))
    return [folder for folder in folders if (folder / REQUEST).is_file()]


def folders_that_judge(home: Home, comparison: str) -> list[Path]:
    """The folders of the evaluations of one comparison, named by its id; a damaged one cannot be told."""
    found = []
    for folder in evaluation_folders(home):
        try:
            request = EvaluationRequest.model_validate_json((folder / REQUEST).read_bytes())
        except (ValidationError, FileNotFoundError):  # the second when it is deleted at this moment
            continue
        if request.comparison == comparison:
            found.append(folder)
    return sorted(found)
