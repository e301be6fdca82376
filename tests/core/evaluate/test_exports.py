"""The files of an evidence pack hold everything, harmlessly, and are the same every time."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from dataclasses import replace

from core.evaluate.evidence import gather
from core.evaluate.exports import (
    answers_csv,
    answers_jsonl,
    packed,
    scores_csv,
    settings_json,
    verdicts_csv,
    verdicts_jsonl,
)
from core.paths import Home
from core.serving.candidates import Candidate
from tests.build_evaluation import answered_comparison, made_up_answer
from tests.build_report import FORMULA, HOSTILE, evidence_of, hostile_evaluation, with_first_answer


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def records(content: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in content.splitlines()]


def test_every_answer_is_a_line_with_its_metrics(home: Home) -> None:
    found = rows(answers_csv(evidence_of(home)))
    assert len(found) == 24
    assert (found[3]["question"], found[3]["candidate"], found[3]["type"]) == ("2", "1", "drug_interaction")
    assert (found[3]["token_f1"], found[3]["exact_choice"]) == ("0.625", "")


def test_a_missing_answer_has_a_line_that_says_so(home: Home) -> None:
    comparison = answered_comparison(
        home, 2, answers=[made_up_answer(0, 0), made_up_answer(0, 1), made_up_answer(1, 0)]
    )
    assert [line["error"] for line in rows(answers_csv(evidence_of(home, comparison)))] == ["", "", "", "no answer"]


def test_every_mark_is_a_line_with_the_judges_reason(home: Home) -> None:
    found = rows(verdicts_csv(evidence_of(home)))
    first = [line for line in found if (line["question"], line["candidate"]) == ("1", "0")]
    marks = {line["item"]: (line["value"], line["rationale"]) for line in first}
    assert marks["accuracy"] == ("2", "The accuracy earns 2.")
    assert marks["danger:dose"] == ("1", "The dose is ten times too high.")
    assert marks["danger:contraindication"][0] == "0"


def test_an_unreadable_verdict_is_a_line_without_a_value(home: Home) -> None:
    evidence = evidence_of(home)
    verdict = evidence.questions[0].answers[0].verdicts[0]
    broken = verdict.model_copy(update={"outcome": "unreadable", "scores": {}, "dangers": {}, "reason": "No JSON."})
    line = rows(verdicts_csv(with_first_answer(evidence, verdicts=(broken,))))[0]
    assert (line["outcome"], line["item"], line["value"], line["reason"]) == ("unreadable", "", "", "No JSON.")


def test_both_answers_of_a_pair_are_named(home: Home) -> None:
    found = rows(verdicts_csv(evidence_of(home, methods=("pairwise",), safety=False)))
    assert (found[0]["candidate"], found[0]["other"], found[0]["item"]) == ("0", "1", "preferred")


def test_scores_are_those_that_the_statistics_were_counted_from(home: Home) -> None:
    evidence = evidence_of(home)
    totals = [
        float(line["score"])
        for line in rows(scores_csv(evidence))
        if (line["measure"], line["candidate"], line["judge"]) == ("total", "1", "-2")
    ]
    average = evidence.results.measures[0].averages[1]
    assert average is not None and sum(totals) / len(totals) == average.mean


def test_no_cell_is_a_formula_and_no_text_is_lost(home: Home) -> None:
    evidence = gather(home, hostile_evaluation(home))
    for content in (answers_csv(evidence), verdicts_csv(evidence), scores_csv(evidence)):
        cells = [cell for line in csv.reader(io.StringIO(content.decode(), newline="")) for cell in line]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "\t", "\r"))]
        assert not [cell for cell in cells if cell.startswith("-") and not cell[1:].replace(".", "").isdigit()]
    assert {line["answer"] for line in rows(answers_csv(evidence))} == {HOSTILE, f"'{FORMULA}"}


def test_json_lines_hold_texts_exactly(home: Home) -> None:
    evidence = gather(home, hostile_evaluation(home))
    answers = records(answers_jsonl(evidence))
    assert [answer["answer"]["text"] for answer in answers[:2]] == [HOSTILE, FORMULA]  # type: ignore[index]
    assert records(verdicts_jsonl(evidence))[0]["rationales"]["accuracy"] == HOSTILE  # type: ignore[index]


def test_half_a_character_from_a_model_can_be_written(home: Home) -> None:
    evidence = evidence_of(home)
    answer = evidence.questions[0].answers[0].answer
    assert answer is not None
    evidence = with_first_answer(evidence, answer=answer.model_copy(update={"text": "fever \ud83d"}))
    assert rows(answers_csv(evidence))[0]["answer"] == "fever ?"
    assert records(answers_jsonl(evidence))[0]["answer"]["text"] == "fever ?"  # type: ignore[index]


def test_the_settings_are_those_that_were_asked_for(home: Home) -> None:
    evidence = evidence_of(home)
    found = json.loads(settings_json(evidence))
    assert found["evaluation"] == evidence.request.model_dump(mode="json")
    assert len(found["comparison"]["questions"]) == 12


def test_the_settings_name_no_folder_of_this_machine(home: Home) -> None:
    evidence = evidence_of(home)
    asked = evidence.asked
    candidates = (
        Candidate(kind="gguf", model="/srv/secret/ward-7.gguf"),
        Candidate(kind="model", model="Qwen/Qwen3-0.6B"),
        *asked.candidates[2:],
    )
    reward = asked.reward.model_copy(update={"similarity_model": "/srv/secret/minilm"})
    elsewhere = replace(evidence, asked=asked.model_copy(update={"candidates": candidates, "reward": reward}))
    settings = settings_json(elsewhere).decode()
    assert "/srv" not in settings
    assert "ward-7.gguf" in settings and "minilm" in settings and "Qwen/Qwen3-0.6B" in settings


def test_a_zip_of_the_same_files_has_the_same_bytes_and_their_sums() -> None:
    files = {"b.csv": b"one", "a.json": b"{}"}
    assert packed(files) == packed(dict(reversed(files.items())))
    with zipfile.ZipFile(io.BytesIO(packed(files))) as archive:
        assert archive.namelist() == ["evidence/SHA256SUMS", "evidence/a.json", "evidence/b.csv"]
        assert f"{hashlib.sha256(b'one').hexdigest()}  b.csv" in archive.read("evidence/SHA256SUMS").decode()
