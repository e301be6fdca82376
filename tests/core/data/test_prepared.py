import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from core.config import PromptConfig, Tags
from core.data import prepared, saving
from core.data.draft import ColumnMapping, Draft, DropRows, Shares
from core.data.prepared import find, list_prepared, run_config, verify
from core.data.saving import prepare, save
from core.data.tables import Table
from core.errors import ConfigError, DataError
from core.jobs.tasks import silent
from core.paths import PROJECT, Home
from core.presets import preset_config
from tests.build_tables import decide, make_draft, make_table

ROWS = [
    {"question": f"What is disease {number} of the {place}?", "answer": f"Answer {number}.", "split": split}
    for number, (place, split) in enumerate(
        [("heart", "train"), ("liver", "train"), ("kidney", "val"), ("lung", "test"), ("skin", "train")]
    )
]
NO_QUESTION, BLANK_QUESTION = ROWS[0] | {"question": None}, ROWS[0] | {"question": " \t"}
COLUMNS = ColumnMapping(question="question", answer="answer", split="split")


@pytest.fixture
def table(home: Home) -> Table:
    return make_table(home, ROWS)


@pytest.fixture
def draft(table: Table) -> Draft:
    return make_draft(table, mapping=COLUMNS)


def names(home: Home) -> list[str]:
    return sorted(path.name for path in prepared.prepared_data_folder(home).iterdir())


def test_each_split_is_a_parquet_file_and_the_manifest_says_what_they_are(
    home: Home, table: Table, draft: Draft
) -> None:
    saved = save(home, table, draft, "ward")
    assert sorted(path.name for path in saved.folder.iterdir()) == [
        "manifest.json",
        "test.parquet",
        "train.parquet",
        "validation.parquet",
    ]
    assert pq.read_table(saved.file("train")).column("row").to_pylist() == [1, 2, 5]
    assert saved.rows("test").to_pylist() == [
        {"row": 4, "question": "What is disease 3 of the lung?", "answer": "Answer 3.", "split": "test"}
    ]
    manifest = find(home, "ward").manifest
    assert [(part.split, part.rows) for part in manifest.parts] == [("train", 3), ("validation", 1), ("test", 1)]
    assert manifest.source.title == "ward.csv" and manifest.source.sha256 == table.about().sha256
    assert manifest.draft == draft
    assert manifest.split_by == "column"
    verify(find(home, "ward"))


def test_a_taken_name_is_never_overwritten(home: Home, table: Table, draft: Draft) -> None:
    first = save(home, table, draft, "ward")
    before = {path.name: path.read_bytes() for path in first.folder.iterdir()}
    assert [save(home, table, draft, "ward").name for _ in range(2)] == ["ward-2", "ward-3"]
    assert {path.name: path.read_bytes() for path in first.folder.iterdir()} == before
    assert [data.name for data in list_prepared(home)][-1] == "ward"


def test_the_longest_name_can_be_taken_twice(home: Home, table: Table, draft: Draft) -> None:
    for _ in range(2):
        assert find(home, save(home, table, draft, "x" * 64).name)


@pytest.mark.parametrize("name", ["../../etc/x", "", "A b", ".hidden", "x" * 65])
def test_a_name_that_is_no_name_is_refused(name: str, home: Home, table: Table, draft: Draft) -> None:
    with pytest.raises(ConfigError, match="the name of the data set is"):
        save(home, table, draft, name)
    with pytest.raises(DataError, match="There is no prepared data set"):
        find(home, name)
    assert names(home) == []


def test_nothing_is_left_of_a_saving_that_breaks_off(
    home: Home, table: Table, draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path, content: bytes) -> None:
        if path.name == "test.parquet":
            raise KeyboardInterrupt
        path.write_bytes(content)

    monkeypatch.setattr(saving, "write_bytes", broken)
    with pytest.raises(KeyboardInterrupt):
        save(home, table, draft, "ward")
    assert names(home) == []


def test_what_a_killed_saving_left_is_not_listed_and_goes_with_the_next(home: Home, table: Table, draft: Draft) -> None:
    place = prepared.prepared_data_folder(home)
    for process in (999999999, os.getppid()):
        (place / f".saving-{process}-x" / "ward").mkdir(parents=True)
    assert list_prepared(home) == []
    saved = save(home, table, draft, "ward")
    assert names(home) == [f".saving-{os.getppid()}-x", "ward"], "a saving under way stays"
    assert saved.folder.stat().st_mode == place.stat().st_mode, "others may read it as they may its folder"


def test_a_saving_that_is_killed_is_known_by_its_process(home: Home, table: Table, draft: Draft) -> None:
    program = (
        "import os, sys; from core.data import saving; from core.data.tables import find_table; from core.paths import "
        "Home; saving._publish = lambda *_: os._exit(9); home = Home.open(sys.argv[1]); "
        "table = find_table(home, 'table-1'); saving.save(home, table, table.draft(), 'ward')"
    )
    decide(table, draft)
    ended = subprocess.run([sys.executable, "-c", program, str(home.root)], cwd=PROJECT, check=False)
    assert ended.returncode == 9 and len(names(home)) == 1
    save(home, table, draft, "ward")
    assert names(home) == ["ward"]


