"""Evaluations with results, ready to be reported."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from core.compare.comparison import Comparison, Question, create_comparison, make_request
from core.evaluate.evaluation import Evaluation
from core.evaluate.evidence import Evidence, gather
from core.evaluate.judge_texts import JudgeTexts
from core.evaluate.verdicts import Call
from core.paths import Home
from core.serving.candidates import Candidate
from tests.build_comparison import request_of
from tests.build_evaluation import build_evaluation, counted, made_up_answer, made_up_verdict

DATE = datetime(2026, 3, 1, tzinfo=UTC)
HOSTILE = (
    "</script></details></pre><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    "<a href='javascript:alert(1)'>x</a> {{ 7 * 7 }} {% raw %} &lt;b&gt;"
)
FORMULA = '=HYPERLINK("http://evil.example";"x")'


def counted_evaluation(home: Home, comparison: Comparison | None = None, **changes: Any) -> Evaluation:
    """What `build_evaluation` makes, with its statistics."""
    return counted(home, build_evaluation(home, comparison, **changes))


def evidence_of(home: Home, comparison: Comparison | None = None, **changes: Any) -> Evidence:
    """All that is known of such an evaluation."""
    return gather(home, counted_evaluation(home, comparison, **changes))


def with_first_answer(evidence: Evidence, **changes: Any) -> Evidence:
    """The same evidence, but for what is known of the first candidate's answer to the first question."""
    question = evidence.questions[0]
    answers = (replace(question.answers[0], **changes), *question.answers[1:])
    return replace(evidence, questions=(replace(question, answers=answers), *evidence.questions[1:]))


def hostile_evaluation(home: Home) -> Evaluation:
    """One where every text that comes from outside is an attempt to break out of where it is shown."""
    request = request_of(
        title=HOSTILE[:200],
        candidates=(Candidate(kind="model", model=HOSTILE), Candidate(kind="model", model=FORMULA)),
    )
    questions = tuple(_hostile_question(number) for number in range(3))
    prompt = request.prompt.model_copy(update={"system": HOSTILE})
    asked = make_request(**{**dict(request), "questions": questions, "prompt": prompt})
    comparison = create_comparison(home, asked)
    texts = (HOSTILE, FORMULA)
    comparison.add([made_up_answer(q, c, text=texts[c], error="") for q in range(3) for c in range(2)])
    evaluation = build_evaluation(home, comparison, title=HOSTILE[:200], judged=lambda call: call.question < 2)
    judge = JudgeTexts(evaluation.request(), asked, comparison.answers())
    evaluation.add_verdicts([_hostile_verdict(evaluation, judge, call) for call in evaluation.verdicts()])
    return counted(home, evaluation)


def _hostile_question(number: int) -> Question:
    return Question(id=f"q{number}", text=f"{HOSTILE} {number}", reference=FORMULA, columns={"type": HOSTILE[:30]})


def _hostile_verdict(evaluation: Evaluation, judge: JudgeTexts, call: Call) -> Any:
    prompt_hash, shown_hash = judge.hashes(call)
    verdict = made_up_verdict(evaluation.request(), call, judge_model=HOSTILE, system_fingerprint=HOSTILE)
    said = dict.fromkeys(verdict.rationales, HOSTILE)
    changes = {"rationales": said, "prompt_hash": prompt_hash, "answers_hash": shown_hash}
    return verdict.model_copy(update=changes)
