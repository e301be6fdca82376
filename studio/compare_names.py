"""What candidates are called on the Compare page, in words that people use for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from core.errors import StudioError
from core.models import EMBEDDED
from core.paths import Home
from core.runs.labels import read_label
from core.runs.run import Run
from core.serving.candidates import BEST, Candidate
from core.training.best import read_best


def names(home: Home, candidates: Sequence[Candidate]) -> list[str]:
    """The name of each candidate, text from outside; no two of them are the same.

    Two that would read the same are told apart by where they are: the run's id, the folder, the whole address.
    """
    short = [name(home, candidate) for candidate in candidates]
    counts = Counter(short)
    return [
        text if counts[text] == 1 else f"{text} ({candidate.run or candidate.url or candidate.model})"
        for text, candidate in zip(short, candidates, strict=True)
    ]


def name(home: Home, candidate: Candidate) -> str:
    """The name of one candidate alone."""
    if candidate.kind == "adapter":
        run = Run(home.runs / candidate.run)
        return f"{_run_title(run)} · {_checkpoint(run, candidate.checkpoint)}"
    if candidate.kind == "endpoint":
        return f"Remote: {candidate.model} at {urlsplit(candidate.url).netloc}"
    if candidate.kind == "gguf":
        return f"{Path(candidate.model).stem} (GGUF)"
    embedded = EMBEDDED.get(candidate.model)
    return f"{embedded.title if embedded else _last_part(candidate.model)} (base)"


def _last_part(model: str) -> str:
    """The folder's name of a model in a folder; a Hugging Face id as it is."""
    return Path(model).name if Path(model).is_absolute() else model


def _run_title(run: Run) -> str:
    try:
        return read_label(run).title or run.config().name or run.id
    except StudioError:  # a damaged label or configuration says so where runs are listed
        return run.id


def _checkpoint(run: Run, checkpoint: str) -> str:
    if checkpoint == BEST:
        best = read_best(run)
        return "best on validation" + (f", step {best.step}" if best else "")
    return f"step {checkpoint}" if checkpoint else "final adapter"
