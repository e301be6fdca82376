"""The pre-flight on a tiny random model: the job's own code, figures that are true, and nothing left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from core.commands.cli import main
from core.config import RunConfig, with_changes
from core.engine import preflight_run
from core.engine.memory_watch import MemoryWatch, host_peak
from core.engine.preflight import preflight
from core.engine.trial_reporter import TrialReporter
from core.errors import DataError, RewardError, RunError
from core.jobs.tasks import TaskStopped, Tell, silent
from core.locks import locked
from core.paths import Home
from core.presets import preset_config
from core.reward.scoring import Scorer
from core.runs.run import create_run
from core.training import preflight_task
from core.training.preflight import PreflightResult, expected_seconds, verdict
from core.training.preflight_rules import judge
from tests.build_training import MIXED, write_completions_of

CPU = MemoryWatch(torch.device("cpu"))
SHORT = {"train.prompts_per_step": 4, "train.held_out_rows": 2}
"""Two steps of four prompts."""


def tried(home: Home, config: RunConfig, tell: Tell = silent) -> PreflightResult:
    return PreflightResult.model_validate(preflight(home, preflight_task.arguments(config), tell))


def config_of(tiny_models: Path, **changes: Any) -> RunConfig:
    """Two steps of a tiny model, four completions of 8 tokens a group."""
    return with_changes(
        preset_config("demo"),
        {
            "model": str(tiny_models / "policy"),
            "reward.similarity_model": str(tiny_models / "similarity"),
            "reward.fluency_model": str(tiny_models / "policy"),
            "train.steps": 40,
            "train.num_generations": 4,
            "train.max_prompt_length": 1000,
            "train.max_completion_length": 8,
            **SHORT,
            **changes,
        },
    )


@pytest.fixture(scope="module")
def asked(tiny_models: Path) -> RunConfig:
    return config_of(tiny_models)


@pytest.fixture(scope="module")
def used_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which an earlier pre-flight was killed."""
    home = Home.open(tmp_path_factory.mktemp("preflight") / "home")
    left = home.cache / "preflight" / "runs" / "trial-1"
    left.mkdir(parents=True)
    (left / "config.json").write_text("{}")
    return home


@pytest.fixture(scope="module")
def told() -> list[tuple[str, int, int]]:
    return []


@pytest.fixture(scope="module")
def result(used_home: Home, asked: RunConfig, told: list[tuple[str, int, int]]) -> PreflightResult:
    return tried(used_home, asked, lambda *said: told.append(said))


def test_eight_prompts_are_tried_in_groups_of_the_runs_size(result: PreflightResult) -> None:
    assert result.measured is not None
    assert (result.measured.steps, result.measured.prompts, result.measured.completions) == (2, 8, 32)


def test_a_step_is_made_of_writing_scoring_and_learning(result: PreflightResult) -> None:
    found = result.measured
    assert found is not None
    parts = (found.generate_seconds, found.score_seconds, found.update_seconds)
    assert all(seconds > 0 for seconds in parts)
    assert found.step_seconds == pytest.approx(sum(parts), rel=0.01)
    assert found.tokens_per_second == pytest.approx(16 * found.mean_tokens / found.generate_seconds, rel=0.05)


def test_the_time_of_the_whole_run_is_that_of_its_parts(result: PreflightResult, asked: RunConfig) -> None:
    found = result.measured
    assert found is not None
    assert found.answer_seconds > 0
    assert found.save_seconds > 0
    whole = expected_seconds(result, asked)
    assert whole is not None
    assert whole > result.load_seconds + 40 * found.step_seconds


def test_a_model_that_never_writes_a_tag_is_no_go_with_a_way_on(result: PreflightResult, asked: RunConfig) -> None:
    assert result.measured is not None
    assert (result.measured.opened, result.measured.valid, result.measured.zero_variance) == (0.0, 0.0, 1.0)
    tags = next(finding for finding in judge(result, asked) if finding.name == "tags")
    assert tags.level == "stop"
    assert {"prompt.prefill": True} in [dict(mend.changes) for mend in tags.mends]