def test_the_word_that_names_the_sample_is_refused(home: Home, table: Table, draft: Draft) -> None:
    with pytest.raises(ConfigError, match="takes the questions that come with the studio"):
        save(home, table, draft, "sample")
    assert names(home) == []


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], r"0 row\(s\) are left"),
        (ROWS[:1], r"1 row\(s\) are left"),
        ([row | {"split": "test"} for row in ROWS], "None of the 5 rows is left for training"),
        (
            [*ROWS, ROWS[0] | {"question": None}, ROWS[0] | {"question": " \t"}],
            r"no text in the column 'question': row 6, 7",
        ),
        ([row | {"answer": ""} for row in ROWS * 2], r"'answer': row 1, 2, 3, 4, 5 …"),
    ],
)
def test_rows_that_cannot_be_trained_on_are_refused(
    rows: list[dict[str, str | None]], message: str, home: Home
) -> None:
    table = make_table(home, rows or [])
    columns = COLUMNS if rows else ColumnMapping(question="question", answer="answer")
    with pytest.raises(DataError, match=message):
        save(home, table, make_draft(table, mapping=columns), "ward")
    assert names(home) == []


def test_a_prompt_that_never_names_the_tags_is_refused(home: Home, table: Table) -> None:
    draft = make_draft(table, prompt=PromptConfig(system="Answer briefly."))
    with pytest.raises(ConfigError, match="never mentions <reasoning> or <answer>"):
        save(home, table, draft, "ward")


def test_missing_held_out_rows_are_allowed_and_noted(home: Home, table: Table, draft: Draft) -> None:
    without = draft.model_copy(update={"mends": (DropRows(reason="x", rows=(3, 4)),)})
    notes = save(home, table, without, "ward").manifest.notes
    assert notes[0] == "2 row(s) of the source are left out by mends."
    assert "No row is held out" in notes[1]
    assert find(home, "ward").rows("test").num_rows == 0


def test_the_fingerprint_is_of_the_content_not_of_the_name(home: Home, table: Table, draft: Draft) -> None:
    first, second = save(home, table, draft, "ward").manifest, save(home, table, draft, "other").manifest
    assert first.fingerprint == second.fingerprint and len(first.fingerprint) == 64
    changed = draft.model_copy(update={"prompt": draft.prompt.model_copy(update={"tags": Tags(answer="final")})})
    columns = ColumnMapping(question="question", answer="answer")
    shares = draft.model_copy(update={"mapping": columns, "shares": Shares()})
    fewer = draft.model_copy(update={"mends": (DropRows(reason="x", rows=(1,)),)})
    others = {save(home, table, other, "ward").manifest.fingerprint for other in (changed, shares, fewer)}
    assert len(others | {first.fingerprint}) == 4


@pytest.mark.parametrize("file", ["train.parquet", "validation.parquet", "test.parquet", "manifest.json"])
def test_a_file_that_has_changed_is_named(file: str, home: Home, table: Table, draft: Draft) -> None:
    path = save(home, table, draft, "ward").folder / file
    path.write_bytes(path.read_bytes().replace(b"concise", b"x") + b"\x00" * (file != "manifest.json"))
    if file == "manifest.json":
        values = json.loads(path.read_text())
        values["draft"]["max_prompt_length"] += 1
        path.write_text(json.dumps(values))
    with pytest.raises(DataError, match=f"{file} of ward has changed since it was saved"):
        verify(find(home, "ward"))


def test_a_missing_file_and_a_broken_manifest_are_named(home: Home, table: Table, draft: Draft) -> None:
    saved = save(home, table, draft, "ward")
    saved.file("test").unlink()
    with pytest.raises(DataError, match=r"test.parquet of ward cannot be read"):
        verify(find(home, "ward"))
    (saved.folder / "manifest.json").write_text('{"version": 1')
    with pytest.raises(DataError, match=r"manifest.json of ward has changed"):
        verify(find(home, "ward"))
    with pytest.raises(DataError, match="There is: ward"):
        find(home, "other")


def test_the_task_saves_the_kept_draft_and_says_its_name(home: Home, table: Table, draft: Draft) -> None:
    decide(table, draft)
    save(home, table, draft, "ward")
    assert prepare(home, {"table": table.id, "name": "ward"}, silent) == {"name": "ward-2"}


def test_a_run_takes_data_prompt_tags_and_limits_from_the_manifest(home: Home, table: Table) -> None:
    prompt = PromptConfig(system="Write <{reasoning}> and <{answer}>.", tags=Tags(reasoning="why", answer="final"))
    draft = make_draft(table, prompt=prompt, max_prompt_length=300, max_completion_length=77)
    saved = save(home, table, draft, "ward")
    base = preset_config("demo")
    config = run_config(base, saved)
    assert config.data.prepared == "ward"
    assert config.data.fingerprint == saved.manifest.fingerprint
    assert config.prompt == prompt
    assert (config.train.max_prompt_length, config.train.max_completion_length) == (300, 77)
    assert config.reward == base.reward and config.train.steps == base.train.steps
