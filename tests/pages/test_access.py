"""What people of each role are shown and offered, by the app's own test driver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import streamlit as st
from streamlit.runtime.context import StreamlitHeaders
from streamlit.testing.v1 import AppTest

from core.access import late_records
from core.access.actors import Actor, Role, acting_as, identify_with
from core.access.audit import log_file, read_log, record
from core.access.audit_record import made_now
from core.access.policy import ADMINS_VARIABLE, Policy, policy_file, read_policy
from core.access.starters import remember_starter
from core.access.ways import IDENTITY
from core.compare import asking
from core.compare.asking import Asked, find_asked
from core.compare.comparison import list_comparisons
from core.errors import AccessDenied
from core.paths import PROJECT, Home
from studio import access, admin_people, identity
from studio.identity import USER_HEADER
from studio.uploads import store_upload
from tests.build_compare_page import answered, compare_page, sent
from tests.build_runs import HOSTILE

ADMIN, DATA, ACCOUNT, REWARDS, TRAIN, COMPARE = (
    str(PROJECT / "pages" / f"{name}.py") for name in ("admin", "data", "account", "rewards", "train", "compare")
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

    access.download_button(
        "Take it", lambda: b"scores", subject="it", key="take", file_name="scores.csv", help="A table."
    )


@pytest.mark.parametrize(
    ("role", "disabled", "note"), [("viewer", True, "download files"), ("editor", False, "A table.")]
)
def test_a_download_is_dimmed_for_viewers_with_the_reason(role: Role, disabled: bool, note: str) -> None:
    identify_with(lambda: Actor("cleo", role, "proxy"))
    (button,) = AppTest.from_function(downloads).run().get("download_button")
    assert button.proto.disabled is disabled
    assert note in button.proto.help


@pytest.mark.parametrize("late", [False, True])
def test_an_admin_is_told_of_records_that_could_not_be_written(open_as: OpenAs, home: Home, late: bool) -> None:
    if late:
        late_records.keep(log_file(home).parent, made_now(Actor("ben", "editor", "proxy"), "run.label", "run-1", {}))
    assert ("could not be written into the log" in said(open_as(ADMIN, "ada"))) is late


def taken(**options: Any) -> Any:
    """What a click on a button hands out."""
    return access.download_button(
        "Take it", lambda: b"scores", subject="compare-1", key="take", file_name="answers.csv", **options
    )


@pytest.fixture
def handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A download button is clicked at once, and returns what it hands out."""
    monkeypatch.setattr(st, "download_button", lambda _, made, **__: made())


@pytest.mark.usefixtures("handed_out")
def test_a_file_is_made_only_for_those_who_may_have_it() -> None:
    with acting_as(Actor("ben", "editor", "proxy")):
        assert taken() == b"scores"
        with pytest.raises(AccessDenied, match="audit log"):
            taken(action="audit.read")
    with acting_as(Actor("cleo", "viewer", "proxy")), pytest.raises(AccessDenied):
        taken()


