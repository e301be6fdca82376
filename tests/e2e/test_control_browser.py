"""What is done with a run while it trains, in a real browser, where a question is answered by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from core.runs.run import Run
from core.training import control
from tests.build_runs import Plan, build_run
from tests.e2e.conftest import Server, Watch


@pytest.fixture(scope="module")
def live(server: Server) -> Run:
    return build_run(server.home, Plan("running", done=13))


def test_a_run_is_paused_weighed_otherwise_and_continued(page: Page, server: Server, live: Run, watch: Watch) -> None:
    page.goto(f"{server.url}/train?run={live.id}")
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_role("button", name="Continue", exact=True)).to_be_visible()
    assert control.pausing(live)

    page.get_by_role("button", name="Weights", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("step 14 at the earliest")).to_be_visible()
    dialog.get_by_label("Tags", exact=True).fill("0.6")
    dialog.get_by_label("Tags", exact=True).press("Tab")
    dialog.get_by_role("button", name="Change", exact=True).click()
    expect(dialog).to_have_count(0)
    assert (control.wanted_weights(live) or {})["tags"] == 0.6

    page.get_by_role("button", name="Continue", exact=True).click()
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    assert not control.pausing(live)
    watch.check()


def test_stopping_says_what_each_way_costs(page: Page, server: Server, live: Run, watch: Watch) -> None:
    page.goto(f"{server.url}/train?run={live.id}")
    page.get_by_role("button", name="Stop", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("after checkpoint 10, that is 3 steps, would be lost")).to_be_visible()
    dialog.get_by_role("button", name="Keep running").click()
    expect(dialog).to_have_count(0)
    assert live.status().state == "running"
    watch.check()


def test_a_run_leaves_the_queue_and_its_clone_opens_the_form(
    page: Page, server: Server, live: Run, watch: Watch
) -> None:
    waiting = build_run(server.home, Plan("stopped", done=0))
    waiting.write_status(replace(waiting.written_status(), state="queued", ticket=1))
    page.goto(f"{server.url}/train?run={waiting.id}")
    expect(page.get_by_text("Waiting for its turn")).to_be_visible()
    page.get_by_role("button", name="Remove from the queue").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    assert waiting.status().state == "stopped"
    page.get_by_role("button", name="Clone", exact=True).click()
    expect(page.get_by_role("heading", name="New training run")).to_be_visible()
    watch.check()
