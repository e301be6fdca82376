"""What only a browser shows: pages that draw, a curve that grows by itself, a dialog, a reload, hostile text."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.runs.run import Run
from tests.build_runs import HOSTILE, Plan, add_step, build_run
from tests.e2e.conftest import Server, Watch


@pytest.fixture(scope="module")
def runs(server: Server) -> list[Run]:
    """A run that was interrupted, one that finished with hostile text, and one that is live."""
    return [
        build_run(server.home, Plan("interrupted", done=23)),
        build_run(server.home, Plan("finished", bad=HOSTILE, question=HOSTILE)),
        build_run(server.home, Plan("running", done=4)),
    ]


def open_page(page: Page, server: Server, path: str) -> None:
    page.goto(server.url + path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def curves_are_drawn(page: Page) -> None:
    expect(page.get_by_test_id("stEChartsChart").locator("canvas")).to_have_count(6)


def nothing_failed(page: Page, watch: Watch) -> None:
    expect(page.get_by_test_id("stException")).to_have_count(0)
    watch.check()


@pytest.mark.usefixtures("runs")
def test_the_overview_lists_runs_and_opens_the_one_that_is_clicked(page: Page, server: Server, watch: Watch) -> None:
    open_page(page, server, "/")
    table = page.get_by_test_id("stDataFrame")
    expect(table).to_be_visible()
    expect(table.locator("canvas").first).to_be_visible()
    box = table.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 250, box["y"] + 52)
    expect(page.get_by_role("heading", name="Train")).to_be_visible()
    assert "run=demo-" in page.url
    nothing_failed(page, watch)


def test_a_finished_run_draws_its_curves_and_hostile_text_stays_text(
    page: Page, server: Server, runs: list[Run], watch: Watch
) -> None:
    open_page(page, server, f"/train?run={runs[1].id}")
    curves_are_drawn(page)
    page.get_by_role("tab", name="Held-out questions").click()
    expect(page.get_by_text("![pixel](http://evil.example/p.png)").filter(visible=True).first).to_be_visible()
    expect(page.locator("img[src*='evil']")).to_have_count(0)
    nothing_failed(page, watch)


def test_a_live_run_moves_by_itself_and_is_still_there_after_a_reload(
    page: Page, server: Server, runs: list[Run], watch: Watch
) -> None:
    open_page(page, server, "/train")
    expect(page.get_by_text("Step 4 of 36")).to_be_visible()
    add_step(runs[2], 5)
    expect(page.get_by_text("Step 5 of 36")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Step 5 of 36")).to_be_visible()
    curves_are_drawn(page)
    nothing_failed(page, watch)


def test_stop_asks_first_and_then_asks_the_job(page: Page, server: Server, runs: list[Run], watch: Watch) -> None:
    open_page(page, server, f"/train?run={runs[2].id}")
    curves_are_drawn(page)
    page.get_by_test_id("stMain").get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("button", name="Keep running").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert not runs[2].stop_request.exists()
    page.get_by_test_id("stMain").get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("button", name="Stop and save").click()
    expect(page.get_by_text("Stopping").first).to_be_visible()
    assert runs[2].stop_request.exists()
    nothing_failed(page, watch)


def test_the_form_keeps_a_bad_file_from_starting(page: Page, server: Server, watch: Watch, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"question": "a", "answer": "b"}\nnot json\n')
    open_page(page, server, "/train?run=new")
    page.get_by_role("radio", name="Upload").click()
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text("Line 2: it is not valid JSON")).to_be_visible()
    expect(page.get_by_role("button", name="Start training")).to_be_disabled()
    nothing_failed(page, watch)


def test_addresses_and_operators_from_a_file_are_shown_as_written(
    page: Page, server: Server, watch: Watch, tmp_path: Path
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("www.evil.example http://evil.example a@evil.example,:material/check: >= -- b\na,b\n")
    open_page(page, server, "/train?run=new")
    page.get_by_role("radio", name="Upload").click()
    page.locator("input[type=file]").set_input_files(file)
    alert = page.get_by_test_id("stAlert").filter(has_text="has no column")
    expect(alert).to_be_visible()
    shown = alert.inner_text().replace("\u2060", "")
    assert "www.evil.example http://evil.example a@evil.example" in shown
    assert ":material/check: >= -- b" in shown
    expect(alert.get_by_role("link")).to_have_count(0)
    nothing_failed(page, watch)
