"""Somebody brings a messy file, makes a data set of it without a notebook, and finds it on the Train page."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Page, TimeoutError, expect

from core.data.prepared import find
from core.data.tables import list_tables
from tests.build_reader import save_reader
from tests.e2e.conftest import Server, Watch

TASK_MS = 60_000
MESSY = """Fall;Question;Answer;Ward
1;Which vitamin deficiency causes scurvy?;Vitamin C deficiency – bleeding gums.;A
2;Mr Smith, DOB 03/04/1961, has chest pain on exertion. What is the cause?;Stable angina.;A
3;What is given first in anaphylaxis?;<think>Airway.</think><answer>Adrenaline.</answer>;B
4;Which organism causes Lyme disease?;Borrelia burgdorferi.;B;one cell too many
5;Which vitamin deficiency causes scurvy?;Vitamin C deficiency – bleeding gums.;A
6;What does Ménière’s disease present with?;Vertigo, tinnitus and hearing loss.;C
7;What is the antidote for paracetamol?;Acetylcysteine.;C
8;Which nerve is damaged in wrist drop?;The radial nerve.;C
"""


def shows(page: Page, text: str | re.Pattern[str]) -> None:
    expect(page.get_by_text(text).filter(visible=True).first).to_be_visible(timeout=TASK_MS)


def settled(page: Page) -> None:
    """The page has drawn everything that the last change asked for."""
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible()


def pick(page: Page, box: str, option: str) -> None:
    """Choose from a list; one that opens while the page still scrolls closes again, as a person would notice."""
    for _ in range(5):
        page.get_by_role("combobox", name=box).press("ArrowDown")
        with suppress(TimeoutError):
            page.get_by_role("option", name=option).click(timeout=3_000)
            return
    pytest.fail(f"The list {box!r} does not stay open.")


def test_a_messy_file_becomes_a_data_set_that_can_be_trained_on(
    page: Page, server: Server, watch: Watch, tmp_path: Path
) -> None:
    file = tmp_path / "Station 7.csv"
    file.write_bytes(MESSY.encode("cp1252"))
    _bring(page, server, file)
    _map(page)
    _prompt(page, save_reader(tmp_path / "reader"))
    _mend(page)
    _save(page)
    name = _train(page)
    manifest = find(server.home, name).manifest
    assert [mend.kind for mend in manifest.draft.mends] == ["strip"]
    assert "Ménière’s" in " ".join(find(server.home, name).rows("train").column("question").to_pylist())
    assert manifest.draft.mapping.carried == ("Ward",)
    assert sum(part.rows for part in manifest.parts) == 7
    watch.check()


def _bring(page: Page, server: Server, file: Path) -> None:
    page.goto(f"{server.url}/data")
    page.locator("input[type=file]").set_input_files(file)
    shows(page, re.compile("Line 5"))
    settled(page)
    page.get_by_text("If it is not read rightly").click()
    pick(page, "Text encoding", "Windows-1252")
    settled(page)
    page.get_by_text("Leave out records that cannot be read").click()
    settled(page)
    page.get_by_role("button", name="Use this file").click()
    shows(page, "1 record could not be read and is left out.")
    assert "table=station-7-csv-" in page.url


def _map(page: Page) -> None:
    expect(page.get_by_role("combobox", name="Question column")).to_be_visible()
    shows(page, "Vitamin C deficiency – bleeding gums.")
    settled(page)
    pick(page, "Carried along", "Ward")
    page.keyboard.press("Escape")
    shows(page, "Row 1, as a run will read it")


def _prompt(page: Page, reader: Path) -> None:
    shows(page, re.compile("is not prepared yet"))
    page.get_by_role("radio", name="Local directory").click()
    folder = page.get_by_role("textbox", name="Model folder")
    folder.fill(str(reader))
    folder.press("Enter")
    shows(page, re.compile(r"\d+ tokens"))
    system = page.get_by_role("textbox", name="System prompt")
    system.fill("You are kind. <{reasoning}> <{answer}>")
    system.press("Control+Enter")
    expect(page.locator(".st-key-prompt_pieces").get_by_text("You are kind. <reasoning> <answer>")).to_be_visible()
    limit = page.get_by_role("spinbutton", name="Longest prompt, in tokens")
    limit.fill("2000")
    limit.press("Enter")
    shows(page, "within the limit of 2000")


def _mend(page: Page) -> None:
    page.get_by_role("button", name="Check the rows").click()
    shows(page, "7 rows checked")
    shows(page, "1 row has what looks like a date of birth of a person.")
    expect(page.get_by_test_id("stEChartsChart").locator("canvas")).to_have_count(2)
    card = page.get_by_test_id("stVerticalBlock").filter(
        has=page.get_by_text("1 row has an answer with reasoning"), has_not=page.get_by_text("rows checked")
    )
    card.last.get_by_role("button", name="Show what this changes").click()
    apply = page.get_by_role("button", name="Apply", exact=True)
    expect(apply).to_be_visible(timeout=TASK_MS)
    apply.click()
    shows(page, "Mend applied")
    shows(page, "Only the answer itself is kept in 1 row")


def _save(page: Page) -> None:
    settled(page)
    page.reload()
    shows(page, "Only the answer itself is kept in 1 row")
    page.get_by_role("button", name="Save the data set").click()
    shows(page, "Saved as station-7")


def _train(page: Page) -> str:
    page.get_by_role("button", name="Train on it").click()
    shows(page, "Prepared data set")
    shows(page, re.compile(r"\d rows to train on"))
    expect(page.get_by_test_id("stException")).to_have_count(0)
    return "station-7"


def test_what_was_decided_outlives_the_server(page: Page, server: Server, watch: Watch) -> None:
    table = next(table for table in list_tables(server.home) if table.id.startswith("station-7"))
    server.kill()
    server.start()
    page.goto(f"{server.url}/data?table={table.id}")
    expect(page.get_by_role("textbox", name="System prompt")).to_have_value("You are kind. <{reasoning}> <{answer}>")
    shows(page, "Only the answer itself is kept in 1 row")
    expect(page.get_by_test_id("stException")).to_have_count(0)
    watch.check()
