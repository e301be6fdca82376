"""Questions asked from threads of this process, of endpoints on this machine that answer, fail or wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from core.compare import answering, asking
from core.compare.asking import DONE, STARTING, Asked, find_asked, start_asking
from core.compare.comparison import ComparedAnswer, Comparison, answering_alone, create_comparison
from core.errors import RewardError, RunError
from core.paths import Home
from core.presets import preset_config
from core.reward.scoring import Sample
from core.serving.endpoint import Endpoint
from core.serving.scoring import AnswerScores
from tests.build_comparison import endpoint_candidate, request_of, scores_by_length
from tests.build_endpoint import FakeEndpoint, Reply, serving, whole

WAIT = 30


@pytest.fixture
def server() -> Iterator[FakeEndpoint]:
    with serving() as found:
        yield found


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Sample]:
    """What was scored; a stand-in takes the place of the server that scores."""
    found: list[Sample] = []

    def score(home: Home, reward: Any, tags: Any, samples: Sequence[Sample], *rest: Any) -> list[AnswerScores]:
        found.extend(samples)
        return scores_by_length(samples)

    monkeypatch.setattr(answering, "score_answers", score)
    monkeypatch.setattr(asking, "ensure_scores", lambda home: None)
    return found


def comparison_at(home: Home, server: FakeEndpoint, questions: Sequence[str] = ("Why?",)) -> Comparison:
    candidates = [endpoint_candidate(server.url, name) for name in ("one", "two")]
    return create_comparison(home, request_of(candidates, questions))


def asked_and_done(home: Home, comparison: Comparison) -> Asked:
    asked = start_asking(home, comparison)
    asked.wait(WAIT)
    assert not asked.live
    return asked


def test_every_candidate_answers_and_is_scored(home: Home, server: FakeEndpoint, seen: list[Sample]) -> None:
    server.answer = lambda request: Reply(whole(request["model"], " says", " rest."))
    comparison = comparison_at(home, server)
    asked = asked_and_done(home, comparison)
    assert [answer.text for answer in comparison.answers()] == ["one says rest.", "two says rest."]
    assert [answer.reward for answer in comparison.answers()] == [0.014, 0.014]
    assert [(column.phase, column.text, column.pieces) for column in asked.columns] == [
        (DONE, "one says rest.", 3),
        (DONE, "two says rest.", 3),
    ]
    assert [column.answer for column in asked.columns] == comparison.answers()


def test_what_is_scored_is_the_answer_with_its_question_and_reference(
    home: Home, server: FakeEndpoint, seen: list[Sample]
) -> None:
    asked_and_done(home, comparison_at(home, server))
    assert {(s.question, s.reference, s.completion) for s in seen} == {("Why?", "Because 0.", "Rest.")}


def test_an_answer_is_on_the_disk_before_it_is_scored(
    home: Home, server: FakeEndpoint, seen: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    comparison = comparison_at(home, server)
    there: list[str] = []

    def score(home: Home, reward: Any, tags: Any, samples: Sequence[Sample], *rest: Any) -> list[AnswerScores]:
        there.extend(answer.text for answer in comparison.answers())
        return scores_by_length(samples)

    monkeypatch.setattr(answering, "score_answers", score)
    asked_and_done(home, comparison)
    assert "Rest." in there


def test_one_that_fails_leaves_the_other_alone(home: Home, server: FakeEndpoint, seen: list[Sample]) -> None:
    server.answer = lambda request: Reply(status=404) if request["model"] == "one" else Reply(whole("Rest."))
    comparison = comparison_at(home, server)
    asked = asked_and_done(home, comparison)
    first, second = comparison.answers()
    assert "does not know the model one" in first.error and asked.columns[0].error == first.error
    assert (second.text, second.error) == ("Rest.", "")
    assert len(seen) == 1, "what is not whole is not scored"


def test_a_candidate_that_may_not_be_asked_says_why(home: Home, seen: list[Sample]) -> None:
    comparison = create_comparison(home, request_of([endpoint_candidate("https://example.org/v1")], ["Why?"]))
    asked_and_done(home, comparison)
    assert "GRPO_STUDIO_ENDPOINTS" in comparison.answers()[0].error


def test_the_other_column_goes_on_while_one_waits(home: Home, server: FakeEndpoint, seen: list[Sample]) -> None:
    server.answer = lambda r: Reply(whole("Rest."), wait_before=0 if r["model"] == "one" else None)
    comparison = comparison_at(home, server)
    asked = start_asking(home, comparison)
    asked._threads[1].join(WAIT)
    assert asked.live and [answer.candidate for answer in comparison.answers()] == [1]
    server.released.set()
    asked.wait(WAIT)
    assert len(comparison.answers()) == 2


def test_what_was_written_before_it_was_cancelled_is_kept(home: Home, server: FakeEndpoint, seen: list[Sample]) -> None:
    server.answer = lambda request: Reply(whole("Rest", "."), wait_before=1)
    comparison = comparison_at(home, server)
    asked = start_asking(home, comparison)
    while not all(column.text for column in asked.columns):
        asked.wait(0.01)
    asked.cancel()
    asked.wait(WAIT)
    assert [(a.text, a.error) for a in comparison.answers()] == [("Rest", "Stopped before the answer was whole.")] * 2
    assert not seen


def test_whoever_looks_finds_what_is_under_way(home: Home, server: FakeEndpoint, seen: list[Sample]) -> None:
    server.answer = lambda request: Reply(whole("Rest."), wait_before=0)
    comparison = comparison_at(home, server)
    asked = start_asking(home, comparison)
    assert find_asked(comparison.id) is asked and start_asking(home, comparison) is asked
    server.released.set()
    asked.wait(WAIT)
    assert len(server.requests) == 2
    assert find_asked("compare-none") is None


def test_asking_again_fills_the_gaps_alone(home: Home, server: FakeEndpoint, seen: list[Sample]) -> None:
    comparison = comparison_at(home, server)
    comparison.add([ComparedAnswer(question=0, candidate=0, text="Known.", reward=1.0)])
    comparison.add([ComparedAnswer(question=0, candidate=1, text="Ha", error="Stopped.")])
    asked = asked_and_done(home, comparison)
    assert [request["model"] for request in server.requests] == ["two"]
    assert [(a.text, a.error) for a in comparison.answers()] == [("Known.", ""), ("Rest.", "")]
    assert asked.columns[0].text == "Known."


def test_a_whole_answer_without_scores_is_scored_and_not_asked_again(
    home: Home, server: FakeEndpoint, seen: list[Sample]
) -> None:
    comparison = comparison_at(home, server)
    comparison.add([ComparedAnswer(question=0, candidate=c, text="Known.") for c in (0, 1)])
    asked_and_done(home, comparison)
    assert [answer.reward for answer in comparison.answers()] == [0.006, 0.006] and not server.requests


def test_an_answer_that_cannot_be_scored_says_why_and_stays(
    home: Home, server: FakeEndpoint, seen: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> list[AnswerScores]:
        raise RewardError("The judge cannot be asked.")

    monkeypatch.setattr(answering, "score_answers", refuse)
    comparison = comparison_at(home, server)
    asked_and_done(home, comparison)
    assert {(a.text, a.error, a.reward, a.unscored) for a in comparison.answers()} == {
        ("Rest.", "", None, "The judge cannot be asked.")
    }


def test_nobody_asks_what_another_process_is_asking(home: Home, server: FakeEndpoint, seen: list[Sample]) -> None:
    comparison = comparison_at(home, server)
    release = answering_alone(comparison)
    with pytest.raises(RunError, match="being answered"):
        start_asking(home, comparison)
    release()
    asked_and_done(home, comparison)
    answering_alone(comparison)()


def test_a_begun_turn_is_not_sent_to_an_endpoint(home: Home, server: FakeEndpoint, seen: list[Sample]) -> None:
    prompt = preset_config("demo").prompt.model_copy(update={"prefill": True})
    candidate = endpoint_candidate(server.url)
    comparison = create_comparison(home, request_of([candidate], ["Why?"], prompt=prompt))
    asked_and_done(home, comparison)
    assert {request["messages"][-1]["role"] for request in server.requests} == {"user"}
    assert {answer.text for answer in comparison.answers()} == {"Rest."}


@dataclass(frozen=True)
class Loading:
    """How far a server is."""

    done: int
    total: int


def test_a_column_tells_how_far_its_model_is_loaded(
    home: Home, server: FakeEndpoint, seen: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    phases: list[str] = []
    comparison = create_comparison(home, request_of([endpoint_candidate(server.url)], ["Why?"]))
    asked = Asked(home, comparison)

    def wait_for(home: Home, candidate: Any, seconds: float, look: Any) -> Endpoint:
        for loaded in (Loading(0, 0), Loading(2, 5)):
            look(loaded)
            phases.append(asked.columns[0].phase)
        return server.endpoint()

    monkeypatch.setattr(asking, "wait_for", wait_for)
    asked.start()
    asked.wait(WAIT)
    assert phases == [STARTING, "loading 40 %"]


def test_cancelling_does_not_wait_for_a_model_to_load(
    home: Home, server: FakeEndpoint, seen: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait_for(home: Home, candidate: Any, seconds: float, look: Any) -> Endpoint:
        server.waiting.set()
        while True:
            look(Loading(0, 0))

    monkeypatch.setattr(asking, "wait_for", wait_for)
    comparison = comparison_at(home, server)
    asked = start_asking(home, comparison)
    server.waiting.wait(WAIT)
    asked.cancel()
    asked.wait(WAIT)
    assert [answer.error for answer in comparison.answers()] == ["Stopped before the answer began."] * 2
    assert not asked.live and not server.requests
