"""What people of each role are shown and offered, by the app's own test driver."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import streamlit as st
from streamlit.runtime.context import StreamlitHeaders
from streamlit.testing.v1 import AppTest

from core.access.actors import Actor, Role, acting_as, identify_with
from core.access.policy import ADMINS_VARIABLE, policy_file, read_policy
from core.errors import AccessDenied
from core.paths import PROJECT, Home
from studio import access, identity
from studio.identity import IDENTITY, USER_HEADER
from studio.uploads import store_upload
from tests.build_runs import HOSTILE

ADMIN, DATA, ACCOUNT, REWARDS, TRAIN = (
    str(PROJECT / "pages" / f"{name}.py") for name in ("admin", "data", "account", "rewards", "train")
)

OpenAs = Callable[[str, str], AppTest]


@pytest.fixture
def open_as(overview: Callable[[], AppTest], home: Home, monkeypatch: pytest.MonkeyPatch) -> OpenAs:
    """Opens a page for somebody whom a proxy names; Ada is an admin, Ben an editor."""
    policy_file(home).write_text('editors = ["ben"]\n')
    monkeypatch.setenv(IDENTITY, "proxy")
    monkeypatch.setenv(ADMINS_VARIABLE, "ada")

    def open_page(page: str, name: str) -> AppTest:
        monkeypatch.setattr(type(st.context), "headers", StreamlitHeaders([(USER_HEADER, name)]))
        at = overview()
        at.switch_page(page)
        at.run()
        assert not at.exception
        return at

    return open_page


def said(at: AppTest) -> str:
    return " ".join(element.value for kind in (at.info, at.error, at.warning, at.caption) for element in kind)


def test_a_viewer_is_shown_the_prepared_data_and_no_form(open_as: OpenAs) -> None:
    at = open_as(DATA, "cleo")
    assert "may import and prepare data" in said(at)
    assert [header.value for header in at.subheader] == ["Prepared data sets"]
    assert not at.button


def test_a_viewer_finds_no_form_that_reads_files_of_the_machine(open_as: OpenAs) -> None:
    at = open_as(TRAIN, "cleo")
    assert "may start, resume or queue a training run" in said(at)
    assert not at.text_input


def test_a_viewer_uploads_nothing(home: Home) -> None:
    with acting_as(Actor("cleo", "viewer", "proxy")), pytest.raises(AccessDenied):
        store_upload(home, "rows.csv", b"a,b")
    assert not list(home.data.iterdir())


def test_an_editor_prepares_data(open_as: OpenAs) -> None:
    assert "may import and prepare data" not in said(open_as(DATA, "ben"))


@pytest.mark.parametrize("name", ["ben", "cleo"])
def test_the_page_for_administrators_opens_for_nobody_else(
    overview: Callable[[], AppTest], open_as: OpenAs, name: str
) -> None:
    at = open_as(ACCOUNT, name)
    with pytest.raises(ValueError, match="admin"):
        at.switch_page(ADMIN).run()


def test_an_admin_gives_and_takes_roles(open_as: OpenAs, home: Home) -> None:
    at = open_as(ADMIN, "ada")
    at.text_input(key="admin.name").set_value("cleo")
    at.selectbox(key="admin.role").set_value("editor")
    at.button(key="admin.give").click().run()
    assert read_policy(home).editors == ("ben", "cleo")
    at.selectbox(key="admin.leaving").set_value("ben")
    at.button(key="admin.take").click().run()
    assert not at.exception
    assert read_policy(home).editors == ("cleo",)


def test_a_broken_list_of_roles_is_said_on_every_page(open_as: OpenAs, home: Home) -> None:
    policy_file(home).write_text("editors = [")
    at = open_as(DATA, "ben")
    assert "nobody is more than viewer" in said(at)
    assert "may import and prepare data" in said(at)


@pytest.mark.parametrize(("address", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_an_admin_is_told_when_everybody_could_be_anybody(
    open_as: OpenAs, monkeypatch: pytest.MonkeyPatch, address: str, warned: bool
) -> None:
    monkeypatch.setattr(identity, "listens_here_only", lambda: address == "127.0.0.1")
    assert ("believes the header from everybody" in said(open_as(ADMIN, "ada"))) is warned


def test_who_is_signed_in_is_shown_as_text(open_as: OpenAs) -> None:
    at = open_as(ACCOUNT, HOSTILE[:60].strip())
    assert HOSTILE[:60].strip() in [text.value for text in at.text]
    assert "start, resume or queue a training run (needs editor)" in " ".join(one.value for one in at.markdown)


def test_preferences_are_those_of_who_signed_in(open_as: OpenAs) -> None:
    at = open_as(REWARDS, "ben")
    at.segmented_control(key="lab.view").set_value("preferences").run()
    assert "ben" in [text.value for text in at.text]
    assert "lab.rater" not in [field.key for field in at.text_input]


def downloads() -> None:
    from studio import access

    access.download_button("Take it", lambda: b"scores", key="take", file_name="scores.csv", help="A table.")


@pytest.mark.parametrize(
    ("role", "disabled", "note"), [("viewer", True, "download files"), ("editor", False, "A table.")]
)
def test_a_download_is_dimmed_for_viewers_with_the_reason(role: Role, disabled: bool, note: str) -> None:
    identify_with(lambda: Actor("cleo", role, "proxy"))
    (button,) = AppTest.from_function(downloads).run().get("download_button")
    assert button.proto.disabled is disabled
    assert note in button.proto.help


def test_a_file_is_made_only_for_those_who_may_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(st, "download_button", lambda _, made, **__: made())
    with acting_as(Actor("ben", "editor", "proxy")):
        assert access.download_button("Take it", lambda: b"scores", key="take") == b"scores"
    with acting_as(Actor("cleo", "viewer", "proxy")), pytest.raises(AccessDenied):
        access.download_button("Take it", lambda: b"scores", key="take")
