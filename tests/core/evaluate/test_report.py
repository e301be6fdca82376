"""The report says what is known, in one file that loads nothing and runs nothing of what models and people wrote."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from core.compare.blind import end_vote, open_vote
from core.errors import RunError
from core.evaluate.evaluation import comparison_of
from core.evaluate.report import FILES, PACK, REPORT, write_report
from core.paths import Home
from tests.build_blind import vote_for
from tests.build_evaluation import answered_comparison, build_evaluation, counted, judges_named
from tests.build_report import DATE, FORMULA, HOSTILE, counted_evaluation, hostile_evaluation
from tests.build_runs import build_run


class Page(HTMLParser):
    """A report as a browser takes it: its elements, and the text that people see.

    Attributes:
        elements: names and attributes in their order.
        shown: text outside of scripts and styles.
        scripts: type and text of each script.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.shown = ""
        self.scripts: list[tuple[str | None, str]] = []
        self._inside = ""
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append((dict(attrs).get("type"), ""))

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            kind, text = self.scripts[-1]
            self.scripts[-1] = kind, text + data
        elif self._inside != "style":
            self.shown += data

    @property
    def policy(self) -> str:
        return next(attrs["content"] or "" for tag, attrs in self.elements if "http-equiv" in attrs)


def page_of(home: Home, **changes: object) -> Page:
    return Page(write_report(home, counted_evaluation(home, **changes), DATE) / REPORT)  # type: ignore[arg-type]


def test_the_headline_comes_first_and_every_section_follows(home: Home) -> None:
    shown = page_of(home).shown
    order = [
        "Not for clinical use",
        "is better than",
        "Safety, counted apart",
        "What these results do not show",
        "Results",
        "By kind of question",
        "What was asked, and how",
        "How the numbers were counted",
        "Every answer",
        "Software and fingerprints",
    ]
    places = [shown.index(words) for words in order]
    assert places == sorted(places)


def test_every_answer_stands_in_it_with_the_judges_reasons(home: Home) -> None:
    shown = page_of(home).shown
    for question in range(12):
        assert f"answer {question} of 0" in shown and f"answer {question} of 1" in shown
    assert "The dose is ten times too high." in shown


def test_without_a_judge_the_first_page_says_so(home: Home) -> None:
    shown = page_of(home, judges=(), methods=()).shown
    assert shown.index("No judge was asked") < shown.index("Results")
    assert "Safety, counted apart" not in shown


def test_the_same_evaluation_gives_the_same_bytes(home: Home) -> None:
    evaluation = counted_evaluation(home)
    first = {file.name: file.read_bytes() for file in write_report(home, evaluation, DATE).iterdir()}
    second = {file.name: file.read_bytes() for file in write_report(home, evaluation, DATE).iterdir()}
    assert set(first) == set(FILES)
    assert first == second


def test_another_date_changes_nothing_but_the_date(home: Home) -> None:
    evaluation = counted_evaluation(home)
    first = (write_report(home, evaluation, DATE) / REPORT).read_bytes()
    later = (write_report(home, evaluation, datetime(2027, 5, 6, tzinfo=UTC)) / REPORT).read_bytes()
    assert first != later
    assert first.replace(b"2026-03-01", b"2027-05-06") == later


def test_hostile_texts_stay_texts(home: Home) -> None:
    page = Page(write_report(home, hostile_evaluation(home), DATE) / REPORT)
    plain = Page(write_report(home, counted_evaluation(home), DATE) / REPORT)
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in plain.elements}
    assert not [attrs for _, attrs in page.elements for name in attrs if name.startswith("on") or name == "src"]
    assert not [href for _, attrs in page.elements if (href := attrs.get("href")) and not href.startswith("#")]
    assert page.shown.count(HOSTILE) > 20
    assert FORMULA in page.shown


def test_only_the_two_scripts_of_the_report_may_run(home: Home) -> None:
    page = Page(write_report(home, hostile_evaluation(home), DATE) / REPORT)
    code = [text for kind, text in page.scripts if kind != "application/json"]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in code]
    assert re.findall(r"'sha256-([^']+)'", page.policy) == hashes
    assert len(hashes) == 2
    assert "script-src 'sha256-" in page.policy and "default-src 'none'" in page.policy


def test_the_data_of_every_figure_can_be_read(home: Home) -> None:
    page = Page(write_report(home, hostile_evaluation(home), DATE) / REPORT)
    figures = [json.loads(text) for kind, text in page.scripts if kind == "application/json"]
    assert len(figures) > 3
    assert all(figure["data"] for figure in figures)
    assert "<" not in "".join(trace.get("name", "") for figure in figures for trace in figure["data"])


