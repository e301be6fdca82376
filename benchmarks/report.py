"""The quality report on 20,000 rows, against pandas and the loops that one would write first.

The rows are made of the sample data's sentences: questions of about 60 words, answers of about 150, with duplicates,
near duplicates, reasoning and identifiers among them. As in the studio, a process of its own makes the report: the
processes it starts import what it imports, and that must not be PyTorch. The plain way compares every two questions
with each other; that is measured on a slice and multiplied up, because it would take hours.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import time
from difflib import SequenceMatcher
from itertools import combinations
from typing import Any

import pandas as pd
import pyarrow as pa

from core.chat import ChatModel
from core.config import EMBEDDED_POLICY
from core.data.draft import ColumnMapping, Draft
from core.data.quality import report
from core.paths import PROJECT, SAMPLE_DATA, Home
from core.presets import preset_config

ROWS = 20_000
SLICE = 80
"""Rows of which every two are compared in the plain way."""
SECONDS = 30
_EVERY = 50
"""One row in so many is a duplicate, as many nearly one, hold reasoning, or a name."""

_SAME_SPLIT = 10
"""So many rows apart, two rows are in the same split."""


def measure(home: Home) -> dict[str, Any]:
    """Seconds of the report and of the plain way, one after the other."""
    command = [sys.executable, "-m", "benchmarks.report", str(home.root)]
    answer = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def _measure(home: Home) -> dict[str, Any]:
    table = _rows()
    chat = ChatModel.open(EMBEDDED_POLICY, home)
    columns = ColumnMapping(question="question", answer="answer", split="split")
    draft = Draft(table="bench", mapping=columns, prompt=preset_config("demo").prompt)
    phases: dict[str, float] = {}
    start = time.perf_counter()
    found = report(table, draft, chat, lambda phase, done, total: phases.setdefault(phase, time.perf_counter() - start))
    seconds = time.perf_counter() - start
    plain = _plain(table.to_pandas(), chat)
    return {
        "rows": ROWS,
        "report_seconds": round(seconds, 1),
        "phases_begin_at": {phase: round(begin, 1) for phase, begin in phases.items()},
        "findings": {finding.kind: len(finding.rows) for finding in found.findings},
        **plain,
        "plain_over_report": round(plain["plain_seconds"] / seconds),
        "met": {f"at most {SECONDS} s": seconds <= SECONDS},
    }


def _plain(rows: pd.DataFrame, chat: ChatModel) -> dict[str, float]:
    """Seconds of the same questions asked with pandas, one row at a time; near duplicates multiplied up."""
    start = time.perf_counter()
    rows[["question", "answer"]].isna().sum()
    rows["question"].duplicated(keep=False).sum()
    rows["answer"].apply(lambda answer: bool(re.search(r"<think>|<reasoning>|<\|im_end\|>", answer))).sum()
    for text in (*rows["question"], *rows["answer"]):
        chat.count([text])
        re.findall(r"\b(?:Mr|Mrs|Ms)\.? [A-Z]\w+|\b\d{3}-\d{2}-\d{4}\b|\S+@\S+", text)
    loops = time.perf_counter() - start
    start = time.perf_counter()
    for one, other in combinations(rows["question"][:SLICE], 2):
        SequenceMatcher(None, one, other).ratio()
    pairs = (time.perf_counter() - start) * (ROWS * (ROWS - 1)) / (SLICE * (SLICE - 1))
    return {
        "plain_seconds": round(loops + pairs),
        "plain_seconds_measured": round(loops, 1),
        "plain_seconds_multiplied_up": round(pairs),
    }


def _rows() -> pa.Table:
    sample = [json.loads(line) for line in SAMPLE_DATA.read_text(encoding="utf-8").splitlines()]
    sentences = [row["question"] for row in sample] + [row["answer"] for row in sample]
    source = random.Random(0)
    questions: list[str] = []
    for number in range(ROWS):
        match number % _EVERY if number >= _EVERY else 0:
            case 1:
                questions.append(questions[number - _SAME_SPLIT].upper())
            case 2:
                questions.append(f"{questions[number // 2]} Please answer.")
            case _:
                questions.append(_text(sentences, 60, source))
    answers = [_text(sentences, 150, source) for _ in range(ROWS)]
    for number in range(_EVERY + 1, ROWS, 2 * _EVERY):  # half of the repeated questions have the same answer again
        answers[number] = answers[number - _SAME_SPLIT]
    for number in range(0, ROWS, _EVERY):
        answers[number] = f"<think>{answers[number]}</think> {answers[number]}"
        questions[number] = f"Mr Smith, MRN 00123456, asks: {questions[number]}"
    splits = [("test", "validation", *["train"] * 8)[number % _SAME_SPLIT] for number in range(ROWS)]
    numbers = pa.array(range(1, ROWS + 1), pa.int64())
    return pa.table([numbers, questions, answers, splits], names=["row", "question", "answer", "split"])


def _text(sentences: list[str], words: int, source: random.Random) -> str:
    """Sentences at random until there are about so many words."""
    parts: list[str] = []
    while sum(part.count(" ") + 1 for part in parts) < words - 15:
        parts.append(source.choice(sentences))
    return " ".join(parts)


if __name__ == "__main__":
    print(json.dumps(_measure(Home.open(sys.argv[1]))))
