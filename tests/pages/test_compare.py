"""The view Ask of the Compare page: who answers, under what, asked, shown side by side, found again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.compare import answering, asking
from core.compare.comparison import ComparedAnswer, create_comparison, list_comparisons
from core.datasets import read_rows
from core.paths import Home
from core.presets import preset_config
from core.reward.scoring import Sample
from core.runs.labels import change_label
from core.runs.lines import line_of
from core.runs.run import Run
from core.serving.scoring import AnswerScores
from studio import runs_list
from studio.navigation import RUNS
from tests.build_compare_page import BASE, BASE_NAME, Open, answered, compare_page, sent, trained_run
from tests.build_comparison import endpoint_candidate, request_of, scores_by_length
from tests.build_endpoint import FakeEndpoint, Reply, serving, whole
from tests.build_runs import GOOD, HOSTILE, Plan, build_run

WAIT = 30


@pytest.fixture
def compare(overview: Callable[[], AppTest]) -> Open:
    """Opens the Compare page with these query parameters."""
    return lambda **address: compare_page(overview(), **address)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEndpoint]:
    """Models behind an address on this machine; their answers are scored by a stand-in."""

    def score(home: Home, reward: Any, tags: Any, samples: Sequence[Sample], *rest: Any) -> list[AnswerScores]:
        return scores_by_length(samples)

    monkeypatch.setattr(answering, "score_answers", score)
    monkeypatch.setattr(asking, "ensure_scores", lambda home: None)
    with serving() as found:
        yield found


def remote(server: FakeEndpoint, *models: str) -> list[str]:
    return [f"endpoint:{server.url}#{model}" for model in models]


def ask(at: AppTest, question: str) -> AppTest:
    at.text_area(key="compare.own").set_value(question)
    return at.button(key="compare.ask.own").click().run()


def wait(home: Home, at: AppTest) -> AppTest:
    """The page once everybody has answered."""
    asked = asking.find_asked(list_comparisons(home)[0].id)
    assert asked is not None
    asked.wait(WAIT)
    at.run()
    assert not at.exception
    return at


def test_at_first_the_newest_trained_model_is_beside_its_base_under_its_own_prompt(compare: Open, home: Home) -> None:
    run = trained_run(home)
    change_label(run, title="Warfarin")
    at = compare()
    assert at.multiselect[0].value == [BASE, f"run:{run.id}"]
    assert {BASE_NAME, "Warfarin · final adapter", "Warfarin · step 10"} <= set(at.multiselect[0].options)
    assert "the prompt and reward of **Warfarin**" in sent(at)
    assert "temperature 0.7, top-p 1, at most 256 tokens, seed 0" in sent(at)


@pytest.mark.usefixtures("seemingly_prepared")
def test_without_a_run_the_embedded_model_answers_under_the_studios_own_prompt(compare: Open) -> None:
    at = compare()
    assert at.multiselect[0].value == [BASE]
    assert "the studio's own prompt and reward" in sent(at)


def test_a_question_is_answered_side_by_side_with_what_it_took_and_what_it_earns(
    compare: Open, home: Home, server: FakeEndpoint
) -> None:
    server.answer = lambda request: Reply(whole(GOOD if request["model"] == "two" else "No ", "idea."))
    at = wait(home, ask(compare(**{"with": remote(server, "one", "two")}), "Why?"))
    (comparison,) = list_comparisons(home)
    assert at.query_params["comparison"] == comparison.id
    shown = sent(at)
    assert "No idea." in shown and "The INR rises, so check it early" in shown
    assert "2 tokens" in shown and "tokens a second" in shown
    assert "**Reward 0.01**" in shown
    first = at.table[0].value
    assert first["Term"].tolist() == ["Similarity", "Fluency", "Tags"]
    assert first["Score"].tolist() == ["no opinion", "0.25", "0.50"]
    assert first["= adds"].tolist() == ["–", "+0.07", "+0.10"]


def test_all_are_asked_with_the_settings_that_are_shown(compare: Open, home: Home, server: FakeEndpoint) -> None:
    at = compare(**{"with": remote(server, "one", "two")})
    at.slider(key="compare.temperature").set_value(0.0)
    at.number_input(key="compare.max_tokens").set_value(40)
    at.number_input(key="compare.seed").set_value(7)
    wait(home, ask(at.run(), "Why?"))
    assert {(r["temperature"], r["seed"]) for r in server.requests} == {(0.0, 7)}
    assert {r.get("max_tokens", r.get("max_completion_tokens")) for r in server.requests} == {40}
    assert {r["messages"][-1]["content"] for r in server.requests} == {"Why?"}


def test_a_reference_answer_that_is_typed_is_kept_with_the_question(
    compare: Open, home: Home, server: FakeEndpoint
) -> None:
    at = compare(**{"with": remote(server, "one")})
    at.text_input(key="compare.reference").set_value("The INR rises.")
    at = wait(home, ask(at, "Why?"))
    assert list_comparisons(home)[0].request().questions[0].reference == "The INR rises."
    assert "The INR rises." in [text.value for text in at.text]


def test_an_empty_question_is_refused_with_a_sentence(compare: Open, home: Home, server: FakeEndpoint) -> None:
    at = ask(compare(**{"with": remote(server, "one")}), "  ")
    assert [error.value for error in at.error] == ["Type a question first."]
    assert not list_comparisons(home)


def test_with_nobody_chosen_nothing_can_be_asked(compare: Open, home: Home) -> None:
    trained_run(home)
    at = compare()
    at.multiselect[0].set_value([]).run()
    assert at.multiselect[0].value == []
    assert at.button(key="compare.ask.own").disabled


def test_what_has_been_written_is_shown_while_the_rest_is_awaited_and_stop_keeps_it(
    compare: Open, home: Home, server: FakeEndpoint
) -> None:
    server.answer = lambda request: Reply(whole("Begun", " and ended."), wait_before=1)
    at = ask(compare(**{"with": remote(server, "one")}), "Why?")
    assert server.waiting.wait(WAIT)
    asked = asking.find_asked(list_comparisons(home)[0].id)
    assert asked is not None
    while not asked.columns[0].text:  # the first piece is on its way through the client's thread
        assert asked.live
    at.run()
    assert "Begun" in [text.value for text in at.text] and "Writing · 1 token" in sent(at)
    at.button(key="compare.stop").click().run()
    at = wait(home, at)
    assert at.button(key="compare.again") and "Begun" in sent(at)


def test_hostile_answers_questions_and_names_are_text(compare: Open, home: Home) -> None:
    comparison = answered(home, [HOSTILE], texts=[HOSTILE, "\x00\x1b[31m" + "\n" * 10_000 + "end"])
    at = compare(comparison=comparison.id)
    assert HOSTILE in [text.value for text in at.text]
    assert not [mark for mark in at.markdown if "![pixel]" in mark.value or "<img" in mark.value.replace("\\<", "")]


def test_the_answers_are_there_after_a_reload(compare: Open, home: Home) -> None:
    comparison = answered(home, ["Why?"])
    at = compare(comparison=comparison.id)
    assert "**Reward 0.50**" in sent(at) and "**Reward -1.00**" in sent(at)
    assert "Invalid: it has no answer in tags" in sent(at)
    assert "Because 0." in [text.value for text in at.text]
    assert any(":green-background[" in mark.value for mark in at.markdown)


def test_who_answered_what_is_open_is_chosen_after_a_reload(compare: Open, home: Home) -> None:
    trained_run(home)
    at = compare(comparison=answered(home, ["Why?"]).id)
    assert at.multiselect[0].value == ["endpoint:http://127.0.0.1:9/v1#one", "endpoint:http://127.0.0.1:9/v1#two"]


def test_what_was_broken_off_says_so_and_asks_only_what_is_missing(
    compare: Open, home: Home, server: FakeEndpoint
) -> None:
    request = request_of([endpoint_candidate(server.url, name) for name in ("one", "two")], ["Why?"])
    comparison = create_comparison(home, request)
    comparison.add([answered(home, ["Why?"]).answers()[0]])
    at = compare(comparison=comparison.id)
    assert any("broken off" in warning.value for warning in at.warning)
    at = at.button(key="compare.again").click().run()
    asked = asking.find_asked(comparison.id)
    assert asked is not None
    asked.wait(WAIT)
    at.run()
    assert [request["model"] for request in server.requests] == ["two"]
    assert not at.warning and "Rest." in sent(at)


def test_an_answer_that_lost_its_scoring_is_scored_by_one_click_and_not_asked_again(
    compare: Open, home: Home, server: FakeEndpoint
) -> None:
    comparison = create_comparison(home, request_of([endpoint_candidate(server.url, "one")], ["Why?"]))
    comparison.add([ComparedAnswer(question=0, candidate=0, text="Rest.")])
    at = compare(comparison=comparison.id)
    assert any("Scoring was broken off" in warning.value for warning in at.warning)
    button = at.button(key="compare.again")
    assert button.label == "Score the answers again"
    button.click().run()
    asked = asking.find_asked(comparison.id)
    assert asked is not None
    asked.wait(WAIT)
    at.run()
    assert comparison.answers()[0].reward is not None and not server.requests
    assert not at.warning and "compare.again" not in {button.key for button in at.button}


def test_asking_once_more_is_a_new_entry_with_the_next_seed(compare: Open, home: Home, server: FakeEndpoint) -> None:
    at = wait(home, ask(compare(**{"with": remote(server, "one")}), "Why?"))
    at = wait(home, at.button(key="compare.reseed").click().run())
    newest, first = list_comparisons(home)
    assert (first.request().decoding.seed, newest.request().decoding.seed) == (0, 1)
    assert at.number_input(key="compare.seed").value == 1


def test_an_endpoint_that_refuses_says_so_in_its_own_column(compare: Open, home: Home, server: FakeEndpoint) -> None:
    server.answer = lambda request: Reply(['{"error": {"message": "no"}}'], status=401, kind="application/json")
    at = wait(home, ask(compare(**{"with": remote(server, "one")}), "Why?"))
    assert len(at.error) == 1 and at.button(key="compare.again")


def test_a_question_of_ones_own_that_was_trained_on_is_warned_of(
    compare: Open, home: Home, server: FakeEndpoint
) -> None:
    run = trained_run(home)
    learned = next(row.question for row in read_rows(run.config().data, home) if row.split == "train")
    address = {"with": remote(server, "one"), "under": run.id}
    assert "learned by heart" in sent(wait(home, ask(compare(**address), learned)))
    assert "learned by heart" not in sent(wait(home, ask(compare(**address), "Is this a new question?")))


def test_a_test_question_says_that_it_was_never_trained_on(compare: Open, home: Home, server: FakeEndpoint) -> None:
    at = compare(**{"with": remote(server, "one")})
    at.segmented_control(key="compare.way").set_value("A test question").run()
    held_out = [row.question for row in read_rows(preset_config().data, home) if row.split == "test"]
    assert len(at.selectbox(key="compare.test").options) == len(held_out)
    at.selectbox(key="compare.test").select_index(2).run()
    at = wait(home, at.button(key="compare.ask.test").click().run())
    (question,) = list_comparisons(home)[0].request().questions
    assert question.text == held_out[2] and question.split == "test"
    assert "Test split, never trained on" in sent(at)


def test_earlier_questions_are_listed_the_newest_first_and_a_click_opens_one(compare: Open, home: Home) -> None:
    old, new = answered(home, ["An old question?"]), answered(home, ["A new question?"])
    answered(home)
    at = compare()
    listed = at.dataframe[0].value
    assert listed["Question"].tolist() == ["A new question?", "An old question?"]
    at.session_state[f"compare.earlier..{new.id}"] = {"selection": {"rows": [1], "columns": [], "cells": []}}
    at.run()
    assert not at.exception
    assert "An old question?" in [text.value for text in at.text]
    assert at.query_params["comparison"] == old.id


def test_a_remote_model_is_added_to_those_who_answer(compare: Open, home: Home) -> None:
    run = trained_run(home)
    at = compare()
    at.segmented_control(key="compare.add.where").set_value("Remote service").run()
    at.text_input(key="compare.add.url").set_value("https://api.openai.com/v1")
    at.text_input(key="compare.add.remote").set_value("gpt-4o-mini")
    at.button(key="compare.add.yes").click().run()
    assert at.multiselect[0].value == [BASE, f"run:{run.id}", "endpoint:https://api.openai.com/v1#gpt-4o-mini"]
    assert "Remote: gpt-4o-mini at api.openai.com" in at.multiselect[0].options


def test_a_model_that_is_not_there_is_not_added_and_the_reason_is_said(compare: Open, home: Home) -> None:
    trained_run(home)
    at = compare()
    before = at.multiselect[0].value
    at.segmented_control(key="compare.add.where").set_value("GGUF file").run()
    at.text_input(key="compare.add.gguf").set_value("/nowhere/model.gguf")
    at.button(key="compare.add.yes").click().run()
    assert at.multiselect[0].value == before and "no GGUF file" in sent(at)


@pytest.mark.parametrize("top_p", [0.02, 0.001])
def test_sampling_that_only_the_command_line_allows_opens_and_asks(
    compare: Open, home: Home, server: FakeEndpoint, top_p: float
) -> None:
    request = request_of([endpoint_candidate(server.url, "one")], ["Why?"])
    decoding = request.decoding.model_copy(update={"top_p": top_p})
    at = compare(comparison=create_comparison(home, request.model_copy(update={"decoding": decoding})).id)
    wait(home, ask(at, "How?"))
    assert list_comparisons(home)[0].request().decoding.top_p == max(top_p, 0.01)


def test_a_comparison_that_could_not_be_read_once_is_listed_when_it_can_be(compare: Open, home: Home) -> None:
    file = answered(home, ["Why?"]).folder / "request.json"
    whole = file.read_bytes()
    file.write_bytes(b"{}")
    at = compare()
    assert not at.dataframe
    file.write_bytes(whole)
    assert at.run().dataframe[0].value["Question"].tolist() == ["Why?"]


def test_an_address_that_names_nothing_is_told_and_the_page_stays_usable(compare: Open, home: Home) -> None:
    trained_run(home)
    at = compare(comparison="compare-gone", **{"with": "run:gone"})
    assert len(at.error) == 2 and at.multiselect[0].value == []


def test_a_question_is_deleted_after_one_has_said_so(compare: Open, home: Home) -> None:
    comparison = answered(home, ["Why?"])
    at = compare(comparison=comparison.id)
    at.button(key="compare.delete").click().run()
    at.button(key="compare.delete").click()
    at.button(key="compare.delete.yes").click().run()
    assert not list_comparisons(home) and "comparison" not in at.query_params


@pytest.mark.parametrize("opens", ["train", "runs"])
def test_a_trained_run_is_compared_with_its_base_by_one_click(
    opens: str, overview: Callable[[], AppTest], train: Open, home: Home
) -> None:
    run = trained_run(home)
    if opens == "train":
        at = train(run.id)
        at.button(key="compare_base").click().run()
    else:
        at = _ticked(overview(), home, run)
        at.button(key="runs.ask").click().run()
    assert not at.exception
    assert at.multiselect[0].value == [BASE, f"run:{run.id}"]
    assert at.query_params["under"] == run.id


def _ticked(at: AppTest, home: Home, run: Run) -> AppTest:
    at.switch_page(str(RUNS.path)).run()
    key = runs_list.table_key([line_of(run)])
    at.session_state[key] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    return at.run()


def test_a_run_without_an_adapter_is_not_offered(train: Open, compare: Open, home: Home) -> None:
    run = build_run(home, Plan("finished", done=6, steps=6))
    assert "compare_base" not in {button.key for button in train(run.id).button}
    assert compare().multiselect[0].value == [BASE]
