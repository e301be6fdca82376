"""The judge as a component: a language model behind an OpenAI-compatible endpoint says how good each answer is.

It sees the question, the reference answer and the answer, and neither tags, reasoning nor the name of any model. They
travel as one JSON object, so no text can pass for the end of the data, and the judge is told to follow nothing in it.
Retries and their waiting are the client library's.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import openai
from openai import AsyncOpenAI
from pydantic import BaseModel, Field, ValidationError

from core.config import JUDGE, JudgeConfig, Tags
from core.errors import RewardError
from core.reward.judge_endpoint import KEYS, judge_endpoint
from core.reward.judge_prompt import system_text
from core.reward.parsing import parse
from core.reward.score_cache import ScoreCache
from core.reward.scoring import Sample
from core.serving.chat_completions import open_client

_LONGEST = 20_000
"""Characters of a text that the judge is shown; a model that writes without end must not cost without end."""
_RETRIES = 2
_SILENT_CALLS = 3
"""After so many calls in a row without a single verdict the judge counts as broken, whatever the cause."""

_MARKS: Mapping[str, Any] = {
    "type": "json_schema",
    "json_schema": {
        "name": "verdict",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "rationale": {"type": "string"},
                "score": {"type": "integer", "enum": [1, 2, 3, 4, 5]},
            },
            "required": ["rationale", "score"],
            "additionalProperties": False,
        },
    },
}
_WAYS: Sequence[Mapping[str, Any]] = (
    {"temperature": 0, "response_format": _MARKS},
    {"temperature": 0},  # for endpoints without structured output
    {},  # and for models that take no temperature
)
"""How the endpoint is asked; when it calls a request bad, the next way is tried and kept."""


class _Message(BaseModel):
    content: str


class _Choice(BaseModel):
    message: _Message


class _Reply(BaseModel):
    choices: list[_Choice] = Field(min_length=1)


@dataclass(frozen=True)
class _Failure:
    """Why an answer has no verdict, in a few words, and whether asking again later is of no use."""

    reason: str
    lasting: bool


class _Verdict(BaseModel):
    rationale: str = ""
    score: int = Field(ge=1, le=5)


class JudgeComponent:
    """Scores answers by a language model's opinion; opinions are kept in the home's score cache, failures never."""

    name = JUDGE

    def __init__(self, config: JudgeConfig, tags: Tags, cache: ScoreCache) -> None:
        """Look the endpoint and its key up; nothing is asked yet.

        Raises:
            ConfigError: as `core.reward.judge_endpoint.judge_endpoint`.
        """
        self._config = config
        self._tags = tags
        self._cache = cache
        self._endpoint = judge_endpoint(config)
        self._system = system_text(config)
        self._way = 0
        self._reasons: Counter[str] = Counter()
        self._asked = 0
        self._silent_calls = 0

    @property
    def failures(self) -> int:
        """How many answers have been left without a verdict so far."""
        return self._reasons.total()

    def scores(self, samples: Sequence[Sample]) -> list[float | None]:
        """0 for the lowest mark to 1 for the highest, None where the judge gave none; 0 where there is no answer.

        Raises:
            RewardError: it gave no verdict on any new answer, for a cause that lasts or for several calls in a row.
        """
        answers = [parse(sample.completion, self._tags).answer or "" for sample in samples]
        items = [(s.question, s.reference, answer) for s, answer in zip(samples, answers, strict=True) if answer]
        digest = hashlib.sha256(self._system.encode("utf-8", "replace")).hexdigest()
        known = f"{JUDGE}:{self._config.model}:{self._endpoint.base_url}:{digest}"
        found = iter(self._cache.scores(known, items, self._verdicts))
        return [next(found) if answer else 0.0 for answer in answers]

    def _verdicts(self, items: Sequence[tuple[str, ...]]) -> list[float | None]:
        """The verdicts on answers that are not in the cache."""
        found = asyncio.run(self._ask_all(items))
        failures = [one for one in found if isinstance(one, _Failure)]
        self._asked += len(items)
        self._reasons.update(failure.reason for failure in failures)
        self._silent_calls = self._silent_calls + 1 if len(failures) == len(found) else 0
        lasting = [failure for failure in failures if failure.lasting]
        if self._silent_calls >= _SILENT_CALLS or (self._silent_calls and lasting):
            reason = Counter(failure.reason for failure in lasting or failures).most_common(1)[0][0]
            calls = f" in {self._silent_calls} calls in a row" if self._silent_calls > 1 else ""
            raise RewardError(
                f"The judge {self._config.model} at {self._endpoint.base_url} gave no verdict on any of {len(items)} "
                f"answers{calls}: {reason}."
            )
        return [None if isinstance(one, _Failure) else one for one in found]

    def notes(self) -> list[str]:
        """How many answers have been left without a verdict, and why; nothing when all have one."""
        if not self._reasons:
            return []
        reasons = "; ".join(f"{count} times {reason}" for reason, count in self._reasons.most_common(3))
        return [
            f"The judge gave no verdict on {self.failures} of the {self._asked} answers it was asked about "
            f"({reasons}). They count as the mean of their group."
        ]

    def close(self) -> None:
        """Nothing is kept open between two calls."""

    async def _ask_all(self, items: Sequence[tuple[str, ...]]) -> list[float | _Failure]:
        turns = asyncio.Semaphore(self._config.concurrent)
        endpoint = self._endpoint
        async with open_client(endpoint.base_url, endpoint.key, self._config.seconds, _RETRIES) as client:
            return list(await asyncio.gather(*(self._score(client, turns, item) for item in items)))

    async def _score(self, client: AsyncOpenAI, turns: asyncio.Semaphore, item: tuple[str, ...]) -> float | _Failure:
        async with turns:
            try:
                async with asyncio.timeout(self._config.seconds):  # retries included
                    verdict = _read(await self._ask(client, item))
            except (openai.OpenAIError, TimeoutError, ValidationError) as error:
                return self._failure(error)
        return (verdict.score - 1) / 4

    async def _ask(self, client: AsyncOpenAI, item: tuple[str, ...]) -> str:
        """The text of the reply."""
        texts = (text[:_LONGEST].encode("utf-8", "replace").decode() for text in item)
        named = zip(("question", "reference answer", "answer"), texts, strict=True)
        shown = {name: text for name, text in named if text}  # pasted answers may have no reference
        messages: Any = [
            {"role": "system", "content": self._system},
            {"role": "user", "content": json.dumps(shown, ensure_ascii=False)},
        ]
        way = self._way
        while True:
            options: Any = _WAYS[way]
            try:
                ask = client.chat.completions.with_raw_response.create
                reply = await ask(model=self._config.model, messages=messages, **options)
                break
            except (openai.BadRequestError, openai.UnprocessableEntityError):
                way += 1
                if way == len(_WAYS):
                    raise
        self._way = max(self._way, way)
        return _Reply.model_validate_json(reply.content).choices[0].message.content

    def _failure(self, error: Exception) -> _Failure:
        """What a failed question comes down to. What the endpoint wrote is not repeated: it may hold anything."""
        match error:
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                return _Failure(
                    f"the endpoint refused the key ({error.status_code}); check {' or '.join(KEYS)}", lasting=True
                )
            case openai.NotFoundError():
                return _Failure(f"the endpoint does not know the model {self._config.model} (404)", lasting=True)
            case openai.RateLimitError():
                reason = "the endpoint allows no more questions now (429); ask fewer at once or raise its limit"
                return _Failure(reason, lasting=False)
            case openai.APIStatusError():
                return _Failure(f"the endpoint answered with status {error.status_code}", lasting=False)
            case openai.APITimeoutError() | TimeoutError():
                return _Failure(f"there was no answer within {self._config.seconds:g} s", lasting=False)
            case openai.APIConnectionError():
                return _Failure("the endpoint cannot be reached", lasting=True)
        return _Failure("the reply was no JSON object with a score from 1 to 5", lasting=False)


def _read(reply: str) -> _Verdict:
    """The verdict in a reply, which may have other text or a code fence around it.

    Raises:
        ValidationError: there is none.

    >>> _read('```json\\n{"rationale": "Right.", "score": 5}\\n```').score
    5
    """
    return _Verdict.model_validate_json(reply[reply.find("{") : reply.rfind("}") + 1])
