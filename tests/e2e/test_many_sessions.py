"""Several people at once on one studio, over real WebSockets: nothing of one session turns up in another."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack

import pytest

from benchmarks.sessions import Session, session
from core.compare.blind import open_vote, progress
from studio.identity import USER_HEADER
from studio.lab_state import RATER, weight_key
from studio.output import escape
from tests.build_async import run_apart
from tests.build_blind import build_comparison
from tests.build_runs import Plan, add_step, build_run
from tests.build_tables import decide, make_draft, make_table
from tests.e2e.conftest import Server, signed_in_server

_ROWS = [{"question": f"What lowers fever {number}?", "answer": "Paracetamol."} for number in range(20)]
_PEOPLE = 10


def run_all(*work: Coroutine[object, object, None]) -> None:
    """Let several people do something at the same time."""

    async def together() -> None:
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(each)

    run_apart(together())


def nothing_failed(*sessions: Session) -> None:
    assert [one.problem for one in sessions if one.problem] == []


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A studio that takes the word of a sign-in service."""
    with signed_in_server(tmp_path_factory.mktemp("shared"), "person0") as found:
        yield found


def test_each_session_has_weights_of_its_own(server: Server) -> None:
    async def look() -> None:
        async with session(server.url) as one, session(server.url) as other:
            await one.open("rewards")
            await other.open("rewards")
            before = other.saying("decides **")
            assert before == one.saying("decides **") != []
            await one.fill(weight_key("semantic"), 0.0)
            await other.open("rewards")
            assert other.saying("decides **") == before
            await one.open("data")
            await one.open("rewards")  # sliders keep their value when somebody comes back
            assert one.saying("decides **") != before
            nothing_failed(one, other)

    run_apart(look())


def test_each_session_has_a_draft_of_its_own(server: Server) -> None:
    tables = [make_table(server.home, _ROWS, f"table-{number}") for number in range(2)]
    for table in tables:
        decide(table, make_draft(table))

    async def write(number: int) -> None:
        async with session(server.url) as one:
            await one.open("data", f"table={tables[number].id}")
            for turn in range(3):
                await one.fill(f"table-{number}.system", f"Prompt {turn} of person {number}.")
            assert one.shows(f"Prompt 2 of person {number}.")
            assert not one.shows(f"of person {1 - number}.")
            nothing_failed(one)

    run_all(write(0), write(1))
    for number, table in enumerate(tables):
        draft = table.draft()
        assert draft is not None and draft.prompt.system == f"Prompt 2 of person {number}."


def test_each_session_votes_under_its_own_name(server: Server) -> None:
    comparison = build_comparison(server.home, questions=6)
    open_vote(comparison, [(0, 1)])

    async def vote(name: str, other: str, ballots: int) -> None:
        async with session(server.url) as one:
            await one.open("compare", f"view=blind&batch={comparison.id}")
            await one.fill(RATER, name)
            for _ in range(ballots):
                await one.click(next(key for key in one.widget_keys() if key.startswith("blind.left.")))
            assert one.shows(f"{ballots} of 6 judged") and one.shows(name) and not one.shows(other)
            nothing_failed(one)

    run_all(vote("Ada", "Ben", 4), vote("Ben", "Ada", 2))
    assert progress(comparison, "Ada").judged == 4
    assert progress(comparison, "Ben").judged == 2


def test_each_session_looks_at_the_run_it_has_chosen(server: Server) -> None:
    watched, finished = (build_run(server.home, Plan(state, done=20)) for state in ("running", "finished"))

    async def look() -> None:
        async with AsyncExitStack() as opened:
            one, two, other = [await opened.enter_async_context(session(server.url)) for _ in range(3)]
            await one.open("train")  # names the run that is live
            await two.open("train", f"run={watched.id}")
            await other.open("train", f"run={finished.id}")
            assert one.query == two.query == f"run={watched.id}"
            add_step(watched, 21)
            await asyncio.gather(one.until("Step 21 of"), two.until("Step 21 of"))
            assert other.query == f"run={finished.id}"
            assert other.shows("Step 20 of") and not other.shows("Step 21 of")
            nothing_failed(one, two, other)

    run_apart(look())


def test_nobody_is_taken_for_somebody_else(shared: Server) -> None:
    names = [f"person{number}" for number in range(_PEOPLE)]

    async def come(name: str) -> None:
        role = "admin" if name == "person0" else "viewer"
        async with session(shared.url, {USER_HEADER: name}) as one:
            for page in ("", "runs", "rewards", "compare"):
                await one.open(page)
                assert [title for title in one.menu if "person" in title] == [escape(f"{name} ({role})")]
                assert ("Administration" in one.menu) == (role == "admin")
            nothing_failed(one)

    run_all(*(come(name) for name in names))
