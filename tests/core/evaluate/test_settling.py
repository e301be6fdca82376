"""What an evaluation is asked to do does not change with what is around it."""

from __future__ import annotations

import pytest

from core.compare.comparison import ComparisonRequest
from core.config import with_changes
from core.endpoints import OPENAI
from core.errors import ConfigError
from core.evaluate.evaluation import create_evaluation
from core.evaluate.request import JudgeSettings, make_evaluation_request
from core.evaluate.settling import settled, trained_elsewhere
from core.paths import Home
from core.presets import preset_config
from core.runs.run import Run, create_run
from core.serving.candidates import Candidate, adapter_candidate
from tests.build_evaluation import answered_comparison, evaluated_request, judges_named

PROXY = "https://proxy.example.org/v1"


def run_on(home: Home, path: str, fingerprint: str = "") -> Run:
    return create_run(home, with_changes(preset_config(), {"data.path": path, "data.fingerprint": fingerprint}), "tiny")


def asked_of(run: Run, *others: Run) -> ComparisonRequest:
    """Questions of one run, to a base model and the adapters of all these runs."""
    adapters = tuple(adapter_candidate(one) for one in (run, *others))
    base = Candidate(kind="model", model="m")
    return evaluated_request().model_copy(update={"run": run.id, "candidates": (base, *adapters)})


def test_an_empty_address_is_that_of_the_environment_when_the_evaluation_is_made(home: Home) -> None:
    judges = (JudgeSettings(), *judges_named("other"))
    request = make_evaluation_request(comparison="c", judges=judges, methods=("rubric",))
    for environment, address in (({}, OPENAI), ({"OPENAI_BASE_URL": PROXY}, PROXY)):
        found = settled(home, request, evaluated_request(), environment)
        assert [judge.base_url for judge in found.judges] == [address, judges[1].base_url]


def test_what_is_kept_does_not_follow_the_environment(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    comparison = answered_comparison(home)
    request = make_evaluation_request(comparison=comparison.id, judges=(JudgeSettings(),), methods=("rubric",))
    monkeypatch.setenv("OPENAI_BASE_URL", PROXY)
    evaluation = create_evaluation(home, request)
    monkeypatch.setenv("OPENAI_BASE_URL", OPENAI)
    assert evaluation.request().judges[0].base_url == PROXY


def test_two_judges_that_are_one_are_refused(home: Home) -> None:
    judges = (JudgeSettings(), JudgeSettings(base_url=OPENAI))
    request = make_evaluation_request(comparison="c", judges=judges, methods=("rubric",))
    with pytest.raises(ConfigError, match="a judge is chosen twice"):
        settled(home, request, evaluated_request(), {})


def test_candidates_that_learned_from_other_data_are_kept(home: Home) -> None:
    asked = asked_of(run_on(home, "a.csv", "1"), run_on(home, "b.csv", "2"))
    request = make_evaluation_request(comparison="c")
    assert settled(home, request, asked, {}).trained_elsewhere == (2,)


@pytest.mark.parametrize(
    ("path", "fingerprint", "elsewhere"),
    [("a.csv", "1", ()), ("copy.csv", "1", ()), ("a.csv", "2", (2,)), ("a.csv", "", ()), ("b.csv", "", (2,))],
)
def test_data_are_told_apart_by_what_they_hold(
    home: Home, path: str, fingerprint: str, elsewhere: tuple[int, ...]
) -> None:
    assert trained_elsewhere(home, asked_of(run_on(home, "a.csv", "1"), run_on(home, path, fingerprint))) == elsewhere


def test_of_a_run_that_is_gone_nothing_is_said(home: Home) -> None:
    gone = Candidate(kind="adapter", model="m", run="demo-gone")
    asked = evaluated_request().model_copy(update={"run": run_on(home, "a.csv").id, "candidates": (gone,)})
    assert trained_elsewhere(home, asked) == ()