def test_completions_that_never_end_are_counted_as_cut(result: PreflightResult) -> None:
    assert result.measured is not None
    assert result.measured.truncated >= 0.75
    assert result.measured.longest_tokens == 8
    assert result.measured.mean_tokens > 6


def test_memory_is_measured_beside_what_was_free_and_what_was_expected(result: PreflightResult) -> None:
    memory = result.memory
    assert memory.place == ("GPU" if torch.cuda.is_available() else "host")
    assert 0 < memory.peak <= memory.total
    assert 0 < memory.free <= memory.total
    assert memory.estimated is not None
    assert memory.estimated > 0


def test_rows_are_those_of_the_data(result: PreflightResult) -> None:
    assert result.rows == 260
    assert result.rows_left_out == 0
    assert result.held_out_rows > 0


@pytest.mark.usefixtures("result")
def test_nothing_is_left_behind(used_home: Home) -> None:
    assert not list(used_home.runs.iterdir())
    assert not (used_home.cache / "preflight").exists()


@pytest.mark.usefixtures("result")
def test_whoever_waits_is_told_every_step(told: list[tuple[str, int, int]]) -> None:
    phases = [phase for phase, _, _ in told]
    for step in (1, 2):
        assert f"step {step} of at most 2: writing completions" in phases
        assert f"step {step} of at most 2: the update" in phases
    assert ("step 1 of at most 2: writing completions", 8, 8) in told


