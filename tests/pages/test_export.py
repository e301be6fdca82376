"""The view Set up of the Export page: which model, in which forms, what that takes, and the start."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.errors import RunError
from core.export.store import list_exports
from core.jobs import supervisor
from core.jobs.tasks import Task, create_task
from core.paths import Home
from core.runs.run import Run
from tests.build_compare_page import Open, sent, trained_run
from tests.build_export import exportable_run, made_up_export, tiny_run
from tests.build_export_page import export_page


@pytest.fixture
def run(home: Home, tmp_path: Path) -> Run:
    return exportable_run(home, tmp_path / "base")


@pytest.fixture
def setup(overview: Callable[[], AppTest]) -> Open:
    """Opens the view Set up with these query parameters."""
    return lambda **address: export_page(overview(), **address)


@pytest.fixture
def started(home: Home, monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """The tasks that were started; none of them runs."""
    tasks: list[Task] = []

    def start(home: Home, kind: str, arguments: Any) -> Task:
        tasks.append(create_task(home, kind, arguments))
        return tasks[-1]

    monkeypatch.setattr(supervisor, "start_task", start)
    return tasks


def test_without_a_trained_model_the_way_leads_to_training(setup: Open) -> None:
    at = setup()
    assert "no trained model yet" in sent(at)
    assert at.button(key="export.train")


def test_a_start_makes_the_export_that_is_ticked_and_opens_it(
    setup: Open, home: Home, run: Run, started: list[Task]
) -> None:
    at = setup()
    at.checkbox(key="export.form.adapter").uncheck().run()
    at.checkbox(key="export.form.gguf_q4_k_m").check().run()
    at.number_input(key="export.questions").set_value(3).run()
    at.text_input(key="export.title").set_value("Ward 7").run()
    at.button(key="export.start").click().run()
    assert not at.exception
    (export,) = list_exports(home)
    request = export.request()
    assert (request.run, request.checkpoint, request.title) == (run.id, "", "Ward 7")
    assert request.forms == ("gguf_q8_0", "gguf_q4_k_m")
    assert request.questions == 3
    assert [task.arguments() for task in started] == [{"run": run.id, "export": export.id}]
    assert (at.query_params["export"], at.query_params["view"]) == (export.id, "files")


def test_a_checkpoint_can_be_chosen(setup: Open, home: Home, run: Run, started: list[Task]) -> None:
    at = setup(run=run.id)
    at.selectbox(key="export.checkpoint").set_value("2").run()
    at.button(key="export.start").click().run()
    assert list_exports(home)[0].request().checkpoint == "2"


def test_each_form_tells_its_size_and_the_sum_is_told_before_the_start(setup: Open, run: Run) -> None:
    at = setup()
    assert sum(text.value.startswith("about ") for text in at.text) == 7
    assert "are free. It goes on when you close the page" in sent(at)


def test_what_does_not_fit_on_the_disk_cannot_be_started(
    setup: Open, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    nearly_full = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr("core.export.disk.shutil.disk_usage", lambda path: nearly_full)
    at = setup()
    assert at.button(key="export.start").disabled
    assert "Free some space, or choose fewer forms" in sent(at)


def test_a_form_that_needs_a_gpu_says_so_and_cannot_be_ticked(
    setup: Open, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studio.export_setup.lacks", lambda *about: "It needs an NVIDIA GPU.")
    at = setup()
    assert at.checkbox(key="export.form.merged_4bit").disabled
    assert "It needs an NVIDIA GPU" in sent(at)


def test_forms_of_unsloth_are_offered_where_it_has_trained_the_run_and_say_what_they_lack(
    setup: Open, home: Home, tmp_path: Path
) -> None:
    tiny_run(home, tmp_path / "tiny", train__backend="unsloth")
    at = setup()
    assert at.checkbox(key="export.form.unsloth_q8_0").disabled
    assert "Merged by Unsloth, 16 bits needs an NVIDIA GPU" in sent(at)


def test_forms_that_nothing_here_can_quantise_say_so_and_cannot_be_ticked(
    setup: Open, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.export.quantiser._lacks_openmp", lambda: True)
    at = setup()
    assert at.checkbox(key="export.form.gguf_q4_k_m").disabled and at.checkbox(key="export.form.gguf_q5_k_m").disabled
    assert not at.checkbox(key="export.form.gguf_q8_0").disabled
    assert "libgomp1 is missing" in sent(at)


def test_nothing_ticked_cannot_be_started(setup: Open, run: Run) -> None:
    at = setup()
    at.checkbox(key="export.form.adapter").uncheck().run()
    at.checkbox(key="export.form.gguf_q8_0").uncheck().run()
    assert at.button(key="export.start").disabled and "Choose at least one form" in sent(at)


def test_a_start_that_is_refused_says_why_and_can_be_gone_on_with(
    setup: Open, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> None:
        raise RunError("There is no room for it now.")

    monkeypatch.setattr(supervisor, "start_task", refuse)
    at = setup()
    at.button(key="export.start").click().run()
    assert not at.exception and "There is no room for it now" in sent(at)
    assert at.button(key="export.resume")


def test_an_adapter_of_another_base_model_is_refused_before_the_start(setup: Open, home: Home, tmp_path: Path) -> None:
    from tests.build_adapters import save_base
    from tests.build_export import other_base_adapter

    run = exportable_run(home, tmp_path / "base")
    other_base_adapter(run, save_base(tmp_path / "other", hidden=16))
    at = setup()
    assert at.error and not [button for button in at.button if button.key == "export.start"]


def test_earlier_exports_are_listed(setup: Open, home: Home, run: Run) -> None:
    made_up_export(home, run, title="Ward 7")
    (table,) = setup().dataframe
    assert list(table.value["Export"]) == ["Ward 7"] and list(table.value["Answers"]) == ["Not compared"]


def test_a_trained_run_leads_to_its_export(train: Open, home: Home, tmp_path: Path) -> None:
    exportable_run(home, tmp_path / "base")
    run = trained_run(home)
    at = train(run.id)
    at.button(key="export_model").click().run()
    assert not at.exception
    assert at.selectbox(key="export.run").value == run.id