@pytest.mark.usefixtures("handed_out")
def test_a_download_is_in_the_audit_log_and_one_that_is_only_offered_is_not(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with acting_as(Actor("ben", "editor", "proxy")):
        taken()
        monkeypatch.setattr(st, "download_button", lambda *_, **__: False)
        taken()
    (entry,) = read_log(home)
    assert (entry.actor, entry.action, entry.subject) == ("ben", "file.download", "compare-1")
    assert entry.details == {"file": "answers.csv"}


def test_single_actions_are_told_in_a_fold(open_as: OpenAs) -> None:
    at = open_as(ACCOUNT, "cleo")
    assert [one.label for one in at.expander] == ["Everything you may and may not do"]
    assert at.expander[0].markdown


@pytest.mark.parametrize(
    ("questions", "address", "buttons"),
    [
        (["Why?"], {}, {"compare.ask.own", "compare.again", "compare.reseed"}),
        (["Why?", "How?"], {"view": "batch"}, {"compare.batch.resume"}),
    ],
    ids=["a question", "a batch"],
)
def test_a_viewer_reads_an_editors_comparison_and_cannot_have_its_models_asked(
    open_as: OpenAs, home: Home, questions: list[str], address: dict[str, str], buttons: set[str]
) -> None:
    with acting_as(Actor("ben", "editor", "proxy")):
        comparison = answered(home, questions, missing=1)
    before = comparison.answers()
    for name, dimmed in (("cleo", buttons), ("ben", set())):
        at = compare_page(open_as(COMPARE, name), **address, comparison=comparison.id, batch=comparison.id)
        shown = sent(at) + "".join(frame.value.to_csv() for frame in at.dataframe)
        assert "Warfarin is a medicine" in shown
        assert {one.key for one in at.button if one.disabled} & buttons == dimmed
        assert {one.key for one in at.button} >= buttons
    assert comparison.answers() == before
    assert list_comparisons(home) == [comparison]
    assert find_asked(comparison.id) is None and not list(home.tasks.iterdir())


def test_stop_is_offered_to_who_has_asked_whoever_made_the_comparison(
    open_as: OpenAs, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with acting_as(Actor("ben", "editor", "proxy")):
        comparison = answered(home, ["Why?"], missing=1)
    with acting_as(Actor("cleo", "viewer", "proxy")):  # who was an editor when she made it
        remember_starter(comparison.folder)
    with acting_as(Actor("carl", "viewer", "proxy")):
        monkeypatch.setitem(asking._registry, comparison.id, Asked(home, comparison))
    monkeypatch.setattr(Asked, "live", property(lambda _: True))
    for name, dimmed in (("carl", False), ("cleo", True), ("ben", False)):
        at = compare_page(open_as(COMPARE, name), comparison=comparison.id)
        assert at.button(key="compare.stop").disabled is dimmed


def test_a_viewer_adds_no_model_of_their_own(open_as: OpenAs) -> None:
    assert not any((one.key or "").startswith("compare.add") for one in open_as(COMPARE, "cleo").button)
    assert any(one.key == "compare.add.yes" for one in open_as(COMPARE, "ben").button)


def test_a_viewers_address_with_models_of_their_own_is_refused_in_one_sentence(open_as: OpenAs) -> None:
    at = open_as(COMPARE, "cleo")
    at.query_params["with"] = ["model:/etc", "model:/nowhere", "gguf:/etc/passwd", "model:org/huge"]
    at.run()
    assert not at.exception
    refused = [error.value for error in at.error if "has not trained" in error.value]
    assert len(refused) == 1
    assert "/etc" not in refused[0]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("", {"whoever sits at this machine": "admin", "everybody else": "viewer"}),
        ("local", {"whoever sits at this machine": "admin"}),
        ("proxy", {"everybody else": "viewer"}),
    ],
)
def test_those_whom_nothing_names_are_told_as_they_are_treated(
    said: str, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(IDENTITY, said)
    monkeypatch.delenv(ADMINS_VARIABLE, raising=False)
    rows = admin_people.rows(Policy())
    assert {row["Name"]: row["Role"] for row in rows} == expected


def test_the_log_is_told_in_words(open_as: OpenAs, home: Home) -> None:
    with acting_as(Actor("ben", "editor", "proxy")):
        record(home, "run.label", "run-1")
        record(home, "something.else", "run-1")
    shown = next(one.value for one in open_as(ADMIN, "ada").dataframe if "Known by" in one.value)
    assert set(shown["Known by"]) == {"sign-in service"}
    assert list(shown["Action"]) == ["something.else", "name, tag or archive a run"]


def test_where_nobody_is_known_raters_are_told_whom_to_ask_and_not_what_to_set(
    overview: Callable[[], AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(IDENTITY, raising=False)
    monkeypatch.setattr(identity, "listens_here_only", lambda: False)
    at = overview()
    warned = [warning.value for warning in at.warning]
    assert any("ask whoever runs this studio" in text for text in warned)
    assert not any(IDENTITY in text for text in warned)
    assert any(IDENTITY in text.value for text in at.markdown)
