"""Which questions a parity check asks."""

from __future__ import annotations

from core import datasets
from core.chat import ChatModel
from core.config import DataConfig, RunConfig
from core.datasets import Row
from core.engine.export.parity_asked import Question
from core.errors import DataError
from core.export.request import ExportRequest
from core.paths import Home
from core.prompts import messages


def choose_questions(home: Home, config: RunConfig, request: ExportRequest) -> tuple[list[Question], list[str]]:
    """Questions of the run's data that it was never trained on, and what is to be said of them.

    Where the data is gone or has changed since, questions of the sample stand in for it.

    Raises:
        ModelError: the base model has no tokenizer or chat template.
    """
    chat = ChatModel.open(config.model, home)
    rows, notes = _rows(home, config)
    return _fitting(rows, chat, config, request), notes


def _rows(home: Home, config: RunConfig) -> tuple[list[Row], list[str]]:
    notes = []
    try:
        rows = datasets.read_rows(config.data, home)
    except DataError:
        rows = datasets.read_rows(DataConfig(), home)
        notes.append("The run's own data cannot be read any more, so questions of the sample data were asked.")
    held_out = datasets.held_out_rows(rows)
    if not held_out:
        notes.append("The run's data has no validation or test split, so questions that it was trained on were asked.")
    return held_out or rows, notes


def _fitting(rows: list[Row], chat: ChatModel, config: RunConfig, request: ExportRequest) -> list[Question]:
    """As many as were asked for, of those whose prompts are no longer than the run allows; else the shortest one."""
    chosen: list[Question] = []
    shuffled = [
        Question(row, chat.template.fit(messages(config.prompt, row.question)))
        for row in datasets.choose(rows, None, request.seed)
    ]
    for question in shuffled:
        if len(chosen) == request.questions:
            break
        if chat.render(question.conversation).tokens <= config.train.max_prompt_length:
            chosen.append(question)
    return chosen or [min(shuffled, key=lambda question: chat.render(question.conversation).tokens)]
