"""The Compare page in a browser, with a real model: asked, seen written, found again after a reload and a restart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from peft import LoraConfig, get_peft_model
from playwright.sync_api import Page, expect
from transformers import AutoModelForCausalLM

from core.compare.comparison import list_comparisons
from core.config import with_changes
from core.presets import preset_config
from core.runs.labels import change_label
from core.runs.run import Run, create_run
from core.serving.servers import stop_all
from tests.build_endpoint import FakeEndpoint, Reply, serving, whole
from tests.build_runs import GOOD, HOSTILE
from tests.e2e.conftest import Server, Watch
from tests.e2e.test_browser import nothing_failed
from tests.tiny import save_policy, save_similarity

LOADING_MS = 180_000
QUESTION = "A patient on warfarin starts clarithromycin. What must be watched?"


@pytest.fixture(scope="module")
def run(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run on a tiny model, with an adapter that changes what it says and a reward of tiny models."""
    folder = tmp_path_factory.mktemp("tiny")
    policy, similarity = save_policy(folder / "policy"), save_similarity(folder / "similarity")
    models = {"model": policy, "reward.similarity_model": similarity, "reward.fluency_model": policy}
    config = with_changes(preset_config(), {path: str(model) for path, model in models.items()})
    made = create_run(server.home, config, "tiny")
    _save_adapter(policy, made)
    made.write_status(made.written_status().__class__("finished", step=4, steps=4, started=1.0))
    change_label(made, title="Ward run")
    yield made
    stop_all(server.home)


def _save_adapter(policy: Path, run: Run) -> None:
    model = AutoModelForCausalLM.from_pretrained(policy)
    lora = LoraConfig(r=8, lora_alpha=256, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(model, lora).save_pretrained(run.adapter)


@pytest.fixture
def remote() -> Iterator[FakeEndpoint]:
    with serving() as found:
        yield found


def open_compare(page: Page, server: Server, **address: str | list[str]) -> None:
    page.goto(f"{server.url}/compare?{urlencode(address, doseq=True)}")
    expect(page.get_by_role("heading", name="Compare", level=1)).to_be_visible()


def ask(page: Page, question: str) -> None:
    page.get_by_label("Your question").fill(question)
    page.get_by_test_id("stMain").get_by_role("button", name="Ask", exact=True).click()


def all_answered(page: Page, columns: int) -> None:
    expect(page.get_by_role("button", name="Ask once more, other seed")).to_be_visible(timeout=LOADING_MS)
    expect(page.get_by_text(re.compile(r"^Reward -?\d"))).to_have_count(columns)


def test_base_and_adapter_answer_and_are_there_after_a_reload_and_a_restart(
    page: Page, server: Server, run: Run, watch: Watch
) -> None:
    open_compare(page, server)
    expect(page.get_by_text("Ward run · final adapter").first).to_be_visible()
    ask(page, QUESTION)
    expect(page.get_by_text(re.compile("(Starting the model|Loading|Writing)")).first).to_be_visible()
    all_answered(page, 2)
    (comparison,) = list_comparisons(server.home)
    base, adapted = comparison.answers()
    assert base.text and adapted.text and base.text != adapted.text
    nothing_failed(page, watch)
    page.reload()
    all_answered(page, 2)
    server.kill()
    server.start()
    page.goto(f"{server.url}/compare?comparison={comparison.id}")
    all_answered(page, 2)
    expect(page.get_by_text(QUESTION).first).to_be_visible()
    expect(page.get_by_text("What differs, word by word")).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_one_column_ends_while_the_other_is_still_being_written(
    page: Page, server: Server, run: Run, remote: FakeEndpoint, watch: Watch
) -> None:
    slow = Reply(whole("Slowly begun", " and ended."), wait_before=1)
    remote.answer = lambda request: slow if request["model"] == "slow" else Reply(whole(GOOD))
    names = [f"endpoint:{remote.url}#{name}" for name in ("slow", "quick")]
    open_compare(page, server, under=run.id, **{"with": names})
    ask(page, QUESTION)
    expect(page.get_by_text("Slowly begun")).to_be_visible()
    expect(page.get_by_text("The INR rises, so check it early and lower the warfarin dose.")).to_be_visible()
    expect(page.get_by_text("Writing · 1 token").first).to_be_visible()
    remote.released.set()
    expect(page.get_by_text("Slowly begun and ended.").first).to_be_visible()
    all_answered(page, 2)
    nothing_failed(page, watch)


def test_hostile_answers_are_text_and_stay_in_their_column(
    page: Page, server: Server, run: Run, remote: FakeEndpoint, watch: Watch
) -> None:
    texts = {"marks": HOSTILE, "lines": "Top" + "\n" * 10_000 + "\x1b[31mbottom\x07", "long": "word" * 5_000}
    remote.answer = lambda request: Reply(whole(texts[request["model"]]))
    open_compare(page, server, under=run.id, **{"with": [f"endpoint:{remote.url}#{name}" for name in texts]})
    ask(page, "<b>Is this bold?</b> ![p](http://evil.example/q.png)")
    all_answered(page, 3)
    expect(page.get_by_text("![pixel](http://evil.example/p.png)").first).to_be_visible()
    expect(page.locator("img[src*='evil']")).to_have_count(0)
    width, height = page.evaluate(
        "[document.documentElement.scrollWidth, document.querySelector('[data-testid=stMain]').scrollHeight]"
    )
    assert width <= 1360 and height < 8_000
    nothing_failed(page, watch)


def test_a_batch_is_answered_read_and_judged_blind_and_the_vote_is_there_after_a_reload(
    page: Page, server: Server, run: Run, remote: FakeEndpoint, watch: Watch
) -> None:
    remote.answer = lambda request: Reply(whole(f"It is {request['model']}, ", request["messages"][-1]["content"][:40]))
    names = [f"endpoint:{remote.url}#{name}" for name in ("flu", "asthma")]
    open_compare(page, server, view="batch", under=run.id, **{"with": names})
    slider = page.get_by_role("slider", name="Test questions")
    slider.focus()
    slider.press("Home")
    expect(page.get_by_text("2 questions to 2 models: 4 answers")).to_be_visible()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_role("button", name="Judge these blind")).to_be_visible(timeout=LOADING_MS)
    page.reload()
    expect(page.get_by_test_id("stDataFrame")).to_have_count(3)
    page.get_by_role("button", name="Judge these blind").click()
    page.get_by_role("button", name="Open the vote").click()
    name = page.get_by_role("textbox", name="Your name")
    name.fill("Dr. Ada")
    name.press("Enter")
    expect(page.get_by_text("It is flu").first).to_be_visible()
    expect(page.get_by_text(re.compile("Remote:"))).to_have_count(0)
    page.keyboard.press("1")
    expect(page.get_by_text(re.compile("1 of 2"))).to_be_visible()
    page.reload()
    name.fill("Dr. Ada")
    name.press("Enter")
    expect(page.get_by_text(re.compile("1 of 2"))).to_be_visible()
    nothing_failed(page, watch)
