"""The task "compare": asks all that a comparison has no whole answer to, many at once, and scores what comes.

Every answer is on the disk as soon as it is there, so a task that was stopped or killed is simply started again: it
asks what is missing, asks again what failed, and scores what has no scores.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from core.compare.answering import allow_asking, places_to_ask, recorded, scored, to_score, unanswered
from core.compare.boards import keep_board
from core.compare.comparison import ComparedAnswer, Comparison, answering_alone, find_comparison
from core.errors import RunError, StudioError
from core.jobs import supervisor
from core.jobs.tasks import Task, TaskStopped, Tell, newest_task
from core.paths import Home
from core.serving.candidates import Candidate, title
from core.serving.client import ask_all
from core.serving.conversations import conversation
from core.serving.server import Server
from core.serving.servers import leave_server, live_server, wait_for

KIND = "compare"

_AT_ONCE, _AT_ONCE_REMOTE = 16, 4
"""Questions that are under way at a candidate: what a server batches, and what strangers' endpoints put up with."""
_GIVE_UP = 8
"""After so many questions in a row that got no answer a candidate is not asked any more."""
_SCORED_TOGETHER = 8
"""Answers that are scored and written down at once: so many scores a kill loses, and so long a stop waits."""
_LOAD_SECONDS = 1800.0
_TELL_SECONDS = 0.3


def start_batch(home: Home, comparison: Comparison) -> Task:
    """Start the task; it asks what is missing and asks again what failed.

    Raises:
        AccessDenied: whoever acts now may not ask, or not one of those who have not answered.
        DataError: the comparison is damaged.
        RunError: it runs already, or cannot be started.
    """
    task = batch_task(home, comparison)
    if task is not None and task.status().live:
        raise RunError(f"{comparison.id} is being answered just now. Wait until that is done, or stop it.")
    request = comparison.request()
    allow_asking(home, request, places_to_ask(request, comparison.answers()))
    return supervisor.start_task(home, KIND, {"comparison": comparison.id})


def batch_task(home: Home, comparison: Comparison) -> Task | None:
    """The task of a comparison that was started last; None when there is none, or it has been forgotten."""
    return newest_task(home, KIND, {"comparison": comparison.id})


