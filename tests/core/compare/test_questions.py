"""Which questions a run's data holds out, and where a typed one has been seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.compare import questions
from core.config import RunConfig, with_changes
from core.errors import DataError
from core.paths import Home
from core.presets import preset_config


def run_on(folder: Path, *rows: tuple[str, str]) -> RunConfig:
    """A run on a file of questions, each with its split."""
    file = folder / "data.jsonl"
    lines = (json.dumps({"question": q, "answer": f"A: {q}", "split": split}) for q, split in rows)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return with_changes(preset_config("demo"), {"data.path": str(file)})


def test_test_questions_are_those_of_the_test_split_with_their_references(home: Home, tmp_path: Path) -> None:
    config = run_on(tmp_path, ("Learned?", "train"), ("Watched?", "validation"), ("Asked?", "test"))
    (found,) = questions.held_out_questions(home, config)
    assert (found.text, found.reference, found.split, found.row) == ("Asked?", "A: Asked?", "test", 3)


def test_without_a_test_split_the_validation_split_stands_in_and_says_so(home: Home, tmp_path: Path) -> None:
    config = run_on(tmp_path, ("Learned?", "train"), ("Watched?", "validation"))
    assert [(q.text, q.split) for q in questions.held_out_questions(home, config)] == [("Watched?", "validation")]


def test_where_everything_is_trained_on_there_are_no_test_questions(home: Home, tmp_path: Path) -> None:
    assert questions.held_out_questions(home, run_on(tmp_path, ("Learned?", "train"))) == []


def test_every_test_question_of_the_sample_has_an_id_of_its_own(home: Home) -> None:
    found = questions.held_out_questions(home, preset_config("demo"))
    assert found and len({question.id for question in found}) == len(found)
    assert {question.split for question in found} == {"test"}


@pytest.mark.parametrize(
    ("text", "split"),
    [("Learned?", "train"), ("  learned", "train"), ("Asked?", "test"), ("Watched?", "validation"), ("New?", None)],
)
def test_a_typed_question_is_found_in_the_data(home: Home, tmp_path: Path, text: str, split: str | None) -> None:
    config = run_on(tmp_path, ("Learned?", "train"), ("Watched?", "validation"), ("Asked?", "test"))
    assert questions.where_seen(home, config, text) == split


def test_a_question_that_is_trained_on_counts_as_that(home: Home, tmp_path: Path) -> None:
    config = run_on(tmp_path, ("Both?", "test"), ("Both?", "train"))
    assert questions.where_seen(home, config, "both") == "train"


def test_data_that_has_gone_is_said_to_have(home: Home, tmp_path: Path) -> None:
    config = run_on(tmp_path, ("Asked?", "test"))
    (tmp_path / "data.jsonl").unlink()
    with pytest.raises(DataError):
        questions.held_out_questions(home, config)
