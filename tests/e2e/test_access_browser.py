"""Several people behind a sign-in service, in a browser: what each is shown, offered and refused."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import pytest
from playwright.sync_api import Page, expect
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from core.access.audit import read_log, verify
from core.export.store import Export
from core.runs.run import Run, list_runs
from tests.build_export import exportable_run, made_up_export
from tests.build_proxy import signed_in
from tests.build_runs import Plan, build_run
from tests.e2e.conftest import Server, Watch, signed_in_server
from tests.e2e.test_runs_browser import tick

HOSTILE_NAME = "cleo **[x](http://evil)**"


@dataclass(frozen=True)
class People:
    """Where the studio is asked by an admin, an editor and a viewer."""

    ada: str
    ben: str
    cleo: str


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A studio that takes the word of a sign-in service."""
    with signed_in_server(tmp_path_factory.mktemp("shared"), "ada", 'editors = ["ben"]\n') as found:
        yield found


@pytest.fixture(scope="module")
def people(shared: Server) -> Iterator[People]:
    with signed_in(int(shared.url.rpartition(":")[2]), "ada", "ben", HOSTILE_NAME) as addresses:
        yield People(*addresses)


@pytest.fixture(scope="module")
def run(shared: Server) -> Run:
    return build_run(shared.home, Plan("finished", done=20, steps=20))


@pytest.fixture(scope="module")
def export(shared: Server, tmp_path_factory: pytest.TempPathFactory) -> Export:
    return made_up_export(shared.home, exportable_run(shared.home, tmp_path_factory.mktemp("base") / "base"))


def nothing_failed(page: Page, watch: Watch) -> None:
    expect(page.get_by_test_id("stException")).to_have_count(0)
    watch.check()


def test_a_viewer_looks_but_is_offered_nothing_else(page: Page, people: People, run: Run, watch: Watch) -> None:
    page.goto(f"{people.cleo}/runs")
    tick(page, 0)
    expect(page.get_by_role("button", name="Delete")).to_be_disabled()
    expect(page.get_by_role("button", name="Title and tags")).to_be_disabled()
    expect(page.get_by_role("link", name="Administration")).to_have_count(0)
    expect(page.get_by_role("link", name="(viewer)")).to_contain_text("cleo **[x]")
    expect(page.locator("a[href*='evil']")).to_have_count(0)
    page.goto(f"{people.cleo}/train")
    expect(page.get_by_text("Only somebody with the role editor or admin may start")).to_be_visible()
    expect(page.get_by_role("button", name="Start training")).to_have_count(0)
    page.goto(f"{people.cleo}/data")
    expect(page.get_by_text("Only somebody with the role editor or admin may import and prepare data")).to_be_visible()
    page.goto(f"{people.cleo}/admin")
    expect(page.get_by_text("People and roles")).to_have_count(0)
    nothing_failed(page, watch)


def test_an_editor_works_but_deletes_nothing(page: Page, people: People, run: Run, watch: Watch) -> None:
    page.goto(f"{people.ben}/runs")
    tick(page, 0)
    expect(page.get_by_role("button", name="Title and tags")).to_be_enabled()
    expect(page.get_by_role("button", name="Delete")).to_be_disabled()
    page.get_by_role("link", name="ben (editor)").click()
    page.get_by_text("Everything you may and may not do").click()
    expect(page.get_by_text("delete a run (needs admin)")).to_be_visible()
    nothing_failed(page, watch)


def test_an_admin_gives_a_role_that_holds_at_the_next_look(
    page: Page, people: People, shared: Server, run: Run, watch: Watch
) -> None:
    page.goto(f"{people.ada}/runs")
    page.get_by_role("link", name="Administration").click()
    page.get_by_role("textbox", name="Name or e-mail address").fill("ben")
    page.get_by_role("combobox", name="Role").first.click()
    page.get_by_role("option", name="Admin: also deletes").click()
    page.get_by_role("button", name="Give").click()
    expect(page.get_by_role("textbox", name="Name or e-mail address")).to_have_value("")
    page.get_by_role("tab", name="Audit log").click()
    page.get_by_role("button", name="Verify the log").click()
    expect(page.get_by_text("records are as they were written")).to_be_visible()
    page.goto(f"{people.ben}/runs")
    expect(page.get_by_role("link", name="ben (admin)")).to_be_visible()
    tick(page, 0)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Click a run to open it.").or_(page.get_by_text("no runs"))).to_be_visible()
    assert run.id not in [one.id for one in list_runs(shared.home)]
    done = [(one.actor, one.action, one.subject) for one in read_log(shared.home)]
    assert done[:1] == [("ada", "access.change", "ben")]
    assert ("ben", "run.delete", run.id) in done
    assert verify(shared.home).whole
    nothing_failed(page, watch)


def test_past_the_sign_in_service_there_is_nothing_to_see(page: Page, shared: Server, watch: Watch) -> None:
    page.goto(f"{shared.url}/runs")
    expect(page.get_by_text("does not say who you are")).to_be_visible()
    expect(page.get_by_role("heading", name="Runs")).to_have_count(0)
    nothing_failed(page, watch)


def test_an_address_of_a_download_is_of_no_use_to_others(
    page: Page, people: People, shared: Server, export: Export, watch: Watch
) -> None:
    page.goto(f"{people.ada}/export?view=files&export={export.id}")
    link = page.get_by_role("link", name="Everything as a zip")
    signed = link.get_attribute("href") or ""
    path = signed[signed.index("/downloads/") :]
    with urllib.request.urlopen(f"{people.ada}{path}", timeout=20) as answer:
        assert answer.status == 200
    for other in (people.cleo, shared.url):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{other}{path}", timeout=20)
        assert refused.value.code == 403
    assert ("ada", "file.download") in [(one.actor, one.action) for one in read_log(shared.home)]
    nothing_failed(page, watch)


def session_at(address: str, taken_up: str = "") -> str:
    """The id of the session of a tab at this address, which asks to take up another."""
    asked = [Subprotocol(text) for text in ("streamlit", "none", taken_up) if text]
    with connect(f"{address.replace('http', 'ws', 1)}/_stcore/stream", subprotocols=asked) as tab:
        tab.send(BackMsg(rerun_script=ClientState(page_name="account")).SerializeToString())
        while True:
            message = ForwardMsg.FromString(cast(bytes, tab.recv(timeout=20)))
            if message.HasField("new_session"):
                return message.new_session.initialize.session_id


def test_a_session_that_broke_off_is_taken_up_by_nobody_else(people: People) -> None:
    own = session_at(people.ada)
    assert session_at(people.ben, own) != own
    assert session_at(people.ada, own) == own
