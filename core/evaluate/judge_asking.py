"""One call to a judge: asked, read, asked a second time where the reply cannot be read, and made a verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import openai
from aiolimiter import AsyncLimiter
from openai import AsyncOpenAI

from core.evaluate.judge_forms import Reading, Unreadable
from core.evaluate.judge_texts import JudgePrompt
from core.evaluate.request import JudgeSettings
from core.evaluate.verdicts import Outcome, Verdict
from core.serving.chat_completions import open_client
from core.serving.endpoint import Endpoint
from core.serving.structured import Fault, NoCompletion, StructuredModel, StructuredReply, fault_of, is_filtered

_ATTEMPTS = 2
_PAUSES = 600.0
"""Seconds that the client library may spend on pauses and further tries of one question, besides the time for a
reply."""
_LONGEST_RATIONALE = 4_000
_LONGEST_REPLY = 2_000
_LONGEST_NAME = 200
_SHORTEST_KEY = 6
"""What is sent in place of a key is shorter, and stands in many a text."""
_NO_COMPLETION = Fault(
    "what the endpoint sent is no chat completion; check that its address is that of an OpenAI-compatible API", False
)


@dataclass(frozen=True)
class Judged:
    """What came of a call.

    Attributes:
        fault: why no judge has spoken; None where one has, readably or not.
    """

    verdict: Verdict
    fault: Fault | None


@dataclass(frozen=True)
class _Attempt:
    """What came of asking once."""

    outcome: Outcome
    reply: StructuredReply
    reading: Reading = field(default_factory=Reading)
    reason: str = ""
    fault: Fault | None = None


@dataclass
class _Patience:
    """How long one question is waited for, and whether its next request has had its turn."""

    limit: asyncio.Timeout
    has_turn: bool = True


class _Turns:
    """Keeps to so many requests a minute, those included that the client library makes again by itself."""

    def __init__(self, per_minute: int) -> None:
        # One at a time, evenly spaced: a bucket of a minute's questions would let them all out at once, and a second
        # minute's worth within the same minute.
        self._limiter = AsyncLimiter(1, 60 / per_minute) if per_minute else None
        self._patience: ContextVar[_Patience] = ContextVar("patience")

    @asynccontextmanager
    async def turn(self, seconds: float) -> AsyncGenerator[None, None]:
        """Wait for a turn, then give what is asked so many seconds, without those it waits for further turns.

        Raises:
            TimeoutError: they are over.
        """
        if self._limiter is not None:
            await self._limiter.acquire()
        async with asyncio.timeout(seconds) as limit:
            self._patience.set(_Patience(limit))
            yield

    async def before(self, request: object) -> None:
        """Let a further request of a question wait for a turn of its own."""
        patience = self._patience.get()
        if patience.has_turn or self._limiter is None:
            patience.has_turn = False
            return
        clock = asyncio.get_running_loop().time
        deadline, began = patience.limit.when(), clock()
        assert deadline is not None
        patience.limit.reschedule(None)
        await self._limiter.acquire()
        patience.limit.reschedule(deadline + clock() - began)


class AskedJudge:
    """A judge with an open connection."""

    def __init__(self, judge: JudgeSettings, client: AsyncOpenAI, turns: _Turns) -> None:
        self._settings = judge
        self._key = client.api_key
        self._client = client
        self._model = StructuredModel(judge.model)
        self._turns = turns

    async def judged(self, prompt: JudgePrompt) -> Judged:
        """The verdict on one call; whatever goes wrong is told in it."""
        began, attempts = time.monotonic(), list[_Attempt]()
        while len(attempts) < _ATTEMPTS:
            attempts.append(await self._attempt(prompt, attempts[-1].reason if attempts else ""))
            if attempts[-1].outcome != "unreadable":
                break
        verdict = self._verdict(prompt, attempts, time.monotonic() - began)
        return Judged(verdict, attempts[-1].fault)

    async def _attempt(self, prompt: JudgePrompt, problem: str) -> _Attempt:
        """Ask once; `problem` is why the last reply could not be read, in the studio's own words."""
        again = f"\n\nYour last reply could not be read: {problem}. Keep exactly to the form." if problem else ""
        try:
            async with self._turns.turn(self._settings.seconds + _PAUSES):
                reply = await self._model.ask(self._client, prompt.system + again, prompt.shown, prompt.form.schema)
        except NoCompletion as error:
            # No word of the judge's, such as a proxy's page while it is away; so a later round asks again.
            return _Attempt("failed", StructuredReply(error.text), reason=_NO_COMPLETION.reason, fault=_NO_COMPLETION)
        except (openai.OpenAIError, TimeoutError) as error:
            return self._failed(error)
        return _read(prompt, reply)

    def _failed(self, error: Exception) -> _Attempt:
        if isinstance(error, openai.APIStatusError) and is_filtered(error):
            return _Attempt("refused", StructuredReply(""), reason="the endpoint's filter objects to the content")
        fault = fault_of(error, self._settings.model, self._settings.seconds) or _NO_COMPLETION
        return _Attempt("failed", StructuredReply(""), reason=fault.reason, fault=fault)

    def _verdict(self, prompt: JudgePrompt, attempts: Sequence[_Attempt], seconds: float) -> Verdict:
        """The record of a call after its last attempt."""
        last = attempts[-1]
        reply, call, reading = last.reply, prompt.call, last.reading
        return Verdict(
            judge=call.judge,
            matter=call.matter,
            question=call.question,
            candidate=call.candidate,
            other=call.other,
            outcome=last.outcome,
            scores=dict(reading.scores),
            rationales={name: self._clean(text, _LONGEST_RATIONALE) for name, text in reading.rationales.items()},
            dangers=dict(reading.dangers),
            preferred=reading.preferred,
            reason=_sentence(last),
            reply=self._clean(reply.text or reply.refusal, _LONGEST_REPLY) if last.outcome != "given" else "",
            judge_model=self._clean(reply.model, _LONGEST_NAME),
            system_fingerprint=self._clean(reply.system_fingerprint, _LONGEST_NAME),
            prompt_hash=prompt.prompt_hash,
            answers_hash=prompt.answers_hash,
            parameters=dict(reply.parameters),
            input_tokens=_sum(attempt.reply.input_tokens for attempt in attempts),
            output_tokens=_sum(attempt.reply.output_tokens for attempt in attempts),
            attempts=len(attempts),
            seconds=seconds,
        )

    def _clean(self, text: str, longest: int) -> str:
        """The beginning of a text from outside, fit to be kept; some endpoints repeat the key that they were sent."""
        without = text.replace(self._key, "***") if len(self._key) >= _SHORTEST_KEY else text
        return without[:longest].encode("utf-8", "replace").decode()


