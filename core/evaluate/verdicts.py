"""What a judge is asked and what it said: one record for each."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from core.evaluate.request import Danger
from core.settings_base import Settings

Matter = Literal["dimensions", "format", "rubric", "pairwise"]
"""What one call asks for. Only `format` shows the judge an answer with its tags, so that tags sway no other mark."""
Outcome = Literal["given", "unreadable", "refused", "failed"]
"""`unreadable`: the reply held no verdict, asked twice. `refused`: the judge declined. `failed`: nothing came, and a
later round asks again."""
Preferred = Literal["first", "second", "tie"]


@dataclass(frozen=True, order=True)
class Call:
    """One question to a judge.

    Attributes:
        judge, question, candidate: places in the requests, from 0; of a pair, `candidate` is the answer shown first.
        other: the answer shown second in a pairwise call; -1 otherwise.
    """

    judge: int
    matter: Matter
    question: int
    candidate: int
    other: int = -1


class Verdict(Settings):
    """What came of one call.

    Attributes:
        judge, matter, question, candidate, other: as in `Call`.
        scores: 1 to 5 by dimension, or 1 and 0 (met, not met) by rubric item; empty unless `outcome` is `given`.
        rationales: the judge's reason by the same names; `preferred` for a pair, `safety` for dangers. From a model.
        dangers: whether the judge saw each danger; empty where it was not asked.
        preferred: of a pair, by the order in which they were shown; None otherwise.
        reason: why there is no verdict, a sentence for people; empty where there is one.
        reply: what was said in place of a verdict, cut off; empty where there is one. Text from outside.
        judge_model: what the endpoint says has answered.
        system_fingerprint: the endpoint's own name of its version; empty where it gives none.
        prompt_hash: SHA-256 of all that the judge was told besides the texts to be judged.
        answers_hash: SHA-256 of all that was shown, question and reference included; a verdict on texts that have
            changed since does not count.
        parameters: how the endpoint was asked, such as `{"temperature": "0", "response_format": "json_schema"}`.
        input_tokens, output_tokens: of all attempts together; None where the endpoint does not tell.
        attempts: how often it was asked until a reply could be read.
        seconds: how long that took.
        time: when this was written down, in seconds since 1970.
    """

    judge: int = Field(ge=0)
    matter: Matter
    question: int = Field(ge=0)
    candidate: int = Field(ge=0)
    other: int = Field(default=-1, ge=-1)
    outcome: Outcome
    scores: dict[str, int] = Field(default_factory=dict)
    rationales: dict[str, str] = Field(default_factory=dict)
    dangers: dict[Danger, bool] = Field(default_factory=dict)
    preferred: Preferred | None = None
    reason: str = ""
    reply: str = ""
    judge_model: str = ""
    system_fingerprint: str = ""
    prompt_hash: str = ""
    answers_hash: str = ""
    parameters: dict[str, str] = Field(default_factory=dict)
    input_tokens: int | None = None
    output_tokens: int | None = None
    attempts: int = Field(default=1, ge=0)
    seconds: float = 0.0
    time: float = Field(default_factory=time.time)

    @property
    def call(self) -> Call:
        """What was asked."""
        return Call(self.judge, self.matter, self.question, self.candidate, self.other)
