"""Completions to be scored, from a JSONL file, and their scores as plain records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.config import COMPONENTS
from core.errors import DataError
from core.record_files import read_records
from core.scoring import Sample, Scorer

COLUMNS = ("question", "answer", "completion")


def read_samples(path: Path) -> list[Sample]:
    """Rows with `question`, `answer`, `completion` and optionally `group`.

    Rows without a group form one with the other rows that ask the same question.

    Raises:
        DataError: the file or one of its rows cannot be used; the message names the line.
    """
    samples = []
    for number, record in read_records(path, COLUMNS):
        for column in COLUMNS:
            if not isinstance(record[column], str):
                raise DataError(
                    f"Line {number} of {path.name}: {column!r} is {record[column]!r}, but it must be text in quotes."
                )
        if not record["question"].strip() or not record["answer"].strip():
            raise DataError(f"Line {number} of {path.name} has an empty question or answer. Fill it in or remove it.")
        group = record.get("group")
        samples.append(
            Sample(
                question=record["question"],
                reference=record["answer"],
                completion=record["completion"],
                group=f"group {group}" if group is not None else f"question {record['question']}",
            )
        )
    return samples


def scored_lines(samples: list[Sample], scorer: Scorer) -> Iterator[dict[str, Any]]:
    """One record for each sample: reward, valid, components, advantage."""
    scores = scorer.score(samples)
    for row in range(len(samples)):
        yield {
            "reward": float(scores.rewards[row]),
            "valid": bool(scores.valid[row]),
            "components": {name: float(scores.components[row, i]) for i, name in enumerate(COMPONENTS)},
            "advantage": float(scores.advantages[row]),
        }
