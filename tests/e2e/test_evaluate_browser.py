"""The Evaluate page in a browser, from set-up to the downloaded report: a judge on this machine, and real scorers."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from core.config import with_changes
from core.evaluate.evaluation import list_evaluations
from core.presets import preset_config
from core.runs.labels import change_label
from core.runs.run import Run, create_run
from core.serving.servers import stop_all
from tests.build_endpoint import FakeEndpoint, Reply, whole
from tests.build_judging import is_judged, judge_reply, judging_server
from tests.build_runs import HOSTILE
from tests.e2e.conftest import Server, Watch
from tests.e2e.test_browser import nothing_failed
from tests.tiny import save_policy, save_similarity

WORKING_MS = 180_000
QUESTIONS = 12
NAMES = {"quillfeather": "plain", "marrowstone": "better"}
"""What the models are called, which no judge may learn, and how their answers begin."""


@pytest.fixture(scope="module")
def run(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run whose reward takes tiny models."""
    folder = tmp_path_factory.mktemp("tiny")
    policy, similarity = save_policy(folder / "policy"), save_similarity(folder / "similarity")
    models = {"model": policy, "reward.similarity_model": similarity, "reward.fluency_model": policy}
    config = with_changes(preset_config(), {path: str(model) for path, model in models.items()})
    made = create_run(server.home, config, "tiny")
    made.write_status(made.written_status().__class__("finished", step=4, steps=4, started=1.0))
    change_label(made, title="Ward run")
    yield made
    stop_all(server.home)


@pytest.fixture
def remote() -> Iterator[FakeEndpoint]:
    """Two models, and a judge that likes the second better."""

    def answer(request: dict[str, Any]) -> Reply:
        if not is_judged(request):
            return Reply(whole(f"<reasoning>So it is.</reasoning><answer>{NAMES[request['model']]} {HOSTILE}</answer>"))
        return judge_reply(request, mark=4 if "better <img" in request["messages"][-1]["content"] else 2)

    with judging_server() as found:
        found.answer = answer
        yield found


def open_evaluate(page: Page, server: Server, **address: str | list[str]) -> None:
    page.goto(f"{server.url}/evaluate?{urlencode(address, doseq=True)}")
    expect(page.get_by_role("heading", name="Evaluate", level=1)).to_be_visible()


def set_count(page: Page, count: int) -> None:
    """Move the slider to the left end, then right."""
    slider = page.get_by_role("slider", name="Test questions")
    slider.focus()
    slider.press("Home")
    for _ in range(count - 2):
        slider.press("ArrowRight")
    expect(page.get_by_text(f"{count} questions from the test split")).to_be_visible()


def test_from_set_up_to_the_downloaded_report(
    page: Page, server: Server, run: Run, remote: FakeEndpoint, watch: Watch, tmp_path: Path
) -> None:
    names = [f"endpoint:{remote.url}#{name}" for name in NAMES]
    open_evaluate(page, server, under=run.id, **{"with": names})
    set_count(page, QUESTIONS)
    page.get_by_test_id("stMain").get_by_text("Language models", exact=True).click()
    address = page.get_by_role("textbox", name="Address").first
    address.fill(remote.url)
    address.press("Enter")
    page.get_by_role("button", name="Which of two is better").click()
    expect(page.get_by_text(str(QUESTIONS * (2 * 2 + 2)), exact=True)).to_be_visible()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_text("Safety, counted by itself")).to_be_visible(timeout=WORKING_MS)
    expect(page.get_by_text(re.compile("is better than")).first).to_be_visible()
    nothing_failed(page, watch)
    page.reload()
    expect(page.get_by_role("heading", name="Scores")).to_be_visible()
    read_a_question(page)
    take_the_report(page, tmp_path)
    nothing_failed(page, watch)
    (evaluation,) = list_evaluations(server.home)
    assert len(evaluation.verdicts()) == QUESTIONS * (2 * 2 + 2)
    asked = json.dumps([request["messages"] for request in remote.requests if is_judged(request)])
    assert "better" in asked and not [name for name in (*NAMES, "127.0.0.1") if name in asked]


def read_a_question(page: Page) -> None:
    """A click on the map reads another question, whose hostile answers are text."""
    page.get_by_role("radio", name="Questions").or_(page.get_by_role("button", name="Questions")).first.click()
    chosen = page.get_by_role("combobox", name="Question", exact=True)
    expect(chosen).to_have_value(re.compile(r"^1\. "))
    page.locator(".plotly .draglayer .nsewdrag").first.click(position={"x": 30, "y": 60})
    expect(chosen).to_have_value(re.compile(r"^[2-9]\. "))
    expect(page.get_by_text("2 of 5").first).to_be_visible()
    expect(page.get_by_text("![pixel](http://evil.example/p.png)").first).to_be_visible()
    expect(page.locator("img[src*='evil']")).to_have_count(0)


def take_the_report(page: Page, folder: Path) -> None:
    """The report is saved, opens without the studio, and shows the same; the zip holds it with the data."""
    page.get_by_role("radio", name="Evidence").or_(page.get_by_role("button", name="Evidence")).first.click()
    report = saved(page, re.compile(r"^.*Report \("), folder / "report.html")
    pack = saved(page, re.compile("Everything as a zip"), folder / "evidence.zip")
    with zipfile.ZipFile(pack) as inside:
        assert {"report.html", "answers.csv", "verdicts.jsonl"} <= {Path(name).name for name in inside.namelist()}
    reading = page.context.new_page()
    outside: list[str] = []
    reading.on(
        "request", lambda request: None if request.url.startswith(("file:", "data:")) else outside.append(request.url)
    )
    reading.goto(report.as_uri())
    expect(reading.get_by_text(re.compile("not for clinical use", re.IGNORECASE)).first).to_be_visible()
    assert not outside
    reading.close()


def saved(page: Page, label: re.Pattern[str], file: Path) -> Path:
    with page.expect_download() as found:
        page.get_by_role("button", name=label).first.click()
    found.value.save_as(file)
    assert file.stat().st_size > 0
    return file
