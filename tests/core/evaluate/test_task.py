"""The task that evaluates: whom it asks, what it keeps, and what it does after a stop, a kill or a broken judge."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from core.compare import answering
from core.compare.comparison import Comparison, create_comparison
from core.endpoints import JUDGE_KEYS
from core.errors import ConfigError, RewardError, RunError, StorageError
from core.evaluate import metrics as metrics_module
from core.evaluate import task
from core.evaluate.calls import calls_of
from core.evaluate.evaluation import Evaluation, create_evaluation, judging_alone
from core.evaluate.judge_texts import JudgeTexts
from core.evaluate.request import make_evaluation_request
from core.evaluate.task import evaluate, evaluation_task, start_evaluation
from core.evaluate.verdicts import Call
from core.jobs import supervisor
from core.jobs.tasks import TaskStopped, Tell, create_task, silent
from core.paths import PROJECT, Home
from core.reward.scoring import Sample
from core.serving.scoring import AnswerScores
from tests.build_comparison import endpoint_candidate, request_of, scores_by_length
from tests.build_endpoint import FakeEndpoint, Reply
from tests.build_evaluation import answered_comparison
from tests.build_judging import answer_or_verdict, is_judged, judge_reply, judges_at, judging_server, said

QUESTIONS = [f"Question {number:03}?" for number in range(6)]
LONG = 60.0


@pytest.fixture
def server() -> Iterator[FakeEndpoint]:
    with judging_server() as found:
        yield found


@pytest.fixture(autouse=True)
def scores(monkeypatch: pytest.MonkeyPatch) -> list[Sample]:
    """What was scored; a stand-in takes the place of the server that scores."""
    found: list[Sample] = []

    def score(home: Home, reward: Any, tags: Any, samples: Sequence[Sample], *rest: Any) -> list[AnswerScores]:
        found.extend(samples)
        return scores_by_length(samples)

    for module in (answering, metrics_module):
        monkeypatch.setattr(module, "score_answers", score)
    return found


@pytest.fixture(autouse=True)
def reports(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The evaluations whose evidence pack was written; a stand-in, since drawing takes seconds."""
    found: list[str] = []

    def write(home: Home, evaluation: Evaluation, date: datetime) -> Path:
        assert evaluation.results() is not None and date.tzinfo is not None
        found.append(evaluation.id)
        return evaluation.report_folder

    monkeypatch.setattr(task, "write_report", write)
    return found


def comparison_at(home: Home, server: FakeEndpoint, questions: Sequence[str] = QUESTIONS) -> Comparison:
    """Two candidates behind the server, not asked yet."""
    return create_comparison(home, request_of([endpoint_candidate(server.url, n) for n in ("one", "two")], questions))


def evaluation_of(home: Home, comparison: Comparison, **changes: Any) -> Evaluation:
    given = {"comparison": comparison.id, "methods": ["dimensions"], "resamples": 1000, **changes}
    return create_evaluation(home, make_evaluation_request(**given))


@pytest.fixture
def evaluation(home: Home, server: FakeEndpoint) -> Evaluation:
    """Two candidates, six questions, one judge: 24 calls, since the form is judged in calls of their own."""
    return evaluation_of(home, comparison_at(home, server), judges=judges_at(server.url, "judge"))


def run(home: Home, evaluation: Evaluation, tell: Tell = silent) -> dict[str, Any]:
    return evaluate(home, {"evaluation": evaluation.id}, tell)


def judged(server: FakeEndpoint, model: str = "judge") -> list[tuple[str, str]]:
    """What a judge was told and shown, request by request."""
    return [
        (request["messages"][0]["content"], request["messages"][1]["content"])
        for request in server.requests
        if is_judged(request) and request["model"] == model
    ]


def not_kept(home: Home, evaluation: Evaluation, kept: Collection[Call] = ()) -> set[tuple[str, str]]:
    """What the first judge has to be told and shown for all calls without a kept verdict.

    Requests that were under way when a round was broken off may reach the server late, so what a later round asks is
    compared as a set: none of it may be something that was kept.
    """
    request, comparison = evaluation.request(), task.comparison_of(home, evaluation)
    asked, answers = comparison.request(), comparison.answers()
    texts = JudgeTexts(request, asked, answers)
    prompts = (texts.prompt(call) for call in calls_of(request, asked, answers, 0) if call not in kept)
    return {(prompt.system, prompt.shown) for prompt in prompts}


