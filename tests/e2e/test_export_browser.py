"""The Export page in a browser: from the button to a file that llama.cpp loads; drift; a token that stays unseen."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.export.store import Export, list_exports
from core.runs.run import Run
from tests.build_export import exportable_run, made_up_export, tiny_run
from tests.build_export_page import drifted
from tests.build_runs import HOSTILE
from tests.e2e.conftest import Server, Watch

_MAKING_MILLISECONDS = 180_000
_LOAD_SECONDS = 120
LOAD = """
import json, os, sys
import xllamacpp

parameters = xllamacpp.CommonParams()
parameters.model.path = sys.argv[1]
parameters.n_ctx = 64
parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(parameters)
asked = {"prompt": "Fever", "n_predict": 4, "temperature": 0, "ignore_eos": True}
with open(sys.argv[2], "w") as file:
    json.dump(server.handle_completions(asked), file)
os._exit(0)
"""


@pytest.fixture(scope="module")
def tiny(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return tiny_run(server.home, tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def made_up(server: Server, tiny: Run, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """An export with hostile words in its title, one form of which has drifted."""
    run = exportable_run(server.home, tmp_path_factory.mktemp("base") / "base")
    export = made_up_export(server.home, run, ("merged", "gguf_f16"), title=HOSTILE[:120])
    export.keep_parity(drifted(("merged", "gguf_f16")))
    return export


def nothing_failed(page: Page, watch: Watch) -> None:
    expect(page.get_by_test_id("stException")).to_have_count(0)
    watch.check()


def downloaded(page: Page, label: str, number: int, target: Path) -> Path:
    """The file that a click on one of the buttons with this label downloads."""
    with page.expect_download() as waiting:
        page.get_by_role("link", name=label).nth(number).click()
    waiting.value.save_as(target / waiting.value.suggested_filename)
    return target / waiting.value.suggested_filename


def test_a_model_is_exported_downloaded_and_loaded_by_llama_cpp(
    page: Page, server: Server, tiny: Run, watch: Watch, tmp_path: Path
) -> None:
    page.goto(f"{server.url}/export?run={tiny.id}")
    expect(page.get_by_role("button", name="Start")).to_be_enabled()
    page.get_by_role("spinbutton", name="Questions").fill("2")
    page.get_by_role("spinbutton", name="Questions").press("Enter")
    page.get_by_role("button", name="Start").click()
    expect(page).to_have_url(re.compile("export=export-"))
    expect(page.get_by_role("link", name="Everything as a zip")).to_be_visible(timeout=_MAKING_MILLISECONDS)
    (export,) = list_exports(server.home, tiny.id)
    assert export.made == ("adapter", "gguf_q8_0") and export.uncompared == ()

    page.goto(f"{server.url}/export?export={export.id}&view=answers")
    expect(page.get_by_text("Answers side by side")).to_be_visible()
    report = export.parity()
    assert report is not None and len(report.questions) == 2
    page.goto(f"{server.url}/export?export={export.id}")
    file = downloaded(page, "Download (", 0, tmp_path)
    (entry,) = export.manifest().under(f"gguf/{file.name}")
    assert hashlib.sha256(file.read_bytes()).hexdigest() == entry.sha256
    subprocess.run(
        [sys.executable, "-c", LOAD, str(file), str(tmp_path / "told.json")],
        env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"},
        check=True,
        capture_output=True,
        timeout=_LOAD_SECONDS,
    )
    assert json.loads((tmp_path / "told.json").read_text())["usage"]["completion_tokens"] == 4

    with zipfile.ZipFile(downloaded(page, "Everything as a zip", 0, tmp_path)) as archive:
        hashes = {name.partition("/")[2]: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}
        assert hashes.pop("SHA256SUMS")
    assert hashes == {entry.path: entry.sha256 for entry in export.manifest().files}
    nothing_failed(page, watch)


def test_drift_is_shown_and_blocks_publishing_until_it_is_acknowledged(
    page: Page, server: Server, made_up: Export, watch: Watch
) -> None:
    made_up.keep_parity(drifted(made_up.made))
    page.goto(f"{server.url}/export?export={made_up.id}&view=publish")
    expect(page.get_by_text("answers differently from the adapter it was made of")).to_be_visible()
    expect(page.get_by_role("textbox", name="Repository")).to_have_count(0)
    page.get_by_role("button", name="Read the comparison").click()
    expect(page.get_by_text("GGUF f16 It reads 2 of 2 questions as other tokens")).to_be_visible()
    page.get_by_role("button", name="I know of this, allow publishing").click()
    expect(page.get_by_text("You have acknowledged that")).to_be_visible()
    assert made_up.acknowledged
    expect(page.locator("img[src*='evil']")).to_have_count(0)
    nothing_failed(page, watch)


def test_a_token_that_is_typed_is_not_shown_and_not_remembered(
    page: Page, server: Server, made_up: Export, watch: Watch
) -> None:
    made_up.acknowledge()
    page.goto(f"{server.url}/export?export={made_up.id}&view=publish")
    token = page.get_by_label("Token", exact=True)
    expect(token).to_have_attribute("type", "password")
    token.fill("hf_notarealtoken1234")
    token.press("Enter")
    page.reload()
    expect(page.get_by_label("Token", exact=True)).to_have_value("")
    assert not [
        file for file in server.home.root.rglob("*") if file.is_file() and b"hf_notarealtoken1234" in file.read_bytes()
    ]
    nothing_failed(page, watch)
