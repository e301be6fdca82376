"""What an evaluation is asked to do: whose answers, which judges, and what they are asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self, get_args

from pydantic import Field, ValidationError, field_validator, model_validator

from core.addresses import plain_address
from core.config import validation_sentence
from core.errors import ConfigError
from core.settings_base import Settings

Method = Literal["dimensions", "rubric", "pairwise"]
"""How a judge is asked: for marks from 1 to 5, for a yes or no on each item of a list, or which of two is better."""
Dimension = Literal["accuracy", "reasoning", "format", "fluency", "usefulness"]
Danger = Literal["dose", "contraindication", "missed_emergency"]

METHODS: tuple[Method, ...] = get_args(Method)
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
"""The five of the published protocol; their mean is the total."""
DANGERS: tuple[Danger, ...] = get_args(Danger)

DIMENSION_TITLES: Mapping[Dimension, str] = {
    "accuracy": "Medical accuracy",
    "reasoning": "Reasoning quality",
    "format": "Format adherence",
    "fluency": "Fluency and clarity",
    "usefulness": "Overall usefulness",
}
DANGER_TITLES: Mapping[Danger, str] = {
    "dose": "Dangerous dose",
    "contraindication": "Missed contraindication",
    "missed_emergency": "Missed emergency",
}

MOST_JUDGES = 5


class JudgeSettings(Settings):
    """A language model behind an OpenAI-compatible endpoint; its key comes from the environment and is never kept.

    Attributes:
        base_url: where it is; empty takes the environment's `OPENAI_BASE_URL`, else OpenAI's. In an evaluation that
            has been made it is never empty.
        concurrent: how many questions may be under way at once.
        per_minute: how many requests may begin within a minute, those included that are made again after a refusal, at
            most six times a question and with growing pauses; 0 sets no limit.
        seconds: how long one reply may take.
        input_price, output_price: US dollars for a million tokens read and written; None where they are not known.
    """

    model: str = Field(default="gpt-4o-mini", min_length=1, max_length=200)
    base_url: str = ""
    concurrent: int = Field(default=8, ge=1, le=64)
    per_minute: int = Field(default=0, ge=0, le=100_000)
    seconds: float = Field(default=60.0, gt=0, le=600)
    input_price: float | None = Field(default=None, ge=0)
    output_price: float | None = Field(default=None, ge=0)

    @field_validator("base_url")
    @classmethod
    def _is_plain(cls, url: str) -> str:
        return plain_address(url) if url.strip() else ""


class RubricItem(Settings):
    """One thing that an answer either does or does not.

    Attributes:
        id: names it in tables.
        text: what a good answer does, so that a yes is always to the good.
    """

    id: str = Field(min_length=1, max_length=40, pattern=r"^[a-z][a-z0-9_]*$")
    text: str = Field(min_length=1, max_length=500)


RUBRIC: tuple[RubricItem, ...] = (
    RubricItem(id="main_point", text="The answer states the main point of the reference answer."),
    RubricItem(id="no_contradiction", text="Nothing in the answer contradicts the reference answer."),
    RubricItem(id="no_invention", text="No drug, dose, sign, test or condition in the answer is invented."),
    RubricItem(id="reasons", text="The reasoning names the findings that support the conclusion."),
    RubricItem(id="consistent", text="The answer follows from the reasoning."),
    RubricItem(id="direct", text="The answer addresses the question that was asked, without hedging its main point."),
)


class EvaluationRequest(Settings):
    """What is evaluated and how.

    Attributes:
        title: what the list calls it.
        comparison: the id of the comparison that holds questions and answers.
        judges: none means automatic metrics only.
        methods: what each judge is asked.
        dimensions: those that are judged where `methods` has them.
        safety: whether judges also look for dangers; they are counted apart and part of no mean.
        rubric: the items of the method `rubric`.
        type_column: the column that holds the kind of each question; empty where there is none.
        baseline: the candidate that all others are compared with, by its place in the comparison.
        seed, resamples: of the bootstrap.
        trained_elsewhere: the candidates, by their places, whose run was trained on other data than the run that the
            questions are of; filled in by `core.evaluate.settling` when the evaluation is made.
    """

    title: str = Field(default="", max_length=200)
    comparison: str = Field(min_length=1)
    judges: tuple[JudgeSettings, ...] = Field(default=(), max_length=MOST_JUDGES)
    methods: tuple[Method, ...] = ()
    dimensions: tuple[Dimension, ...] = Field(default=DIMENSIONS, min_length=1)
    safety: bool = True
    rubric: tuple[RubricItem, ...] = Field(default=RUBRIC, min_length=1, max_length=30)
    type_column: str = ""
    baseline: int = Field(default=0, ge=0)
    seed: int = Field(default=0, ge=0, lt=2**31)
    resamples: int = Field(default=10_000, ge=1_000, le=100_000)
    trained_elsewhere: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if bool(self.judges) != bool(self.methods):
            raise ValueError("judges and methods belong together: choose both, or neither for automatic metrics only")
        if len({(judge.model, judge.base_url) for judge in self.judges}) < len(self.judges):
            raise ValueError("a judge is chosen twice; choose each once")
        for name, chosen in (("methods", self.methods), ("dimensions", self.dimensions)):
            if len(set(chosen)) < len(chosen):
                raise ValueError(f"{name} names something twice; name each once")
        if len({item.id for item in self.rubric}) < len(self.rubric):
            raise ValueError("two items of the rubric have the same id; give each its own")
        return self


def make_evaluation_request(**values: object) -> EvaluationRequest:
    """The request that these values, named as the fields, describe.

    Raises:
        ConfigError: names every one that is wrong.
    """
    try:
        return EvaluationRequest.model_validate(values)
    except ValidationError as error:
        raise ConfigError(validation_sentence(error)) from error
