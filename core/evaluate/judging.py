"""Asks one judge all that it has to be asked, many questions at once, and gives each verdict as soon as it is there.

The client library takes about a second to load, so it is loaded with the first question
(`core.evaluate.judge_asking`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from core.endpoints import JUDGE_KEYS, Purpose, endpoint_key, own_address
from core.errors import RewardError
from core.evaluate.judge_texts import JudgePrompt, JudgeTexts
from core.evaluate.request import JudgeSettings
from core.evaluate.verdicts import Call, Verdict
from core.serving.endpoint import Endpoint

if TYPE_CHECKING:
    from core.evaluate.judge_asking import AskedJudge, Judged

RETRIES = 6
"""How often the client library asks again after 429, 5xx and broken connections, with growing pauses or those that the
endpoint asks for."""
GIVE_UP = 8
"""After so many calls in a row on which no judge has spoken, the endpoint counts as broken.

Requests that it calls bad count only as long as it has spoken on none: else it is they that are wrong, not it."""


def judge_endpoint_of(judge: JudgeSettings, environment: Mapping[str, str] = os.environ) -> Endpoint:
    """Where a judge is asked, with the key that the environment allows it.

    Raises:
        ConfigError: as `core.endpoints.endpoint_key`.
    """
    own = own_address(environment)
    address = judge.base_url or own
    purpose = Purpose("the judge", "The address of the judge", JUDGE_KEYS, f"; or leave it empty for {own}")
    return Endpoint(address, endpoint_key(address, purpose, environment), judge.model)


def standing_verdicts(texts: JudgeTexts, verdicts: Mapping[Call, Verdict]) -> dict[Call, Verdict]:
    """The verdicts that are on the answers as they are now, and were asked for with the words that are used now."""
    return {
        call: verdict
        for call, verdict in verdicts.items()
        if texts.has(call) and texts.hashes(call) == (verdict.prompt_hash, verdict.answers_hash)
    }


def open_calls(texts: JudgeTexts, calls: Iterable[Call], verdicts: Mapping[Call, Verdict]) -> list[Call]:
    """The calls that are still to be asked: those without a standing verdict, then those on which nothing came.

    Of the latter, what was tried last comes last, so that calls which fail for good keep no others waiting for ever.
    """
    standing = standing_verdicts(texts, verdicts)
    fresh = [call for call in calls if call not in standing or standing[call].outcome == "failed"]
    return sorted(fresh, key=lambda call: standing[call].time if call in standing else 0.0)


async def judge_all(
    judge: JudgeSettings,
    prompts: Iterable[JudgePrompt],
    retries: int = RETRIES,
    environment: Mapping[str, str] = os.environ,
) -> AsyncGenerator[Verdict, None]:
    """Ask a judge; never more than `judge.concurrent` questions are under way.

    Whoever breaks off closes the iterator, which breaks off all that is under way.

    Args:
        prompts: are taken one by one, as there is room for them.

    Raises:
        ConfigError: the judge may not be asked, or there is no key for it.
        RewardError: asking on is of no use. All verdicts that had come have been given before.
    """
    from core.evaluate.judge_asking import asked_judge  # noqa: PLC0415 takes a second

    endpoint = judge_endpoint_of(judge, environment)
    silent, has_spoken = 0, False
    async with asked_judge(judge, endpoint, retries) as asked, _working(asked, prompts, judge.concurrent) as found:
        while (judged := await found.get()) is not None:
            yield judged.verdict
            if judged.fault is None:
                silent, has_spoken = 0, True
            elif not (judged.fault.of_request and has_spoken):
                silent += 1
            if judged.fault is not None and (judged.fault.lasting or silent == GIVE_UP):
                while not found.empty():
                    if (came := found.get_nowait()) is not None:
                        yield came.verdict
                raise RewardError(_hopeless(endpoint, judged.fault.reason, silent))


@asynccontextmanager
async def _working(
    asked: AskedJudge, prompts: Iterable[JudgePrompt], at_once: int
) -> AsyncGenerator[asyncio.Queue[Judged | None], None]:
    """What the judge says, as it comes, then None; leaving breaks off what is under way."""
    waiting = iter(prompts)
    found: asyncio.Queue[Judged | None] = asyncio.Queue()

    async def work() -> None:
        for prompt in waiting:
            found.put_nowait(await asked.judged(prompt))

    async def work_together() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(at_once):
                    group.create_task(work())
        finally:
            found.put_nowait(None)

    working = asyncio.create_task(work_together())
    try:
        yield found
        await working
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


def _hopeless(endpoint: Endpoint, reason: str, silent: int) -> str:
    often = f", {silent} times in a row" if silent > 1 else ""
    return (
        f"The judge {endpoint.model} at {endpoint.base_url} gave no verdict{often}: {reason}. What it had said is "
        "kept; go on with the evaluation once that is mended."
    )
