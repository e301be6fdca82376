"""The verbs `audit` and `access`."""

from __future__ import annotations

import json

import pytest

from core.access.actors import Actor, acting_as
from core.access.audit import log_file, record
from core.access.policy import ADMINS_VARIABLE, policy_file, read_policy
from core.commands.cli import main
from core.paths import Home


def run(capsys: pytest.CaptureFixture[str], home: Home, *arguments: str) -> tuple[int, str]:
    """The exit code of a verb, and what it printed."""
    code = main([*arguments, "--home", str(home.root)])
    printed = capsys.readouterr()
    return code, printed.out + printed.err


def test_roles_are_given_shown_and_taken_away(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, home, "access", "--grant", "anna", "admin")[0] == 0
    code, shown = run(capsys, home, "access", "--json")
    assert (code, json.loads(shown)["admins"]) == (0, ["anna"])
    assert run(capsys, home, "access", "--revoke", "anna")[0] == 0
    assert read_policy(home).admins == ()


def test_the_admins_of_the_environment_are_shown(
    home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ADMINS_VARIABLE, "Anna")
    assert "anna (from GRPO_STUDIO_ADMINS)" in run(capsys, home, "access")[1]


def test_a_role_that_there_is_not_is_refused(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = run(capsys, home, "access", "--grant", "anna", "root")
    assert code == 2 and "viewer, editor, admin" in said
    assert not policy_file(home).exists()


def test_the_newest_records_are_shown_without_what_could_move_the_cursor(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    with acting_as(Actor("eve\x1b[2J", "viewer", "proxy")):
        record(home, "vote.cast", "one")
        record(home, "vote.cast", "two\nlines")
    code, shown = run(capsys, home, "audit", "--last", "1")
    assert code == 0 and "two lines" in shown and "one" not in shown and "\x1b" not in shown


def test_a_log_that_is_whole_is_verified(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert "empty" in run(capsys, home, "audit", "--verify")[1]
    record(home, "run.delete", "demo")
    code, said = run(capsys, home, "audit", "--verify", "--json")
    assert code == 0 and json.loads(said)["whole"] is True


def test_a_log_that_was_changed_fails_with_its_line(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    record(home, "run.delete", "demo")
    log_file(home).write_text(log_file(home).read_text().replace("demo", "none"))
    code, said = run(capsys, home, "audit", "--verify")
    assert code == 2 and "Line 1" in said and "changed" in said


def test_a_number_of_records_that_is_none_is_refused(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, home, "audit", "--last", "0")[0] == 2
