"""Votes, verdicts and manifests that were damaged are read in part or refused with a sentence."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.compare.blind_votes import all_standing, ended_at, opened_vote
from core.compare.comparison import find_comparison
from core.errors import StudioError
from core.evaluate.evaluation import find_evaluation
from core.export.store import find_export
from core.lab.vote_files import Vote
from core.lab.votes import keep_vote, raters, votes
from core.paths import Home
from tests.build_blind import ended_vote
from tests.build_evaluation import build_evaluation
from tests.build_export import compared_export, exportable_run
from tests.fuzz.damage import FUZZ, damaged

Look = Callable[[Home], object]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with a blind vote, an evaluation, an export and votes of the lab."""
    folder = tmp_path_factory.mktemp("fuzz")
    home = Home.open(folder / "home")
    ended_vote(home, {"anna": [0, 1, "tie"], "ben": ["unsafe", 0]})
    build_evaluation(home)
    compared_export(home, exportable_run(home, folder / "base"), ("adapter",))
    for number in range(3):
        keep_vote(home, Vote("anna", float(number), "board", f"group {number}", "0" * 16, "1" * 16))
    return home


def _compared(home: Home) -> None:
    for folder in (home.root / "compare").iterdir():
        comparison = find_comparison(home, folder.name)
        for look in (comparison.request, comparison.answers):
            with suppress(StudioError):
                look()
        with suppress(StudioError):
            opened_vote(comparison)
            ended_at(comparison)
            all_standing(comparison)


def _evaluated(home: Home) -> None:
    for folder in (home.root / "evaluations").iterdir():
        evaluation = find_evaluation(home, folder.name)
        for look in (evaluation.request, evaluation.verdicts, evaluation.metrics, evaluation.results):
            with suppress(StudioError):
                look()


def _exported(home: Home) -> None:
    for folder in home.runs.glob("*/exports/*/"):
        export = find_export(home, folder.name, folder.parent.parent.name)
        for look in (export.request, export.manifest, export.parity):
            with suppress(StudioError):
                look()


def _voted(home: Home) -> None:
    votes(home)
    raters(home)


@pytest.mark.parametrize(
    ("place", "look"),
    [
        ("compare", _compared),
        ("evaluations", _evaluated),
        ("runs/*/exports", _exported),
        ("lab/votes", _voted),
    ],
)
@FUZZ
@given(data=st.data())
def test_damaged_judgements_are_read_or_refused(place: str, look: Look, data: st.DataObject, whole: Home) -> None:
    tops = whole.root.glob(place)
    files = sorted(path for top in tops for path in top.rglob("*") if path.suffix in (".json", ".jsonl"))
    file: Path = data.draw(st.sampled_from(files))
    before = file.read_bytes()
    file.write_bytes(data.draw(damaged(before)))
    try:
        with suppress(StudioError):
            look(whole)
    finally:
        file.write_bytes(before)
