"""`evaluate`: what it asks, keeps and prints, what it goes on with, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from core.commands import evaluate as command
from core.commands.cli import main
from core.compare import answering
from core.compare.blind import end_vote, open_vote
from core.compare.comparison import list_comparisons
from core.endpoints import BASE_URL, ENDPOINTS, JUDGE_KEYS
from core.errors import StudioError
from core.evaluate import metrics, task
from core.evaluate.evaluation import comparison_of, find_evaluation, list_evaluations
from core.jobs.tasks import silent
from core.paths import Home
from core.reward.scoring import Sample
from core.serving.scoring import AnswerScores
from tests.build_blind import vote_for
from tests.build_comparison import scores_by_length
from tests.build_endpoint import FakeEndpoint, Reply
from tests.build_evaluation import answered_comparison, build_evaluation, counted
from tests.build_judging import answer_or_verdict, is_judged, judging_server


@pytest.fixture
def server() -> Iterator[FakeEndpoint]:
    with judging_server() as found:
        yield found


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps what the environment says of endpoints out of the tests."""
    for name in (*JUDGE_KEYS, BASE_URL, ENDPOINTS):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Does the task in this process, with stand-ins for the scorers and for drawing the report."""

    def score(home: Home, reward: Any, tags: Any, samples: Sequence[Sample], *rest: Any) -> list[AnswerScores]:
        return scores_by_length(samples)

    def finish(home: Home, kind: str, arguments: Mapping[str, Any]) -> Any:
        assert kind == "evaluate"
        return task.evaluate(home, arguments, silent)

    for module in (answering, metrics):
        monkeypatch.setattr(module, "score_answers", score)
    monkeypatch.setattr(task, "write_report", lambda home, evaluation, date: evaluation.report_folder)
    monkeypatch.setattr(command, "finish_task", finish)


def evaluated(home: Home, *arguments: str) -> int:
    return main(["evaluate", *arguments, "--home", str(home.root)])


def models(server: FakeEndpoint) -> list[str]:
    return [f"endpoint:{server.url}#one", f"endpoint:{server.url}#two"]


def judge(server: FakeEndpoint, *names: str) -> list[str]:
    named = [option for name in names or ("judge",) for option in ("--judge", name)]
    return [*named, "--judge-url", server.url]


@pytest.mark.usefixtures("here")
def test_models_are_asked_held_out_questions_and_judged(
    home: Home, server: FakeEndpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluated(home, *models(server), "--questions", "4", *judge(server), "--max-tokens", "64") == 0
    (evaluation,) = list_evaluations(home)
    said = capsys.readouterr()
    assert f"Kept as {evaluation.id}." in said.err
    assert "Judge judge" in said.out and ": 16 of 16 verdicts, 0 unreadable" in said.out and "Limit: " in said.out
    asked = list_comparisons(home)[0].request()
    assert len(asked.questions) == 4 and {question.split for question in asked.questions} == {"test"}
    assert asked.decoding.max_tokens == 64
    assert sum(map(is_judged, server.requests)) == 16


@pytest.mark.usefixtures("here")
def test_json_tells_the_request_and_the_results(
    home: Home, server: FakeEndpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluated(home, *models(server), "--questions", "3", *judge(server), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["evaluation"] == list_evaluations(home)[0].id
    assert said["request"]["judges"][0]["model"] == "judge" and said["request"]["methods"] == ["dimensions"]
    assert said["results"]["questions"] == 3


@pytest.mark.usefixtures("here")
def test_without_a_judge_the_metrics_are_called_automatic(
    home: Home, server: FakeEndpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluated(home, *models(server), "--questions", "2") == 0
    assert "automatic" in capsys.readouterr().out
    assert not any(map(is_judged, server.requests))


@pytest.mark.usefixtures("here")
def test_methods_and_limits_of_a_judge_are_kept(home: Home, server: FakeEndpoint) -> None:
    options = ["--method", "rubric", "--method", "pairwise", "--no-safety", "--concurrent", "3", "--type", ""]
    assert evaluated(home, *models(server), "--questions", "2", *judge(server), *options) == 0
    request = list_evaluations(home)[0].request()
    assert (request.methods, request.safety, request.type_column) == (("rubric", "pairwise"), False, "")
    assert request.judges[0].concurrent == 3


@pytest.mark.usefixtures("here")
def test_after_a_failure_what_was_counted_is_printed_with_the_way_to_go_on(
    home: Home, server: FakeEndpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = lambda r: Reply(status=404) if is_judged(r) else answer_or_verdict(r)
    assert evaluated(home, *models(server), "--questions", "2", *judge(server)) == 2
    (evaluation,) = list_evaluations(home)
    said = capsys.readouterr()
    assert "does not know the model judge (404)" in said.err and f"--resume {evaluation.id}" in said.err
    assert "0 of 8 verdicts" in said.out
    server.answer = answer_or_verdict
    server.requests.clear()
    assert evaluated(home, "--resume", "last") == 0
    assert "8 of 8 verdicts" in capsys.readouterr().out
    assert len(server.requests) == 8


def test_an_earlier_comparison_is_judged_by_a_process_of_its_own_and_reported(
    home: Home, server: FakeEndpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answered_comparison(home, 4)
    assert evaluated(home, "--comparison", "last", *judge(server)) == 0
    assert "16 of 16 verdicts" in capsys.readouterr().out
    file = tmp_path / "report.html"
    assert evaluated(home, "--report", "last", "--out", str(file)) == 0
    assert str(file) in capsys.readouterr().out
    assert file.read_bytes() == (list_evaluations(home)[0].report_folder / "report.html").read_bytes()


def test_a_report_is_never_written_over_a_file(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluation = build_evaluation(home)
    evaluation.report_folder.mkdir()
    (evaluation.report_folder / "report.html").write_text("new")
    (evaluation.report_folder / "evidence.zip").write_text("pack")
    monkeypatch.setattr(command, "report_again", lambda home, evaluation: None)
    file, pack = tmp_path / "mine.html", tmp_path / "mine.zip"
    file.write_text("mine")
    assert evaluated(home, "--report", evaluation.id, "--out", str(file)) == 2
    assert "is there already" in capsys.readouterr().err and file.read_text() == "mine"
    assert evaluated(home, "--report", evaluation.id, "--out", str(pack)) == 0
    assert pack.read_text() == "pack"


def test_an_estimate_asks_nobody_and_keeps_nothing(
    home: Home, server: FakeEndpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluated(home, *models(server), "--questions", "4", *judge(server), "--estimate") == 0
    said = capsys.readouterr().out
    assert "4 questions to 2 models: 8 answers to ask for." in said and "Judge judge: 16 calls" in said
    assert "at a price that is not known" in said
    assert not server.requests and not list_evaluations(home) and not list_comparisons(home)


def test_the_usual_judge_is_estimated_at_its_published_price(
    home: Home, server: FakeEndpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*models(server), "--questions", "4", "--judge", "gpt-4o-mini", "--estimate", "--json"]
    assert evaluated(home, *arguments) == 0
    found = json.loads(capsys.readouterr().out)["total"]
    assert found["dollars"] == pytest.approx(found["input_tokens"] * 0.15e-6 + found["output_tokens"] * 0.6e-6)


def test_an_estimate_of_what_is_left_counts_what_is_known(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    evaluation = build_evaluation(home, judged=lambda call: call.question < 10)
    assert evaluated(home, "--resume", evaluation.id, "--estimate", "--json") == 0
    assert json.loads(capsys.readouterr().out)["total"]["calls"] == 8


def test_evaluations_are_listed(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluated(home, "--list") == 0
    assert "There are no evaluations yet." in capsys.readouterr().out
    evaluation = build_evaluation(home, title="Ward\x1b[31m round")
    assert evaluated(home, "--list") == 0
    said = capsys.readouterr().out
    assert evaluation.id in said and "not counted yet" in said and "\x1b" not in said
    assert evaluated(home, "--list", "--json") == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert (record["evaluation"], record["results"]) == (evaluation.id, None)


def test_a_list_goes_on_after_an_evaluation_that_is_damaged(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    whole, damaged = counted(home), build_evaluation(home)
    (damaged.folder / "request.json").write_text("{")
    assert evaluated(home, "--list") == 0
    said = capsys.readouterr().out
    assert "is better than" in said and whole.id in said and f"The evaluation {damaged.id} is damaged" in said


def test_while_a_vote_is_open_no_result_is_printed(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    evaluation = counted(home)
    open_vote(comparison_of(home, evaluation), [(0, 1)])
    for arguments in (["--list"], ["--resume", evaluation.id], ["--list", "--json"]):
        evaluated(home, *arguments)
        said = capsys.readouterr().out
        assert "better" not in said and '"mean"' not in said


def test_a_report_is_that_of_all_that_is_there(home: Home, tmp_path: Path) -> None:
    evaluation = counted(home)
    comparison = comparison_of(home, evaluation)
    open_vote(comparison, [(0, 1)])
    vote_for(home, comparison, "Ada", [0, 0, 1])
    end_vote(home, comparison)
    before = evaluation.results()
    assert before is not None and before.human_agreement == ()
    assert evaluated(home, "--report", evaluation.id, "--out", str(tmp_path / "report.html")) == 0
    after = evaluation.results()
    assert after is not None and after.human_agreement


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Name models to evaluate, or one of"),
        (["model:x", "--list"], "Name models to evaluate, or one of"),
        (["nonsense"], "names nothing that can be asked"),
        (["--resume", "eval-none"], "There is no evaluation 'eval-none'"),
        (["--report", "last"], "There is no evaluation 'last'"),
        (["--comparison", "compare-none"], "There is no comparison 'compare-none'"),
        (["endpoint:http://127.0.0.1:9/v1#m", "--out", "x.html"], "--out says where --report is written"),
        (["endpoint:http://127.0.0.1:9/v1#m", "--method", "rubric"], "judges and methods belong together"),
        (["endpoint:http://127.0.0.1:9/v1#m", "--type", "colour"], "type_column is 'colour'"),
        (["endpoint:http://127.0.0.1:9/v1#m", "--judge", "gpt-4o-mini"], "GRPO_STUDIO_JUDGE_KEY"),
        (["endpoint:http://127.0.0.1:9/v1#m", "--judge", "j", "--per-minute", "-1"], "per_minute"),
        (["endpoint:http://127.0.0.1:9/v1#m", "--judge", "j", "--method", "pairwise"], "Pairs need two models"),
    ],
)
def test_what_cannot_be_done_is_refused_and_nothing_is_kept(
    home: Home, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluated(home, *arguments) == 2
    assert sentence in capsys.readouterr().err
    assert not list_evaluations(home) and not list_comparisons(home)


@pytest.mark.usefixtures("here")
def test_a_stop_says_how_to_go_on(
    home: Home, server: FakeEndpoint, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*arguments: Any) -> Any:
        raise StudioError("Stopped before it was done.")

    monkeypatch.setattr(command, "finish_task", stop)
    assert evaluated(home, *models(server), "--questions", "2") == 2
    evaluation = find_evaluation(home, "last")
    assert f"python -m core evaluate --resume {evaluation.id}" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_what_it_takes_is_told_before_it_starts(
    home: Home, server: FakeEndpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    prices = ["--input-price", "2", "--output-price", "4"]
    assert evaluated(home, *models(server), "--questions", "2", *judge(server), *prices, "--json") == 0
    told = capsys.readouterr().err
    assert told.index("2 questions to 2 models: 4 answers to ask for.") < told.index("Judge judge: 8 calls")
    assert told.index("US dollars") < told.index("Kept as ")
    assert evaluated(home, "--resume", "last", "--json") == 0
    assert "0 answers to ask for" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_each_judge_has_its_own_address_and_price(home: Home, server: FakeEndpoint) -> None:
    with judging_server() as other:
        where = ["--judge", "a", "--judge-url", server.url, "--judge", "b", "--judge-url", other.url]
        prices = ["--input-price", "1", "--input-price", "2", "--output-price", "3"]
        assert evaluated(home, *models(server), "--questions", "1", *where, *prices) == 0
        judges = list_evaluations(home)[0].request().judges
        assert [(one.model, one.base_url, one.input_price, one.output_price) for one in judges] == [
            ("a", server.url, 1.0, 3.0),
            ("b", other.url, 2.0, 3.0),
        ]
        assert any(map(is_judged, other.requests))


@pytest.mark.usefixtures("here")
def test_baseline_dimensions_and_checklist_are_kept(home: Home, server: FakeEndpoint, tmp_path: Path) -> None:
    (tmp_path / "rubric.txt").write_text("It names the dose.\n\nIt says when to call a doctor.\n")
    methods = ["--method", "dimensions", "--method", "rubric", "--dimension", "accuracy", "--dimension", "fluency"]
    given = [*methods, "--rubric", str(tmp_path / "rubric.txt"), "--baseline", "2"]
    assert evaluated(home, *models(server), "--questions", "1", *judge(server), *given) == 0
    request = list_evaluations(home)[0].request()
    assert (request.baseline, request.dimensions) == (1, ("accuracy", "fluency"))
    assert [item.text for item in request.rubric] == ["It names the dose.", "It says when to call a doctor."]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (["--judge-url", "http://127.0.0.1:9/v1"], "--judge-url is given 2 times for 3 judges"),
        (["--baseline", "3"], "--baseline is 3, and there are 2 models"),
        (["--rubric", "nowhere.txt"], "--rubric is only read by the method rubric"),
        (["--rubric", "nowhere.txt", "--method", "rubric"], "cannot be read as a text file"),
        (["--dimension", "fluency", "--method", "pairwise"], "--dimension is only read by the method dimensions"),
    ],
)
def test_options_for_judges_that_do_not_fit_are_refused(
    home: Home, server: FakeEndpoint, capsys: pytest.CaptureFixture[str], given: list[str], reason: str
) -> None:
    assert evaluated(home, *models(server), *judge(server, "a", "b", "c"), *given) == 2
    assert reason in capsys.readouterr().err and list_evaluations(home) == []