@asynccontextmanager
async def asked_judge(judge: JudgeSettings, endpoint: Endpoint, retries: int) -> AsyncGenerator[AskedJudge, None]:
    """A judge for the length of an `async with` block."""
    turns = _Turns(judge.per_minute)
    async with open_client(endpoint.base_url, endpoint.key, judge.seconds, retries, before=turns.before) as client:
        yield AskedJudge(judge, client, turns)


def _read(prompt: JudgePrompt, reply: StructuredReply) -> _Attempt:
    if reply.refusal:
        return _Attempt("refused", reply, reason="the judge declined")
    if reply.finish_reason == "content_filter":
        return _Attempt("refused", reply, reason="the endpoint's filter objects to the content")
    try:
        return _Attempt("given", reply, prompt.form.read(reply.text))
    except Unreadable as error:
        cut = "it ran out of tokens" if reply.finish_reason == "length" else str(error)
        return _Attempt("unreadable", reply, reason=cut)


def _sentence(attempt: _Attempt) -> str:
    match attempt.outcome:
        case "given":
            return ""
        case "unreadable":
            return f"The judge's reply could not be read: {attempt.reason}."
    return f"There is no verdict: {attempt.reason}."


def _sum(counts: Iterable[int | None]) -> int | None:
    """Of those that are known; None where none is."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
