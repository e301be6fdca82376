"""The Rewards page in a browser: move a weight, rank, fit, save, and train with what was saved."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from core.lab.boards import BUNDLED, bundled_board, list_boards, save_board
from core.lab.measuring import light_board
from core.lab.votes import record_ranking
from core.reward.formula import PRESETS
from core.reward.presets import all_presets, save_preset
from core.reward.scoring import Sample
from tests.e2e.conftest import Server, Watch
from tests.e2e.test_browser import nothing_failed, open_page


def view(page: Page, name: str) -> None:
    page.get_by_role("radio", name=re.compile(name)).first.click()


def cells(page: Page) -> Locator:
    """The answers in their order, from the copy of the table that screen readers are given."""
    return page.get_by_test_id("stDataFrame").first.locator("tbody tr td:nth-child(6)")


def test_a_moved_weight_changes_the_ranking_without_a_new_page(page: Page, server: Server, watch: Watch) -> None:
    open_page(page, server, "/rewards")
    expect(cells(page)).to_have_count(8)
    before = cells(page).all_inner_texts()
    slider = page.get_by_role("slider", name="Similarity").first
    slider.focus()
    slider.press("Home")  # to the lowest weight there is
    expect(page.get_by_text("The last change turned")).to_be_visible()
    expect(cells(page)).not_to_have_text(before)
    expect(page.get_by_text(re.compile("best in .* of 42 groups"))).to_be_visible()
    nothing_failed(page, watch)


def test_another_preset_is_not_given_what_a_closed_popover_held(page: Page, server: Server, watch: Watch) -> None:
    open_page(page, server, "/rewards")
    recommended = page.get_by_text(re.compile("^Valid or not decides")).first
    expect(recommended).to_be_visible()
    share = recommended.inner_text()
    page.get_by_role("radio", name="Notebook").click()
    expect(page.get_by_text("For study, not for use")).to_be_visible()
    page.get_by_role("button", name="More settings").click()
    expect(page.get_by_text("An invalid completion earns")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("An invalid completion earns")).to_be_hidden()
    page.get_by_role("radio", name="Robust").click()
    expect(page.get_by_text("Recommended:")).to_be_visible()
    page.get_by_role("radio", name="Spread of rewards").click()  # the browser tells what all its sliders hold
    expect(page.get_by_text("How rewards are spread")).to_be_visible()
    expect(recommended).to_have_text(share)
    nothing_failed(page, watch)


def rank(page: Page) -> None:
    """Give every answer a place, in the order in which they stand."""
    page.get_by_role("button", name="Best", exact=True).first.click()
    for place in range(2, 9):
        following = page.get_by_role("button", name=f"Place {place}", exact=True)
        expect(following).to_have_count(9 - place)
        following.first.click()
    expect(page.get_by_text("8 of 8 have a place")).to_be_visible()
    page.get_by_role("button", name="Keep this ranking").click()


def rank_two_groups(page: Page, server: Server, rater: str, first: int) -> None:
    """Open the preferences as this rater and rank two groups, from the group with the number `first` on."""
    open_page(page, server, "/rewards")
    view(page, "Preferences")
    name = page.get_by_role("textbox", name="Your name")
    name.fill(rater)
    name.press("Enter")
    page.get_by_role("radio", name="Rank a group").click()
    for number in (first, first + 1):
        expect(page.get_by_text(f"Question {number} of 42")).to_be_visible()
        rank(page)
    expect(page.get_by_text(f"Question {first + 2} of 42")).to_be_visible()
    page.get_by_role("radio", name="Fit weights").click()


def test_two_ranked_groups_are_too_few_for_a_fit_which_says_so(page: Page, server: Server, watch: Watch) -> None:
    rank_two_groups(page, server, "Dr. New", first=1)
    expect(page.get_by_text("Dr. New: 56")).to_be_visible()
    page.get_by_role("button", name="Fit weights").click()
    expect(page.get_by_text("a fit needs")).to_be_visible(timeout=60_000)
    nothing_failed(page, watch)


def test_rankings_become_weights_that_move_the_sliders(page: Page, server: Server, watch: Watch) -> None:
    rank_as_graded(server, "Dr. Ada", groups=20)
    rank_two_groups(page, server, "Dr. Ada", first=21)
    page.get_by_role("button", name="Fit weights").click()
    expect(page.get_by_text("Weights that agree with these votes")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Use these weights").click()
    view(page, "Weights")
    expect(page.get_by_text("The last change turned")).to_be_visible()
    nothing_failed(page, watch)


def rank_as_graded(server: Server, rater: str, groups: int) -> None:
    """Rankings that the rater has given earlier: the first groups in the order of their grades."""
    board = bundled_board()
    for group in range(groups):
        rows = [row for row in range(len(board)) if board.index[row] == group]
        grades = sorted({board.grades[row] for row in rows}, reverse=True)
        places = [[board.keys[row] for row in rows if board.grades[row] == grade] for grade in grades]
        record_ranking(server.home, rater, BUNDLED, board.groups[group], places)


def test_a_saved_preset_can_be_trained_with(page: Page, server: Server, watch: Watch) -> None:
    open_page(page, server, "/rewards")
    slider = page.get_by_role("slider", name="Tags").first
    slider.focus()
    slider.press("Home")
    expect(page.get_by_text("The last change turned")).to_be_visible()
    page.get_by_role("button", name="Save as preset").click()
    name = page.get_by_role("textbox", name="Name", exact=True)
    name.fill("no-tags")
    name.press("Enter")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("radio", name="no-tags")).to_be_checked()
    page.goto(f"{server.url}/train?run=new")
    page.get_by_role("radio", name="no-tags").click()
    expect(page.get_by_text("−1 × tags").or_(page.get_by_text("-1 × tags")).first).to_be_visible()
    nothing_failed(page, watch)


def test_a_preset_of_ones_own_is_deleted_after_a_question(page: Page, server: Server, watch: Watch) -> None:
    save_preset(server.home, "ward-three", PRESETS["robust"])
    open_page(page, server, "/rewards")
    page.get_by_role("radio", name="ward-three").click()
    page.get_by_role("button", name="Save as preset").click()
    page.get_by_role("button", name=re.compile("^Delete ward")).click()
    expect(page.get_by_text("Runs that were started with it keep their reward.")).to_be_visible()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("radio", name="ward-three")).to_have_count(0)
    expect(page.get_by_role("radio", name="Robust")).to_be_checked()
    assert "ward-three" not in all_presets(server.home)
    nothing_failed(page, watch)


def test_the_answer_that_was_clicked_is_read_on_when_a_weight_moves_it(
    page: Page, server: Server, watch: Watch
) -> None:
    open_page(page, server, "/rewards")
    table = page.get_by_test_id("stDataFrame").first
    expect(cells(page)).to_have_count(8)
    table.click(position={"x": 300, "y": 38 + 61 * 2 + 30})  # the third line
    third = page.get_by_text(re.compile("^Rank 3 of 8"))
    expect(third).to_be_visible()
    read = page.get_by_text("Reasoning", exact=True).first.locator("xpath=../..").inner_text()
    slider = page.get_by_role("slider", name="Similarity").first
    slider.focus()
    slider.press("Home")
    expect(page.get_by_text("The last change turned")).to_be_visible()
    expect(page.get_by_text(re.compile(r"^Rank [124-8] of 8"))).to_be_visible()
    assert page.get_by_text("Reasoning", exact=True).first.locator("xpath=../..").inner_text() == read
    nothing_failed(page, watch)


def test_completions_of_ones_own_are_deleted_after_a_question(page: Page, server: Server, watch: Watch) -> None:
    save_board(server.home, "mine", light_board("Mine", [Sample("q", "a", text, "g") for text in ("one", "two")]))
    open_page(page, server, "/rewards")
    page.get_by_role("combobox").first.click()
    page.get_by_role("option", name="Mine: 1 group, 2 completions").click()
    page.get_by_role("button", name="Add answers").click()
    page.get_by_role("button", name="Delete the open ones").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("Sample text written for GRPO Studio")).to_be_visible()
    assert not list_boards(server.home)
    nothing_failed(page, watch)


def test_the_page_fits_its_window_and_every_view_draws(page: Page, server: Server, watch: Watch) -> None:
    open_page(page, server, "/rewards")
    for name, shown in (
        ("Weight map", "Highest on the map"),
        ("Preferences", "Every choice is kept at once"),
        ("Stress test", "Each trick turns a good answer"),
        ("Custom rewards", "Start from an example"),
        ("Weights", "Which answer would be rewarded"),
    ):
        view(page, name)
        expect(page.get_by_text(shown).first).to_be_visible()
        main = page.get_by_test_id("stMain")
        assert main.evaluate("part => part.scrollWidth <= part.clientWidth"), f"{name} scrolls sideways"
    nothing_failed(page, watch)
