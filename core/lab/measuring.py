"""Measures boards: what is light at once, the rest with a scorer, or from the scores that come with the studio.

assets/lab/scores.csv holds what the embedded models say of the bundled completions and of the stress pairs, so that the
reward lab is useful before any model has been loaded. `scripts/measure_lab.sh` writes it anew.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from pathlib import Path
from typing import get_args

import numpy as np

from core.config import (
    COMPONENTS,
    DEFAULT_TAGS,
    EMBEDDED_POLICY,
    EMBEDDED_SIMILARITY,
    Fluency,
    Parser,
    RewardConfig,
    Tags,
)
from core.jobs.tasks import Tell, silent
from core.lab.board import Board, column, sample_key
from core.paths import ASSETS
from core.reward.formula import Floats
from core.reward.parsing import parse
from core.reward.scoring import Sample, Scorer, judged_texts, less_repetition, reference_fluency, repetitions, validity
from core.reward.text_measures import tag_score

SCORES = ASSETS / "lab" / "scores.csv"
REPETITION = "repeated share"
"""The measure that says how much of an answer has been said before in it. No component can have a name with a space."""

_AT_ONCE = 64
"""Completions that are scored together, at least; what has been scored when a task is stopped is in the score cache."""


@dataclass(frozen=True)
class ShippedScore:
    """What the embedded models say of one completion.

    Attributes:
        semantic: similarity of the answer with the reference.
        fluency: of the answer, repetition not counted.
        reference_fluency: the notebook's, of the reference; one half for all completions of a prompt.
    """

    semantic: float
    fluency: float
    reference_fluency: float


def light_board(
    title: str,
    samples: Sequence[Sample],
    kinds: Sequence[str] = (),
    grades: Sequence[float] = (),
    tags: Tags = DEFAULT_TAGS,
) -> Board:
    """A board with all that needs no model: validity, tags under both parsers, repetition.

    Args:
        title: what the user calls it.
        samples: the completions, those of a group beside each other.
        kinds, grades: as in `Board`; empty when nobody said.
        tags: the names of the tags by which the completions are read.
    """
    parsed = [parse(sample.completion, tags) for sample in samples]
    measures = {
        f"{COMPONENTS[2]} {parser}": np.array([tag_score(p, parser) for p in parsed], dtype=float)
        for parser in get_args(Parser)
    }
    measures[REPETITION] = repetitions(judged_texts(parsed))
    return Board(
        title=title,
        samples=tuple(samples),
        kinds=tuple(kinds) or ("",) * len(samples),
        grades=np.array(grades, dtype=float) if len(grades) else np.full(len(samples), math.nan),
        valid=validity(parsed, samples),
        well_formed=np.array([p.well_formed for p in parsed], dtype=bool),
        measures=measures,
        notes=tuple(_notes(samples)),
        tags=tags,
    )


def _notes(samples: Sequence[Sample]) -> Iterator[str]:
    """What the user should know about completions of which not everything can be learned."""
    sizes: dict[str, int] = {}
    for sample in samples:
        sizes[sample.group] = sizes.get(sample.group, 0) + 1
    alone = sum(size == 1 for size in sizes.values())
    if alone:
        yield (
            f"{alone} of {len(sizes)} groups hold a single completion. GRPO compares the completions of one group, so "
            "nothing is learned from them: their advantage is 0."
        )
    bare = sum(not sample.reference for sample in samples)
    if bare:
        yield (
            f"{bare} of {len(samples)} completions have no reference answer. Similarity has no opinion on them and "
            "decides nothing in their groups."
        )


def with_measures(board: Board, measures: Mapping[str, Floats]) -> Board:
    """The board with more columns, or newer ones."""
    return replace(board, measures={**board.measures, **measures})


@dataclass(frozen=True)
class Measured:
    """What a scorer has found of a board's completions.

    Attributes:
        keys: of the completions, as `Board.keys`.
        columns: as `Board.measures`: of every component that was measured, and what follows from them.
        notes: what the user should know of the scores, for every component that was measured.
    """

    keys: tuple[str, ...]
    columns: Mapping[str, Floats]
    notes: Mapping[str, tuple[str, ...]]


def measured(board: Board, scorer: Scorer, tell: Tell = silent) -> Board:
    """The board with what it lacked of the scorer's configuration; see `measure`."""
    found = measure(board, scorer, tell)
    notes = dict.fromkeys((*board.notes, *chain.from_iterable(found.notes.values())))
    return replace(with_measures(board, found.columns), notes=tuple(notes))


