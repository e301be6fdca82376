"""The report of an evaluation in a real browser: it draws its figures, loads nothing, and runs nothing hostile."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.evaluate.report import REPORT, write_report
from core.paths import Home
from tests.build_report import DATE, counted_evaluation, hostile_evaluation


class Complaints:
    """What a browser says of a page that it should not have to."""

    def __init__(self, page: Page, report: Path) -> None:
        self.said: list[str] = []
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("console", lambda message: self.said.append(message.text) if message.type == "error" else None)
        page.on("dialog", lambda dialog: self.said.append(dialog.message))
        page.on("request", lambda request: self.said.append(request.url) if request.url != report.as_uri() else None)


@pytest.fixture(params=[counted_evaluation, hostile_evaluation])
def report(request: pytest.FixtureRequest, home: Home) -> Path:
    return write_report(home, request.param(home), DATE) / REPORT


def test_the_report_opens_offline_and_draws_every_figure(page: Page, report: Path) -> None:
    complaints = Complaints(page, report)
    page.context.set_offline(True)
    page.goto(report.as_uri())
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(page.locator(".plot.js-plotly-plot")).to_have_count(page.locator(".plot").count())
    assert page.locator(".plot").count() > 3
    assert page.title() != "owned"
    assert not complaints.said


def test_figures_are_drawn_when_they_come_into_view(page: Page, report: Path) -> None:
    page.goto(report.as_uri())
    page.locator(".plot").last.scroll_into_view_if_needed()
    expect(page.locator(".plot").last.locator("svg").first).to_be_visible()


def test_an_answer_opens_with_its_verdicts(page: Page, report: Path) -> None:
    page.goto(report.as_uri())
    page.locator("summary").first.click()
    expect(page.locator("details").first.get_by_text("Medical accuracy").first).to_be_visible()
    page.get_by_role("button", name="Open all").click()
    assert page.locator("details[open]").count() == page.locator("details").count()


def test_a_cell_of_the_map_leads_to_its_question(page: Page, report: Path) -> None:
    page.goto(report.as_uri())
    plot = page.locator("#figure-heat")
    plot.scroll_into_view_if_needed()
    expect(plot.locator(".scatterlayer .point").first).to_be_attached()
    assert page.locator("details[open]").count() == 0
    plot.locator(".scatterlayer .point").nth(2).scroll_into_view_if_needed()
    cell = plot.locator(".scatterlayer .point").nth(2).bounding_box()
    row = page.evaluate("document.getElementById('figure-heat').data[1].customdata[2][0]")
    assert cell is not None
    page.mouse.move(cell["x"] + cell["width"] / 2, cell["y"] + cell["height"] / 2)
    expect(plot.locator(".hoverlayer .hovertext")).to_be_visible()
    page.mouse.click(cell["x"] + cell["width"] / 2, cell["y"] + cell["height"] / 2)
    expect(page.locator(f"#question-{row + 1}")).to_have_attribute("open", "")
    expect(page.locator(f"#question-{row + 1} .said").first).to_be_in_viewport()


def test_nothing_is_wider_than_a_phone(page: Page, report: Path) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(report.as_uri())
    page.get_by_role("button", name="Open all").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_it_prints_with_every_figure(page: Page, report: Path) -> None:
    page.goto(report.as_uri())
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    assert page.locator(".plot.js-plotly-plot").count() == page.locator(".plot").count()
