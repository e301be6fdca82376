"""Twenty browser sessions on one studio against a single one: how soon a page is there, and what a session costs.

Five of them watch one run that goes on by a step a second, one walks through the pages without a rest and is timed, the
others open pages and move a slider with pauses to read, as people do. The home holds finished runs, an evaluation of
500 questions and the sample data. Sessions are real WebSocket connections that speak Streamlit's protocol
(`benchmarks.sessions`); a page is there when the server has sent the last of it. What a browser then takes to draw is
its own and the same in both cases.

The timed session is alone and among the others by turns, within one run of one server, so that what else happens on the
machine falls on both. The run is written by the job's own writers in this process; training itself would take the
processor from one session as from twenty.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import psutil

from benchmarks import evidence, scratch_home
from benchmarks.interface import _server
from benchmarks.long_run import _go_on, build
from benchmarks.sessions import Session, session
from core.data.sources import import_table
from core.jobs.tasks import silent
from core.paths import Home
from core.runs.run import Run
from studio.lab_state import weight_key

SESSIONS, WATCHERS = 20, 5
RATIO = 1.5
"""How much longer a page may take among the others, on average."""
REST_SECONDS = 10.0
"""How long somebody looks at a page on average: between a half and one and a half of it."""
_TURNS, _WALKS = 3, 4
"""How often the timed session is alone and among the others, and how often it sees everything each time."""
_PAUSE_SECONDS = 0.4
"""Of the timed session, between two pages: its own last page must not be what it waits for."""
_MOST_SECONDS = 600.0
_FINISHED_RUNS, _FINISHED_STEPS, _LIVE_STEPS = 30, 100, 500
_MOST_LATE = 60


@dataclass(frozen=True)
class Stop:
    """One view of the studio.

    Attributes:
        slider: the key of one that is moved there after the page has been opened.
    """

    name: str
    page: str
    query: str = ""
    slider: str = ""


@dataclass
class Times:
    """Seconds of every wait, by what was waited for."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, seconds: float) -> None:
        self.seconds.setdefault(name, []).append(seconds)

    def mean(self) -> float:
        """Over everything that was waited for, each as often as the others."""
        return statistics.mean(second for found in self.seconds.values() for second in found)

    def slow(self) -> float:
        """What nineteen of twenty waits were shorter than."""
        return statistics.quantiles([second for found in self.seconds.values() for second in found], n=20)[-1]


@dataclass
class _Seen:
    """What is measured turn by turn.

    Attributes:
        sizes: megabytes of the server at the end of each half of a turn, alone first.
        busy: processor seconds of the server in a second among the others.
        late: how many steps the view of each watcher was behind the run.
    """

    alone: Times = field(default_factory=Times)
    among: Times = field(default_factory=Times)
    sizes: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    late: list[int] = field(default_factory=list)


def measure(home: Home) -> dict[str, Any]:
    """Milliseconds of every view alone and among the others, and megabytes of a session."""
    with scratch_home(home) as work:
        stops, live = furnish(work)
        with _going_on(live), _server(work) as (url, server):
            seen = asyncio.run(_by_turns(url, server, stops, live))
    ratio, session_mb = seen.among.mean() / seen.alone.mean(), (seen.sizes[1] - seen.sizes[0]) / (SESSIONS - 1)
    return {
        "sessions": SESSIONS,
        "watching_one_live_run": WATCHERS,
        "seconds_between_two_pages_of_somebody": REST_SECONDS,
        "milliseconds": {
            name: _compared(found, seen.among.seconds[name]) for name, found in seen.alone.seconds.items()
        },
        "mean_ms": {"alone": round(1000 * seen.alone.mean(), 1), "among_others": round(1000 * seen.among.mean(), 1)},
        "among_others_over_alone": round(ratio, 2),
        "slowest_twentieth_ms": {
            "alone": round(1000 * seen.alone.slow(), 1),
            "among_others": round(1000 * seen.among.slow(), 1),
        },
        "server_processor_share_among_others": round(statistics.mean(seen.busy), 3),
        "server_memory_mb": [round(size) for size in seen.sizes],
        "memory_mb_per_session": round(session_mb, 2),
        "watchers_steps_behind": seen.late,
        "met": {
            f"within {RATIO} times of a single session": ratio <= RATIO,
            "watchers at most 3 steps behind": max(seen.late) <= 3,
        },
    }


def _compared(alone: Sequence[float], among: Sequence[float]) -> dict[str, float]:
    first, second = statistics.mean(alone), statistics.mean(among)
    return {"alone": round(1000 * first, 1), "among_others": round(1000 * second, 1), "ratio": round(second / first, 2)}


