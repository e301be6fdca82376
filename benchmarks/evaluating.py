"""Judging 100 questions answered by 2 models, and the bootstrap of 5 dimensions of 500 questions.

The judge is an endpoint in a process of its own that takes 200 ms for every reply. It is asked through the real client,
and every verdict is written to the disk. The ideal is the calls in rounds of as many as may be asked at once, 200 ms
each. The client library is loaded before, as it is in a task that has asked the models. What is asked for is the median
of several turns with as many at once as the studio chooses. With four times as many the client library, which takes
about 2 ms of a core for a call, and the endpoint are busy all the time on a small machine; that is only told.
"""

from __future__ import annotations

import asyncio
import json
import math
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from benchmarks import scratch_home
from core.compare.comparison import ComparedAnswer, Comparison, Question, create_comparison, make_request
from core.datasets import read_rows
from core.evaluate.evaluation import create_evaluation
from core.evaluate.intervals import mean_intervals
from core.evaluate.request import DIMENSIONS, JudgeSettings, make_evaluation_request
from core.evaluate.task import Judging
from core.jobs.tasks import silent
from core.paths import PROJECT, Home
from core.presets import preset_config
from core.serving.candidates import Candidate
from core.serving.chat_completions import certificates

QUESTIONS, MODELS = 100, 2
AT_ONCE, MANY_AT_ONCE = JudgeSettings().concurrent, 32
LATENCY = 0.2
TURNS = 3
IDEAL = 1.2
"""How many times the ideal judging may take."""
BOOTSTRAP_QUESTIONS, RESAMPLES, BOOTSTRAP_SECONDS = 500, 10_000, 1.0


def measure(home: Home) -> dict[str, Any]:
    """How long judging takes beyond the ideal, and how long the bootstrap takes."""
    certificates()
    with scratch_home(home) as work, _slow_judge() as url:
        turns = sorted((_judging(work, url, AT_ONCE) for _ in range(TURNS)), key=lambda turn: float(turn["ratio"]))
        many = _judging(work, url, MANY_AT_ONCE)
    judging, bootstrap = turns[TURNS // 2], _bootstrap()
    return {
        "judging": judging,
        "judging_many_at_once": many,
        "bootstrap": bootstrap,
        "met": {
            f"judging in {IDEAL} of the ideal": judging["ratio"] <= IDEAL,
            f"bootstrap under {BOOTSTRAP_SECONDS:g} s": bootstrap["seconds"] < BOOTSTRAP_SECONDS,
        },
    }


def _judging(home: Home, url: str, at_once: int) -> dict[str, Any]:
    comparison = _answered(home)
    judge = JudgeSettings(model="judge", base_url=url, concurrent=at_once)
    request = make_evaluation_request(comparison=comparison.id, judges=[judge], methods=["dimensions"])
    evaluation = create_evaluation(home, request)
    start = time.perf_counter()
    broken = asyncio.run(Judging(evaluation, comparison, silent).run())
    seconds = time.perf_counter() - start
    calls = len(evaluation.verdicts())
    assert not broken and all(verdict.outcome == "given" for verdict in evaluation.verdicts().values())
    ideal = math.ceil(calls / at_once) * LATENCY
    return {
        "calls": calls,
        "at_once": at_once,
        "seconds": round(seconds, 2),
        "ideal_seconds": round(ideal, 2),
        "ratio": round(seconds / ideal, 3),
    }


def _answered(home: Home) -> Comparison:
    """Questions of the sample data, over and over, each answered by every model with the reference."""
    config = preset_config("demo")
    rows = read_rows(config.data, home)
    chosen = [rows[number % len(rows)] for number in range(QUESTIONS)]
    questions = [
        Question(id=f"q{number}", text=row.question, reference=row.answer) for number, row in enumerate(chosen)
    ]
    models = [Candidate(kind="model", model=f"model-{number}") for number in range(MODELS)]
    request = make_request(candidates=models, questions=questions, prompt=config.prompt, reward=config.reward)
    comparison = create_comparison(home, request)
    comparison.add(
        [
            ComparedAnswer(
                question=number,
                candidate=model,
                text=f"<reasoning>{question.text}</reasoning><answer>{question.reference}</answer>",
            )
            for number, question in enumerate(questions)
            for model in range(MODELS)
        ]
    )
    return comparison


def _bootstrap() -> dict[str, Any]:
    """Seconds of the intervals of paired differences of marks, one row a dimension."""
    source = np.random.default_rng(0)
    marks = source.integers(1, 6, (2, len(DIMENSIONS), BOOTSTRAP_QUESTIONS)).astype(float)
    mean_intervals([np.array([0.0, 1.0])], 0, 1_000)  # loads scipy
    start = time.perf_counter()
    found = mean_intervals(list(marks[1] - marks[0]), 0, RESAMPLES)
    seconds = time.perf_counter() - start
    assert all(found)
    return {
        "dimensions": len(DIMENSIONS),
        "questions": BOOTSTRAP_QUESTIONS,
        "resamples": RESAMPLES,
        "seconds": round(seconds, 3),
    }


@contextmanager
def _slow_judge() -> Iterator[str]:
    """The address of a judge in a process of its own, for the length of a `with` block."""
    command = [sys.executable, "-m", "benchmarks.evaluating"]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.terminate()


async def _verdict(request: Request) -> Response:
    """A verdict in the form that is asked for, after the latency."""
    asked = await request.json()
    await asyncio.sleep(LATENCY)
    text = json.dumps(_filled(asked["response_format"]["json_schema"]["schema"]))
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    body = {"id": "1", "object": "chat.completion", "created": 0, "model": asked["model"], "choices": [choice]}
    return JSONResponse(body)


def _filled(schema: dict[str, Any]) -> Any:
    match schema["type"]:
        case "object":
            return {name: _filled(part) for name, part in schema["properties"].items()}
        case "boolean":
            return False
        case "integer":
            return 4
    return "Because it is so."


def _serve() -> None:
    """Judge until the process is ended; the port is said on standard output."""
    application = Starlette(routes=[Route("/v1/chat/completions", _verdict, methods=["POST"])])
    # Named as TCP, or asyncio leaves its delay of small packets on, which adds 40 ms to every reply.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        print(listening.getsockname()[1], flush=True)
        config = uvicorn.Config(application, log_level="warning")
        asyncio.run(uvicorn.Server(config).serve([listening]))


if __name__ == "__main__":
    _serve()
