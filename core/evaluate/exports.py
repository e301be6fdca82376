"""The files of an evidence pack for other programs: CSV for spreadsheets, JSON Lines, and all of it in one zip."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from core.compare.comparison import ComparisonRequest
from core.evaluate.evidence import Evidence
from core.evaluate.judged_questions import JudgedAnswer, JudgedQuestion
from core.evaluate.table import ALL_JUDGES, AUTOMATIC, COLUMNS
from core.evaluate.verdicts import Verdict
from core.json_lines import json_line
from core.text import neutral_cell

Cell = str | int | float | bool | None

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""The first that a zip can bear: one that is always the same makes the same bytes."""
_VERDICT = ("question", "question_id", "judge", "judge_name", "matter", "candidate", "candidate_name")
_ASKED = ("judge_model", "system_fingerprint", "prompt_hash", "parameters", "input_tokens", "output_tokens", "attempts")


def answers_csv(evidence: Evidence) -> bytes:
    """One line an answer with its metrics; an answer that is missing has a line without a text."""
    metrics = sorted({name for _, one in _answers(evidence) for name in one.metrics})
    heading = ["question", "question_id", "split", "row", "type", "question_text", "reference"]
    heading += ["candidate", "candidate_name", "answer", "error", "truncated", "tokens", "seconds", *metrics]
    return _csv(heading, (_answer_line(question, one, metrics) for question, one in _answers(evidence)))


def verdicts_csv(evidence: Evidence) -> bytes:
    """One line for each thing that a verdict says; a verdict that says nothing has one line with its outcome."""
    heading = [*_VERDICT, "other", "other_name", "outcome", "item", "value", "rationale", "reason", *_ASKED, "time"]
    return _csv(heading, (line for verdict in evidence.verdicts for line in _verdict_lines(evidence, verdict)))


def scores_csv(evidence: Evidence) -> bytes:
    """Every score, one a line, as the statistics were counted from them."""
    names = [contender.name for contender in evidence.contenders]
    judges = {AUTOMATIC: "automatic", ALL_JUDGES: "mean of the judges"}
    judges |= {place: judge.judge for place, judge in enumerate(evidence.results.judges)}
    heading = ["question", "question_id", "type", "candidate", "candidate_name", "judge", "judge_name", "measure"]
    table = evidence.table.sort_values(["measure", "judge", "question", "candidate"])
    lines = []
    for question, who, judge, measure, score in zip(*(table[name].tolist() for name in COLUMNS), strict=True):
        judged = evidence.questions[question]
        line = [judged.number, judged.question.id, judged.kind, who, names[who], judge, judges[judge], measure, score]
        lines.append(line)
    return _csv([*heading, "score"], lines)


def answers_jsonl(evidence: Evidence) -> bytes:
    """One answer a line, texts exactly as they are."""
    return _json_lines(
        {
            "question": question.number,
            "question_id": question.question.id,
            "split": question.question.split,
            "row": question.question.row,
            "type": question.kind,
            "question_text": question.question.text,
            "reference": question.question.reference,
            "columns": question.question.columns,
            "candidate": one.candidate,
            "candidate_name": one.name,
            "answer": None if one.answer is None else one.answer.model_dump(exclude={"question", "candidate"}),
            "metrics": dict(one.metrics),
        }
        for question, one in _answers(evidence)
    )


def verdicts_jsonl(evidence: Evidence) -> bytes:
    """One verdict a line as it was written down, with the question counted from 1 as in the other files."""
    return _json_lines(
        {**verdict.model_dump(mode="json"), "question": verdict.question + 1} for verdict in evidence.verdicts
    )


def settings_json(evidence: Evidence) -> bytes:
    """All that was asked for: the evaluation, and the comparison with its questions, prompt and decoding.

    Models that lie in folders of this machine are told by their names alone, since a pack is passed on.
    """
    asked = {
        "evaluation": evidence.request.model_dump(mode="json"),
        "comparison": _without_folders(evidence.asked).model_dump(mode="json"),
        "software": dict(evidence.versions),
    }
    return _json(asked)


def _without_folders(asked: ComparisonRequest) -> ComparisonRequest:
    candidates = tuple(one.model_copy(update={"model": _name(one.model)}) for one in asked.candidates)
    reward = asked.reward
    scorers = {"similarity_model": _name(reward.similarity_model), "fluency_model": _name(reward.fluency_model)}
    return asked.model_copy(update={"candidates": candidates, "reward": reward.model_copy(update=scorers)})


