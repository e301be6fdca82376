"""The Runs page in a browser: ticking rows, a comparison that survives a reload, a deletion that asks first."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from playwright.sync_api import Locator, Page, TimeoutError, expect

from core.runs.labels import change_label
from core.runs.run import Run, list_runs
from tests.build_runs import HOSTILE, Plan, build_run
from tests.e2e.conftest import Server, Watch

_HEADER, _ROW = 36, 35
"""Heights in a table, in pixels; its cells are painted on a canvas and cannot be found by their text."""
_TRIES, _HEARD_MILLISECONDS = 3, 15_000


@pytest.fixture(scope="module")
def runs(server: Server) -> list[Run]:
    """Three runs, the newest first; one has a hostile title."""
    made = [build_run(server.home, Plan("finished", done=20, steps=20, seed=seed)) for seed in range(3)]
    change_label(made[0], title=HOSTILE[:100], add=["ward 7"])
    return made[::-1]


def tick(page: Page, *rows: int) -> None:
    """Click the boxes in front of these rows of the list of runs."""
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    table: Locator = page.get_by_test_id("stDataFrame")
    expect(table).to_have_count(1)
    for count, row in enumerate(rows, start=1):
        told = page.get_by_text("1 run is ticked" if count == 1 else f"{count} runs are ticked")
        for _ in range(_TRIES):  # a table that has just been painted does not hear clicks yet
            expect(table.locator("canvas").first).to_be_visible()
            table.click(position={"x": 18, "y": _HEADER + _ROW * (row + 0.5)})
            with suppress(TimeoutError):
                told.wait_for(timeout=_HEARD_MILLISECONDS)
                break
        expect(told).to_be_visible()


def nothing_failed(page: Page, watch: Watch) -> None:
    expect(page.get_by_test_id("stException")).to_have_count(0)
    watch.check()


def test_runs_are_ticked_compared_and_deleted(page: Page, server: Server, runs: list[Run], watch: Watch) -> None:
    page.goto(f"{server.url}/runs")
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    tick(page, 0, 2)
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_test_id("stEChartsChart").locator("canvas")).to_have_count(1)
    expect(page).to_have_url(re.compile(f"compare={runs[0].id}(,|%2C){runs[2].id}"))
    page.reload()
    expect(page.get_by_test_id("stEChartsChart").locator("canvas")).to_have_count(1)
    expect(page.locator("img[src*='evil']")).to_have_count(0)

    page.get_by_role("button", name="All runs").click()
    tick(page, 2)
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(runs[2].id)).to_be_visible()
    dialog.get_by_role("button", name="Keep").click()
    expect(dialog).to_have_count(0)
    assert len(list_runs(server.home)) == 3
    page.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Click a run to open it.")).to_be_visible()
    assert [run.id for run in list_runs(server.home)] == [runs[0].id, runs[1].id]
    nothing_failed(page, watch)