def compare(home: Home, arguments: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """The task: `{"comparison": id}` to how many answers there are, how many failed or have no scores, and the board.

    Raises:
        DataError: there is no such comparison, or it is damaged.
        RunError: somebody else answers it.
        StorageError: the disk is full.
    """
    comparison = find_comparison(home, str(arguments["comparison"]))
    board = answer_all(home, comparison, tell)
    answers = comparison.answers()
    request = comparison.request()
    return {
        "answers": sum(not answer.error for answer in answers),
        "missing": len(places_to_ask(request, answers)),
        "unscored": len(to_score(answers)),
        "board": board,
    }


def answer_all(home: Home, comparison: Comparison, tell: Tell) -> str:
    """Ask what has no whole answer, score what has no scores, and keep the board; also for tasks that go on from there.

    Returns:
        The id of the board; empty where nothing was answered.

    Raises:
        RunError: somebody else answers it.
        StorageError: the disk is full.
        TaskStopped: the user asked to stop; what was answered is kept.
    """
    release = answering_alone(comparison)
    try:
        asyncio.run(_Batch(home, comparison, tell).run())
        return keep_board(home, comparison)
    finally:
        release()


class _Batch:
    """One round of asking and scoring, in one event loop."""

    def __init__(self, home: Home, comparison: Comparison, tell: Tell) -> None:
        self._home = home
        self._comparison = comparison
        self._tell = tell
        self._request = comparison.request()
        known = comparison.answers()
        self._missing = places_to_ask(self._request, known)
        self._total = len(self._request.questions) * len(self._request.candidates)
        self._done = self._total - len(self._missing)
        self._loading: dict[int, str] = {}
        self._asked = False
        self._stopped = threading.Event()
        self._bare: asyncio.Queue[ComparedAnswer | None] = asyncio.Queue()
        for answer in to_score(known):
            self._bare.put_nowait(answer)

    async def run(self) -> None:
        """Ask and score; what is just being scored when it is stopped is scored to its end and kept.

        Raises:
            TaskStopped: the user asked to stop.
            StorageError: the disk is full.
        """
        remote, models = self._by_server()
        asking = [asyncio.create_task(self._ask(number)) for number in remote]
        asking.append(asyncio.create_task(self._ask_in_turn(models)))
        scoring = asyncio.create_task(self._score())
        try:
            await self._told_until_done(asking)
            self._asked = True
            self._bare.put_nowait(None)
            await self._told_until_done([scoring])
        finally:
            self._stopped.set()
            self._bare.put_nowait(None)
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, scoring, return_exceptions=True)

    def _by_server(self) -> tuple[list[int], list[list[int]]]:
        """The candidates that still have questions: remote ones, and the local ones by the model that is loaded."""
        remote: list[int] = []
        models: dict[str, list[int]] = {}
        for number in sorted({place.candidate for place in self._missing}):
            candidate = self._request.candidates[number]
            (remote if candidate.kind == "endpoint" else models.setdefault(candidate.model, [])).append(number)
        return remote, list(models.values())

    async def _ask_in_turn(self, models: Sequence[Sequence[int]]) -> None:
        """Ask one model with all its adapters after the other, so that only one has to fit into the memory."""
        for place, numbers in enumerate(models):
            await asyncio.gather(*(self._ask(number) for number in numbers))
            if place + 1 < len(models):
                await asyncio.to_thread(self._give_back, self._request.candidates[numbers[0]])

    def _give_back(self, candidate: Candidate) -> None:
        """End a server that nobody else uses; its memory is free then."""
        with suppress(StudioError):  # if memory is short now, whoever needs it is told
            server = live_server(self._home, candidate)
            if server is not None:
                leave_server(server)

    async def _told_until_done(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        while not all(task.done() for task in tasks):
            self._tell(self._phase(), self._done, self._total)
            await asyncio.wait(tasks, timeout=_TELL_SECONDS, return_when=asyncio.FIRST_EXCEPTION)
            for task in tasks:
                if task.done():
                    task.result()

    def _phase(self) -> str:
        return "scoring" if self._asked else "; ".join(self._loading.values()) or "asking"

    async def _ask(self, number: int) -> None:
        """Ask one candidate all that it has not answered."""
        places = {place.question: place for place in self._missing if place.candidate == number}
        candidate, prompt = self._request.candidates[number], self._request.prompt
        texts = {question: self._request.questions[question].text for question in places}
        try:
            turns = {key: conversation(self._home, candidate, prompt, text) for key, text in texts.items()}
            endpoint = await asyncio.to_thread(wait_for, self._home, candidate, _LOAD_SECONDS, self._look(number))
        except StudioError as error:
            self._keep([unanswered(place, str(error)) for place in places.values()])
            return
        finally:
            self._loading.pop(number, None)
        failures = 0
        answers = ask_all(endpoint, turns, self._request.decoding, _at_once(candidate))
        try:
            async for question, answer in answers:
                self._keep([recorded(places[question], turns[question], answer)])
                failures = failures + 1 if answer.error and not answer.text else 0
                if failures == _GIVE_UP:
                    return
        finally:
            await answers.aclose()

    def _look(self, number: int) -> Callable[[Server], None]:
        """What is called while a candidate's server loads, in a thread."""
        name = title(self._request.candidates[number])

        def look(server: Server) -> None:
            if self._stopped.is_set():
                raise TaskStopped
            part = f" {100 * server.done // server.total} %" if server.total else ""
            self._loading[number] = f"loading {name}{part}"

        return look

    def _keep(self, answers: Sequence[ComparedAnswer]) -> None:
        self._comparison.add(answers)
        self._done += len(answers)
        for answer in to_score(answers):
            self._bare.put_nowait(answer)

    async def _score(self) -> None:
        """Score answers as they come, portion by portion; after a failure or a stop the rest is left as it is."""
        ended = False
        while not ended and not self._stopped.is_set():
            waiting = [await self._bare.get()]
            while not self._bare.empty() and len(waiting) < _SCORED_TOGETHER:
                waiting.append(self._bare.get_nowait())
            ended = None in waiting
            answers = [answer for answer in waiting if answer is not None]
            if answers and not self._stopped.is_set():
                found = await asyncio.to_thread(scored, self._home, self._request, answers, self._look_on)
                self._comparison.add(found)
                ended = ended or bool(found[0].unscored)

    def _look_on(self, server: Server) -> None:
        if self._stopped.is_set():
            raise TaskStopped


def _at_once(candidate: Candidate) -> int:
    return _AT_ONCE_REMOTE if candidate.kind == "endpoint" else _AT_ONCE
