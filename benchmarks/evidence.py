"""The report of an evaluation of 500 questions: how large it is, how soon a browser shows it, how long writing takes.

Answers, reasons and references are as long as those of models that reason: about 900 characters an answer and 150 a
reason. A fresh browser opens the file from the disk; it is open when all of it has been read and laid out. The first
page has no figure. Figures are drawn as they come into view; how long it takes to draw all of them, as before printing,
is measured apart, the compiling of their library included.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from playwright.sync_api import Browser, sync_playwright

from benchmarks import scratch_home
from core.compare.comparison import ComparedAnswer, Comparison, Question, create_comparison, make_request
from core.content_hash import answers_hash
from core.evaluate.answer_metrics import AnswerMetrics
from core.evaluate.calls import calls_of
from core.evaluate.counting import count
from core.evaluate.evaluation import Evaluation, create_evaluation
from core.evaluate.judge_texts import JudgeTexts
from core.evaluate.report import REPORT, write_report
from core.evaluate.request import JudgeSettings, make_evaluation_request
from core.evaluate.verdicts import Call, Verdict
from core.paths import Home
from core.presets import preset_config
from core.serving.candidates import Candidate

QUESTIONS = 500
OPEN_SECONDS, MEGABYTES = 2.0, 10.0
_OPENINGS = 5
_KINDS = ("differential diagnosis", "drug interaction", "physiology", "treatment")
_SENTENCE = (
    "The patient's INR rises because clarithromycin inhibits CYP3A4, so the dose of warfarin has to be lowered. "
)


def measure(home: Home) -> dict[str, Any]:
    """Megabytes of the report and seconds until it is drawn, the median of a few fresh browsers."""
    with scratch_home(home) as work:
        evaluation = build(work)
        start = time.perf_counter()
        report = write_report(work, evaluation, datetime(2026, 1, 1, tzinfo=UTC)) / REPORT
        written, size = time.perf_counter() - start, report.stat().st_size / 1e6
        with sync_playwright() as playwright:
            seconds, drawing = zip(*(_fresh(playwright.chromium, report) for _ in range(_OPENINGS)), strict=True)
    return {
        "questions": QUESTIONS,
        "report_mb": round(size, 2),
        "write_seconds": round(written, 2),
        "open_seconds": round(median(seconds), 2),
        "draw_all_figures_seconds": round(median(drawing), 2),
        "all_openings_seconds": [round(one, 2) for one in seconds],
        "met": {
            f"opens within {OPEN_SECONDS:.0f} s": median(seconds) < OPEN_SECONDS,
            f"under {MEGABYTES:.0f} MB": size < MEGABYTES,
        },
    }


def build(home: Home) -> Evaluation:
    """An evaluation of two models on 500 questions that one judge has marked, with its results."""
    comparison = _comparison(home)
    asked, answers = comparison.request(), comparison.answers()
    request = make_evaluation_request(
        title="Five hundred questions",
        comparison=comparison.id,
        judges=(JudgeSettings(model="judge", base_url="http://127.0.0.1:9/v1"),),
        methods=("dimensions",),
        type_column="type",
    )
    evaluation = create_evaluation(home, request)
    texts, random = JudgeTexts(request, asked, answers), np.random.default_rng(0)
    evaluation.add_verdicts([_verdict(texts, call, random) for call in calls_of(request, asked, answers, 0)])
    evaluation.add_metrics([_metrics(answer, random) for answer in answers])
    count(evaluation, comparison)
    return evaluation


def _comparison(home: Home) -> Comparison:
    config = preset_config("demo")
    request = make_request(
        title="Held-out questions",
        candidates=tuple(Candidate(kind="model", model=name) for name in ("base-model", "trained-model")),
        questions=tuple(_question(number) for number in range(QUESTIONS)),
        prompt=config.prompt,
        reward=config.reward,
    )
    comparison = create_comparison(home, request)
    comparison.add([_answer(question, who) for question in range(QUESTIONS) for who in range(2)])
    return comparison


def _question(number: int) -> Question:
    return Question(
        id=f"test-{number + 1}",
        text=f"Case {number + 1}. {_SENTENCE * 3}What is to be done?",
        reference=_SENTENCE * 3,
        split="test",
        row=number + 1,
        columns={"type": _KINDS[number % len(_KINDS)]},
    )


def _answer(question: int, who: int) -> ComparedAnswer:
    text = f"<reasoning>{_SENTENCE * (4 + question % 3)}</reasoning><answer>{_SENTENCE * 3}</answer>"
    return ComparedAnswer(question=question, candidate=who, text=text, tokens=200, seconds=4.0, reward=0.5, valid=True)


def _verdict(texts: JudgeTexts, call: Call, random: np.random.Generator) -> Verdict:
    prompt_hash, shown_hash = texts.hashes(call)
    names = ("format",) if call.matter == "format" else ("accuracy", "reasoning", "fluency", "usefulness")
    marks = np.clip(random.integers(1, 5, len(names)) + call.candidate, 1, 5)
    seen = bool(random.random() < 0.03)
    return Verdict(
        judge=0,
        matter=call.matter,
        question=call.question,
        candidate=call.candidate,
        outcome="given",
        scores=dict(zip(names, map(int, marks), strict=True)),
        rationales=dict.fromkeys((*names, "safety"), _SENTENCE + "One step is missing."),
        dangers={"dose": seen, "contraindication": False, "missed_emergency": False} if len(names) > 1 else {},
        judge_model="judge-1",
        prompt_hash=prompt_hash,
        answers_hash=shown_hash,
        parameters={"temperature": "0"},
    )


def _metrics(answer: ComparedAnswer, random: np.random.Generator) -> AnswerMetrics:
    shares = {name: float(random.random()) for name in ("well_formed", "token_f1", "rouge_l", "similarity", "reward")}
    return AnswerMetrics(
        question=answer.question,
        candidate=answer.candidate,
        answer_hash=answers_hash([answer.text]),
        values={**shares, "characters": float(len(answer.text)), "truncated": 0.0},
    )


def _fresh(chromium: Any, report: Path) -> tuple[float, float]:
    """Seconds from asking a fresh browser for the file until it is open, and then until every figure is drawn."""
    browser: Browser = chromium.launch(
        executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox", "--disable-gpu"]
    )
    try:
        page = browser.new_page()
        start = time.perf_counter()
        page.goto(report.as_uri())
        opened = time.perf_counter()
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        return opened - start, time.perf_counter() - opened
    finally:
        browser.close()
