"""Runs on prepared data sets: only the training split is trained on, and changed data is noticed."""

from dataclasses import replace
from pathlib import Path

import pytest

from core.commands.cli import main
from core.config import RunConfig, with_changes
from core.data.draft import ColumnMapping
from core.data.prepared import PreparedData, find, run_config
from core.data.saving import save
from core.data.tables import find_table
from core.datasets import read_rows
from core.engine.device import choose_compute
from core.engine.policy import load_policy
from core.engine.run_rows import prompt_dataset
from core.errors import DataError, RunError
from core.jobs import supervisor
from core.paths import Home
from core.runs.completions import held_out, read_completions
from core.runs.run import create_run, list_runs
from tests.build_tables import make_draft, make_table

SPLITS = ("train", "train", "train", "validation", "test")
ROWS = [
    {"question": f"What is disease {number} of the {organ}?", "answer": f"Disease {number}.", "split": split}
    for number, (organ, split) in enumerate(zip(("heart", "liver", "skin", "lung", "eye"), SPLITS, strict=True))
]


@pytest.fixture
def prepared(home: Home) -> PreparedData:
    table = make_table(home, ROWS)
    columns = ColumnMapping(question="question", answer="answer", split="split")
    return save(
        home, table, make_draft(table, mapping=columns, max_prompt_length=1000, max_completion_length=8), "ward"
    )


def test_a_run_trains_on_the_training_split_and_keeps_the_fingerprint(
    home: Home, tiny_config: RunConfig, prepared: PreparedData
) -> None:
    config = with_changes(run_config(tiny_config, prepared), {"train.steps": 2, "data.fingerprint": ""})
    run = supervisor.start(home, config)
    assert supervisor.wait(run, 300).state == "finished", run.log.read_text()
    assert run.config().data.fingerprint == prepared.manifest.fingerprint
    files = sorted(run.completions.glob("step-*.parquet"))
    trained = {completion.question for file in files for completion in read_completions(file)}
    assert trained and trained <= {row["question"] for row in ROWS[:3]}
    assert {answer.question for answer in held_out(run)} == {ROWS[4]["question"]}


def test_changed_data_is_refused_at_start_and_at_resume(
    home: Home, tiny_config: RunConfig, prepared: PreparedData
) -> None:
    config = run_config(tiny_config, prepared)
    run = create_run(home, config)
    run.write_status(replace(run.written_status(), state="stopped"))
    prepared.file("train").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"train\.parquet of ward has changed since it was saved"):
        supervisor.resume(home, run)
    assert run.status().state == "stopped"
    with pytest.raises(DataError, match=r"train\.parquet of ward has changed since it was saved"):
        supervisor.start(home, config)
    assert [known.id for known in list_runs(home)] == [run.id], "no run was made"


def test_a_name_is_the_sample_then_a_file_then_a_prepared_data_set(
    home: Home,
    tiny_config: RunConfig,
    prepared: PreparedData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    prepared.folder.rename(prepared.folder.with_name("sample"))  # as an older version may have saved it
    save(home, find_table(home, "table-1"), find(home, "sample").manifest.draft, "ward")
    started: list[str] = []

    def refuse(home: Home, config: RunConfig, prefix: str) -> None:
        started.append(config.data.path)
        raise RunError("busy")

    monkeypatch.setattr(supervisor, "start", refuse)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "config.json"
    file.write_text(tiny_config.model_dump_json())

    def train(data: str) -> str:
        assert main(["train", "--config", str(file), "--data", data, "--home", str(home.root)]) == 2
        return capsys.readouterr().err

    for data in ("sample", "prepared:sample", "ward"):
        train(data)
    (tmp_path / "ward").write_text("")
    for data in ("ward", "prepared:ward", "./nowhere"):
        train(data)
    files = [str(tmp_path / name) for name in ("ward", "nowhere")]
    assert started == ["sample", "prepared:sample", "prepared:ward", files[0], "prepared:ward", files[1]]
    assert "There is no prepared data set 'nothing'" in train("nothing")


def test_held_out_rows_never_reach_the_trainer(home: Home, tiny_config: RunConfig, prepared: PreparedData) -> None:
    policy = load_policy(tiny_config.model, home, choose_compute())
    rows = read_rows(run_config(tiny_config, prepared).data, home)
    assert len(prompt_dataset(tiny_config, policy, rows[:3])) == 3
    for row in rows[3:]:
        with pytest.raises(DataError, match=r"split, which is never trained on"):
            prompt_dataset(tiny_config, policy, [row])


def test_the_command_line_trains_on_a_prepared_data_set(
    home: Home, tiny_config: RunConfig, prepared: PreparedData, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home.root / "config.json"
    file.write_text(tiny_config.model_dump_json())
    arguments = ["train", "--config", str(file), "--steps", "1", "--data", "ward", "--home", str(home.root)]
    assert main(arguments) == 0, capsys.readouterr().err
    (run,) = list_runs(home)
    assert run.config().data == run_config(tiny_config, find(home, "ward")).data
    assert run.config().prompt == prepared.manifest.draft.prompt
    assert main([*arguments[:-3], "prepared:ward:test", *arguments[-2:]]) == 2
    assert "The test split is never trained on" in capsys.readouterr().err
