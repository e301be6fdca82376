"""The task that asks many questions: what it asks, keeps, scores, and does after it was stopped or killed."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from core.compare import answering, batch
from core.compare.batch import batch_task, compare, start_batch
from core.compare.comparison import ComparedAnswer, Comparison, answering_alone, create_comparison
from core.errors import RewardError, RunError
from core.jobs import supervisor
from core.jobs.tasks import TaskStopped, create_task, silent
from core.lab.boards import load_board
from core.paths import PROJECT, Home
from core.prompts import messages
from core.reward.scoring import Sample
from core.serving.candidates import Candidate
from core.serving.endpoint import Endpoint
from core.serving.scoring import AnswerScores
from tests.build_comparison import endpoint_candidate, request_of, scores_by_length
from tests.build_endpoint import FakeEndpoint, Reply, serving, whole

QUESTIONS = [f"Question {number}?" for number in range(6)]


@pytest.fixture
def server() -> Iterator[FakeEndpoint]:
    with serving() as found:
        found.answer = lambda request: Reply(whole(f"{request['model']}: {asked(request)}"))
        yield found


@pytest.fixture(autouse=True)
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Sample]:
    """What was scored; a stand-in takes the place of the server that scores."""
    found: list[Sample] = []

    def score(home: Home, reward: Any, tags: Any, samples: Sequence[Sample], *rest: Any) -> list[AnswerScores]:
        found.extend(samples)
        return scores_by_length(samples)

    monkeypatch.setattr(answering, "score_answers", score)
    return found


@pytest.fixture
def comparison(home: Home, server: FakeEndpoint) -> Comparison:
    candidates = [endpoint_candidate(server.url, name) for name in ("one", "two")]
    return create_comparison(home, request_of(candidates, QUESTIONS))


def asked(request: dict[str, Any]) -> str:
    return str(request["messages"][-1]["content"])


def run(home: Home, comparison: Comparison, tell: Any = silent) -> dict[str, Any]:
    return compare(home, {"comparison": comparison.id}, tell)


def test_everybody_is_asked_everything_once_and_scored(
    home: Home, server: FakeEndpoint, comparison: Comparison, seen: list[Sample]
) -> None:
    result = run(home, comparison)
    assert (result["answers"], result["missing"], result["unscored"]) == (12, 0, 0)
    expected = [f"{name}: {question}" for question in QUESTIONS for name in ("one", "two")]
    assert [answer.text for answer in comparison.answers()] == expected
    assert all(answer.reward == len(answer.text) / 1000 for answer in comparison.answers())
    assert len(server.requests) == len(seen) == 12


def test_strangers_are_asked_four_things_at_once(home: Home, server: FakeEndpoint) -> None:
    comparison = create_comparison(home, request_of([endpoint_candidate(server.url)], [f"Q{n}?" for n in range(8)]))
    four = threading.Barrier(4, timeout=30)
    server.answer = lambda request: Reply(whole(f"With {four.wait() and 'three'} others."))
    assert run(home, comparison)["answers"] == 8
    assert server.most_at_once == 4


def test_a_server_of_ones_own_is_asked_sixteen_things_at_once(
    home: Home, server: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = Candidate(kind="gguf", model="/models/x.gguf")
    comparison = create_comparison(home, request_of([candidate], [f"Q{n}?" for n in range(16)]))
    monkeypatch.setattr(batch, "wait_for", lambda *arguments: server.endpoint(local=True))
    sixteen = threading.Barrier(16, timeout=30)
    server.answer = lambda request: Reply(whole(f"With {sixteen.wait() and 'fifteen'} others."))
    assert run(home, comparison)["answers"] == 16


def test_progress_is_counted_in_answers(home: Home, comparison: Comparison) -> None:
    told: list[tuple[str, int, int]] = []
    run(home, comparison, lambda phase, done, total: told.append((phase, done, total)))
    assert told[0] == ("asking", 0, 12) and told[-1] == ("scoring", 12, 12)


def test_what_is_known_is_not_asked_again_and_what_failed_is(
    home: Home, server: FakeEndpoint, comparison: Comparison
) -> None:
    comparison.add([ComparedAnswer(question=q, candidate=0, text="Known.", reward=0.5) for q in range(6)])
    comparison.add([ComparedAnswer(question=0, candidate=0, error="The endpoint met an error of its own (500).")])
    run(home, comparison)
    assert sorted(asked(r) for r in server.requests if r["model"] == "one") == ["Question 0?"]
    assert [a.text for a in comparison.answers() if a.candidate == 0] == ["one: Question 0?"] + ["Known."] * 5


def test_answers_without_scores_are_only_scored(
    home: Home, server: FakeEndpoint, comparison: Comparison, seen: list[Sample]
) -> None:
    comparison.add([ComparedAnswer(question=q, candidate=c, text="Known.") for q in range(6) for c in (0, 1)])
    assert run(home, comparison)["unscored"] == 0
    assert len(seen) == 12 and not server.requests


def test_a_stop_keeps_what_was_answered_and_the_next_start_asks_the_rest(
    home: Home, server: FakeEndpoint, comparison: Comparison
) -> None:
    def stop_later(phase: str, done: int, total: int) -> None:
        if done:
            raise TaskStopped

    server.answer = lambda r: Reply(whole("Rest."), wait_before=None if asked(r) == QUESTIONS[0] else 0)
    with pytest.raises(TaskStopped):
        run(home, comparison, stop_later)
    first = {(a.question, a.candidate) for a in comparison.answers() if not a.error}
    assert first and first <= {(0, 0), (0, 1)}
    server.released.set()
    server.requests.clear()
    run(home, comparison)
    assert len(server.requests) == 12 - len(first)
    assert all(not answer.error for answer in comparison.answers())


def test_a_stop_keeps_the_scores_that_are_there_and_scores_no_further(
    home: Home, comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    together: list[int] = []
    stop = threading.Event()

    def score(home: Home, reward: Any, tags: Any, samples: Sequence[Sample], *rest: Any) -> list[AnswerScores]:
        together.append(len(samples))
        stop.set()  # while these are being scored
        return scores_by_length(samples)

    def tell(phase: str, done: int, total: int) -> None:
        if stop.is_set():
            raise TaskStopped

    comparison.add([ComparedAnswer(question=q, candidate=c, text="Known.") for q in range(6) for c in (0, 1)])
    monkeypatch.setattr(answering, "score_answers", score)
    with pytest.raises(TaskStopped):
        run(home, comparison, tell)
    scored = sum(answer.reward is not None for answer in comparison.answers())
    assert 0 < scored == sum(together) < 12
    assert max(together) <= 8


def test_scores_are_on_the_disk_portion_by_portion(
    home: Home, comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    there: list[int] = []

    def score(home: Home, reward: Any, tags: Any, samples: Sequence[Sample], *rest: Any) -> list[AnswerScores]:
        there.append(sum(answer.reward is not None for answer in comparison.answers()))
        return scores_by_length(samples)

    comparison.add([ComparedAnswer(question=q, candidate=c, text="Known.") for q in range(6) for c in (0, 1)])
    monkeypatch.setattr(answering, "score_answers", score)
    run(home, comparison)
    assert there == [0, 8]


def test_a_candidate_that_never_answers_is_given_up_and_the_other_is_not(home: Home, server: FakeEndpoint) -> None:
    candidates = [endpoint_candidate(server.url, name) for name in ("one", "two")]
    comparison = create_comparison(home, request_of(candidates, [f"Q{n}?" for n in range(40)]))
    server.answer = lambda r: Reply(status=404) if r["model"] == "one" else Reply(whole("Rest."))
    assert run(home, comparison)["answers"] == 40
    assert 8 <= sum(request["model"] == "one" for request in server.requests) < 20


def test_one_that_may_not_be_asked_says_so_on_every_question(home: Home, server: FakeEndpoint) -> None:
    candidates = [endpoint_candidate("https://example.org/v1"), endpoint_candidate(server.url)]
    comparison = create_comparison(home, request_of(candidates, QUESTIONS))
    result = run(home, comparison)
    assert (result["answers"], result["missing"]) == (6, 6)
    assert all("GRPO_STUDIO_ENDPOINTS" in a.error for a in comparison.answers() if a.candidate == 0)


def test_answers_stay_when_they_cannot_be_scored(
    home: Home, comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> list[AnswerScores]:
        raise RewardError("The judge cannot be asked.")

    monkeypatch.setattr(answering, "score_answers", refuse)
    result = run(home, comparison)
    assert (result["answers"], result["unscored"]) == (12, 12)
    assert "The judge cannot be asked." in {answer.unscored for answer in comparison.answers()}


def test_the_answers_become_a_measured_board_that_names_nobody(home: Home, comparison: Comparison) -> None:
    board_id = run(home, comparison)["board"]
    board = load_board(home, board_id)
    assert board_id == comparison.board()
    assert board.groups == tuple(f"q{number}" for number in range(6)) and len(board) == 12
    assert not board.missing(comparison.request().reward)
    assert set(board.kinds) == {""} and "endpoint" not in board.title
    assert board.components(comparison.request().reward)[0, 1] == 0.25


def test_the_same_answers_are_kept_as_one_board(home: Home, comparison: Comparison) -> None:
    assert run(home, comparison)["board"] == run(home, comparison)["board"]


def test_without_scores_the_board_is_there_to_be_measured(
    home: Home, comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> list[AnswerScores]:
        raise RewardError("The judge cannot be asked.")

    monkeypatch.setattr(answering, "score_answers", refuse)
    board = load_board(home, run(home, comparison)["board"])
    assert "semantic" in board.missing(comparison.request().reward)


def test_a_board_that_was_kept_without_scores_is_measured_once_they_are_there(
    home: Home, comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> list[AnswerScores]:
        raise RewardError("The judge cannot be asked.")

    with monkeypatch.context() as unscored:
        unscored.setattr(answering, "score_answers", refuse)
        bare = run(home, comparison)["board"]
    assert run(home, comparison)["board"] == bare == comparison.board()
    assert not load_board(home, bare).missing(comparison.request().reward)


def test_where_nothing_was_answered_there_is_no_board(home: Home, server: FakeEndpoint, comparison: Comparison) -> None:
    server.answer = lambda request: Reply(status=404)
    assert run(home, comparison)["board"] == ""


def test_two_never_ask_at_the_same_time(home: Home, comparison: Comparison) -> None:
    release = answering_alone(comparison)
    with pytest.raises(RunError, match="being answered"):
        run(home, comparison)
    release()


def test_a_started_batch_is_found_by_its_comparison_and_not_started_twice(
    home: Home, comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "start_task", create_task)
    assert batch_task(home, comparison) is None
    task = start_batch(home, comparison)
    found = batch_task(home, comparison)
    assert found is not None and found.id == task.id
    with pytest.raises(RunError, match="being answered"):
        start_batch(home, comparison)


def test_local_models_are_asked_one_after_the_other_with_their_adapters_together(
    home: Home, server: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates = [
        Candidate(kind="model", model="first"),
        Candidate(kind="model", model="second"),
        Candidate(kind="adapter", model="first", run="demo-1"),
    ]
    comparison = create_comparison(home, request_of(candidates, QUESTIONS))
    seen: list[tuple[str, int]] = []

    def wait_for(home: Home, candidate: Candidate, *rest: Any) -> Endpoint:
        seen.append((f"load {candidate.model}", len(comparison.answers())))
        return Endpoint(server.url, "k", candidate.kind, local=True)

    def leave(left: Any) -> None:
        seen.append((f"leave {left}", len(comparison.answers())))

    monkeypatch.setattr(batch, "conversation", lambda home, candidate, prompt, text: messages(prompt, text))
    monkeypatch.setattr(batch, "wait_for", wait_for)
    monkeypatch.setattr(batch, "live_server", lambda home, candidate: candidate.model)
    monkeypatch.setattr(batch, "leave_server", leave)
    assert run(home, comparison)["answers"] == 18
    assert [what for what, _ in seen] == ["load first", "load first", "leave first", "load second"]
    assert seen[2:] == [("leave first", 12), ("load second", 12)]


BATCH = """
import sys
from core.compare import answering, batch
from core.compare.batch import compare
from core.jobs.tasks import silent
from core.paths import PROJECT, Home
from tests.build_comparison import scores_by_length

answering.score_answers = lambda home, reward, tags, samples, *rest: scores_by_length(samples)
compare(Home.open(sys.argv[1]), {"comparison": sys.argv[2]}, silent)
"""


def test_after_a_kill_nothing_is_asked_twice(home: Home, server: FakeEndpoint, comparison: Comparison) -> None:
    answered = server.answer
    server.answer = lambda r: Reply(answered(r).parts, wait_before=0 if asked(r) == QUESTIONS[5] else None)
    child = subprocess.Popen([sys.executable, "-c", BATCH, str(home.root), comparison.id], cwd=PROJECT)
    while len(comparison.answers()) < 10:
        assert child.poll() is None
        server.waiting.wait(0.05)
    child.kill()
    child.wait()
    server.released.set()
    server.requests.clear()
    result = run(home, comparison)
    assert sorted(map(asked, server.requests)) == [QUESTIONS[5]] * 2
    assert (result["answers"], result["missing"], result["unscored"]) == (12, 0, 0)
