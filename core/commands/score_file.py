"""Completions to be scored, from a JSONL file, and their scores as plain records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.data.plain_files import read_records
from core.data.records import FromValue
from core.errors import DataError
from core.reward.scoring import Sample, Scorer

COLUMNS = ("question", "answer", "completion")
GROUP = "group"


def read_samples(path: Path) -> list[Sample]:
    """Rows with `question`, `answer`, `completion`, optionally `group`, and further columns for custom rewards.

    Rows without a group form one with the other rows that ask the same question.

    Raises:
        DataError: the file or one of its rows cannot be used; the message names the line.
    """
    samples = []
    for place, record in read_records(path, COLUMNS):
        question, answer, completion = (_text(record.cells, name, place, path) for name in COLUMNS)
        if not question.strip() or not answer.strip():
            raise DataError(
                f"{place.capitalize()} of {path.name} has an empty question or answer. Fill it in or remove it."
            )
        group = record.cells.get(GROUP)
        samples.append(
            Sample(
                question=question,
                reference=answer,
                completion=completion,
                group=f"group {group}" if group is not None else f"question {question}",
                columns={name: cell or "" for name, cell in record.cells.items() if name not in (*COLUMNS, GROUP)},
            )
        )
    return samples


def _text(cells: Mapping[str, str | None], name: str, place: str, path: Path) -> str:
    cell = cells[name]
    if cell is None or isinstance(cell, FromValue):
        raise DataError(
            f"{place.capitalize()} of {path.name}: {name!r} is {cell or 'null'}, but it must be text in quotes."
        )
    return cell


def scored_lines(samples: list[Sample], scorer: Scorer) -> Iterator[dict[str, Any]]:
    """One record for each sample: reward, valid, components (NaN for no opinion), advantage."""
    scores = scorer.score(samples)
    for row in range(len(samples)):
        yield {
            "reward": float(scores.rewards[row]),
            "valid": bool(scores.valid[row]),
            "components": {name: float(scores.components[row, i]) for i, name in enumerate(scores.names)},
            "advantage": float(scores.advantages[row]),
        }