def measure(board: Board, scorer: Scorer, tell: Tell = silent) -> Measured:
    """Measure what the board lacks of the scorer's configuration; lacking nothing, ask what is not built in again.

    Args:
        board: the completions.
        scorer: with the board's tags.
        tell: is told how far it is, and may stop the work between two groups.

    Raises:
        StudioError: a component is broken.
    """
    config = scorer.config
    names = board.missing(config) or config.components[len(COMPONENTS) :]
    parts = []
    for rows in _portions(board):
        tell("scoring completions", rows.start, len(board))
        parts.append(scorer.components(board.samples[rows], names))
    tell("scoring completions", len(board), len(board))
    table = np.concatenate(parts) if parts else np.zeros((0, len(names)))
    fresh = {column(name, config): table[:, place] for place, name in enumerate(names)}
    known = with_other_fluencies(with_measures(board, fresh), config).measures
    columns = {name: values for name, values in known.items() if name in fresh or name not in board.measures}
    notes = {name: said for name, said in scorer.notes_by_component().items() if name in names}
    return Measured(board.keys, columns, notes)


def _portions(board: Board) -> Iterator[slice]:
    """Rows that are scored together: whole groups."""
    start = 0
    for row in range(1, len(board) + 1):
        whole = row == len(board) or board.samples[row].group != board.samples[row - 1].group
        if whole and (row - start >= _AT_ONCE or row == len(board)):
            yield slice(start, row)
            start = row


def with_other_fluencies(board: Board, config: RewardConfig) -> Board:
    """The board with the fluencies that follow from the one that `config` names, if that has been measured.

    All completions of a group have one reference, so the notebook's fluency is the same for them whatever the model.
    """
    names = {kind: column(COMPONENTS[1], config.model_copy(update={"fluency": kind})) for kind in get_args(Fluency)}
    same = reference_fluency([0.0] * len(board), [sample.group for sample in board.samples])
    found = {names["reference_batch"]: same}
    repeated = board.measures[REPETITION]
    plain, reduced = board.measures.get(names["answer"]), board.measures.get(names["answer_without_repetition"])
    if plain is not None:
        found[names["answer_without_repetition"]] = less_repetition(plain, repeated)
    elif reduced is not None and (repeated < 1).all():
        found[names["answer"]] = reduced / (1.0 - repeated)
    return with_measures(board, {name: values for name, values in found.items() if name not in board.measures})


def with_shipped_scores(board: Board) -> Board:
    """The board with what the embedded models say of its completions, from the scores that come with the studio.

    Raises:
        KeyError: a completion is not among them; `scripts/measure_lab.sh` has to be run.
    """
    known = shipped_scores(SCORES)
    found = [known[sample_key(sample)] for sample in board.samples]
    plain = np.array([score.fluency for score in found])
    return with_measures(
        board,
        {
            f"semantic {EMBEDDED_SIMILARITY}": np.array([score.semantic for score in found]),
            f"fluency answer {EMBEDDED_POLICY}": plain,
            f"fluency answer_without_repetition {EMBEDDED_POLICY}": less_repetition(plain, board.measures[REPETITION]),
            f"fluency reference_batch {EMBEDDED_POLICY}": np.array([score.reference_fluency for score in found]),
        },
    )


@cache
def shipped_scores(file: Path) -> Mapping[str, ShippedScore]:
    """The scores in `file` by the key of their completion."""
    with file.open(encoding="utf-8", newline="") as lines:
        return {
            row["key"]: ShippedScore(float(row["semantic"]), float(row["fluency"]), float(row["reference_fluency"]))
            for row in csv.DictReader(lines)
        }
