"""`generate` on the command line, with an endpoint on this machine in place of a model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from core.commands import generate
from core.commands.cli import main
from core.compare import answering, asking, batch
from core.compare.comparison import ComparedAnswer, find_comparison, list_comparisons
from core.errors import StudioError
from core.jobs.tasks import silent
from core.paths import Home
from core.reward.scoring import Sample
from core.serving.scoring import AnswerScores
from tests.build_comparison import scores_by_length
from tests.build_endpoint import FakeEndpoint, Reply, serving, whole


@pytest.fixture
def server() -> Iterator[FakeEndpoint]:
    with serving() as found:
        yield found


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores by a stand-in, and the batch without a process of its own."""

    def score(home: Home, reward: Any, tags: Any, samples: Sequence[Sample], *rest: Any) -> list[AnswerScores]:
        return scores_by_length(samples)

    monkeypatch.setattr(answering, "score_answers", score)
    monkeypatch.setattr(asking, "ensure_scores", lambda home: None)
    monkeypatch.setattr(generate, "finish_task", lambda home, kind, given: batch.compare(home, given, silent))


def test_an_answer_is_printed_with_its_reward(
    home: Home, server: FakeEndpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", f"endpoint:{server.url}#m", "--question", "Why?", "--max-tokens", "9", "--seed", "4"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Rest.\n--- 2 tokens") and "reward +0.005 (semantic -, fluency 0.250" in printed
    assert (server.requests[0]["max_tokens"], server.requests[0]["seed"]) == (9, 4)


def test_several_candidates_are_told_apart_and_kept(
    home: Home, server: FakeEndpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = lambda request: Reply(whole(f"from {request['model']}"))
    assert main(["generate", f"endpoint:{server.url}#one", f"endpoint:{server.url}#two", "--question", "Why?"]) == 0
    printed = capsys.readouterr().out
    assert printed.index("one at") < printed.index("from one") < printed.index("two at") < printed.index("from two")
    assert len(list_comparisons(home)[0].answers()) == 2


def test_json_is_one_answer_a_line(home: Home, server: FakeEndpoint, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", f"endpoint:{server.url}#m", "--test", "3", "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["split"] for record in records] == ["test"] * 3
    assert records[0]["components"] == {"semantic": None, "fluency": 0.25, "tags": 0.5}
    assert len({record["question"] for record in records}) == 3 and all(record["reference"] for record in records)


@pytest.mark.parametrize("json_option", [[], ["--json"]])
def test_what_was_kept_is_printed_when_a_batch_is_stopped(
    home: Home,
    server: FakeEndpoint,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    json_option: list[str],
) -> None:
    told_before: list[str] = []

    def stopped(home: Home, kind: str, given: Mapping[str, Any]) -> None:
        told_before.append(capsys.readouterr().err)
        find_comparison(home, given["comparison"]).add([ComparedAnswer(question=1, candidate=0, text="So far.")])
        raise StudioError("Stopped before it was done.")

    monkeypatch.setattr(generate, "finish_task", stopped)
    assert main(["generate", f"endpoint:{server.url}#m", "--test", "3", *json_option]) == 2
    told = capsys.readouterr()
    assert told_before == [f"Kept as {list_comparisons(home)[0].id}.\n"]
    assert "So far." in told.out and "Stopped before it was done" in told.err


@pytest.mark.parametrize(("asked", "told"), [(["--question", "Why?"], True), (["--test", "2"], False)])
def test_a_speed_is_told_only_where_nothing_else_was_asked(
    home: Home,
    server: FakeEndpoint,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    asked: list[str],
    told: bool,
) -> None:
    monkeypatch.setattr(ComparedAnswer, "tokens_per_second", 12.0)
    assert main(["generate", f"endpoint:{server.url}#m", *asked]) == 0
    assert ("12.0 tokens/s" in capsys.readouterr().out) == told


def test_what_steers_a_terminal_is_not_printed(
    home: Home, server: FakeEndpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = lambda request: Reply(whole("a\x1b[31m\x07\r", "\x9bb"))
    main(["generate", f"endpoint:{server.url}#m", "--question", "Why?"])
    assert capsys.readouterr().out.startswith("a[31mb\n")


def test_where_nobody_answered_the_exit_code_says_so(
    home: Home, server: FakeEndpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = lambda request: Reply(status=404)
    assert main(["generate", f"endpoint:{server.url}#m", "--question", "Why?"]) == 2
    told = capsys.readouterr()
    assert "does not know the model m" in told.out and "No answer is whole" in told.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense", "--question", "Why?"], "names nothing that can be asked"),
        (["run:none", "--question", "Why?"], "no run 'none'"),
        (["endpoint:http://127.0.0.1:9/v1#m", "--question", " "], "type a question"),
        (["endpoint:http://127.0.0.1:9/v1#m", "--question", "Why?", "--temperature", "9"], "temperature"),
    ],
)
def test_what_cannot_be_asked_is_said_in_a_sentence(
    home: Home, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["generate", *arguments]) == 2
    assert said in capsys.readouterr().err
