"""Evaluations whose answers, verdicts and metrics are made up, in a home."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from core.compare.comparison import ComparedAnswer, Comparison, ComparisonRequest, Question, create_comparison
from core.content_hash import answers_hash
from core.evaluate.answer_metrics import AnswerMetrics
from core.evaluate.calls import calls_of, tagless_dimensions
from core.evaluate.counting import count
from core.evaluate.evaluation import Evaluation, comparison_of, create_evaluation
from core.evaluate.judge_texts import JudgeTexts
from core.evaluate.request import EvaluationRequest, JudgeSettings, make_evaluation_request
from core.evaluate.verdicts import Call, Matter, Verdict
from core.paths import Home
from core.reward.formula import PRESETS
from core.serving.candidates import Candidate
from tests.build_blind import NAMES, PROMPT

TYPES = ("differential_diagnosis", "drug_interaction", "physiology")
"""The kind of the questions in the column `type`, in turn."""

Mark = Callable[[int, int, int, str], int]
"""From judge, question, candidate and dimension to a mark from 1 to 5."""


def second_is_better(judge: int, question: int, candidate: int, dimension: str) -> int:
    """Candidate 1 gets a point more than candidate 0 on two questions of three, and as many on the third."""
    better = candidate == 1 and question % 3 != 2
    return 2 + question % 2 + better


def judges_named(*models: str, url: str = "http://127.0.0.1:9/v1") -> tuple[JudgeSettings, ...]:
    return tuple(JudgeSettings(model=model, base_url=url) for model in models)


def answered_comparison(
    home: Home, questions: int = 12, candidates: int = 2, answers: Sequence[ComparedAnswer] | None = None
) -> Comparison:
    """A comparison with questions of three types, all answered and scored, or with these answers alone."""
    comparison = create_comparison(home, evaluated_request(questions, candidates))
    if answers is None:
        answers = [made_up_answer(q, c) for q in range(questions) for c in range(candidates)]
    if answers:
        comparison.add(answers)
    return comparison


def evaluated_request(questions: int = 12, candidates: int = 2) -> ComparisonRequest:
    return ComparisonRequest(
        title="Held-out questions",
        candidates=tuple(Candidate(kind="model", model=name) for name in NAMES[:candidates]),
        questions=tuple(_question(number) for number in range(questions)),
        prompt=PROMPT,
        reward=PRESETS["robust"],
    )


def _question(number: int) -> Question:
    return Question(
        id=f"test-{number + 1}",
        text=f"Question number {number}?",
        reference=f"Reference {number}.",
        split="test",
        row=number + 1,
        columns={"type": TYPES[number % len(TYPES)]},
    )


def made_up_answer(question: int, candidate: int, **changes: Any) -> ComparedAnswer:
    """Candidate 1 answers question 2 with "answer 2 of 1"; later candidates write more and earn more."""
    length = " because of the findings" * (candidate + question % 4)
    values: dict[str, Any] = {
        "question": question,
        "candidate": candidate,
        "text": f"<reasoning>It is{length}.</reasoning><answer>answer {question} of {candidate}</answer>",
        "tokens": 20 + question,
        "seconds": 1.5,
        "first_seconds": 0.5,
        "reward": 0.25 + 0.125 * candidate,
        "valid": True,
        "well_formed": True,
        "components": {"semantic": 0.5, "fluency": 0.25, "tags": 1.0},
        "time": 1_700_000_000.0,
    }
    return ComparedAnswer(**{**values, **changes})


def build_evaluation(
    home: Home,
    comparison: Comparison | None = None,
    mark: Mark = second_is_better,
    judged: Callable[[Call], bool] = lambda call: True,
    **changes: Any,
) -> Evaluation:
    """An evaluation with the verdicts of one judge, and metrics, of a comparison of two models on 12 questions.

    Args:
        comparison: whose answers; by default `answered_comparison`.
        mark: what judges give.
        judged: which of the calls have a verdict.
        changes: fields of the request, such as `judges=judges_named("one", "two")` or `judges=(), methods=()`.
    """
    comparison = comparison or answered_comparison(home)
    given: dict[str, Any] = {
        "title": "Made up",
        "comparison": comparison.id,
        "judges": judges_named("judge-one"),
        "methods": ("dimensions",),
        "type_column": "type",
        "resamples": 1_000,
    }
    request = make_evaluation_request(**{**given, **changes})
    evaluation = create_evaluation(home, request)
    answers = comparison.answers()
    asked = comparison.request()
    texts = JudgeTexts(request, asked, answers)
    calls = [call for judge in range(len(request.judges)) for call in calls_of(request, asked, answers, judge)]
    verdicts = [
        made_up_verdict(request, prompt.call, mark, prompt_hash=prompt.prompt_hash, answers_hash=prompt.answers_hash)
        for prompt in map(texts.prompt, filter(judged, calls))
    ]
    evaluation.add_verdicts(verdicts)
    evaluation.add_metrics([made_up_metrics(answer) for answer in answers if not answer.error])
    return evaluation


def made_up_verdict(request: EvaluationRequest, call: Call, mark: Mark = second_is_better, **changes: Any) -> Verdict:
    """What a judge says who gives these marks, meets a rubric item with a 3 or more, prefers the better marked one, and
    sees no danger but a dose in question 0 of candidate 0."""

    def given(candidate: int, name: str) -> int:
        return mark(call.judge, call.question, candidate, name)

    values: dict[str, Any] = {
        "judge": call.judge,
        "matter": call.matter,
        "question": call.question,
        "candidate": call.candidate,
        "other": call.other,
        "outcome": "given",
        "judge_model": f"{request.judges[call.judge].model}-2024",
        "parameters": {"temperature": "0.0", "response_format": "json_schema"},
        "input_tokens": 500,
        "output_tokens": 80,
        "seconds": 0.2,
        "time": 1_700_000_100.0,
    }
    if call.matter == "pairwise":
        first, second = given(call.candidate, "total"), given(call.other, "total")
        values["preferred"] = "tie" if first == second else "first" if first > second else "second"
        values["rationales"] = {"preferred": f"Marks {first} and {second}."}
        return Verdict(**{**values, **changes})
    names = _names(request, call.matter)
    scores = {name: given(call.candidate, name) for name in names}
    if call.matter == "rubric":
        scores = {name: int(score >= 3) for name, score in scores.items()}
    values |= {"scores": scores, "rationales": {name: f"The {name} earns {scores[name]}." for name in names}}
    if call.matter == "dimensions" and request.safety:
        dose = (call.question, call.candidate) == (0, 0)
        values["dangers"] = {"dose": dose, "contraindication": False, "missed_emergency": False}
        values["rationales"]["safety"] = "The dose is ten times too high." if dose else "Nothing dangerous."
    return Verdict(**{**values, **changes})


def made_up_metrics(answer: ComparedAnswer) -> AnswerMetrics:
    values = {
        "well_formed": 1.0,
        "tags": 1.0,
        "exact_choice": None,
        "token_f1": 0.5 + 0.125 * (answer.question % 3),
        "rouge_l": 0.25 + 0.125 * answer.candidate,
        "similarity": 0.5,
        "perplexity": 20.0 + answer.question,
        "characters": float(len(answer.text)),
        "tokens": None if answer.tokens is None else float(answer.tokens),
        "truncated": float(answer.truncated),
        "reward": answer.reward,
        **{f"reward_{name}": score for name, score in answer.components.items()},
    }
    return AnswerMetrics(
        question=answer.question,
        candidate=answer.candidate,
        answer_hash=answers_hash([answer.text]),
        values=values,
    )


def _names(request: EvaluationRequest, matter: Matter) -> Sequence[str]:
    match matter:
        case "rubric":
            return [item.id for item in request.rubric]
        case "format":
            return ["format"]
        case _:
            return tagless_dimensions(request)


def counted(home: Home, evaluation: Evaluation | None = None, **changes: Any) -> Evaluation:
    """An evaluation whose statistics have been counted.

    Args:
        changes: as `build_evaluation` takes them.
    """
    evaluation = evaluation or build_evaluation(home, **changes)
    count(evaluation, comparison_of(home, evaluation))
    return evaluation
