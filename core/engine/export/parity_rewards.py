"""What the run's reward says of the answers of a parity check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.config import JUDGE, RewardConfig, RunConfig
from core.engine.export.parity_asked import Question
from core.engine.scorers import opened_scorer
from core.errors import StudioError
from core.export.parity_report import FormParity
from core.paths import Home
from core.prompts import conversation_text
from core.reward.parsing import parse
from core.reward.scoring import Sample, Scorer
from core.runs.run import Run


@dataclass(frozen=True)
class Marking:
    """Forms with their rewards and format rates, and what is to be said of how they were found."""

    forms: list[FormParity]
    notes: list[str]


def mark(
    home: Home,
    config: RunConfig,
    run: Run,
    questions: Sequence[Question],
    forms: Sequence[FormParity],
    told: Callable[[], None],
) -> Marking:
    """Give every answer its reward, and say whether it is well-formed.

    A judge is not asked: it costs money, and what is measured is the form and not the judge. Where the reward cannot be
    computed, because a model of it is not here for instance, there is none, and a note says why.

    Args:
        run: whose own copies of the custom rewards are used.
        told: called between two forms; it may raise to end the work.
    """
    formed = [_formed(form, config) for form in forms]
    reward, notes = without_judge(config.reward)
    if reward is None or not any(form.answers for form in formed):
        return Marking(formed, notes)
    try:
        with opened_scorer(reward, config.prompt.tags, home, run) as scorer:
            marked = []
            for form in formed:
                told()
                marked.append(_rewarded(form, scorer, questions) if form.answers else form)
    except StudioError as error:
        return Marking(formed, [*notes, f"The answers have no reward: {error}"])
    return Marking(marked, notes)


def without_judge(reward: RewardConfig) -> tuple[RewardConfig | None, list[str]]:
    """The reward without its judge, and what is to be said of that; None where nothing else carries weight."""
    if reward.judge is None:
        return reward, []
    weights = {name: weight for name, weight in reward.weights.items() if name != JUDGE}
    if not any(weights.values()):
        return None, ["The answers have no reward: it is a judge's opinion alone, and judges are not asked here."]
    changed = RewardConfig.model_validate({**reward.model_dump(), "weights": weights, "judge": None})
    return changed, ["The reward is told without its judge, who is not asked here."]


def _formed(form: FormParity, config: RunConfig) -> FormParity:
    if not form.answers:
        return form
    well = [parse(answer.text, config.prompt.tags).well_formed for answer in form.answers]
    pairs = zip(form.answers, well, strict=True)
    answers = tuple(answer.model_copy(update={"well_formed": formed}) for answer, formed in pairs)
    return form.model_copy(update={"answers": answers, "format_rate": float(np.mean(well))})


def _rewarded(form: FormParity, scorer: Scorer, questions: Sequence[Question]) -> FormParity:
    samples = [
        Sample(
            question=question.row.question,
            reference=question.row.answer,
            completion=answer.text,
            group=str(question.row.number),
            prompt=conversation_text(question.conversation),
            columns=question.row.carried,
            tokens=answer.tokens,
        )
        for question, answer in zip(questions, form.answers, strict=True)
    ]
    rewards = scorer.score(samples).rewards
    pairs = zip(form.answers, map(float, rewards), strict=True)
    answers = tuple(answer.model_copy(update={"reward": reward}) for answer, reward in pairs)
    return form.model_copy(update={"answers": answers, "reward": float(rewards.mean())})
