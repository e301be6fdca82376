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
from typing import Any

import openai
from openai import AsyncOpenAI
from pydantic import BaseModel, Field, ValidationError

from core.config import JUDGE, JudgeConfig, Tags
from core.errors import RewardError
from core.reward.judge_endpoint import judge_endpoint
from core.reward.judge_prompt import cut_text, json_object, system_text
from core.reward.parsing import parse
from core.reward.score_cache import ScoreCache
from core.reward.scoring import Sample
from core.serving.chat_completions import open_client
from core.serving.structured import Fault, NoCompletion, StructuredModel, fault_of

_RETRIES = 2
_SILENT_CALLS = 3
"""After so many calls in a row without a single verdict the judge counts as broken, whatever the cause."""

_MARK: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "rationale": {"type": "string"},
        "score": {"type": "integer", "enum": [1, 2, 3, 4, 5]},
    },
    "required": ["rationale", "score"],
    "additionalProperties": False,
}
_NO_MARK = Fault("the reply was no JSON object with a score from 1 to 5", lasting=False)


class _Verdict(BaseModel):
    rationale: str = ""
    score: int = Field(ge=1, le=5)


class JudgeComponent:
    """Scores answers by a language model's opinion; opinions are kept in the home's score cache, failures never."""

    name = JUDGE

    def __init__(self, config: JudgeConfig, tags: Tags, cache: ScoreCache, askers: int = 1) -> None:
        """Look the endpoint and its key up; nothing is asked yet.

        Args:
            askers: how many processes ask the endpoint beside each other; `concurrent` is what all of them may.

        Raises:
            ConfigError: as `core.reward.judge_endpoint.judge_endpoint`.
        """
        self._config = config
        self._at_once = max(config.concurrent // askers, 1)
        self._tags = tags
        self._cache = cache
        self._endpoint = judge_endpoint(config)
        self._system = system_text(config)
        self._model = StructuredModel(config.model)
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
        failures = [one for one in found if isinstance(one, Fault)]
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
        return [None if isinstance(one, Fault) else one for one in found]

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

    async def _ask_all(self, items: Sequence[tuple[str, ...]]) -> list[float | Fault]:
        turns = asyncio.Semaphore(self._at_once)
        endpoint = self._endpoint
        async with open_client(endpoint.base_url, endpoint.key, self._config.seconds, _RETRIES) as client:
            return list(await asyncio.gather(*(self._score(client, turns, item) for item in items)))

    async def _score(self, client: AsyncOpenAI, turns: asyncio.Semaphore, item: tuple[str, ...]) -> float | Fault:
        named = zip(("question", "reference answer", "answer"), item, strict=True)
        shown = {name: cut_text(text) for name, text in named if text}  # pasted answers may have no reference
        user = json.dumps(shown, ensure_ascii=False)
        async with turns:
            try:
                async with asyncio.timeout(self._config.seconds):  # retries included
                    reply = await self._model.ask(client, self._system, user, _MARK)
                verdict = _read(reply.text)
            except (openai.OpenAIError, TimeoutError, NoCompletion, ValidationError) as error:
                return fault_of(error, self._config.model, self._config.seconds) or _NO_MARK
        return (verdict.score - 1) / 4


def _read(reply: str) -> _Verdict:
    """The verdict in a reply, which may have other text or a code fence around it.

    Raises:
        ValidationError: there is none.

    >>> _read('```json\\n{"rationale": "Right.", "score": 5}\\n```').score
    5
    """
    return _Verdict.model_validate_json(json_object(reply))