def test_a_model_that_knows_the_form_is_a_go(home: Home, tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every four completions two are well-formed, one has text outside its tags, and one has no tag at all."""
    write_completions_of(monkeypatch, MIXED)
    config = config_of(tiny_models)
    found = tried(home, config)
    assert found.measured is not None
    assert (found.measured.opened, found.measured.valid, found.measured.well_formed) == (0.75, 0.75, 0.5)
    assert (found.measured.truncated, found.measured.zero_variance) == (0.0, 0.0)
    assert verdict(judge(found, config), expected_seconds(found, config), 0.0).go


@pytest.mark.parametrize(("temperature", "equal"), [(0.001, 1.0), (1.0, 0.0)], ids=["cold", "warm"])
def test_groups_of_a_cold_model_have_no_variance(
    temperature: float, equal: float, home: Home, tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every completion counts as valid, as those of a model do that knows the form."""
    monkeypatch.setattr("core.reward.scoring.is_valid", lambda parsed, prompt: True)
    found = tried(home, config_of(tiny_models, **{"train.temperature": temperature})).measured
    assert found is not None
    assert found.zero_variance == equal


def test_prompts_over_the_limit_are_counted_with_the_longest(home: Home, tiny_models: Path) -> None:
    from core.chat import ChatModel
    from core.datasets import read_rows, training_rows

    config = config_of(tiny_models)
    questions = [row.question for row in training_rows(read_rows(config.data, home))]
    lengths = sorted(ChatModel.open(config.model, home).prompt_lengths(config.prompt, questions))
    found = tried(home, with_changes(config, {"train.max_prompt_length": lengths[99]}))
    assert found.rows_left_out == sum(length > lengths[99] for length in lengths) > 0
    assert found.longest_prompt == lengths[-1]


def test_too_few_rows_within_the_limit_are_said(home: Home, tiny_models: Path) -> None:
    with pytest.raises(DataError, match="Max prompt length from 16"):
        tried(home, config_of(tiny_models, **{"train.max_prompt_length": 16}))


@pytest.mark.parametrize(
    ("place", "doing"),
    [
        ("core.engine.training.load_trainable", "loading"),
        ("core.engine.trainer.generate", "generating"),
        ("core.engine.trainer.RunTrainer._compute_loss", "updating"),
    ],
)
def test_out_of_memory_is_a_result_with_mends(
    place: str, doing: str, home: Home, tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    monkeypatch.setattr(place, fails)
    config = config_of(tiny_models, **{"train.held_out_rows": 0, "train.validation_rows": 0})
    found = tried(home, config)
    assert (found.failure, found.failure_detail, found.measured) == ("memory", doing, None)
    first = judge(found, config)[0]
    assert (first.name, first.level) == ("memory", "stop")
    assert first.mends
    assert not (home.cache / "preflight").exists()


def test_a_scorer_that_fails_is_a_result_with_its_words(
    home: Home, tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RewardError("The custom reward mine failed in line 3.")

    monkeypatch.setattr(Scorer, "score", fails)
    found = tried(home, config_of(tiny_models))
    assert (found.failure, found.failure_detail) == ("scorer", "The custom reward mine failed in line 3.")


def test_whoever_stops_it_gets_no_result_and_nothing_is_left(home: Home, tiny_models: Path) -> None:
    def tell(phase: str, done: int = 0, total: int = 0) -> None:
        if phase.endswith("the update"):
            raise TaskStopped

    with pytest.raises(TaskStopped):
        tried(home, config_of(tiny_models), tell)
    assert not (home.cache / "preflight").exists()


def test_a_second_pre_flight_waits_for_its_turn(home: Home, tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight_run, "_LOCK_SECONDS", 0.01)
    busy = locked(home.cache / "preflight.lock", 1, "")
    with busy, pytest.raises(RunError, match="Another pre-flight is under way"):
        tried(home, config_of(tiny_models))


def test_a_first_step_that_took_long_has_to_do(
    home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    reporter = TrialReporter(create_run(home, with_changes(tiny_config, {"train.prompts_per_step": 8})), silent, CPU)
    assert not reporter.stop_requested()
    for phase, seconds in (("generating", 40.0), ("scoring", 10.0), ("updating", 9.0)):
        reporter.phase(phase)
        now += seconds
    assert not reporter.stop_requested()
    now += 2.0
    assert reporter.stop_requested()
    reporter.close()


def test_a_slow_step_of_fewer_than_eight_prompts_does_not_suffice(
    home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    reporter = TrialReporter(create_run(home, tiny_config), silent, CPU)
    for phase in ("generating", "scoring"):
        reporter.phase(phase)
        now += 100.0
    assert not reporter.stop_requested()
    reporter.close()


def test_the_most_memory_of_this_process_is_at_least_what_it_holds_now() -> None:
    held = psutil.Process().memory_info().rss
    assert held <= host_peak() * 1.01
    watched = MemoryWatch(torch.device("cpu")).memory(estimated=7)
    assert (watched.place, watched.estimated) == ("host", 7)


def test_a_busy_machine_refuses_a_pre_flight(home: Home, tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.build_runs import Plan, build_run

    monkeypatch.setattr("core.jobs.places.CORES_FOR_A_RUN", 10_000)
    monkeypatch.setattr("core.jobs.places.nvidia_gpus", lambda: ())
    preflight_task.refuse(home, config_of(tiny_models))
    build_run(home, Plan("running", done=3))
    with pytest.raises(RunError, match="is running"):
        preflight_task.refuse(home, config_of(tiny_models))


def test_a_pre_flight_is_found_by_its_settings(asked: RunConfig) -> None:
    other = with_changes(asked, {"train.temperature": 0.5})
    assert preflight_task.arguments(asked)["settings"] != preflight_task.arguments(other)["settings"]


@pytest.mark.real
def test_the_embedded_model_is_tried_in_a_job_of_its_own(
    embedded_home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    smaller = ("train.num_generations=4", "train.prompts_per_step=4", "train.max_completion_length=48")
    options = [part for setting in smaller for part in ("--set", setting)]
    code = main(["preflight", "--home", str(embedded_home.root), "--json", *options])
    answer = json.loads(capsys.readouterr().out)
    found = PreflightResult.model_validate(answer["result"])
    assert code == (0 if answer["verdict"]["go"] else 2)
    assert found.measured is not None
    assert found.measured.prompts == 8
    assert found.measured.opened >= 0.5, "two worked examples stand in its prompt"
    assert found.measured.zero_variance < 1
    assert answer["seconds"] > 18 * found.measured.step_seconds
    assert not list(embedded_home.runs.iterdir())
