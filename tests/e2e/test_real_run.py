"""A newcomer starts the demo from the page, watches it, loses the page and the server, stops it and resumes it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from core.jobs import supervisor
from core.jobs.folder import process
from core.paths import Home
from core.runs.run import Run, find_run, list_runs
from tests.e2e.conftest import Server, Watch
from tests.embedded import link_models

LOADING_MS = 300_000
STOPPING_SECONDS = 180.0


@pytest.fixture
def real_server(server: Server) -> Iterator[Server]:
    """A studio whose home has the embedded models; a run that is still live at the end is killed."""
    link_models(server.home)
    yield server
    for run in list_runs(server.home):
        left = process(run.written_status())
        if left is not None:
            left.kill()
            assert not supervisor.wait(run, 10).live


@pytest.mark.real
def test_a_demo_is_started_watched_found_again_stopped_and_resumed(
    page: Page, real_server: Server, watch: Watch
) -> None:
    page.goto(real_server.url)
    page.get_by_role("button", name="Start a training run").click()
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_text("Running").first).to_be_visible(timeout=LOADING_MS)
    expect(page.get_by_text(re.compile(r"Step [1-9]\d* of")).first).to_be_visible(timeout=LOADING_MS)
    expect(page.get_by_text(re.compile(r"Step ([2-9]|\d\d+) of")).first).to_be_visible(timeout=LOADING_MS)
    expect(page.get_by_test_id("stEChartsChart").locator("canvas")).to_have_count(6)
    run = _only_run(real_server.home)
    page.reload()
    expect(page.get_by_text(re.compile(r"Step ([2-9]|\d\d+) of")).first).to_be_visible(timeout=LOADING_MS)
    watch.check()

    real_server.kill()
    assert run.status().live
    real_server.start()
    page.goto(f"{real_server.url}/train")
    expect(page.get_by_test_id("stEChartsChart").locator("canvas")).to_have_count(6)
    expect(page.get_by_text("Running").first).to_be_visible()

    page.get_by_test_id("stMain").get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("button", name="Stop and save").click()
    assert supervisor.wait(run, STOPPING_SECONDS).state == "stopped"
    stopped_at = run.status().step
    page.get_by_role("button", name="Resume").click(timeout=LOADING_MS)
    expect(page.get_by_text("Running").first).to_be_visible(timeout=LOADING_MS)
    expect(page.get_by_text(re.compile(rf"Step {stopped_at + 1} of")).first).to_be_visible(timeout=LOADING_MS)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def _only_run(home: Home) -> Run:
    assert len(list_runs(home)) == 1
    return find_run(home, "last")
