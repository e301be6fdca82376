"""What is measured of an answer without a judge. None of it is an opinion: these numbers are automatic.

Overlap with the reference is that of `rouge_score`, without stemming, on this studio's words, so that languages without
spaces are compared as well. Similarity and perplexity are those of the models that score the comparison's reward.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pandas as pd

from core.compare.answering import sample_of
from core.compare.comparison import ComparedAnswer, ComparisonRequest
from core.config import RewardConfig
from core.content_hash import answers_hash
from core.evaluate.answer_metrics import AnswerMetrics
from core.evaluate.choices import exact_choice
from core.paths import Home
from core.reward.formula import PRESETS
from core.reward.parsing import parse
from core.reward.scoring import judged_texts
from core.reward.text_measures import perplexity_of, repetition, tag_score
from core.serving.scoring import score_answers
from core.serving.server import Server
from core.text import words

TERM = "reward_"
"""How the name of a metric begins that is one component of the reward."""

_MOST_WORDS = 2_000
"""Of a text that is compared with its reference: the longest common subsequence takes time and memory squared."""


@dataclass(frozen=True)
class Metric:
    """What a number says.

    Attributes:
        title: for people.
        low, high: the ends of its scale; None where it has none.
        upward: whether more is better; None where neither is.
    """

    title: str
    low: float | None
    high: float | None
    upward: bool | None


METRICS: Mapping[str, Metric] = {
    "well_formed": Metric("Required form kept", 0, 1, True),
    "tags": Metric("Tag pairs present", 0, 1, True),
    "exact_choice": Metric("Right option chosen", 0, 1, True),
    "token_f1": Metric("Words shared with the reference (F1)", 0, 1, True),
    "rouge_l": Metric("Word order shared with the reference (ROUGE-L)", 0, 1, True),
    "similarity": Metric("Similarity with the reference", -1, 1, True),
    "perplexity": Metric("Perplexity of the answer", 1, None, False),
    "characters": Metric("Length in characters", 0, None, None),
    "tokens": Metric("Length in tokens", 0, None, None),
    "truncated": Metric("Cut off for length", 0, 1, False),
    "reward": Metric("Reward", -1, 1, True),
}
"""All but the components of the reward, in the order in which they are shown."""
_TERMS: Mapping[str, Metric] = {
    "semantic": Metric("Reward: similarity with the reference", -1, 1, True),
    "fluency": Metric("Reward: fluency", 0, 1, True),
    "tags": Metric("Reward: tags", -1, 1, True),
    "judge": Metric("Reward: judge", 0, 1, True),
}


def metric_of(name: str) -> Metric:
    """What a metric of this name says; `reward_` and the name of a component is that component's score.

    Raises:
        KeyError: there is none.

    >>> metric_of("reward_dose_check").title
    'Reward: dose_check'
    """
    if not name.startswith(TERM):
        return METRICS[name]
    component = name.removeprefix(TERM)
    return _TERMS.get(component, Metric(f"Reward: {component}", None, None, True))


def needs_measuring(answer: ComparedAnswer, known: AnswerMetrics | None) -> bool:
    """Whether a whole answer has no metrics, or those of another text or reward, or lacks those that need models."""
    if answer.error or known is None:
        return not answer.error
    same = known.answer_hash == answers_hash([answer.text]) and known.values.get("reward") == answer.reward
    return not same or not METRICS.keys() <= known.values.keys()


def standing_metrics(
    answers: Sequence[ComparedAnswer], metrics: Mapping[tuple[int, int], AnswerMetrics]
) -> dict[tuple[int, int], AnswerMetrics]:
    """The metrics of answers that are still as they were measured, by question and candidate."""
    texts = {(answer.question, answer.candidate): answer.text for answer in answers if not answer.error}
    return {
        place: one
        for place, one in metrics.items()
        if place in texts and one.answer_hash == answers_hash([texts[place]])
    }


def measured(request: ComparisonRequest, answer: ComparedAnswer) -> AnswerMetrics:
    """The metrics of a whole answer that need no model to be asked.

    Those of models are among them where the answer's reward was scored by the same models.
    """
    parsed = parse(answer.text, request.prompt.tags)
    question = request.questions[answer.question]
    (text,) = judged_texts([parsed])
    values = {
        "well_formed": float(parsed.well_formed),
        "tags": tag_score(parsed, "lenient"),
        "exact_choice": exact_choice(text, question.reference, question.text),
        **_overlap(text, question.reference),
        **_model_values(request.reward, text, answer.components),
        "characters": float(len(answer.text)),
        "tokens": None if answer.tokens is None else float(answer.tokens),
        "truncated": float(answer.truncated),
        "reward": answer.reward,
        **{f"{TERM}{name}": score for name, score in answer.components.items()},
    }
    return AnswerMetrics(
        question=answer.question,
        candidate=answer.candidate,
        answer_hash=answers_hash([answer.text]),
        values=values,
    )


def with_models(
    home: Home,
    request: ComparisonRequest,
    answers: Sequence[ComparedAnswer],
    known: Sequence[AnswerMetrics],
    look: Callable[[Server], None] = lambda server: None,
) -> list[AnswerMetrics]:
    """The metrics of answers, each with similarity and perplexity added.

    They come from the terms of the article's reward, under the models that score the comparison's own.

    Args:
        look: as in `core.serving.scoring.score_answers`.

    Raises:
        StudioError: as `core.serving.scoring.score_answers`.
    """
    reward = _article(request.reward)
    samples = [replace(sample_of(request, answer), group=str(row)) for row, answer in enumerate(answers)]
    found = score_answers(home, reward, request.prompt.tags, samples, "", look)
    texts = judged_texts([parse(answer.text, request.prompt.tags) for answer in answers])
    return [
        metrics.model_copy(update={"values": {**metrics.values, **_model_values(reward, text, scores.components)}})
        for metrics, text, scores in zip(known, texts, found, strict=True)
    ]


def _article(reward: RewardConfig) -> RewardConfig:
    """The article's reward under the scoring models of another."""
    models = {"similarity_model": reward.similarity_model, "fluency_model": reward.fluency_model}
    return PRESETS["article"].model_copy(update=models)


