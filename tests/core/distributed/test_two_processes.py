"""Two training processes on one machine learn what one learns, and the run looks as that of one process."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.config import RunConfig, with_changes
from core.engine.checkpoints import find_fault
from core.paths import Home
from core.reward.advantages import advantages
from core.runs.completions import Completion, read_completions, step_file
from core.runs.events import Metrics, latest_metrics, read_events
from core.runs.run import Run
from core.training.best import read_best
from tests.core.distributed.build import Asked, made, work

STEPS = 3
PROMPTS, ANSWERS = 4, 4


def config_of(tiny_config: RunConfig, processes: int) -> RunConfig:
    return with_changes(
        tiny_config,
        {
            "train.steps": STEPS,
            "train.processes": processes,
            "train.prompts_per_step": PROMPTS,
            "train.num_generations": ANSWERS,
            "train.max_completion_length": 32,
            "train.held_out_rows": 3,
            "train.validate_every": 3,
            "train.validation_rows": 3,
            "train.save_every": 3,
        },
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, tiny_config: RunConfig) -> tuple[Run, Run]:
    """The same run by one process and by two, with the same completions."""
    found = []
    for processes in (1, 2):
        home = Home.open(tmp_path_factory.mktemp(f"by{processes}") / "home")
        run = made(home, config_of(tiny_config, processes))
        assert work(run, home, Asked(same_texts=True)) == 0
        found.append(run)
    return found[0], found[1]


def steps(run: Run) -> list[list[Completion]]:
    return [read_completions(step_file(run, step)) for step in range(1, STEPS + 1)]


def metrics(run: Run) -> list[Metrics]:
    return list(latest_metrics(read_events(run.events)))


def learned_from(run: Run, step: int, processes: int) -> list[tuple[str, float]]:
    """Group and advantage of every completion of a step, as the processes had them, in their order."""
    files = [run.folder / f"advantages-{step}-{rank}.json" for rank in range(processes)]
    return [(group, value) for file in files for group, value in json.loads(file.read_text(encoding="utf-8"))]


def test_the_run_is_finished_and_has_every_step_once(runs: tuple[Run, Run]) -> None:
    assert runs[1].status().state == "finished"
    assert [m.step for m in metrics(runs[1])] == list(range(1, STEPS + 1))
    assert sum(event.data.get("state") == "finished" for event in read_events(runs[1].events)) == 1


def test_completions_and_scores_are_those_of_one_process(runs: tuple[Run, Run]) -> None:
    for one, two in zip(*map(steps, runs), strict=True):
        assert [(a.group, a.completion, a.valid) for a in two] == [(a.group, a.completion, a.valid) for a in one]
        assert [a.reward for a in two] == pytest.approx([a.reward for a in one], abs=1e-5)
    assert len({answer.completion for answer in steps(runs[1])[0]}) == ANSWERS


def test_each_process_learns_from_the_advantages_of_one(runs: tuple[Run, Run]) -> None:
    for step in range(1, STEPS + 1):
        one, two = (learned_from(run, step, count) for count, run in enumerate(runs, start=1))
        assert [group for group, _ in one] == [group for group, _ in two]
        assert [value for _, value in two] == pytest.approx([value for _, value in one], abs=1e-5)
        assert len({value for _, value in two}) > PROMPTS, "they must differ to say much"


def test_what_is_recorded_as_advantage_is_what_was_learned_from(runs: tuple[Run, Run]) -> None:
    for step, completions in enumerate(steps(runs[1]), start=1):
        expected = advantages(np.array([one.reward for one in completions]), [one.group for one in completions])
        assert [one.advantage for one in completions] == pytest.approx(expected)
        assert [value for _, value in learned_from(runs[1], step, 2)] == pytest.approx(expected, abs=1e-4)


def test_each_process_has_whole_groups_of_its_own(runs: tuple[Run, Run]) -> None:
    parts = [json.loads((runs[1].folder / f"advantages-1-{rank}.json").read_text(encoding="utf-8")) for rank in (0, 1)]
    groups = [[group for group, _ in part] for part in parts]
    assert all(part.count(group) == ANSWERS for part in groups for group in part)
    assert not set(groups[0]) & set(groups[1])


def test_the_curves_are_those_of_one_process(runs: tuple[Run, Run]) -> None:
    for one, two in zip(*map(metrics, runs), strict=True):
        for name in ("reward", "reward_std", "zero_variance", "completion_tokens", "longest", "entropy", "loss"):
            assert getattr(two, name) == pytest.approx(getattr(one, name), rel=1e-3, abs=1e-5), name
        assert two.grad_norm == pytest.approx(one.grad_norm, rel=1e-3)


def test_the_adapter_is_that_of_one_process(runs: tuple[Run, Run]) -> None:
    one, two = (load_file(run.adapter / "adapter_model.safetensors") for run in runs)
    assert one.keys() == two.keys()
    assert any(weight.abs().max() > 1e-4 for name, weight in two.items() if "lora_B" in name)
    assert all(torch.allclose(one[name], two[name], atol=2e-5) for name in one)


def test_held_out_and_validation_questions_are_those_of_one_process(runs: tuple[Run, Run]) -> None:
    for file in ("held-out-before.parquet", "held-out-after.parquet", "validation-000003.parquet"):
        one, two = (read_completions(run.completions / file) for run in runs)
        assert [answer.question for answer in one] == [answer.question for answer in two]
    assert sum(event.kind == "validation" for event in read_events(runs[1].events)) == 1
    best = read_best(runs[1])
    assert best is not None and best.step == 3


def test_the_checkpoint_is_whole_for_just_these_processes(runs: tuple[Run, Run]) -> None:
    folder = runs[1].checkpoints / f"checkpoint-{STEPS}"
    assert find_fault(folder, processes=2) is None
    assert find_fault(folder, processes=3) is not None
