"""Runs with adapters, and comparisons that have been answered, for tests of the Compare page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from streamlit.testing.v1 import AppTest

from core.compare.comparison import ComparedAnswer, Comparison, create_comparison
from core.config import EMBEDDED_POLICY
from core.paths import Home
from core.runs.run import Run
from core.serving.adapter_files import CONFIG
from studio.navigation import COMPARE
from tests.build_comparison import request_of
from tests.build_runs import BAD, GOOD, Plan, build_run

Open = Callable[..., AppTest]
BASE = f"model:{EMBEDDED_POLICY}"
BASE_NAME = "SmolLM2 135M Instruct (base)"


def trained_run(home: Home) -> Run:
    """A finished run that has kept its adapter, as far as the pages look at it."""
    run = build_run(home, Plan("finished", done=12, steps=12))
    for folder in (run.adapter, run.checkpoints / "checkpoint-10"):
        folder.mkdir(exist_ok=True)
        (folder / CONFIG).write_text("{}")
    return run


def answered(
    home: Home, questions: Sequence[str] = ("Why?", "How?"), texts: Sequence[str] = (BAD, GOOD), missing: int = 0
) -> Comparison:
    """A comparison of two candidates that write the same to every question; the last `missing` answers are lacking."""
    comparison = create_comparison(home, request_of(questions=questions))
    answers = [
        ComparedAnswer(
            question=number,
            candidate=place,
            text=text,
            tokens=20 + 20 * place,
            seconds=4.0,
            first_seconds=0.5,
            truncated=place == 0,
            reward=-1.0 if place == 0 else 0.5,
            valid=place == 1,
            well_formed=place == 1,
            components={"semantic": 0.5, "fluency": 0.25, "tags": None},
        )
        for number in range(len(questions))
        for place, text in enumerate(texts)
    ]
    comparison.add(answers[: len(answers) - missing])
    return comparison


def compare_page(at: AppTest, **address: str | Sequence[str]) -> AppTest:
    """Opens the Compare page in an app that has been started."""
    at.switch_page(str(COMPARE.path))
    for name, value in address.items():
        at.query_params[name] = value
    at.run()
    assert not at.exception
    return at


def sent(at: AppTest) -> str:
    """All that is shown as text or Markdown."""
    kinds = (at.markdown, at.caption, at.text, at.warning, at.error, at.info, at.subheader, at.title)
    return "\n".join(str(element.value) for elements in kinds for element in elements)
