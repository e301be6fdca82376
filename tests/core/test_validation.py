"""Validation while training goes on, and the best adapter that it chooses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from core.config import RunConfig, with_changes
from core.engine.device import choose_compute
from core.engine.generation import Sampling, generate
from core.engine.policy import load_policy
from core.engine.trainer import RunTrainer
from core.engine.training import train
from core.paths import Home, write_json
from core.runs.completions import BEFORE, read_completions, step_file
from core.runs.events import Event, Validation, read_events
from core.runs.run import Run, create_run
from core.training.best import Best, keep_best, mend_best, read_best
from core.training.control import weights_request
from tests.build_training import GOOD, INVALID, LOOSE, after_step, trained


@pytest.fixture
def config(tiny_config: RunConfig) -> RunConfig:
    return with_changes(
        tiny_config,
        {
            "train.steps": 5,
            "train.held_out_rows": 0,
            "train.validate_every": 2,
            "train.validation_rows": 3,
            "train.save_every": 1,
        },
    )


def answer_with(monkeypatch: pytest.MonkeyPatch, by_step: dict[int, str]) -> None:
    """Have the policy answer validation questions with these texts."""

    def answer(self: Any, prompt_ids: list[list[int]], seed: int) -> list[list[int]]:
        ids: list[int] = self._tokenizer(by_step[self.state.global_step])["input_ids"]
        return [ids for _ in prompt_ids]

    monkeypatch.setattr(RunTrainer, "answer", answer)


def validations(run: Run) -> list[Validation]:
    return [Validation.of(event) for event in read_events(run.events) if event.kind == "validation"]


def alerts(run: Run) -> list[str]:
    return [event.data["message"] for event in read_events(run.events) if event.kind == "alert"]


def place(events: list[Event], kind: str, step: int) -> int:
    return next(index for index, event in enumerate(events) if (event.kind, event.step) == (kind, step))


def test_the_policy_is_validated_every_few_steps_and_after_the_last(
    home: Home, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(monkeypatch, {2: LOOSE, 4: GOOD, 5: INVALID})
    run = trained(home, config)
    found = validations(run)
    assert [(one.step, one.rows, one.file) for one in found] == [
        (2, 3, "validation-000002.parquet"),
        (4, 3, "validation-000004.parquet"),
        (5, 3, "validation-000005.parquet"),
    ]
    assert [one.well_formed for one in found] == [0.0, 1.0, 0.0]
    assert found[2].reward == -1.0 < found[0].reward < found[1].reward
    assert found[1].components["tags"] == 1.0
    kept = read_completions(run.completions / found[1].file)
    assert [one.completion for one in kept] == [GOOD] * 3
    assert sum(one.reward for one in kept) / 3 == pytest.approx(found[1].reward)
    events = read_events(run.events)
    assert place(events, "metrics", 4) < place(events, "validation", 4) < place(events, "checkpoint", 4)


def test_the_best_adapter_is_kept_whole(home: Home, config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, {2: LOOSE, 4: GOOD, 5: INVALID})
    run = trained(home, config)
    assert read_best(run) == Best(4, validations(run)[1].reward, 1.0)
    best, then = (load_file(folder / "adapter_model.safetensors") for folder in (run.best, checkpoint(run, 4)))
    assert best.keys() == then.keys() and all(torch.equal(best[name], then[name]) for name in best)
    assert {"adapter_config.json", "tokenizer.json", "best.json"} <= {file.name for file in run.best.iterdir()}


def checkpoint(run: Run, step: int) -> Path:
    return run.checkpoints / f"checkpoint-{step}"


def test_moving_a_weight_does_not_move_the_yardstick(
    home: Home, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(monkeypatch, {2: GOOD, 4: LOOSE, 5: LOOSE})
    after_step(monkeypatch, 2, lambda run: write_json(weights_request(run), {"semantic": 1.0, "tags": -1.0}))
    run = trained(home, config)
    found = validations(run)
    assert found[1].reward > found[0].reward, "under the weights in force the later answers are the better ones"
    best = read_best(run)
    assert best is not None and best.step == 2


def test_data_without_validation_questions_is_told_and_trained_on(
    home: Home, config: RunConfig, tmp_path: Path
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps({"question": f"Why {n}?", "answer": "Because."}) for n in range(6)))
    run = trained(home, with_changes(config, {"data.path": str(file), "train.steps": 2}))
    assert run.written_status().state == "finished"
    assert any("no validation split" in message and "Data page" in message for message in alerts(run))
    assert validations(run) == [] and read_best(run) is None


def test_validation_does_not_disturb_what_is_trained(home: Home, config: RunConfig) -> None:
    runs = [trained(home, with_changes(config, {"train.validate_every": every, "train.steps": 3})) for every in (0, 1)]
    plain, validated = ([c.completion for s in (1, 2, 3) for c in read_completions(step_file(run, s))] for run in runs)
    assert plain == validated
    assert (len(validations(runs[0])), len(validations(runs[1]))) == (0, 3)


def test_a_stop_while_it_validates_saves_the_step_and_leaves_the_validation(
    home: Home, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_step(monkeypatch, 2, lambda run: run.stop_request.touch())
    run = trained(home, with_changes(config, {"train.save_every": 5}))
    assert (run.written_status().state, run.written_status().step) == ("stopped", 2)
    assert run.checkpoint_steps() == [2]
    assert validations(run) == []


@pytest.mark.parametrize("step", [2, 5])
def test_a_validation_that_was_stopped_is_made_up_for_when_the_run_goes_on(
    step: int, home: Home, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trained(home, config)
    after_step(monkeypatch, step, lambda run: run.stop_request.touch())
    run = trained(home, config)
    monkeypatch.undo()
    assert (run.written_status().state, run.written_status().step) == ("stopped", step)
    run.stop_request.unlink()
    train(run, home)
    assert run.written_status().state == "finished"
    assert validations(run) == validations(whole)


def test_questions_are_answered_by_the_rules_that_training_chooses_tokens_by(home: Home, config: RunConfig) -> None:
    run = trained(home, with_changes(config, {"train.top_k": 1, "train.held_out_rows": 3, "train.steps": 1}))
    answers = read_completions(run.completions / BEFORE)
    policy = load_policy(config.model, home, choose_compute())
    prompts = [policy.prompt_token_ids(policy.conversation(config.prompt, answer.question)) for answer in answers]
    likeliest = generate(policy.model, policy.tokenizer, prompts, Sampling(config.train.max_completion_length))
    assert [answer.completion for answer in answers] == [
        policy.tokenizer.decode(ids, skip_special_tokens=True) for ids in likeliest
    ]


def test_the_former_best_adapter_comes_back_when_the_job_was_killed_while_they_changed_places(
    home: Home, config: RunConfig
) -> None:
    run, best = create_run(home, config), Best(3, 0.5, 1.0)
    keep_best(run, best, lambda folder: (folder / "adapter").write_text("third"))
    run.best.rename(run.folder / "best.former")
    mend_best(run)
    assert read_best(run) == best
    keep_best(run, Best(6, 0.6, 1.0), lambda folder: (folder / "adapter").write_text("sixth"))
    assert (run.best / "adapter").read_text() == "sixth"
    assert sorted(path.name for path in run.folder.glob("best*")) == ["best"]


def test_an_adapter_that_cannot_be_written_whole_leaves_the_former_one(home: Home, config: RunConfig) -> None:
    run, best = create_run(home, config), Best(3, 0.5, 1.0)
    keep_best(run, best, lambda folder: (folder / "adapter").write_text("third"))

    def fail(folder: Path) -> None:
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        keep_best(run, Best(6, 0.6, 1.0), fail)
    assert read_best(run) == best and (run.best / "adapter").read_text() == "third"
