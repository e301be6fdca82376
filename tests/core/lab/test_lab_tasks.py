"""The tasks of the reward lab, with tiny real models: fresh completions, measured boards, a reward under stress."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from core.config import RewardConfig, RunConfig, Tags, with_changes
from core.engine.lab import measure, sample, stress
from core.engine.training import train
from core.errors import ConfigError, DataError, ModelError, RewardError, RunError, StudioError
from core.jobs.folder import Status
from core.jobs.tasks import TaskStopped, create_task, perform, silent
from core.lab.board_files import BoardRow, board_from_rows
from core.lab.boards import list_boards, load_board, save_board
from core.lab.stress import StressResult, foretold, stress_pairs
from core.paths import Home
from core.reward.formula import PRESETS
from core.reward.ready import with_missing_hashes
from core.runs.events import read_events
from core.runs.run import create_run
from tests.build_boards import BAD, GOOD
from tests.build_runs import Plan, build_run


@pytest.fixture
def asked(tiny_config: RunConfig) -> dict[str, Any]:
    """A request for two answers to each of two questions."""
    return {
        "model": tiny_config.model,
        "data": "sample",
        "prompts": 2,
        "completions": 2,
        "max_tokens": 4,
        "prompt": {"system": "Write <{reasoning}> and <{answer}>."},
        "reward": tiny_config.reward.model_dump(mode="json"),
    }


def stopping_in(wanted: str, at: int) -> Callable[[str, int, int], None]:
    """Progress that is asked to stop in a phase when so much of it is done."""

    def tell(phase: str, done: int = 0, total: int = 0) -> None:
        if phase == wanted and done >= at:
            raise TaskStopped

    return tell


def test_fresh_completions_become_a_measured_board(home: Home, asked: dict[str, Any], tiny_config: RunConfig) -> None:
    board = load_board(home, sample(home, asked, silent)["board"])
    assert (len(board), len(board.groups)) == (4, 2)
    assert np.isfinite(board.components(tiny_config.reward)).all()
    assert all(one.question in one.prompt and one.reference for one in board.samples)


def test_the_same_seed_writes_the_same_completions_and_another_one_others(home: Home, asked: dict[str, Any]) -> None:
    texts = [
        [one.completion for one in load_board(home, sample(home, asked | {"seed": seed}, silent)["board"]).samples]
        for seed in (0, 0, 7)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_a_sampling_task_runs_as_a_task(home: Home, asked: dict[str, Any]) -> None:
    task = create_task(home, "sample", asked)
    perform(task, home)
    assert task.status().state == "finished"
    assert task.result() == {"board": "samples"}


def test_questions_that_are_held_out_are_never_asked(home: Home, asked: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("question,answer,split\nTrained?,Yes.,train\nHeld out?,Yes.,test\n")
    board = load_board(home, sample(home, asked | {"data": str(file)}, silent)["board"])
    assert {one.question for one in board.samples} == {"Trained?"}


def test_a_stop_while_completions_are_written_keeps_those_of_finished_prompts(
    home: Home, asked: dict[str, Any]
) -> None:
    with pytest.raises(TaskStopped):
        sample(home, asked, stopping_in("writing completions", at=5))
    (kept,) = list_boards(home)
    assert (kept.about.groups, kept.about.completions) == (1, 2)


def test_a_stop_before_the_first_prompt_is_done_keeps_nothing(home: Home, asked: dict[str, Any]) -> None:
    with pytest.raises(TaskStopped):
        sample(home, asked, stopping_in("writing completions", at=1))
    assert list_boards(home) == []


def test_a_stop_while_completions_are_measured_keeps_all_of_them(home: Home, asked: dict[str, Any]) -> None:
    with pytest.raises(TaskStopped):
        sample(home, asked, stopping_in("scoring completions", at=0))
    (kept,) = list_boards(home)
    assert kept.about.completions == 4
    assert measure(home, {"board": kept.id, "reward": asked["reward"]}, silent) == {"board": kept.id}


def test_a_missing_scoring_model_is_said_before_anything_is_written(home: Home, asked: dict[str, Any]) -> None:
    asked["reward"]["similarity_model"] = "/no/such/model"
    with pytest.raises(ModelError):
        sample(home, asked, silent)
    assert list_boards(home) == []


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"prompts": 0}, ConfigError, "prompts is 0"),
        ({"temperature": -1}, ConfigError, "temperature is -1"),
        ({"colour": "red"}, ConfigError, "colour is not a known setting"),
        ({"model": "/no/such/model"}, ModelError, "/no/such/model"),
        ({"data": "/no/such/file.csv"}, DataError, "There is no data file"),
        ({"run": "nothing"}, RunError, "There is no run 'nothing'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    changes: dict[str, Any], error: type[StudioError], message: str, home: Home, asked: dict[str, Any]
) -> None:
    with pytest.raises(error, match=message):
        sample(home, asked | changes, silent)


def test_a_trained_run_answers_with_its_adapter(home: Home, tiny_config: RunConfig, asked: dict[str, Any]) -> None:
    run = create_run(home, tiny_config)
    policy = AutoModelForCausalLM.from_pretrained(tiny_config.model)
    adapter = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    torch.manual_seed(0)
    get_peft_model(policy, adapter).save_pretrained(run.adapter)
    before = load_board(home, sample(home, asked, silent)["board"])
    after = load_board(home, sample(home, asked | {"run": run.id}, silent)["board"])
    assert [one.prompt for one in before.samples] == [one.prompt for one in after.samples]
    assert [one.completion for one in before.samples] != [one.completion for one in after.samples]


def test_a_run_without_an_adapter_cannot_answer_yet(home: Home, tiny_config: RunConfig, asked: dict[str, Any]) -> None:
    run = create_run(home, tiny_config)
    with pytest.raises(RunError, match="has no trained adapter yet"):
        sample(home, asked | {"run": run.id}, silent)


def test_measuring_a_kept_board_keeps_its_id_and_what_was_measured(
    home: Home, tiny_config: RunConfig, asked: dict[str, Any]
) -> None:
    rows = [BoardRow("What helps?", "give adrenaline", text) for text in (GOOD, BAD)]
    kept = save_board(home, "mine", board_from_rows(rows, "Mine"))
    reward = tiny_config.reward
    assert measure(home, {"board": kept, "reward": asked["reward"]}, silent) == {"board": kept}
    other = reward.model_copy(update={"fluency_model": reward.similarity_model})
    first = load_board(home, kept)
    assert (first.missing(reward), first.missing(other)) == ((), ("fluency",))


@pytest.mark.parametrize("which", ["bundled", "run"])
def test_bundled_and_run_boards_are_measured_as_kept_copies(which: str, home: Home, asked: dict[str, Any]) -> None:
    board_id = "bundled" if which == "bundled" else f"run:{build_run(home, Plan(done=1)).id}:1"
    found = load_board(home, measure(home, {"board": board_id, "reward": asked["reward"]}, silent)["board"])
    source = load_board(home, board_id)
    assert found.samples == source.samples
    assert source.measures.keys() < found.measures.keys()


def test_measuring_a_bundled_or_run_board_again_adds_to_its_copy(home: Home, asked: dict[str, Any]) -> None:
    run = build_run(home, Plan(done=1))
    request = {"board": "run:last:1", "reward": asked["reward"]}
    first = measure(home, request, silent)["board"]
    again = measure(home, request | {"board": f"run:{run.id}:01"}, silent)["board"]
    assert first == again
    assert [kept.about.source for kept in list_boards(home)] == [f"run:{run.id}:1"]


def test_a_stop_while_a_bundled_board_is_measured_keeps_no_copy(home: Home, asked: dict[str, Any]) -> None:
    with pytest.raises(TaskStopped):
        measure(home, {"board": "bundled", "reward": asked["reward"]}, stopping_in("scoring completions", at=8))
    assert list_boards(home) == []


def with_own(asked: dict[str, Any], sha256: str = "") -> dict[str, Any]:
    """The same for a reward with a custom one."""
    own = {"custom": [{"name": "own", "sha256": sha256}], "weights": {"own": 1.0}}
    return asked | {"reward": asked["reward"] | own}


def test_a_custom_reward_is_measured_under_the_hash_that_its_file_has(home: Home, asked: dict[str, Any]) -> None:
    file = home.rewards / "own.py"
    file.write_text("def reward(completions, **kwargs):\n    return [1.0] * len(completions)\n")
    kept = save_board(home, "mine", board_from_rows([BoardRow("Q?", "give", text) for text in (GOOD, BAD)], "Mine"))
    preset = RewardConfig.model_validate(with_own(asked)["reward"])
    measure(home, {"board": kept, "reward": preset.model_dump()}, silent)
    known = with_missing_hashes(home, preset)
    assert load_board(home, kept).missing(known) == ()
    file.write_text("def reward(completions, **kwargs):\n    return [0.5] * len(completions)\n")
    assert load_board(home, kept).missing(with_missing_hashes(home, preset)) == ("own",)
    with pytest.raises(RewardError, match="has changed"):
        measure(home, {"board": kept, "reward": known.model_dump()}, silent)


@pytest.mark.parametrize("task", [sample, measure])
def test_a_reward_that_cannot_be_scored_with_is_refused_before_any_work(
    task: Callable[..., Any], home: Home, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GRPO_STUDIO_JUDGE_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    wanted = {sample: {}, measure: {"board": "bundled"}}[task]
    judged = asked | {"reward": asked["reward"] | {"judge": {}}}
    for request, error, message in (
        (with_own(asked), RewardError, "no custom reward own"),
        (judged, ConfigError, "needs a key"),
    ):
        whole = request if task is sample else {"reward": request["reward"], **wanted}
        with pytest.raises(error, match=message):
            task(home, whole, never)
    assert list_boards(home) == []


def never(phase: str, done: int = 0, total: int = 0) -> None:
    raise AssertionError(f"{phase} has begun")


def test_a_board_that_is_not_there_cannot_be_measured(home: Home, asked: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="There is no board 'nothing'"):
        measure(home, {"board": "nothing", "reward": asked["reward"]}, silent)


def test_a_reward_with_other_models_is_tried_on_the_stress_set_in_a_task(home: Home, asked: dict[str, Any]) -> None:
    request = {"reward": asked["reward"], "tags": Tags(answer="final").model_dump()}
    found = StressResult.from_json(stress(home, request, silent))
    assert sum(found.pairs) == len(stress_pairs())
    assert tag_shares(found) == tag_shares(foretold(PRESETS["robust"]))  # the same, read by the given names


def tag_shares(found: StressResult) -> dict[str, float]:
    """The share of each trick's pairs that the tags catch."""
    return dict(zip(found.tricks, found.caught[:, found.names.index("tags")], strict=True))


def alerts(home: Home, config: RunConfig) -> list[str]:
    """What a run says of its reward when it starts; it is asked to stop before it trains."""
    run = create_run(home, config)
    run.stop_request.touch()
    run.write_status(Status(state="running", steps=config.train.steps))
    train(run, home)
    return [event.data["message"] for event in read_events(run.events) if event.kind == "alert"]


def test_a_run_is_told_at_its_start_what_slips_through_its_reward(home: Home, tiny_config: RunConfig) -> None:
    run = create_run(home, with_changes(tiny_config, {"train.steps": 1, "train.held_out_rows": 0}))
    train(run, home)
    first = next(event for event in read_events(run.events) if event.kind == "alert")
    assert first.step == 0
    assert "tricks of the stress set slip through this reward" in first.data["message"]


def test_a_stop_is_obeyed_while_the_stress_set_is_scored(home: Home, tiny_config: RunConfig) -> None:
    assert alerts(home, tiny_config) == []
