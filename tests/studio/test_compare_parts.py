"""What candidates are called, and which models are in memory."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.config import EMBEDDED_POLICY
from core.jobs import supervisor
from core.jobs.tasks import create_task
from core.paths import Home
from core.runs.labels import change_label
from core.serving import servers
from core.serving.candidates import Candidate
from core.serving.server import SCORES, Server
from core.training.best import Best, keep_best
from studio.compare_card import shown
from studio.compare_names import name, names
from tests.build_runs import Plan, build_run


def test_a_runs_models_are_named_by_its_title_and_where_they_stand(home: Home) -> None:
    run = build_run(home, Plan("finished", done=12, steps=12))
    change_label(run, title="Demo run")
    keep_best(run, Best(step=8, reward=0.5, well_formed=1.0), lambda folder: None)
    named = [
        name(home, Candidate(kind="adapter", model=EMBEDDED_POLICY, run=run.id, checkpoint=checkpoint))
        for checkpoint in ("", "best", "10")
    ]
    assert named == ["Demo run · final adapter", "Demo run · best on validation, step 8", "Demo run · step 10"]


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (Candidate(kind="model", model=EMBEDDED_POLICY), "SmolLM2 135M Instruct (base)"),
        (Candidate(kind="model", model="/data/models/merged"), "merged (base)"),
        (Candidate(kind="model", model="Qwen/Qwen2.5-0.5B"), "Qwen/Qwen2.5-0.5B (base)"),
        (Candidate(kind="gguf", model="/data/small.gguf"), "small (GGUF)"),
        (
            Candidate(kind="endpoint", model="gpt-4o-mini", url="https://api.openai.com/v1"),
            "Remote: gpt-4o-mini at api.openai.com",
        ),
    ],
)
def test_other_models_are_named_by_what_they_are(home: Home, candidate: Candidate, expected: str) -> None:
    assert name(home, candidate) == expected


def test_two_runs_of_one_title_are_told_apart(home: Home) -> None:
    runs = [build_run(home, Plan("finished", done=6, steps=6, seed=seed)) for seed in (0, 1)]
    for run in runs:
        change_label(run, title="Same")
    adapters = [Candidate(kind="adapter", model=EMBEDDED_POLICY, run=run.id) for run in runs]
    assert names(home, adapters) == [f"Same · final adapter ({run.id})" for run in runs]


def test_a_text_that_a_page_cannot_bear_is_cut() -> None:
    assert shown("short") == "short"
    assert len(shown("x" * 10**6)) < 200_000


def page() -> None:
    from studio import compare_servers, settings

    compare_servers.button(settings.open_home())


def open_panel() -> AppTest:
    at = AppTest.from_function(page, default_timeout=20)
    at.session_state["compare.servers"] = True
    at.run()
    assert not at.exception
    return at


def server(home: Home, **changes: Any) -> Server:
    task = create_task(home, "serve_model", {"model": "m"})
    values = {"model": EMBEDDED_POLICY, "state": "ready", "phase": "", "done": 0, "total": 0, "error": ""}
    return Server(task, **{**values, **changes})


def test_models_in_memory_are_listed_with_what_they_do(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        server(home),
        server(home, model="Qwen/Qwen2", state="loading", phase="loading the weights", done=2, total=5),
        server(home, model=SCORES, state="failed", error="It ran out of memory."),
    ]
    monkeypatch.setattr(servers, "servers", lambda home: found)
    monkeypatch.setattr(Server, "memory_bytes", lambda self: 3 * 2**30)
    monkeypatch.setattr(Server, "seconds_idle", property(lambda self: 75.0))
    at = open_panel()
    shown = "\n".join(str(e.value) for e in (*at.markdown, *at.caption, *at.error))
    assert "**SmolLM2 135M Instruct**" in shown and "3.0 GiB of memory · idle for 1 min 15 s" in shown
    assert "loading the weights, 40%" in shown
    assert "Models that score answers" in shown and "It ran out of memory" in shown
    assert len(at.button) == 2


def test_a_model_is_let_go_by_its_button(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = []
    one = server(home)
    monkeypatch.setattr(servers, "servers", lambda home: [one])
    monkeypatch.setattr(supervisor, "stop", stopped.append)
    open_panel().button[0].click().run()
    assert stopped == [one.task]


def test_without_a_model_in_memory_the_panel_says_so(home: Home) -> None:
    assert any("No model is in memory" in element.value for element in open_panel().markdown)
