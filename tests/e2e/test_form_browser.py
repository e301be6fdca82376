"""What was typed into the form for a new run and into the question about weights, in a real browser."""

from __future__ import annotations

from contextlib import suppress

from playwright.sync_api import Page, TimeoutError, expect

from tests.build_runs import Plan, build_run
from tests.e2e.conftest import Server, Watch


def open_advanced(page: Page) -> None:
    page.get_by_text("Settings", exact=True).click()
    page.get_by_role("tab", name="Advanced").click()


def test_further_fields_that_were_typed_outlast_a_visit_to_another_page(
    page: Page, server: Server, watch: Watch
) -> None:
    page.goto(f"{server.url}/train?run=new")
    open_advanced(page)
    table = page.get_by_test_id("stDataFrame").locator("visible=true").first
    table.scroll_into_view_if_needed()
    for column, opened, typed in ((60, "input", "delta"), (400, "textarea", "4")):
        editor = page.locator(f"#portal {opened}").first
        for _ in range(10):  # a table that is just being drawn anew takes no key
            table.click(position={"x": column, "y": 52})
            page.keyboard.press("Enter")
            with suppress(TimeoutError):
                editor.wait_for(timeout=3000)
                break
        editor.fill(typed)
        page.keyboard.press("Enter")
    said = page.get_by_text("delta: ")
    expect(said).to_be_visible()
    page.get_by_role("link", name="Rewards").click()
    expect(page.get_by_role("heading", name="Rewards", exact=True)).to_be_visible()
    page.get_by_role("link", name="Train").click()
    open_advanced(page)
    expect(said).to_be_visible()
    watch.check()


def test_a_weight_that_was_typed_and_not_applied_is_forgotten(page: Page, server: Server, watch: Watch) -> None:
    live = build_run(server.home, Plan("running", done=13))
    page.goto(f"{server.url}/train?run={live.id}")
    page.get_by_role("button", name="Weights", exact=True).click()
    dialog = page.get_by_role("dialog")
    field = dialog.get_by_label("Tags", exact=True)
    present = field.input_value()
    field.fill("0.6")
    field.press("Tab")
    expect(field).to_have_value("0.60")
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)
    page.get_by_role("button", name="Weights", exact=True).click()
    expect(field).to_have_value(present)
    watch.check()
