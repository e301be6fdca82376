"""Comparisons on disk: the same questions to several models, and everything they answered.

<home>/compare/<id>/
  request.json     what is asked, of whom and how; never changed afterwards
  answers.jsonl    append-only; an answer stands there once without and once with its scores, and the latest of each
                   question and candidate counts
  answers.lock     held by whoever appends
  asking.lock      held by whoever asks, as long as they do
  board.json       the board of the reward lab that holds the answers of a finished batch
  votes/           see `core.compare.blind`
"""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from core.access import audit
from core.access.permissions import allow
from core.access.starters import remember_starter
from core.config import PromptConfig, RewardConfig, validation_sentence
from core.errors import ConfigError, DataError, RunError, StorageError
from core.evaluate.folders import folders_that_judge
from core.json_lines import LineWriter, latest
from core.locks import held, locked
from core.paths import Home, is_name, new_folder, storage_error, write_json
from core.serving.candidates import Candidate, allow_candidates
from core.serving.client import Decoding
from core.settings_base import Settings

REQUEST = "request.json"

_LOCK_SECONDS = 30
_BUSY = "Another process is just writing answers of this comparison. Try again in a moment."


class Question(Settings):
    """One question of a comparison.

    Attributes:
        id: names it within the comparison.
        reference: the reference answer; empty where there is none, and similarity then has no opinion.
        split: where it comes from; only questions of `train` have been trained on.
        row: its row in the source, from 1; 0 for a typed one.
        columns: further columns of the row, for custom rewards.
    """

    id: str = Field(min_length=1, max_length=64)
    text: str
    reference: str = ""
    split: Literal["typed", "train", "validation", "test"] = "typed"
    row: int = Field(default=0, ge=0)
    columns: dict[str, str] = Field(default_factory=dict)

    @field_validator("text")
    @classmethod
    def _is_not_empty(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("is empty; type a question")
        return text


class ComparisonRequest(Settings):
    """What is asked, of whom and how.

    Attributes:
        title: what the list calls it; empty takes the first question.
        run: the run whose prompt and reward these are; empty when there is none.
        prompt, decoding, reward: the same for all candidates.
    """

    title: str = Field(default="", max_length=200)
    run: str = ""
    candidates: tuple[Candidate, ...] = Field(min_length=1, max_length=16)
    questions: tuple[Question, ...] = Field(min_length=1, max_length=10_000)
    prompt: PromptConfig
    decoding: Decoding = Decoding()
    reward: RewardConfig

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        if len(set(self.candidates)) < len(self.candidates):
            raise ValueError("a model is chosen twice; choose each once")
        if len({question.id for question in self.questions}) < len(self.questions):
            raise ValueError("two questions have the same id; give each its own")
        return self


class ComparedAnswer(Settings):
    """What one candidate answered to one question.

    Attributes:
        question, candidate: their places in the request, from 0.
        text: the whole completion: what its turn began with, then what it wrote; text from a model.
        tokens: how many it wrote; None where the endpoint does not tell.
        seconds: from the question to the end of the answer.
        first_seconds: from the question to the first piece of text; None when none came.
        truncated: whether it ended for want of tokens.
        error: why the answer is not whole, one sentence; empty when it is.
        reward, valid, well_formed: None until it has been scored.
        components: the score of each reward component, unweighted; None where a component had no opinion.
        unscored: why it could not be scored, one sentence; empty otherwise.
        time: when this was written down, in seconds since 1970.
    """

    question: int = Field(ge=0)
    candidate: int = Field(ge=0)
    text: str = ""
    tokens: int | None = None
    seconds: float = 0.0
    first_seconds: float | None = None
    truncated: bool = False
    error: str = ""
    reward: float | None = None
    valid: bool | None = None
    well_formed: bool | None = None
    components: dict[str, float | None] = Field(default_factory=dict)
    unscored: str = ""
    time: float = Field(default_factory=time.time)

    @property
    def tokens_per_second(self) -> float | None:
        """How fast it wrote once the first piece of text had come, without waiting and reading the prompt.

        None where tokens or the time of the first piece are not known, or where a second token or time after the
        first piece is wanting.
        """
        if self.tokens is None or self.tokens < 2 or self.first_seconds is None:
            return None
        writing = self.seconds - self.first_seconds
        return (self.tokens - 1) / writing if writing > 0 else None


@dataclass(frozen=True)
class Comparison:
    """One comparison's folder."""

    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    def request(self) -> ComparisonRequest:
        """What was asked.

        Raises:
            DataError: the file is damaged.
        """
        try:
            return ComparisonRequest.model_validate_json((self.folder / REQUEST).read_bytes())
        except (ValidationError, FileNotFoundError) as error:
            raise DataError(f"The comparison {self.id} is damaged: its {REQUEST} cannot be read. Ask again.") from error

    @property
    def created(self) -> float:
        """When it was made, in seconds since 1970."""
        return (self.folder / REQUEST).stat().st_mtime

    def answers(self) -> list[ComparedAnswer]:
        """The latest answer of each candidate to each question, ordered by question, then by candidate."""
        file = self.folder / "answers.jsonl"
        return list(latest(file, ComparedAnswer, lambda answer: (answer.question, answer.candidate)).values())

    def add(self, answers: Sequence[ComparedAnswer]) -> None:
        """Write answers down, for good when this returns; the latest of a question and candidate counts.

        Raises:
            StorageError: the disk is full, or somebody else keeps writing.
        """
        with locked(self.folder / "answers.lock", _LOCK_SECONDS, _BUSY):
            writer = LineWriter(self.folder / "answers.jsonl")
            try:
                for answer in answers:
                    writer.write(answer.model_dump(mode="json"), sync=answer is answers[-1])
            finally:
                writer.close()

    def board(self) -> str:
        """The id of the reward lab's board that holds the answers; empty while there is none."""
        try:
            return str(json.loads((self.folder / "board.json").read_bytes())["board"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return ""

    def remember_board(self, board: str) -> None:
        """Keep the id of the board that holds the answers."""
        write_json(self.folder / "board.json", {"board": board})


def comparisons_folder(home: Home) -> Path:
    folder = home.root / "compare"
    folder.mkdir(exist_ok=True)
    return folder


def make_request(**values: object) -> ComparisonRequest:
    """The request that these values, named as the fields, describe.

    Raises:
        ConfigError: names every one that is wrong.
    """
    try:
        return ComparisonRequest.model_validate(values)
    except ValidationError as error:
        raise ConfigError(validation_sentence(error)) from error


def create_comparison(home: Home, request: ComparisonRequest) -> Comparison:
    """Make the folder of a new comparison; nothing is asked yet.

    Raises:
        AccessDenied: whoever acts now may not, or may not ask one of the candidates.
        StorageError: the disk is full or the home cannot be written.
    """
    allow("compare.ask")
    allow_candidates(home, request.candidates)
    name = f"compare-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
    folder = new_folder(comparisons_folder(home), name)
    try:
        (folder / "votes").mkdir()
        remember_starter(folder)
        write_json(folder / REQUEST, request.model_dump(mode="json"))  # last: it makes the folder a comparison
    except OSError as error:
        raise storage_error(error, folder) or error from error
    asked = {"questions": len(request.questions), "models": len(request.candidates)}
    audit.record(home, "compare.ask", folder.name, **asked)
    return Comparison(folder)


def find_comparison(home: Home, comparison_id: str) -> Comparison:
    """The comparison with this id; `last` means the newest.

    Raises:
        DataError: there is no such comparison.
    """
    if comparison_id == "last" and (found := list_comparisons(home)):
        return found[0]
    folder = comparisons_folder(home) / comparison_id
    if not is_name(comparison_id) or not (folder / REQUEST).is_file():
        raise DataError(f"There is no comparison {comparison_id!r}. Choose one from the list, or ask again.")
    return Comparison(folder)


def list_comparisons(home: Home) -> list[Comparison]:
    """All comparisons, the newest first."""
    folders = (folder for folder in comparisons_folder(home).iterdir() if is_name(folder.name))
    found = [Comparison(folder) for folder in folders if (folder / REQUEST).is_file()]
    return sorted(found, key=lambda comparison: (comparison.created, comparison.id), reverse=True)


def answering_alone(comparison: Comparison) -> Callable[[], None]:
    """Keep everybody else from asking or deleting a comparison until the returned function is called, by any thread.

    Raises:
        RunError: it is being answered already.
    """
    busy = f"{comparison.id} is being answered just now. Wait until that is done, or stop it."
    return held(comparison.folder / "asking.lock", busy)


def delete_comparison(home: Home, comparison: Comparison) -> None:
    """Remove a comparison with its answers and the votes on it; those that the reward lab has taken over stay there.

    Raises:
        AccessDenied: whoever acts now may not.
        RunError: it is being answered, or an evaluation judges its answers.
        StorageError: its files cannot be moved or removed.
    """
    allow("comparison.delete")
    release = answering_alone(comparison)
    try:
        _refuse_judged(home, comparison)
        throw_away(home, comparison.folder)
        audit.record(home, "comparison.delete", comparison.id)
    finally:
        release()


def _refuse_judged(home: Home, comparison: Comparison) -> None:
    judging = [folder.name for folder in folders_that_judge(home, comparison.id)]
    if judging:
        raise RunError(
            f"The answers of {comparison.id} are what {' and '.join(judging)} is about, and its evidence needs them. "
            "Delete that evaluation first."
        )


def throw_away(home: Home, folder: Path) -> None:
    """Remove a folder. It is first moved to `<home>/trash`, in one step, so that no list ever shows half of it.

    Raises:
        StorageError: it cannot be moved or removed.
    """
    trash = home.root / "trash"
    trash.mkdir(exist_ok=True)
    place = new_folder(trash, f"{folder.name}-{time.strftime('%Y%m%d-%H%M%S')}")
    try:
        folder.rename(place)
        shutil.rmtree(place)
    except OSError as error:
        said = f"{folder.name} cannot be removed ({error.strerror}). Look into {trash}, and remove it by hand."
        raise storage_error(error, folder) or StorageError(said) from error