def _model_values(reward: RewardConfig, text: str, scores: Mapping[str, float | None]) -> dict[str, float | None]:
    """Similarity and perplexity as a reward's scores tell them; empty where they do not."""
    fluency = scores.get("fluency")
    if "semantic" not in scores or fluency is None or reward.fluency == "reference_batch":
        return {}
    if reward.fluency == "answer_without_repetition":
        fluency /= 1.0 - repetition(text)  # of which each n-gram counts once, so that it is never 1
    return {"similarity": scores["semantic"], "perplexity": perplexity_of(fluency) if text else None}


def metric_rows(metrics: Iterable[AnswerMetrics]) -> pd.DataFrame:
    """All values that there are, one a row: the columns question, candidate, measure and score."""
    rows = [
        (one.question, one.candidate, name, float(score))
        for one in metrics
        for name, score in one.values.items()
        if score is not None
    ]
    return pd.DataFrame(rows, columns=["question", "candidate", "measure", "score"])


def _overlap(answer: str, reference: str) -> dict[str, float | None]:
    """F-measures of the words, and of their longest common subsequence; None where there is no reference."""
    if not words(reference):
        return {"token_f1": None, "rouge_l": None}
    found = _rouge().score(reference, answer)
    return {"token_f1": float(found["rouge1"].fmeasure), "rouge_l": float(found["rougeL"].fmeasure)}


@cache
def _rouge() -> Any:
    from rouge_score.rouge_scorer import RougeScorer  # noqa: PLC0415 takes two seconds

    return RougeScorer(["rouge1", "rougeL"], tokenizer=_Words())


class _Words:
    """Cuts texts into words as the rest of the studio does."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)[:_MOST_WORDS]