def stopping(wanted: str, done: int) -> Tell:
    """A progress that asks to stop once so much of a phase is done."""

    def tell(phase: str, so_far: int, total: int) -> None:
        if phase == wanted and so_far >= done:
            raise TaskStopped

    return tell


def test_models_and_judge_are_asked_everything_once(
    home: Home, server: FakeEndpoint, evaluation: Evaluation, reports: list[str]
) -> None:
    outcome = run(home, evaluation)
    assert (outcome["answers"], outcome["missing"], outcome["unmeasured"]) == (12, 0, 0)
    assert (outcome["calls"], outcome["verdicts"], outcome["unreadable"], outcome["failed"]) == (24, 24, 0, 0)
    assert len(judged(server)) == len(evaluation.verdicts()) == 24
    assert sum(not is_judged(request) for request in server.requests) == len(evaluation.metrics()) == 12
    assert reports == [evaluation.id]


def test_a_finished_evaluation_asks_nobody_again(home: Home, server: FakeEndpoint, evaluation: Evaluation) -> None:
    run(home, evaluation)
    server.requests.clear()
    files = ("verdicts.jsonl", "metrics.jsonl")
    before = [(evaluation.folder / name).read_bytes() for name in files]
    run(home, evaluation)
    assert not server.requests
    assert [(evaluation.folder / name).read_bytes() for name in files] == before


def test_the_results_tell_marks_and_judges(home: Home, evaluation: Evaluation) -> None:
    run(home, evaluation)
    results = evaluation.results()
    assert results is not None
    total = results.measure("total")
    assert total is not None and [one and one.mean for one in total.averages] == [4.0, 4.0]
    assert (results.judges[0].calls, results.judges[0].given, results.judges[0].input_tokens) == (24, 24, 12_000)


def test_without_a_judge_only_automatic_metrics_are_taken(home: Home, server: FakeEndpoint, reports: list[str]) -> None:
    evaluation = evaluation_of(home, comparison_at(home, server), methods=[])
    assert run(home, evaluation)["calls"] == 0
    results = evaluation.results()
    assert results is not None and not results.judges
    assert results.measures and {measure.kind for measure in results.measures} == {"automatic"}
    assert not any(map(is_judged, server.requests)) and reports == [evaluation.id]


def test_progress_is_told_phase_by_phase(home: Home, evaluation: Evaluation) -> None:
    told: list[tuple[str, int, int]] = []
    run(home, evaluation, lambda phase, done, total: told.append((phase, done, total)))
    phases = list(dict.fromkeys(phase for phase, _, _ in told))
    assert phases == ["asking", "scoring", "measuring", "judging", "statistics", "report"]
    assert {total for phase, _, total in told if phase == "judging"} == {24}


def test_a_stop_keeps_verdicts_and_counts_them_and_the_next_start_asks_the_rest(
    home: Home, server: FakeEndpoint, evaluation: Evaluation, reports: list[str]
) -> None:
    number = itertools.count()

    def answer(request: dict[str, Any]) -> Reply:
        held = is_judged(request) and next(number) >= 9
        return Reply(
            answer_or_verdict(request).parts, kind=answer_or_verdict(request).kind, wait_before=0 if held else None
        )

    server.answer = answer
    with pytest.raises(TaskStopped):
        run(home, evaluation, stopping("judging", 9))
    first, results = evaluation.verdicts(), evaluation.results()
    assert len(first) == 9 and not reports
    assert results is not None and results.judges[0].given == 9
    server.released.set()
    server.requests.clear()
    run(home, evaluation)
    assert set(judged(server)) == not_kept(home, evaluation, first) and len(evaluation.verdicts()) == 24
    assert all(evaluation.verdicts()[call].time == verdict.time for call, verdict in first.items())


@pytest.mark.parametrize("phase", ["asking", "measuring", "statistics", "report"])
def test_a_stop_at_any_phase_loses_nothing(
    home: Home, server: FakeEndpoint, evaluation: Evaluation, phase: str
) -> None:
    with pytest.raises(TaskStopped):
        run(home, evaluation, stopping(phase, 0))
    asked = len(server.requests)
    assert run(home, evaluation)["verdicts"] == 24
    assert asked <= len(server.requests) <= 36 + 8, "only what was under way may be asked twice"


