"""A run with a custom reward: it is trained on, recorded with its text, and stands in the way when it is broken."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
from transformers import TrainerControl, TrainerState

from core.commands.cli import main
from core.config import RunConfig, with_changes
from core.data.draft import ColumnMapping
from core.data.prepared import run_config
from core.data.saving import save
from core.engine.group_reward import GroupReward
from core.engine.reporting import Reporter, write_completions
from core.engine.run_callback import RunCallback
from core.errors import RewardError
from core.jobs import supervisor
from core.paths import Home
from core.reward.score_cache import ScoreCache
from core.reward.scoring import Sample, Scorer
from core.runs.completions import BEFORE, held_out, read_completions, step_file
from core.runs.events import latest_metrics, read_events
from core.runs.run import create_run, list_runs
from tests.build_tables import make_draft, make_table

SPLITS = ("train", "train", "train", "test")
ROWS = [
    {"question": f"What is disease {number}?", "answer": f"Disease {number}.", "split": split, "ward": f"ward {number}"}
    for number, split in enumerate(SPLITS)
]
SOURCE = """
print("a secret thought")

def reward(completions, question, ward, **kwargs):
    assert [q.split()[-1].rstrip("?") for q in question] == [w.split()[-1] for w in ward]
    return [len(completion[0]["content"]) % 7 / 7 for completion in completions]
