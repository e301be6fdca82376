"""The task "evaluate": fills in answers, measures them, asks the judges, counts, and writes the evidence pack.

Everything is on the disk as soon as it is there, so a task that was stopped or killed is simply started again: it asks
nobody anything that has been answered. A judge that breaks for good keeps no other from going on.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any

from core.compare.answering import places_to_ask
from core.compare.batch import answer_all
from core.compare.comparison import ComparedAnswer, Comparison, ComparisonRequest
from core.errors import RewardError, RunError, StudioError
from core.evaluate.answer_metrics import AnswerMetrics
from core.evaluate.calls import calls_of
from core.evaluate.counting import count
from core.evaluate.evaluation import Evaluation, comparison_of, find_evaluation, judging_alone
from core.evaluate.judge_texts import JudgePrompt, JudgeTexts
from core.evaluate.judging import judge_all, judge_endpoint_of, open_calls, standing_verdicts
from core.evaluate.metrics import METRICS, measured, needs_measuring, standing_metrics, with_models
from core.evaluate.report import write_report
from core.evaluate.request import JudgeSettings
from core.evaluate.verdicts import Call, Verdict
from core.jobs import supervisor
from core.jobs.tasks import Task, TaskStopped, Tell, newest_task, tasks_of
from core.paths import Home

KIND = "evaluate"

_MEASURED_TOGETHER = 16
"""Answers that are measured and written down at once: so many a kill loses, and so long a stop waits."""
_TELL_SECONDS = 0.3


def start_evaluation(home: Home, evaluation: Evaluation) -> Task:
    """Start the task; it goes on where an earlier one was broken off.

    Raises:
        ConfigError: a judge may not be asked, or there is no key for it.
        RunError: it runs already, or cannot be started.
    """
    task = evaluation_task(home, evaluation)
    if task is not None and task.status().live:
        raise RunError(f"{evaluation.id} is being judged just now. Wait until that is done, or stop it.")
    refuse_judges(evaluation.request().judges)
    return supervisor.start_task(home, KIND, {"evaluation": evaluation.id})


def refuse_judges(judges: Iterable[JudgeSettings]) -> None:
    """Say before any work is done that a judge may not be asked here.

    Raises:
        ConfigError: its address is not allowed, or there is no key for it.
    """
    for judge in judges:
        judge_endpoint_of(judge)


def evaluation_task(home: Home, evaluation: Evaluation) -> Task | None:
    """The task of an evaluation that is at work, else the one that was started last; None when none is kept.

    Of two that are started at the same moment the later one is refused, and would hide the one that works.
    """
    newest = newest_task(home, KIND, {"evaluation": evaluation.id})
    if newest is None or newest.status().live:
        return newest
    mine = (task for task in tasks_of(home, KIND) if task.arguments() == newest.arguments())
    return next((task for task in mine if task.status().live), newest)


def evaluate(home: Home, arguments: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """The task: `{"evaluation": id}` to how many answers and verdicts there are, and what is wanting.

    After a stop, too, the statistics of what is there are kept; the evidence pack is only written at the end.

    Raises:
        DataError: there is no such evaluation, or it is damaged.
        RewardError: a judge, or a model that scores, cannot be asked; all the rest is kept, counted and reported.
        RunError: somebody else judges it or answers its comparison, or no model has answered anything.
        StorageError: the disk is full.
        TaskStopped: the user asked to stop.
    """
    evaluation = find_evaluation(home, str(arguments["evaluation"]))
    release = judging_alone(evaluation)
    try:
        comparison = comparison_of(home, evaluation)
        broken = _work(home, evaluation, comparison, tell)
        write_report(home, evaluation, datetime.now().astimezone())
    finally:
        release()
    if broken:
        raise RewardError(" ".join(broken))
    return _outcome(evaluation, comparison)


def _work(home: Home, evaluation: Evaluation, comparison: Comparison, tell: Tell) -> Sequence[str]:
    """All but the report; returns why models that score and judges could not go on, a sentence each."""
    try:
        answer_all(home, comparison, tell)
        unmeasured = _measure(home, evaluation, comparison, tell)
        broken = [*unmeasured, *asyncio.run(Judging(evaluation, comparison, tell).run())]
        tell("statistics", 0, 0)
    except TaskStopped:
        count(evaluation, comparison)
        raise
    answers = comparison.answers()
    if all(answer.error for answer in answers):
        reason = Counter(answer.error for answer in answers).most_common(1)[0][0]
        raise RunError(f"No question has been answered, so there is nothing to judge. Mostly: {reason}")
    count(evaluation, comparison)
    tell("report", 0, 0)
    return broken


def _measure(home: Home, evaluation: Evaluation, comparison: Comparison, tell: Tell) -> Sequence[str]:
    """Take the automatic metrics that are wanting, portion by portion; returns what kept some of them from it.

    Where the models that score cannot be asked, the others are taken all the same, and the next round tries again.
    """
    asked, known, problem = comparison.request(), evaluation.metrics(), ""
    answers = [one for one in comparison.answers() if needs_measuring(one, known.get((one.question, one.candidate)))]
    for start in range(0, len(answers), _MEASURED_TOGETHER):
        tell("measuring", start, len(answers))
        portion = answers[start : start + _MEASURED_TOGETHER]
        found = {(one.question, one.candidate): measured(asked, one) for one in portion}
        if not problem:
            try:
                found |= _by_models(home, asked, portion, found, tell)
            except StudioError as error:
                problem = f"Similarity and perplexity could not be measured: {error}"
        fresh = [one for place, one in found.items() if one != known.get(place)]
        if fresh:
            evaluation.add_metrics(fresh)
    return [problem] if problem else []


def _by_models(
    home: Home,
    asked: ComparisonRequest,
    answers: Sequence[ComparedAnswer],
    found: Mapping[tuple[int, int], AnswerMetrics],
    tell: Tell,
) -> dict[tuple[int, int], AnswerMetrics]:
    """The metrics of those answers that only models can complete."""
    bare = [one for one in answers if not METRICS.keys() <= found[one.question, one.candidate].values.keys()]
    if not bare:
        return {}
    known = [found[one.question, one.candidate] for one in bare]
    whole = with_models(home, asked, bare, known, lambda server: tell("loading the models that measure", 0, 0))
    return {(one.question, one.candidate): one for one in whole}


class Judging:
    """One round of asking all judges, in one event loop."""

    def __init__(self, evaluation: Evaluation, comparison: Comparison, tell: Tell) -> None:
        request, asked, answers = evaluation.request(), comparison.request(), comparison.answers()
        self._evaluation = evaluation
        self._tell = tell
        self._judges = request.judges
        self._texts = JudgeTexts(request, asked, answers)
        verdicts = evaluation.verdicts()
        calls = [calls_of(request, asked, answers, judge) for judge in range(len(request.judges))]
        self._open = [open_calls(self._texts, of_one, verdicts) for of_one in calls]
        self._total = sum(map(len, calls))
        self._done = self._total - sum(map(len, self._open))
        self._arrived: asyncio.Queue[Verdict | None] = asyncio.Queue()

    async def run(self) -> list[str]:
        """Ask until all have answered, and keep what arrives; returns why judges could not go on.

        Raises:
            TaskStopped: the user asked to stop.
            StorageError: the disk is full.
        """
        keeping = asyncio.create_task(self._keep())
        asking = [
            asyncio.create_task(self._ask(judge, calls))
            for judge, calls in zip(self._judges, self._open, strict=True)
            if calls
        ]
        try:
            await self._told_until_done(asking, keeping)
        finally:
            for task in asking:
                task.cancel()
            said = await asyncio.gather(*asking, return_exceptions=True)
            self._arrived.put_nowait(None)
            await keeping
        return [sentence for sentence in said if isinstance(sentence, str) and sentence]

    async def _told_until_done(self, asking: Sequence[asyncio.Task[str]], keeping: asyncio.Task[None]) -> None:
        while not all(task.done() for task in asking):
            self._tell("judging", self._done, self._total)
            waiting = {task for task in (*asking, keeping) if not task.done()}
            await asyncio.wait(waiting, timeout=_TELL_SECONDS, return_when=asyncio.FIRST_EXCEPTION)
            for task in (*asking, keeping):
                if task.done():
                    task.result()

    async def _ask(self, judge: JudgeSettings, calls: Iterable[Call]) -> str:
        """Ask one judge; returns why it could not go on, a sentence, or nothing."""
        prompts: Iterable[JudgePrompt] = (self._texts.prompt(call) for call in calls)
        try:
            async with aclosing(judge_all(judge, prompts)) as verdicts:
                async for verdict in verdicts:
                    self._arrived.put_nowait(verdict)
        except StudioError as error:
            return str(error)
        return ""

    async def _keep(self) -> None:
        """Write down what has arrived, all of it at once, while the judges go on."""
        ended = False
        while not ended:
            waiting = [await self._arrived.get()]
            while not self._arrived.empty():
                waiting.append(self._arrived.get_nowait())
            ended = None in waiting
            verdicts = [verdict for verdict in waiting if verdict is not None]
            if verdicts:
                await asyncio.to_thread(self._evaluation.add_verdicts, verdicts)
                self._done += len(verdicts)


def report_again(home: Home, evaluation: Evaluation) -> None:
    """Count what is there and write the evidence pack anew; nobody is asked anything.

    Raises:
        DataError: the evaluation or its comparison is damaged.
        RunError: it is being judged just now, or nothing has been answered yet.
        StorageError: the disk is full.
    """
    release = judging_alone(evaluation)
    try:
        count(evaluation, comparison_of(home, evaluation))
        write_report(home, evaluation, datetime.now().astimezone())
    finally:
        release()


def _outcome(evaluation: Evaluation, comparison: Comparison) -> dict[str, Any]:
    """What the task found, in numbers."""
    request, asked, answers = evaluation.request(), comparison.request(), comparison.answers()
    calls = sum(len(calls_of(request, asked, answers, judge)) for judge in range(len(request.judges)))
    verdicts = standing_verdicts(JudgeTexts(request, asked, answers), evaluation.verdicts())
    outcomes = Counter(verdict.outcome for verdict in verdicts.values())
    known = standing_metrics(answers, evaluation.metrics())
    return {
        "answers": sum(not answer.error for answer in answers),
        "missing": len(places_to_ask(asked, answers)),
        "unmeasured": sum(needs_measuring(one, known.get((one.question, one.candidate))) for one in answers),
        "calls": calls,
        "verdicts": outcomes["given"],
        "unreadable": outcomes["unreadable"],
        "refused": outcomes["refused"],
        "failed": outcomes["failed"],
    }
