"""What an evaluation will ask for, before it starts: calls, tokens, money and time, by the rough rules named here."""

from __future__ import annotations

import json
import math
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from core.compare.answering import places_to_ask
from core.compare.comparison import ComparedAnswer, ComparisonRequest
from core.endpoints import OPENAI, own_address
from core.errors import ConfigError
from core.evaluate.calls import calls_of
from core.evaluate.judge_forms import Form
from core.evaluate.judge_texts import JudgeTexts
from core.evaluate.judging import open_calls
from core.evaluate.request import EvaluationRequest, JudgeSettings
from core.evaluate.verdicts import Call, Matter, Verdict

CHARACTERS_A_TOKEN = 4
"""Of English text under usual tokenizers; other languages take more tokens."""
SECONDS_A_CALL = 3.0
"""How long a usual judge takes for one reply."""

_RATIONALE_TOKENS, _REPLY_TOKENS = 50, 10
"""What a judge writes for one rationale with its mark, and around all of them."""
_LENGTH_SHARE = 0.5
"""How much of the most that a model may write an answer takes, while none is known."""
_READ = 50
"""So many prompts of each matter are written to tell how long they are, drawn at random where there are more."""


@dataclass(frozen=True)
class Prices:
    """US dollars for a million tokens read and written."""

    input: float
    output: float


PRICES: Mapping[str, Prices] = {"gpt-4o-mini": Prices(0.15, 0.60)}
"""As OpenAI publishes them; whoever sets an evaluation up may enter others."""


@dataclass(frozen=True)
class Estimate:
    """What will be asked, about.

    Attributes:
        calls: to the judge, replies that cannot be read and are asked for again not included.
        answers_to_ask: answers that the models have not given yet.
        input_tokens, output_tokens: that the judge reads and writes.
        dollars: what they cost; None where a price is not known. What the models' own answers cost is not in it.
        seconds: how long judging takes, without the answers that come before; None where nothing is judged.
    """

    calls: int
    answers_to_ask: int
    input_tokens: int
    output_tokens: int
    dollars: float | None
    seconds: float | None


@dataclass(frozen=True)
class Estimates:
    """What each judge will be asked, in the order of the request, and all of them together, at the same time."""

    judges: tuple[Estimate, ...]
    total: Estimate


def with_prices(judge: JudgeSettings, environment: Mapping[str, str] = os.environ) -> JudgeSettings:
    """The judge with the published prices of its model, where OpenAI itself is asked and no price was entered.

    An empty address is OpenAI's only where the environment names no other.
    """
    prices = PRICES.get(judge.model)
    if prices is None or not _is_openai(judge, environment):
        return judge
    if judge.input_price is not None or judge.output_price is not None:
        return judge
    return judge.model_copy(update={"input_price": prices.input, "output_price": prices.output})


def _is_openai(judge: JudgeSettings, environment: Mapping[str, str]) -> bool:
    try:
        address = judge.base_url or own_address(environment)
    except ConfigError:  # said where the judge is to be asked
        return False
    return address.rstrip("/") == OPENAI


def estimate(
    request: EvaluationRequest,
    asked: ComparisonRequest,
    answers: Sequence[ComparedAnswer] = (),
    verdicts: Mapping[Call, Verdict] | None = None,
) -> Estimates:
    """What is still to be asked.

    Args:
        asked: what is or was asked of the models.
        answers: the latest of each question and candidate; those to come are taken to be as long as these are, or half
            as long as they may be.
        verdicts: what judges have said; it is not asked again.
    """
    missing = len(places_to_ask(asked, answers))
    whole = _supposed(asked, answers)
    texts = JudgeTexts(request, asked, whole)
    judges = []
    for number, judge in enumerate(request.judges):
        calls = open_calls(texts, calls_of(request, asked, whole, number), verdicts or {})
        judges.append(_of_judge(judge, texts, calls, missing))
    return Estimates(tuple(judges), _together(judges, missing))


def _supposed(asked: ComparisonRequest, answers: Sequence[ComparedAnswer]) -> list[ComparedAnswer]:
    """All answers: those that are there, and texts of a likely length in place of those to come."""
    known = [answer for answer in answers if not answer.error]
    usual = _LENGTH_SHARE * asked.decoding.max_tokens * CHARACTERS_A_TOKEN
    length = round(fmean(len(answer.text) for answer in known) if known else usual)
    text = "x" * max(length, 1)
    to_come = [
        ComparedAnswer(question=place.question, candidate=place.candidate, text=text)
        for place in places_to_ask(asked, answers)
    ]
    return sorted([*known, *to_come], key=lambda answer: (answer.question, answer.candidate))


def _of_judge(judge: JudgeSettings, texts: JudgeTexts, calls: Sequence[Call], missing: int) -> Estimate:
    if not calls:
        return Estimate(0, missing, 0, 0, None if _price(judge, 0, 0) is None else 0.0, None)
    matters: dict[Matter, list[Call]] = {}
    for call in calls:
        matters.setdefault(call.matter, []).append(call)
    characters = sum(len(alike) * _usual_length(texts, alike) for alike in matters.values())
    input_tokens = round(characters / CHARACTERS_A_TOKEN)
    output_tokens = sum(len(alike) * _output_tokens(texts.form(matter)) for matter, alike in matters.items())
    return Estimate(
        calls=len(calls),
        answers_to_ask=missing,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        dollars=_price(judge, input_tokens, output_tokens),
        seconds=_seconds(judge, len(calls)),
    )


def _usual_length(texts: JudgeTexts, calls: Sequence[Call]) -> float:
    """The mean length of all that the endpoint is sent for one call, in characters; it reads the schema, too."""
    read = calls if len(calls) <= _READ else random.Random(0).sample(calls, _READ)
    prompts = map(texts.prompt, read)
    return fmean(len(one.system) + len(one.shown) + len(json.dumps(one.form.schema)) for one in prompts)


def _output_tokens(form: Form) -> int:
    """What a judge writes in one reply: a reason for each thing that it is asked."""
    rationales = 1 if form.matter == "pairwise" else len(form.names) + form.safety
    return _REPLY_TOKENS + _RATIONALE_TOKENS * rationales


def _price(judge: JudgeSettings, input_tokens: int, output_tokens: int) -> float | None:
    if judge.input_price is None or judge.output_price is None:
        return None
    return (judge.input_price * input_tokens + judge.output_price * output_tokens) / 1e6


def _seconds(judge: JudgeSettings, calls: int) -> float:
    """As many at once as allowed, and no more in a minute than allowed."""
    at_once = math.ceil(calls / judge.concurrent) * SECONDS_A_CALL
    return max(at_once, 60 * calls / judge.per_minute) if judge.per_minute else at_once


def _together(judges: Sequence[Estimate], missing: int) -> Estimate:
    dollars = [judge.dollars for judge in judges if judge.dollars is not None]
    return Estimate(
        calls=sum(judge.calls for judge in judges),
        answers_to_ask=missing,
        input_tokens=sum(judge.input_tokens for judge in judges),
        output_tokens=sum(judge.output_tokens for judge in judges),
        dollars=sum(dollars) if len(dollars) == len(judges) else None,
        seconds=max((judge.seconds for judge in judges if judge.seconds is not None), default=None),
    )