"""


@pytest.fixture
def config(home: Home, tiny_config: RunConfig) -> RunConfig:
    """The tiny run on data that carries a column, with one custom reward that reads it."""
    table = make_table(home, ROWS)
    columns = ColumnMapping(question="question", answer="answer", split="split", carried=("ward",))
    draft = make_draft(table, mapping=columns, max_prompt_length=1000, max_completion_length=8)
    prepared = save(home, table, draft, "wards")
    (home.rewards / "sevenths.py").write_text(SOURCE)
    return with_changes(
        run_config(tiny_config, prepared),
        {
            "train.steps": 2,
            "reward.custom": [{"name": "sevenths", "sha256": "0" * 64}],  # of an earlier run: not compared
            "reward.weights": {"semantic": 0.3, "tags": 0.2, "sevenths": 0.5},
        },
    )


def test_a_custom_reward_is_trained_on_and_recorded(home: Home, config: RunConfig) -> None:
    run = supervisor.start(home, config)
    assert supervisor.wait(run, 300).state == "finished", run.log.read_text()
    metrics = latest_metrics(read_events(run.events))
    assert len(metrics) == 2 and all("sevenths" in m.components for m in metrics)
    scored = pq.read_table(step_file(run, 1)).to_pylist()
    assert [row["sevenths"] for row in scored] == [len(row["completion"]) % 7 / 7 for row in scored]
    assert metrics[0].components["sevenths"] == pytest.approx(sum(row["sevenths"] for row in scored) / len(scored))
    assert len(held_out(run)) == 1 and "sevenths" in read_completions(run.completions / BEFORE)[0].components
    custom = run.config().reward.custom
    assert [(reward.name, reward.sha256) for reward in custom] == [
        ("sevenths", hashlib.sha256(SOURCE.encode()).hexdigest())
    ]
    assert (run.rewards / "sevenths.py").read_text() == SOURCE
    assert "a secret thought" not in run.log.read_text() + run.events.read_text()


def test_a_custom_reward_that_breaks_ends_the_run_with_its_line(home: Home, config: RunConfig) -> None:
    (home.rewards / "sevenths.py").write_text("def reward(completions, **kwargs):\n    return [1 / 0]\n")
    run = supervisor.start(home, config)
    status = supervisor.wait(run, 300)
    assert status.state == "failed"
    assert "sevenths.py raised ZeroDivisionError: division by zero. Line 2 is: return [1 / 0]" in status.error


def test_a_run_goes_on_with_its_own_copy_and_a_new_one_takes_the_file_as_it_is(
    home: Home, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(supervisor, "spawn", lambda job, home: None)
        run = supervisor.start(home, config)
    run.write_status(replace(run.written_status(), state="stopped"))
    (home.rewards / "sevenths.py").write_text("def reward(completions, **kwargs): return [0] * len(completions)\n")
    supervisor.resume(home, run)
    assert supervisor.wait(run, 300).state == "finished", run.log.read_text()
    scored = [row for step in (1, 2) for row in pq.read_table(step_file(run, step)).to_pylist()]
    assert [row["sevenths"] for row in scored] == [len(row["completion"]) % 7 / 7 for row in scored]
    assert any(row["sevenths"] for row in scored)
    with monkeypatch.context() as patched:
        patched.setattr(supervisor, "spawn", lambda job, home: None)
        again = supervisor.start(home, run.config())
    assert again.config().reward.custom[0].sha256 != run.config().reward.custom[0].sha256
    assert (again.rewards / "sevenths.py").read_bytes() == (home.rewards / "sevenths.py").read_bytes()
    assert (run.rewards / "sevenths.py").read_text() == SOURCE


def test_a_run_whose_own_copy_was_changed_is_not_resumed(
    home: Home, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "spawn", lambda job, home: None)
    run = supervisor.start(home, config)
    run.write_status(replace(run.written_status(), state="stopped"))
    (run.rewards / "sevenths.py").write_text(SOURCE + "# changed\n")
    with pytest.raises(RewardError, match=r"own copy of the custom reward sevenths, .*start a new run"):
        supervisor.resume(home, run)


def test_the_file_alone_says_what_a_custom_reward_was_given(home: Home, config: RunConfig) -> None:
    run = create_run(home, config)
    samples = [Sample("Why?", "Because.", "text", "1", "You are a doctor.\nWhy?", {"ward": "ward 7"})]
    half = Half()
    scorer = Scorer(
        config.reward.model_copy(update={"custom": ()}), config.prompt.tags, half, half, ScoreCache(run.folder / "s.db")
    )
    write_completions(run.completions / "a.parquet", 1, samples, scorer.score(samples))
    scorer.close()
    (found,) = read_completions(run.completions / "a.parquet")
    assert (found.prompt, found.columns) == ("You are a doctor.\nWhy?", {"ward": "ward 7"})
    assert set(found.components) == {"semantic", "fluency", "tags"}
    older = pq.read_table(run.completions / "a.parquet").drop_columns(["prompt", "columns"])
    pq.write_table(older, run.completions / "older.parquet")
    (found,) = read_completions(run.completions / "older.parquet")
    assert (found.prompt, found.columns, found.question) == ("", {}, "Why?")


def test_no_run_is_made_for_a_custom_reward_that_cannot_be_used(home: Home, config: RunConfig) -> None:
    (home.rewards / "sevenths.py").write_text("def reward(")
    with pytest.raises(RewardError, match=r"sevenths\.py cannot be used: Line 1"):
        supervisor.start(home, config)
    assert list_runs(home) == []


def test_the_job_itself_looks_at_the_hash_as_well(home: Home, config: RunConfig) -> None:
    run = create_run(home, config)  # with the hash of another file
    run.rewards.mkdir()
    (run.rewards / "sevenths.py").write_text(SOURCE)
    supervisor.spawn(run, home)
    status = supervisor.wait(run, 300)
    assert status.state == "failed" and "own copy of the custom reward sevenths" in status.error


class Half:
    """A judge, a similarity and a language model by arithmetic; the judge has no opinion on every second answer."""

    name = "judge"

    def __init__(self) -> None:
        self.columns: list[dict[str, str]] = []

    def scores(self, samples: Sequence[Sample]) -> list[float | None]:
        self.columns += [dict(sample.columns) for sample in samples]
        return [None if row % 2 else 1.0 for row in range(len(samples))]

    def notes(self) -> list[str]:
        return ["The judge gave no verdict on 1 answer."]

    def close(self) -> None: ...

    def similarity(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        return [0.5 for _ in pairs]

    def mean_loss(self, texts: Sequence[str]) -> list[float]:
        return [1.0 for _ in texts]


def test_what_a_judge_could_not_say_is_told_once_while_the_run_goes_on(
    home: Home, tiny_config: RunConfig, tmp_path: Path
) -> None:
    config = with_changes(tiny_config, {"reward.judge": {}, "reward.weights": {"judge": 1.0}})
    half, run = Half(), create_run(home, config)
    scorer = Scorer(config.reward, config.prompt.tags, half, half, ScoreCache(tmp_path / "scores.sqlite"), [half])
    reward, reporter = GroupReward(scorer, config), Reporter(run)
    callback = RunCallback(reporter, reward, config)
    logs = {"reward": 1.0, "reward_std": 0.0, "frac_reward_zero_std": 1.0, "loss": 0.0, "learning_rate": 0.1}
    logs |= {"completions/mean_length": 5.0, "completions/clipped_ratio": 0.0}
    completion = [{"role": "assistant", "content": "<reasoning>a</reasoning><answer>b c</answer>"}]
    for step in (1, 2):
        prompts = [[{"role": "user", "content": "Why?"}]] * 2
        columns = [json.dumps({"prompt": "a column of that name"})] * 2
        assert reward(prompts, [completion] * 2, ["Why?"] * 2, ["b"] * 2, ["1"] * 2, columns, [[7], [7]]) == [1.0, 1.0]
        callback.on_log(SimpleNamespace(), TrainerState(global_step=step), TrainerControl(), dict(logs))
    reporter.close()
    scorer.close()
    alerts = [event for event in read_events(run.events) if event.kind == "alert"]
    assert [alert.data["message"] for alert in alerts] == half.notes()
    assert half.columns[0] == {"prompt": "a column of that name"}


def test_the_command_line_lists_and_tries_custom_rewards(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    (home.rewards / "lengths.py").write_text(
        "def reward(completions, **kwargs):\n    print('\\x1b[31mhello')\n"
        "    return [len(c[0]['content']) / 1e5 for c in completions]\n"
    )
    (home.rewards / "broken.py").write_text("def reward(")
    assert main(["rewards", "--json"]) == 0
    listed = {row["name"]: row["problem"] for row in json.loads(capsys.readouterr().out)}
    assert listed["lengths"] is None and "Line 1 is not Python" in listed["broken"]
    assert main(["rewards", "--try", "lengths", "--count", "16"]) == 0
    said = capsys.readouterr().out
    assert "The scores differ in every group" in said and "16 completions" in said
    assert "hello" in said and "\x1b" not in said
    assert main(["rewards", "--try", "lengths", "--count", "-3"]) == 2
    assert "count is -3: should be greater than or equal to 1" in capsys.readouterr().err
    assert len(list(home.tasks.iterdir())) == 1, "no task is started for what cannot be done"
    assert main(["rewards", "--try", "broken"]) == 2
    assert "broken.py cannot be used: Line 1" in capsys.readouterr().err
