"""On whose behalf code runs, and that it never runs for somebody else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from core.access.actors import (
    ACTOR_VARIABLE,
    ROLE_VARIABLE,
    ROLES,
    Actor,
    access_required,
    acting_as,
    bound,
    current_actor,
    identify_with,
    job_environment,
)
from core.access.permissions import PERMISSIONS, Action, allow, allow_vote, may, permitted, why_not
from core.errors import AccessDenied

MARIA = Actor("maria", "viewer", "proxy")
BEN = Actor("ben", "editor", "proxy")


def test_a_command_line_acts_for_the_systems_user_who_may_do_everything() -> None:
    actor = current_actor()
    assert (actor.role, actor.source) == ("admin", "command line")
    assert actor.name
    assert not access_required()


def test_a_block_acts_for_whom_it_names_and_no_longer() -> None:
    before = current_actor()
    with acting_as(MARIA):
        with acting_as(BEN):
            assert current_actor() == BEN
        assert current_actor() == MARIA
    assert current_actor() == before


def test_where_access_is_required_nobody_may_do_anything() -> None:
    identify_with(lambda: None)
    assert access_required()
    with pytest.raises(AccessDenied, match="not known who you are"):
        allow("compare.ask")
    assert not may("vote.cast")
    with acting_as(MARIA):
        assert may("vote.cast")


def test_who_is_identified_acts_where_nobody_is_named() -> None:
    identify_with(lambda: MARIA)
    assert current_actor() == MARIA
    with acting_as(BEN):
        assert current_actor() == BEN


def _seen_in_a_thread(call: Callable[[], Actor]) -> Actor | None:
    seen: list[Actor] = []

    def run() -> None:
        with suppress(AccessDenied):
            seen.append(call())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return seen[0] if seen else None


def test_a_thread_begins_with_nobody_unless_it_is_bound() -> None:
    identify_with(lambda: None)
    with acting_as(BEN):
        assert _seen_in_a_thread(current_actor) is None
        assert _seen_in_a_thread(bound(current_actor)) == BEN


def test_a_bound_function_acts_for_who_bound_it_whoever_calls() -> None:
    with acting_as(BEN):
        call = bound(current_actor)
    with acting_as(MARIA):
        assert call() == BEN
        assert current_actor() == MARIA


def test_a_job_acts_for_who_started_it_and_may_finish_what_was_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in job_environment(MARIA).items():
        monkeypatch.setenv(name, value)
    assert current_actor() == Actor("maria", "viewer", "job")
    assert may("board.save")


def test_a_role_that_is_none_makes_nobody_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ACTOR_VARIABLE, "maria")
    monkeypatch.setenv(ROLE_VARIABLE, "root")
    assert current_actor().source == "command line"


@pytest.mark.parametrize("action", PERMISSIONS)
def test_a_higher_role_may_all_that_a_lower_one_may(action: Action) -> None:
    allowed = [permitted(Actor("x", role, "oidc"), action) for role in ROLES]
    assert allowed == sorted(allowed)
    assert allowed[-1]


def test_a_refusal_says_who_which_role_and_whom_to_ask() -> None:
    with acting_as(MARIA):
        said = why_not("train.start")
    assert "maria" in said and "viewer" in said and "editor or admin" in said and "Ask an admin" in said
    with acting_as(BEN):
        assert why_not("train.start") == ""


def test_who_made_something_may_do_to_it_what_their_role_does_not_allow() -> None:
    with acting_as(MARIA):
        assert may("vote.end", owner=MARIA)
        assert not may("vote.end", owner=BEN)
        assert not may("vote.end", owner=Actor("maria", "viewer", "local"))


def test_who_has_signed_in_votes_under_their_own_name_alone() -> None:
    with acting_as(MARIA):
        allow_vote(" Maria ")
        with pytest.raises(AccessDenied, match="signed in as maria"):
            allow_vote("ben")
    with acting_as(Actor("ward", "viewer", "local")):
        allow_vote("ben")