def test_the_run_behind_the_answers_is_told_with_its_weights_and_curves(home: Home) -> None:
    run = build_run(home)
    comparison = answered_comparison(home)
    asked = comparison.request().model_copy(update={"run": run.id})
    (comparison.folder / "request.json").write_text(asked.model_dump_json())
    page = Page(write_report(home, counted_evaluation(home, comparison), DATE) / REPORT)
    assert run.id in page.shown
    assert "36 of 36" in page.shown
    assert [attrs for _, attrs in page.elements if attrs.get("id") == f"figure-curve-{run.id}"]


def test_a_run_that_is_gone_is_named_with_the_reason(home: Home) -> None:
    comparison = answered_comparison(home)
    asked = comparison.request().model_copy(update={"run": "demo-gone"})
    (comparison.folder / "request.json").write_text(asked.model_dump_json())
    shown = Page(write_report(home, counted_evaluation(home, comparison), DATE) / REPORT).shown
    assert "demo-gone: There is no run" in shown


def test_questions_from_the_training_split_are_pointed_out(home: Home) -> None:
    comparison = answered_comparison(home)
    asked = comparison.request()
    seen = tuple(question.model_copy(update={"split": "train"}) for question in asked.questions)
    changed = asked.model_copy(update={"questions": seen})
    (comparison.folder / "request.json").write_text(changed.model_dump_json())
    shown = Page(write_report(home, counted_evaluation(home, comparison), DATE) / REPORT).shown
    assert "12 of them come from the training split" in shown


def test_while_a_vote_is_open_nothing_says_who_wrote_what(home: Home) -> None:
    evaluation = counted_evaluation(home)
    write_report(home, evaluation, DATE)
    open_vote(comparison_of(home, evaluation), [(0, 1)])
    folder = write_report(home, evaluation, DATE)
    assert {file.name for file in folder.iterdir()} == {REPORT, PACK, "results.json", "settings.json"}
    report = (folder / REPORT).read_text()
    assert "answer 3 of 1" not in report and "The dose is ten times too high." not in report
    pictures = {
        attrs["id"] for _, attrs in Page(folder / REPORT).elements if (attrs.get("id") or "").startswith("figure-")
    }
    assert "figure-dots-0" in pictures and not pictures & {"figure-heat", "figure-length"}
    assert [1 for _, text in Page(folder / REPORT).scripts if "Length of the answer" in text] == []
    assert "People are voting blindly" in report


def test_an_ended_vote_is_told_without_the_names_of_raters(home: Home) -> None:
    evaluation = build_evaluation(home)
    comparison = comparison_of(home, evaluation)
    open_vote(comparison, [(0, 1)])
    vote_for(home, comparison, "Dr Ozdemirova", [1] * 6)
    end_vote(home, comparison)
    report = (write_report(home, counted_evaluation(home, comparison), DATE) / REPORT).read_text()
    assert "1 person has judged" in report
    assert "Ozdemirova" not in report


def test_several_judges_stand_beside_each_other_and_alone(home: Home) -> None:
    shown = page_of(home, judges=judges_named("strict", "lenient")).shown
    assert "How far the judges agree with each other" in shown
    assert "Each judge alone" in shown


def test_before_there_are_results_the_reason_is_said(home: Home) -> None:
    with pytest.raises(RunError, match="has no results yet"):
        write_report(home, build_evaluation(home), DATE)


def test_a_single_answer_can_be_reported(home: Home) -> None:
    comparison = answered_comparison(home, 1, 1)
    shown = Page(write_report(home, counted_evaluation(home, comparison, type_column=""), DATE) / REPORT).shown
    assert "answer 0 of 0" in shown


def test_how_judges_were_asked_is_what_their_endpoints_took(home: Home) -> None:
    assert "at temperature 0.0, with a schema for the reply" in page_of(home).shown
    evaluation = build_evaluation(home)
    stubborn = [
        verdict.model_copy(update={"parameters": {}})
        for call, verdict in evaluation.verdicts().items()
        if call.question
    ]
    evaluation.add_verdicts(stubborn)
    shown = Page(write_report(home, counted(home, evaluation), DATE) / REPORT).shown
    assert "at temperature 0.0, with a schema for the reply: 4 replies" in shown
    assert "at the endpoint’s own temperature, without a schema for the reply: 44 replies" in shown


def test_the_address_that_was_asked_stands_in_the_report(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://proxy.example.org/v1")
    evaluation = counted_evaluation(home, judges=judges_named("m", url=""))
    monkeypatch.delenv("OPENAI_BASE_URL")
    assert "https://proxy.example.org/v1" in Page(write_report(home, evaluation, DATE) / REPORT).shown
