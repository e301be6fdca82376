"""A run that was copied badly, edited by hand or made by somebody else is shown, or refused with a sentence."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import parse_config
from core.errors import StudioError
from core.jobs.folder import JobFolder
from core.paths import Home
from core.presets import preset_config
from core.runs.completions import held_out, kept_steps, read_completions, step_file
from core.runs.events import milestones_of, read_events
from core.runs.importing import import_run
from core.runs.labels import change_label, read_label
from core.runs.lines import line_of
from core.runs.run import Run
from core.training.curves import opened
from tests.build_runs import Plan, build_run
from tests.fuzz.damage import FUZZ, changed, damaged

STEPS = 6
ELSEWHERE = ("../x", "/etc/x", "a/../../x", "C:\\x", "a\\..\\x", ".", "..", "a//b", "../../../x.py")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run as the studio writes it; no test changes it."""
    home = Home.open(tmp_path_factory.mktemp("fuzz"))
    run = build_run(home, Plan(done=STEPS, steps=STEPS))
    change_label(run, title="A title", add=("one", "two"), note="A note.")
    return run


def _files(run: Run) -> list[str]:
    return sorted(str(path.relative_to(run.folder)) for path in run.folder.rglob("*") if path.is_file())


def _looks(run: Run) -> Iterator[Callable[[], object]]:
    """What pages ask of a run, each on its own."""
    yield lambda: run.status()
    yield lambda: JobFolder(run.folder).held()
    yield lambda: run.config()
    yield lambda: read_label(run)
    yield lambda: read_events(run.events)
    yield lambda: read_events(milestones_of(run.events))
    yield lambda: line_of(run)
    yield lambda: held_out(run)
    yield lambda: [read_completions(step_file(run, step)) for step in kept_steps(run)]
    yield lambda: _curves(run)


def _curves(run: Run) -> None:
    with np.errstate(all="ignore"), opened(run) as curves:  # damaged numbers are numbers still, perhaps huge ones
        curves.metrics(1, STEPS)
        curves.frame(1, STEPS, 4)


@FUZZ
@given(data=st.data())
def test_a_damaged_run_is_shown_or_refused(
    whole: Run, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("copy") / whole.id
    shutil.copytree(whole.folder, folder)
    file = folder / data.draw(st.sampled_from(_files(whole)))
    content = data.draw(damaged(file.read_bytes()))
    file.write_bytes(content)
    for look in _looks(Run(folder)):
        with suppress(StudioError):
            look()
    shutil.rmtree(folder.parent)


@FUZZ
@given(values=changed(preset_config("demo", "robust").model_dump(mode="json")))
def test_a_configuration_is_whole_or_refused(values: object) -> None:
    with suppress(StudioError):
        config = parse_config(values)  # type: ignore[arg-type]
        assert parse_config(json.loads(config.model_dump_json())) == config


@FUZZ
@given(data=st.data())
def test_a_damaged_zip_is_brought_in_or_refused_and_leaves_nothing_behind(
    whole: Run, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("import")
    home, file = Home.open(root / "home"), root / "run.zip"
    file.write_bytes(data.draw(damaged(_zipped(whole.folder))))
    before = len(list(home.runs.iterdir()))
    try:
        import_run(home, file)
    except StudioError:
        assert len(list(home.runs.iterdir())) == before
    shutil.rmtree(root)


@FUZZ
@given(name=st.text(max_size=30) | st.sampled_from(ELSEWHERE))
def test_no_entry_of_a_zip_is_written_outside_of_its_run(
    whole: Run, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("import")
    home, file = Home.open(root / "home"), root / "run.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("run/config.json", whole.config_file.read_bytes())
        archive.writestr(zipfile.ZipInfo(name or "x"), b"planted")
        archive.writestr(zipfile.ZipInfo(f"run/{name or 'x'}"), b"planted")
    with suppress(StudioError):
        import_run(home, file)
    written = [path for path in root.rglob("*") if path.is_file() and path.read_bytes() == b"planted"]
    assert all(path.is_relative_to(home.runs) for path in written)
    shutil.rmtree(root)


def _zipped(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, f"run/{path.relative_to(folder)}")
    return buffer.getvalue()
