"""Finds out which columns of a table hold the questions and which the answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from statistics import mean

from core.data.draft import ColumnMapping
from core.data.split_names import parse_split

Rows = Sequence[Mapping[str, str | None]]

_QUESTIONS = (
    ("question", "frage", "pregunta", "domanda", "pergunta", "vraag", "问题", "問題", "质问", "質問", "вопрос"),
    ("prompt", "query", "instruction", "problem", "stem", "vignette", "input", "user", "提示", "指令"),
)
"""The first group is preferred to the second; within a group the order of the columns decides."""
_ANSWERS = (
    (
        "answer",
        "antwort",
        "respuesta",
        "réponse",
        "reponse",
        "risposta",
        "resposta",
        "antwoord",
        "答案",
        "回答",
        "ответ",
    ),
    ("response", "reference", "solution", "output", "completion", "target", "ground", "gold", "label", "assistant"),
)
_REASONING = re.compile(r"cot|chain|thoughts?|thinking|reasoning|rationale|explanation|scratchpad")
_OTHER = {
    "id",
    "idx",
    "index",
    "type",
    "kind",
    "category",
    "source",
    "url",
    "length",
    "tokens",
    "time",
    "date",
    "count",
}
_SPLIT_NAMES = {"split", "set", "fold", "subset", "partition"}


def guess_mapping(columns: Sequence[str], rows: Rows) -> ColumnMapping | None:
    """The likely question, answer and split columns; None when two columns of text cannot be told apart.

    Names come first, then what the columns hold: questions end in a question mark, answers are the longest other text.
    A column of reasoning is never taken as the reference answer.

    >>> guess_mapping(["Question", "Complex_CoT", "Response"], []).answer
    'Response'
    """
    split = next((name for name in columns if _is_split(name, rows)), None)
    usable = [name for name in columns if name != split and not _is_reasoning(name)]
    question = _by_name(usable, _QUESTIONS)
    answer = _by_name([name for name in usable if name != question], _ANSWERS)
    texts = [name for name in usable if name not in (question, answer) and _holds_text(name, rows)]
    if question is None:
        question = max(texts, key=lambda name: _asking(name, rows), default=None)
        if answer is None and question is not None and not _asking(question, rows):
            return None
    if answer is None:
        answer = max((n for n in texts if n != question), key=lambda n: mean(map(len, _cells(n, rows))), default=None)
    if question is None or answer is None:
        return None
    return ColumnMapping(question=question, answer=answer, split=split)


def _words(name: str) -> list[str]:
    """The words of a column name: `finalAnswer_text` has final, answer and text."""
    return re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", name).casefold().replace("_", " ").replace("-", " ").split()


def _by_name(columns: Iterable[str], groups: Sequence[Sequence[str]]) -> str | None:
    """The column named by the best group; one whose whole name fits before one that has more words."""
    ranked = [
        (rank, len(words) > 1, place, name)
        for place, name in enumerate(columns)
        for rank, group in enumerate(groups)
        if (words := _words(name)) and not _OTHER & set(words) and any(_fits(word, group) for word in words)
    ]
    return min(ranked)[-1] if ranked else None


def _fits(word: str, group: Sequence[str]) -> bool:
    return any(word in (known, f"{known}s", f"{known}1") for known in group)


def _is_reasoning(name: str) -> bool:
    return any(_REASONING.fullmatch(word) for word in _words(name))


def _is_split(name: str, rows: Rows) -> bool:
    values = _cells(name, rows)
    return bool(_SPLIT_NAMES & set(_words(name)) and values) and all(parse_split(value) for value in values)


def _cells(name: str, rows: Rows) -> list[str]:
    return [cell for row in rows if (cell := row.get(name)) and cell.strip()]


def _holds_text(name: str, rows: Rows) -> bool:
    """Whether the cells read as sentences rather than as numbers, marks or categories."""
    cells = _cells(name, rows)
    return bool(cells) and not _OTHER & set(_words(name)) and mean(len(cell) for cell in cells) >= 10


def _asking(name: str, rows: Rows) -> float:
    """The share of cells with a question mark at the end."""
    cells = _cells(name, rows)
    return mean(cell.rstrip().endswith(("?", "？", "؟")) for cell in cells) if cells else 0.0
