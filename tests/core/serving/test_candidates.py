"""Who can be asked: names in both directions, what runs offer, and adapters that are damaged or of another model."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import ConfigError, ModelError, RunError
from core.paths import Home
from core.runs.labels import change_label
from core.runs.run import CHECKPOINT_LAST_FILE, Run
from core.serving.adapter_files import CONFIG, WEIGHTS
from core.serving.candidates import (
    BEST,
    Candidate,
    adapter_candidate,
    adapter_folder,
    adapter_of,
    candidates_of,
    offered,
    parse_candidate,
    title,
)
from tests.build_adapters import run_of, save_adapter, save_base, save_checkpoint


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return save_base(tmp_path / "base-1b")


@pytest.fixture
def run(home: Home, base: Path) -> Run:
    """A run that has ended, with everything that can be asked."""
    run = run_of(home, base)
    save_adapter(run.adapter, base)
    save_adapter(run.best, base)
    for step in (10, 20):
        save_checkpoint(run, step, base)
    return run


def test_every_candidate_is_found_again_by_its_text(home: Home, run: Run, tmp_path: Path) -> None:
    gguf = tmp_path / "a model.gguf"
    gguf.write_bytes(b"GGUF")
    others = ["endpoint:https://api.example.org/v1#gpt#4", f"gguf:{gguf}"]
    for candidate in [*candidates_of(run), *(parse_candidate(text, home) for text in others)]:
        assert parse_candidate(str(candidate), home) == candidate
    assert [str(parse_candidate(text, home)) for text in others] == others


def test_a_folder_is_one_candidate_however_it_is_written(home: Home, base: Path) -> None:
    assert parse_candidate(f"model:{base}/../{base.name}", home) == Candidate(kind="model", model=str(base))


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        ("smollm2", ConfigError, "names nothing that can be asked. Write it as model:NAME"),
        ("run:", ConfigError, "names nothing that can be asked"),
        ("run:no-such", RunError, "There is no run 'no-such'"),
        ("run:last@latest", ConfigError, "'latest' is no checkpoint"),
        ("run:last@-3", ConfigError, "'-3' is no checkpoint"),
        ("model:nowhere at all", ModelError, "is not a model"),
        ("gguf:/no/such.gguf", ModelError, "is no GGUF file"),
        ("endpoint:https://user:secret@example.org#m", ConfigError, "must be a plain address"),
        ("endpoint:https://example.org/v1", ConfigError, "Write it as endpoint:URL#MODEL"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_way_to_write_it(
    home: Home, run: Run, text: str, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence) as raised:
        parse_candidate(text, home)
    assert "secret" not in str(raised.value)


def test_a_run_offers_its_base_and_every_adapter_that_is_there(run: Run) -> None:
    assert list(map(str, candidates_of(run)))[1:] == [f"run:{run.id}{at}" for at in ("", "@best", "@20", "@10")]
    assert [title(candidate) for candidate in candidates_of(run)] == [
        "base-1b",
        f"{run.id}, final",
        f"{run.id}, best on validation",
        f"{run.id}, step 20",
        f"{run.id}, step 10",
    ]


def test_a_checkpoint_that_was_only_half_written_is_not_offered(run: Run) -> None:
    (run.checkpoints / "checkpoint-20" / "trainer_state.json").unlink()
    assert f"run:{run.id}@20" not in map(str, candidates_of(run))


def test_a_checkpoint_is_offered_once_it_is_whole_though_the_time_of_no_folder_tells(run: Run) -> None:
    last_file = run.checkpoints / "checkpoint-20" / CHECKPOINT_LAST_FILE
    last_file.unlink()
    for folder in (run.folder, run.checkpoints):
        os.utime(folder, (1e9, 1e9))
    assert f"run:{run.id}@20" not in map(str, candidates_of(run))
    last_file.write_text("{}")
    assert f"run:{run.id}@20" in map(str, candidates_of(run))


def test_bases_are_offered_once_and_archived_or_damaged_runs_not_at_all(home: Home, run: Run, base: Path) -> None:
    archived, damaged = run_of(home, base), run_of(home, base)
    save_adapter(archived.adapter, base)
    change_label(archived, archived=True)
    damaged.config_file.write_text("{")
    assert offered(home) == candidates_of(run)


def test_what_a_run_has_exported_is_offered(home: Home, run: Run) -> None:
    merged = save_base(run.folder / "exports" / "merged")
    (run.folder / "exports" / "q4.gguf").write_bytes(b"GGUF")
    found = set(map(str, offered(home)))
    assert {f"model:{merged}", f"gguf:{run.folder / 'exports' / 'q4.gguf'}"} <= found


def test_an_adapters_rank_and_folder_are_read_from_its_files(home: Home, run: Run, base: Path) -> None:
    save_adapter(run.best, base, rank=6)
    found = adapter_of(home, adapter_candidate(run, BEST))
    assert (found.folder, found.rank) == (run.best, 6)
    assert adapter_folder(home, adapter_candidate(run, "20")) == run.checkpoints / "checkpoint-20"


def test_a_replaced_adapter_has_another_digest(home: Home, run: Run, base: Path) -> None:
    best = adapter_candidate(run, BEST)
    before = adapter_of(home, best).digest
    assert adapter_of(home, best).digest == before
    fresh = save_adapter(run.folder / "fresh", base)
    shutil.rmtree(run.best)
    fresh.rename(run.best)
    assert adapter_of(home, best).digest != before


@pytest.mark.parametrize(
    ("checkpoint", "sentence"),
    [
        ("", "has no trained adapter yet. Wait until it ends"),
        ("best", "has kept no best adapter"),
        ("30", "has no checkpoint of step 30; those that are there: 10."),
    ],
)
def test_an_adapter_that_is_not_there_says_what_is(home: Home, base: Path, checkpoint: str, sentence: str) -> None:
    run = run_of(home, base)
    save_checkpoint(run, 10, base)
    with pytest.raises(RunError, match=sentence):
        adapter_folder(home, adapter_candidate(run, checkpoint))


def _cut(folder: Path) -> None:
    weights = folder / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1])


def _damage_header(folder: Path) -> None:
    weights = folder / WEIGHTS
    weights.write_bytes(b"\xff" * 8 + weights.read_bytes()[8:])


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut short": (_cut, f"{WEIGHTS} cannot be read"),
    "header": (_damage_header, f"{WEIGHTS} cannot be read"),
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), f"{WEIGHTS} cannot be read"),
    "configuration": (lambda folder: (folder / CONFIG).write_text("[]"), f"{CONFIG} cannot be read"),
    "no layers": (lambda folder: save_adapter(folder, "base-1b", layers=0), "holds no low-rank layers"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_adapter_is_refused_before_anything_is_started(home: Home, run: Run, damage: str) -> None:
    harm, sentence = DAMAGES[damage]
    harm(run.adapter)
    with pytest.raises(ModelError, match=sentence) as raised:
        adapter_folder(home, adapter_candidate(run))
    assert f"{run.id}, final" in str(raised.value)


def test_an_adapter_of_another_model_is_refused_by_its_name(home: Home, run: Run) -> None:
    save_adapter(run.adapter, "meta-llama/Llama-3.1-8B-Instruct")
    with pytest.raises(
        ModelError, match=r"trained on another model, 'Llama-3.1-8B-Instruct', and the run's is 'base-1b'"
    ):
        adapter_folder(home, adapter_candidate(run))


@pytest.mark.parametrize(("hidden", "layers", "has"), [(16, 2, "has 8x8"), (8, 3, "has no such layer")])
def test_an_adapter_of_another_model_is_refused_by_its_layers(
    home: Home, run: Run, base: Path, hidden: int, layers: int, has: str
) -> None:
    save_adapter(run.adapter, base, hidden=hidden, layers=layers)
    with pytest.raises(ModelError, match=f"does not fit 'base-1b'.*{has}"):
        adapter_folder(home, adapter_candidate(run))


@pytest.mark.parametrize("named", ["/another/machine/models/base-1b", "unsloth/Base-1B-unsloth-bnb-4bit"])
def test_an_adapter_that_came_from_another_machine_still_belongs_to_its_model(home: Home, run: Run, named: str) -> None:
    save_adapter(run.adapter, named)
    assert adapter_folder(home, adapter_candidate(run)) == run.adapter