def _name(model: str) -> str:
    """A model's name without the folders of this machine.

    >>> _name("/srv/models/ward-7.gguf"), _name("~/models/base"), _name("Qwen/Qwen3-0.6B")
    ('ward-7.gguf', 'base', 'Qwen/Qwen3-0.6B')
    """
    place = Path(model)
    return place.name if place.is_absolute() or model.startswith(("~", ".")) else model


def results_json(evidence: Evidence) -> bytes:
    """The statistics as the studio keeps them."""
    return _json(evidence.results.model_dump(mode="json"))


def packed(files: Mapping[str, bytes]) -> bytes:
    """A zip of these files and their SHA-256 sums; the same files give the same bytes."""
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items()))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name, content in sorted({**files, "SHA256SUMS": sums.encode()}.items()):
            entry = zipfile.ZipInfo(f"evidence/{name}", _ZIP_TIME)
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # else it tells the machine that packed it
            file.writestr(entry, content, zipfile.ZIP_DEFLATED, compresslevel=6)
    return archive.getvalue()


def _answers(evidence: Evidence) -> Iterator[tuple[JudgedQuestion, JudgedAnswer]]:
    return ((question, one) for question in evidence.questions for one in question.answers)


def _answer_line(judged: JudgedQuestion, one: JudgedAnswer, metrics: Sequence[str]) -> list[Cell]:
    question, answer = judged.question, one.answer
    line: list[Cell] = [judged.number, question.id, question.split, question.row, judged.kind]
    line += [question.text, question.reference, one.candidate, one.name]
    if answer is None:
        line += ["", "no answer", None, None, None]
    else:
        line += [answer.text, answer.error, answer.truncated, answer.tokens, answer.seconds]
    return [*line, *(one.metrics.get(name) for name in metrics)]


def _verdict_lines(evidence: Evidence, verdict: Verdict) -> Iterator[list[Cell]]:
    names = [contender.name for contender in evidence.contenders]
    judge = evidence.request.judges[verdict.judge].model
    start: list[Cell] = [verdict.question + 1, evidence.asked.questions[verdict.question].id, verdict.judge, judge]
    start += [verdict.matter, verdict.candidate, names[verdict.candidate]]
    start += [verdict.other, names[verdict.other]] if verdict.other >= 0 else [None, ""]
    parameters = json.dumps(verdict.parameters, sort_keys=True) if verdict.parameters else ""
    end: list[Cell] = [verdict.reason, verdict.judge_model, verdict.system_fingerprint, verdict.prompt_hash, parameters]
    end += [verdict.input_tokens, verdict.output_tokens, verdict.attempts, verdict.time]
    for item, value, rationale in _said(verdict) or [("", None, "")]:
        yield [*start, verdict.outcome, item, value, rationale, *end]


def _said(verdict: Verdict) -> list[tuple[str, Cell, str]]:
    """Each mark, item, danger or preference with the judge's reason."""
    reasons = verdict.rationales
    said: list[tuple[str, Cell, str]] = [(name, score, reasons.get(name, "")) for name, score in verdict.scores.items()]
    said += [(f"danger:{name}", int(seen), reasons.get("safety", "")) for name, seen in verdict.dangers.items()]
    if verdict.preferred is not None:
        said.append(("preferred", verdict.preferred, reasons.get("preferred", "")))
    return said


def _csv(heading: Sequence[str], lines: Iterable[Sequence[Cell]]) -> bytes:
    """Texts that a spreadsheet would take for a formula begin with an apostrophe more."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(neutral_cell(name) for name in heading)
    for line in lines:
        writer.writerow(neutral_cell(cell) if isinstance(cell, str) else cell for cell in line)
    return _bytes(file.getvalue())


def _json_lines(records: Iterable[Mapping[str, object]]) -> bytes:
    return _bytes("".join(f"{json_line(record)}\n" for record in records))


def _json(value: object) -> bytes:
    return _bytes(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False, sort_keys=True) + "\n")


def _bytes(text: str) -> bytes:
    """In UTF-8; halves of characters, which a model can write, become question marks."""
    return text.encode("utf-8", "replace")
