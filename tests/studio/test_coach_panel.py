"""The coach's cards on the page of a run."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from core.config import with_changes
from core.paths import Home
from core.runs.run import Run
from tests.build_recorded import build_recorded
from tests.recordings import RECORDINGS


def panel(home: Home, run: Run) -> AppTest:
    """The panel alone, on a page of its own."""

    def page(folder: str) -> None:
        from pathlib import Path

        from core.runs.run import Run
        from studio import coach_panel

        run = Run(Path(folder))
        coach_panel.draw(run, run.config())

    return AppTest.from_function(page, args=(str(run.folder),), default_timeout=20).run()


def recorded(home: Home, name: str, steps: int | None = None) -> Run:
    return build_recorded(home, RECORDINGS[name].config, RECORDINGS[name].metrics[:steps])


def test_a_finding_is_a_card_with_a_button_for_its_mend(home: Home) -> None:
    at = panel(home, recorded(home, "limit_16"))
    assert [text.value for text in at.text if "is cut at 16 tokens before </answer>" in text.value]
    assert [button.label for button in at.button] == ["Max completion length 32"]


def test_the_button_opens_a_clone_with_the_change(home: Home) -> None:
    run = recorded(home, "limit_16")
    at = panel(home, run)
    at.button[0].click().run()
    assert not at.exception
    assert at.query_params["clone"] == run.id
    assert at.query_params["changes"] == '{"train.max_completion_length": 32}'


def test_a_run_that_does_well_gets_one_green_line(home: Home) -> None:
    at = panel(home, recorded(home, "demo"))
    (line,) = at.caption
    assert "Going well" in line.value
    assert not at.button and not at.text


def test_nothing_is_drawn_before_enough_steps(home: Home) -> None:
    at = panel(home, recorded(home, "limit_16", steps=3))
    assert not at.button and not at.text and not at.caption and not at.exception


def test_names_that_somebody_chose_are_shown_as_they_are(home: Home) -> None:
    recording = RECORDINGS["other_tags"]
    config = with_changes(recording.config, {"prompt.tags": {"reasoning": "a_b_c", "answer": "x_y_z"}})
    at = panel(home, build_recorded(home, config, recording.metrics))
    assert "<x_y_z>" in at.text[0].value
    assert at.button[1].label == r"Begin the answer with \<a\_b\_c\>"