def test_a_judge_that_cannot_be_asked_keeps_no_other_from_going_on(
    home: Home, server: FakeEndpoint, reports: list[str]
) -> None:
    judges = judges_at(server.url, "judge", "gone")
    evaluation = evaluation_of(home, comparison_at(home, server), judges=judges)
    server.answer = lambda r: Reply(status=404) if r["model"] == "gone" else answer_or_verdict(r)
    with pytest.raises(RewardError, match=r"does not know the model gone \(404\)"):
        run(home, evaluation)
    results = evaluation.results()
    assert results is not None and [judge.given for judge in results.judges] == [24, 0]
    assert reports == [evaluation.id]
    server.answer = answer_or_verdict
    server.requests.clear()
    run(home, evaluation)
    assert not judged(server) and set(judged(server, "gone")) == not_kept(home, evaluation)


def test_a_wrong_key_stands_in_no_message_and_no_file(
    home: Home, server: FakeEndpoint, evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-do-not-tell-0123456789"
    monkeypatch.setenv("GRPO_STUDIO_JUDGE_KEY", key)
    monkeypatch.setenv("GRPO_STUDIO_ENDPOINTS", server.url)
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {key}"}})
    server.answer = lambda r: Reply([body], status=401) if is_judged(r) else answer_or_verdict(r)
    with pytest.raises(RewardError, match="refused the key") as raised:
        run(home, evaluation)
    assert f"Bearer {key}" in server.keys and key not in str(raised.value)
    assert not [file for file in home.root.rglob("*") if file.is_file() and key.encode() in file.read_bytes()]


def test_a_reply_that_is_no_verdict_is_counted_and_not_asked_for_again(
    home: Home, server: FakeEndpoint, evaluation: Evaluation
) -> None:
    def answer(request: dict[str, Any]) -> Reply:
        bad = is_judged(request) and "Question 003" in request["messages"][-1]["content"]
        return said("4/5, I would say.") if bad else answer_or_verdict(request)

    server.answer = answer
    outcome = run(home, evaluation)
    assert (outcome["verdicts"], outcome["unreadable"]) == (20, 4)
    results = evaluation.results()
    accuracy = results.measure("accuracy") if results else None
    assert accuracy is not None and [one and (one.mean, one.of) for one in accuracy.averages] == [(4.0, 5)] * 2
    server.requests.clear()
    run(home, evaluation)
    assert not server.requests


def test_a_call_that_failed_is_asked_again_at_the_next_start(
    home: Home, server: FakeEndpoint, evaluation: Evaluation
) -> None:
    def answer(request: dict[str, Any]) -> Reply:
        bad = is_judged(request) and "one: Question 003" in str(request["messages"][-1]["content"])
        return Reply(status=400) if bad else answer_or_verdict(request)

    server.answer = answer
    outcome = run(home, evaluation)
    assert outcome["failed"] > 0 and outcome["verdicts"] + outcome["failed"] == 24
    server.answer = answer_or_verdict
    server.requests.clear()
    assert run(home, evaluation)["verdicts"] == 24
    assert len(judged(server)) == outcome["failed"]


def test_an_answer_that_has_changed_is_judged_and_measured_anew(
    home: Home, server: FakeEndpoint, evaluation: Evaluation
) -> None:
    run(home, evaluation)
    comparison = task.comparison_of(home, evaluation)
    (first, *_) = comparison.answers()
    comparison.add([first.model_copy(update={"text": "<reasoning>No.</reasoning><answer>Otherwise.</answer>"})])
    server.requests.clear()
    run(home, evaluation)
    assert len(judged(server)) == len(server.requests) == 2
    assert evaluation.metrics()[0, 0].values["characters"] == len(
        "<reasoning>No.</reasoning><answer>Otherwise.</answer>"
    )


def test_a_full_disk_ends_the_task_and_nothing_kept_is_asked_twice(
    home: Home, server: FakeEndpoint, evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, kept = Evaluation.add_verdicts, list[Any]()

    def add_until_full(self: Evaluation, verdicts: Sequence[Any]) -> None:
        room = verdicts[: 5 - len(kept)]
        kept.extend(room)
        if room:
            add(self, room)
        if len(room) < len(verdicts):
            raise StorageError("The disk is full.")

    with monkeypatch.context() as full:
        full.setattr(Evaluation, "add_verdicts", add_until_full)
        with pytest.raises(StorageError, match="disk is full"):
            run(home, evaluation)
    first = evaluation.verdicts()
    assert len(first) == 5
    server.requests.clear()
    run(home, evaluation)
    assert set(judged(server)) == not_kept(home, evaluation, first)


def test_where_models_cannot_measure_the_rest_is_measured_and_the_next_start_completes_it(
    home: Home, server: FakeEndpoint, evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> list[AnswerScores]:
        raise RewardError("The server that scores broke off.")

    with monkeypatch.context() as broken:
        for module in (answering, metrics_module):
            broken.setattr(module, "score_answers", refuse)
        with pytest.raises(RewardError, match="Similarity and perplexity could not be measured: The server that"):
            run(home, evaluation)
    assert len(evaluation.verdicts()) == 24 and evaluation.results() is not None
    assert all("token_f1" in one.values and "perplexity" not in one.values for one in evaluation.metrics().values())
    assert run(home, evaluation)["unmeasured"] == 0
    assert all(one.values["perplexity"] == 60.0 for one in evaluation.metrics().values())


def test_where_no_model_answers_there_is_nothing_to_judge(
    home: Home, server: FakeEndpoint, evaluation: Evaluation, reports: list[str]
) -> None:
    server.answer = lambda request: Reply(status=404)
    with pytest.raises(RunError, match=r"No question has been answered.*does not know the model"):
        run(home, evaluation)
    assert not reports and not judged(server) and evaluation.results() is None


def test_two_never_judge_at_the_same_time(home: Home, evaluation: Evaluation) -> None:
    release = judging_alone(evaluation)
    with pytest.raises(RunError, match="being judged"):
        run(home, evaluation)
    release()


def test_a_judge_without_a_key_is_refused_before_the_start(
    home: Home, server: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in JUDGE_KEYS:
        monkeypatch.delenv(name, raising=False)
    judges = judges_at("https://api.openai.com/v1", "gpt-4o-mini")
    evaluation = evaluation_of(home, comparison_at(home, server), judges=judges)
    with pytest.raises(ConfigError, match="GRPO_STUDIO_JUDGE_KEY"):
        start_evaluation(home, evaluation)
    assert evaluation_task(home, evaluation) is None


def test_a_started_evaluation_is_found_and_not_started_twice(
    home: Home, evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "start_task", create_task)
    assert evaluation_task(home, evaluation) is None
    started = start_evaluation(home, evaluation)
    found = evaluation_task(home, evaluation)
    assert found is not None and found.id == started.id
    with pytest.raises(RunError, match="being judged"):
        start_evaluation(home, evaluation)


EVALUATE = """
import sys
from core.compare import answering
from core.evaluate import metrics
from core.evaluate.task import evaluate
from core.jobs.tasks import silent
from core.paths import Home
from tests.build_comparison import scores_by_length

def score(home, reward, tags, samples, *rest):
    return scores_by_length(samples)

answering.score_answers = metrics.score_answers = score
evaluate(Home.open(sys.argv[1]), {"evaluation": sys.argv[2]}, silent)
"""


def test_after_a_kill_at_verdict_57_nothing_that_was_answered_is_asked_again(home: Home, server: FakeEndpoint) -> None:
    comparison = comparison_at(home, server, [f"Question {number:03}?" for number in range(20)])
    evaluation = evaluation_of(home, comparison, judges=judges_at(server.url, "judge"))
    number = itertools.count()

    def answer(request: dict[str, Any]) -> Reply:
        if not is_judged(request):
            return answer_or_verdict(request)
        verdict = judge_reply(request)
        return Reply(verdict.parts, kind=verdict.kind, wait_before=None if next(number) < 57 else 0)

    server.answer = answer
    child = subprocess.Popen([sys.executable, "-c", EVALUATE, str(home.root), evaluation.id], cwd=PROJECT)
    while len(evaluation.verdicts()) < 57:
        assert child.poll() is None
        server.waiting.wait(0.05)
    child.kill()
    child.wait()
    first = evaluation.verdicts()
    server.released.set()
    server.requests.clear()
    outcome = run(home, evaluation)
    assert len(first) == 57 and (outcome["calls"], outcome["verdicts"]) == (80, 80)
    assert set(judged(server)) == not_kept(home, evaluation, first) and len(set(judged(server))) == 80 - 57
    assert all(map(is_judged, server.requests)), "every answer was kept"
    assert all(evaluation.verdicts()[call] == verdict for call, verdict in first.items())


def test_the_worker_process_judges_counts_and_reports(home: Home, server: FakeEndpoint) -> None:
    evaluation = evaluation_of(home, answered_comparison(home, 4), judges=judges_at(server.url, "judge"))
    started = start_evaluation(home, evaluation)
    assert supervisor.wait(started, LONG).state == "finished", started.status().error
    assert started.result()["verdicts"] == len(server.requests) == 16
    assert evaluation.results() is not None and any(evaluation.report_folder.iterdir())