def furnish(home: Home) -> tuple[Sequence[Stop], Run]:
    """Something to see on every page, and the run that goes on."""
    for number in range(_FINISHED_RUNS):
        finished = build(home, _FINISHED_STEPS)
        finished.write_status(replace(finished.written_status(), state="finished", started=1e9 + number))
    live = build(home, _LIVE_STEPS)
    evaluation = evidence.build(home).id
    table = import_table(home, {"origin": "sample"}, silent)["table"]
    return (
        Stop("overview", ""),
        Stop("data", "data", f"table={table}"),
        Stop("rewards", "rewards", slider=weight_key("semantic")),
        Stop("new run", "train", "run=new"),
        Stop("finished run", "train", f"run={finished.id}"),
        Stop("live run", "train", f"run={live.id}"),
        Stop("runs", "runs"),
        Stop("compare", "compare"),
        Stop("evaluation", "evaluate", f"evaluation={evaluation}&view=results"),
        Stop("questions", "evaluate", f"evaluation={evaluation}&view=questions"),
        Stop("export", "export"),
    ), live


@contextmanager
def _going_on(live: Run) -> Iterator[None]:
    """The run goes on by a step a second meanwhile."""
    ended = threading.Event()

    def steps() -> None:
        while not ended.is_set():
            _go_on(live, 1)

    job = threading.Thread(target=steps)
    job.start()
    try:
        yield
    finally:
        ended.set()
        job.join()


async def _by_turns(url: str, server: psutil.Process, stops: Sequence[Stop], live: Run) -> _Seen:
    """Alone, among the others, alone, and so on."""
    seen = _Seen()
    async with asyncio.timeout(_MOST_SECONDS), session(url) as timed:
        await _walk(timed, stops, 2, Times())  # what is made once, for everybody
        for _ in range(_TURNS):
            await _walk(timed, stops, _WALKS, seen.alone)
            seen.sizes.append(server.memory_info().rss / 1e6)
            async with _others(url, stops, live) as watchers:
                before, start = sum(server.cpu_times()[:2]), time.perf_counter()
                await _walk(timed, stops, _WALKS, seen.among)
                seen.busy.append((sum(server.cpu_times()[:2]) - before) / (time.perf_counter() - start))
                seen.sizes.append(server.memory_info().rss / 1e6)
                seen.late += [_steps_behind(watcher, live) for watcher in watchers]
    return seen


async def _walk(one: Session, stops: Sequence[Stop], times: int, found: Times) -> None:
    """Look at everything so many times."""
    for turn in range(times):
        for stop in stops:
            found.add(stop.name, await one.open(stop.page, stop.query))
            _refuse_problem(one)
            await asyncio.sleep(_PAUSE_SECONDS)
            if stop.slider:
                found.add(f"a slider of {stop.name}", await one.fill(stop.slider, 0.1 + turn / 10))


@asynccontextmanager
async def _others(url: str, stops: Sequence[Stop], live: Run) -> AsyncIterator[list[Session]]:
    """Everybody else; yields those who watch the run when all have seen their first page."""
    async with AsyncExitStack() as opened:
        everybody = [await opened.enter_async_context(session(url)) for _ in range(SESSIONS - 1)]
        watchers, visitors = everybody[:WATCHERS], everybody[WATCHERS:]
        for watcher in watchers:
            await watcher.open("train", f"run={live.id}")
        visits = [asyncio.create_task(_visit(one, stops, seed)) for seed, one in enumerate(visitors)]
        await asyncio.sleep(REST_SECONDS)
        yield watchers
        for visit in visits:
            visit.cancel()
        for visit in visits:
            with suppress(asyncio.CancelledError):
                await visit  # raises what ended it before it was cancelled
        for one in everybody:
            _refuse_problem(one)


async def _visit(one: Session, stops: Sequence[Stop], seed: int) -> None:
    """Somebody who opens pages in an order of their own, and reads."""
    chance = random.Random(seed)
    await asyncio.sleep(chance.uniform(0, REST_SECONDS / 2))
    while True:
        stop = chance.choice(stops)
        await one.open(stop.page, stop.query)
        _refuse_problem(one)
        await asyncio.sleep(REST_SECONDS * chance.uniform(0.5, 1.5))
        if stop.slider:
            await one.fill(stop.slider, chance.randrange(100) / 100)


def _refuse_problem(one: Session) -> None:
    if one.problem:
        raise RuntimeError(f"A page failed: {one.problem}")


def _steps_behind(watcher: Session, live: Run) -> int:
    """How many steps ago what a watcher sees was true."""
    step = live.written_status().step
    return next((late for late in range(_MOST_LATE) if watcher.shows(f"Step {step - late} of")), _MOST_LATE)
