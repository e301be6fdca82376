"""The blind vote on the Compare page: opened, voted on, ended, counted; and nothing that unblinds before."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import pytest
import streamlit as st
from streamlit.runtime.context import StreamlitHeaders
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Node

from core.access.ways import TRUSTED_PROXY
from core.compare.blind import ballots, end_vote, everybody, human_votes, next_ballot, open_vote
from core.compare.blind_votes import Choice, ended_at, opened_vote
from core.compare.comparison import ComparedAnswer, Comparison
from core.errors import StorageError
from core.jobs import supervisor
from core.jobs.tasks import create_task, perform
from core.paths import Home
from studio.identity import USER_HEADER
from tests.build_blind import NAMES, build_comparison, ended_vote, vote_for
from tests.build_compare_page import answered, compare_page, trained_run
from tests.build_runs import HOSTILE


def page() -> None:
    from core.compare.comparison import list_comparisons
    from studio import compare_blind, settings

    home = settings.open_home()
    compare_blind.draw(home, list_comparisons(home)[0])


def page_of_who_signed_in() -> None:
    from core.compare.comparison import list_comparisons
    from studio import compare_blind, identity, settings

    identity.require()
    home = settings.open_home()
    compare_blind.draw(home, list_comparisons(home)[0])


def show(of: Callable[[], None] = page) -> AppTest:
    at = AppTest.from_function(of, default_timeout=20).run()
    assert not at.exception
    return at


def vote_as(name: str) -> AppTest:
    at = show()
    at.text_input(key="lab.rater").set_value(name).run()
    assert not at.exception
    return at


@pytest.fixture
def comparison(home: Home) -> Comparison:
    """One whose vote is open."""
    made = build_comparison(home)
    open_vote(made, [(0, 1)])
    return made


def keys(at: AppTest, start: str) -> list[str]:
    return [button.key for button in at.button if button.key and button.key.startswith(start)]


def click(at: AppTest, start: str) -> AppTest:
    """Click the one button whose key begins like this."""
    (key,) = keys(at, start)
    at.button(key=key).click().run()
    assert not at.exception
    return at


def done(at: AppTest) -> str:
    return str(at.get("progress")[0].proto.text)


def answer(at: AppTest, opened_by: str, key: str) -> AppTest:
    """Press a button of a question. The driver runs the whole page, so what opened the question is held down."""
    at.button(key=opened_by).click()
    at.button(key=key).click().run()
    assert not at.exception
    return at


def everything(at: AppTest) -> str:
    """All that is sent to the browser: what is shown, and what widgets are called."""
    return "".join(_sent(child) for child in at._tree.children.values())


def _sent(node: Node) -> str:
    return f"{node.proto}" + "".join(_sent(child) for child in getattr(node, "children", {}).values())


def test_whoever_opens_the_vote_is_told_what_is_asked_and_what_is_left_out(home: Home) -> None:
    comparison = build_comparison(home, replaced={(0, 0): None})
    at = show()
    assert "Each rater judges **3** pairs of answers." in [text.value for text in at.markdown]
    assert "1 left out: a model has not answered." in [caption.value for caption in at.caption]
    click(at, "blind.open")
    vote = opened_vote(comparison)
    assert vote is not None and len(vote.matters) == 3


def test_of_three_models_the_pairs_are_chosen(home: Home) -> None:
    comparison = build_comparison(home, 2, 3)
    at = show()
    assert "Each rater judges **6** pairs of answers." in [text.value for text in at.markdown]
    at.multiselect[0].set_value([(1, 2)]).run()
    click(at, "blind.open")
    vote = opened_vote(comparison)
    assert vote is not None and vote.pairs == ((1, 2),)


def test_a_vote_without_a_pair_cannot_be_opened(home: Home) -> None:
    build_comparison(home, 2, 3)
    at = show()
    at.multiselect[0].set_value([]).run()
    assert at.button(key="blind.open").disabled


def test_nobody_votes_without_a_name(comparison: Comparison) -> None:
    at = show()
    assert keys(at, "blind.left") == []
    assert "Type your name first" in at.info[0].value


def test_a_name_that_cannot_be_used_is_explained(comparison: Comparison) -> None:
    at = vote_as("x" * 81)
    assert "81 characters" in at.error[0].value
    assert keys(at, "blind.left") == []


@pytest.mark.parametrize("choice", ["left", "right", "tie", "unsafe"])
def test_a_choice_is_kept_and_the_next_ballot_follows(home: Home, comparison: Comparison, choice: Choice) -> None:
    first = ballots(comparison, "Ada")[0]
    at = click(vote_as("Ada"), f"blind.{choice}.")
    assert done(at) == "1 of 4 judged"
    end_vote(home, comparison)
    (vote,) = human_votes(comparison)
    assert (vote.question, vote.verdict) == (first.matter.question, first.verdict(choice))


def test_the_answers_stand_on_the_sides_of_the_ballot(comparison: Comparison) -> None:
    ballot = next_ballot(comparison, "Ada")
    assert ballot is not None
    shown = [text.value for text in vote_as("Ada").text]
    left, right = ballot.left, ballot.right
    assert shown == ["Ada", ballot.question, left.reasoning, left.answer, right.reasoning, right.answer]


def test_the_reason_is_kept_with_the_choice_and_not_carried_on(home: Home, comparison: Comparison) -> None:
    at = vote_as("Ada")
    at.text_area[0].set_value("Names the dose.")
    click(at, "blind.right.")
    assert not at.text_area[0].value
    click(at, "blind.tie.")
    end_vote(home, comparison)
    assert [vote.reason for vote in human_votes(comparison)] == ["Names the dose.", ""]


def test_the_choices_and_undo_have_their_keys(comparison: Comparison) -> None:
    at = click(vote_as("Ada"), "blind.left.")
    found = {
        button.key.split(".")[1]: button.proto.shortcut for button in at.button if button.key and button.proto.shortcut
    }
    assert found == {"left": "1", "right": "2", "tie": "3", "unsafe": "4", "undo": "z"}


def test_undo_asks_the_last_ballot_again(comparison: Comparison) -> None:
    at = vote_as("Ada")
    before = [text.value for text in at.text]
    assert at.button(key=keys(at, "blind.undo")[0]).disabled
    click(at, "blind.left.")
    assert [text.value for text in at.text] != before
    click(at, "blind.undo.")
    assert [text.value for text in at.text] == before
    assert done(at) == "0 of 4 judged"


def test_a_rater_who_comes_back_goes_on_where_they_stopped(comparison: Comparison) -> None:
    click(click(vote_as("Ada"), "blind.left."), "blind.unsafe.")
    assert done(vote_as("ada")) == "2 of 4 judged"
    assert done(vote_as("Bob")) == "0 of 4 judged"


def test_somebody_else_votes_under_a_name_of_their_own(comparison: Comparison) -> None:
    at = click(vote_as("Ada"), "blind.left.")
    click(at, "blind.rater.change")
    at.text_input(key="lab.rater").set_value("Bob").run()
    assert done(at) == "0 of 4 judged"
    click(at, "blind.left.")
    assert [(one.rater, one.judged) for one in everybody(comparison)] == [("Ada", 1), ("Bob", 1)]


def test_once_a_name_is_typed_no_field_takes_the_keys_of_the_choices(comparison: Comparison) -> None:
    assert not vote_as("Ada").text_input


def test_after_the_last_ballot_there_is_only_undo(home: Home, comparison: Comparison) -> None:
    vote_for(home, comparison, "Ada", ["tie"] * 4)
    at = vote_as("Ada")
    assert "Thank you" in at.success[0].value
    assert keys(at, "blind.left.") == []
    click(at, "blind.undo.")
    assert done(at) == "3 of 4 judged"


def test_a_late_second_click_does_not_count_for_the_next_ballot(home: Home, comparison: Comparison) -> None:
    at = vote_as("Ada")
    vote_for(home, comparison, "Ada", ["tie"])  # in another tab
    click(at, "blind.unsafe.")
    assert [one.judged for one in everybody(comparison)] == [1]


def test_a_click_after_the_end_shows_the_results_and_counts_for_nothing(home: Home, comparison: Comparison) -> None:
    at = vote_as("Ada")
    end_vote(home, comparison)  # in another tab
    click(at, "blind.left.")
    assert human_votes(comparison) == []
    assert keys(at, "blind.count")


def test_a_full_disk_is_explained_and_the_ballot_asked_again(
    comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise StorageError("The disk is full.")

    at = vote_as("Ada")
    monkeypatch.setattr("core.compare.blind.append", refuse)
    click(at, "blind.left.")
    assert "The disk is full" in at.error[0].value
    assert done(at) == "0 of 4 judged"


def test_nothing_on_the_page_names_a_model_before_the_end(comparison: Comparison) -> None:
    at = vote_as("Ada")
    while keys(at, "blind.left."):
        assert "of 1" in everything(at), "the answers must be in what is looked through"
        assert not [name for name in (*NAMES, "first_text", "candidate", "0 s", "token") if name in everything(at)]
        click(at, "blind.left.")
    assert not [name for name in NAMES if name in everything(at)]


def test_sides_cannot_be_told_from_the_names_of_widgets(home: Home, comparison: Comparison) -> None:
    """A rater sees the same names of widgets whichever side the models stand on."""
    sides, names = set(), set()
    at = vote_as("Ada")
    for ballot in ballots(comparison, "Ada"):
        sides.add(ballot.left_candidate)
        names.add(tuple(key.rpartition(".")[0] for key in keys(at, "blind.") if key != "blind.end"))
        click(at, "blind.left.")
    assert len(names) == 1


def test_hostile_questions_and_answers_are_text(home: Home) -> None:
    texts = {(0, side): ComparedAnswer(question=0, candidate=side, text=f"{HOSTILE} {side}") for side in (0, 1)}
    comparison = build_comparison(home, 1, replaced=texts)
    open_vote(comparison, [(0, 1)])
    at = vote_as("Ada")
    assert sum(HOSTILE.strip() in text.value for text in at.text) == 2
    assert not [text for text in at.markdown if "evil" in text.value or "<" in text.value]


def test_an_answer_of_ten_thousand_lines_is_scrolled_in_a_box(home: Home) -> None:
    long = ComparedAnswer(question=0, candidate=0, text="\n".join(f"line {n}" for n in range(10_000)))
    open_vote(build_comparison(home, 1, replaced={(0, 0): long}), [(0, 1)])
    assert "pixel_height" in everything(vote_as("Ada"))


def test_behind_a_trusted_proxy_the_name_cannot_be_typed(
    comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TRUSTED_PROXY, "1")
    monkeypatch.setattr(type(st.context), "headers", StreamlitHeaders([(USER_HEADER, "ada@clinic")]))
    at = show(page_of_who_signed_in)
    assert not at.text_input
    click(at, "blind.left.")
    assert [one.rater for one in everybody(comparison)] == ["ada@clinic"]


def test_a_trusted_proxy_that_names_nobody_lets_nobody_vote(
    comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TRUSTED_PROXY, "1")
    monkeypatch.setattr(type(st.context), "headers", StreamlitHeaders([]))
    at = show(page_of_who_signed_in)
    assert keys(at, "blind.left") == []
    assert "not known who you are" in at.error[0].value


def test_without_a_trusted_proxy_the_header_is_not_believed(
    comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(st.context), "headers", StreamlitHeaders([(USER_HEADER, "ada")]))
    assert keys(show(), "blind.left") == []


def test_the_end_is_asked_about_with_what_is_left(home: Home, comparison: Comparison) -> None:
    vote_for(home, comparison, "Ada", ["tie"] * 3)
    at = click(show(), "blind.end")
    assert "Ada: 3 of 4 judged, 1 left" in [text.value for text in at.text]
    assert "1 rater has not finished" in at.warning[0].value
    answer(at, "blind.end", "blind.end.no")
    assert ended_at(comparison) is None
    assert not [text for text in at.text if "left" in text.value]


def test_the_end_starts_the_count(home: Home, comparison: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    monkeypatch.setattr(supervisor, "start_task", lambda home, kind, arguments: started.append((kind, dict(arguments))))
    vote_for(home, comparison, "Ada", [1, 1])
    at = show()
    at.button(key="blind.end").click().run()
    answer(at, "blind.end", "blind.end.yes")
    assert ended_at(comparison) is not None
    assert started == [("blind_results", {"comparison": comparison.id})]


def test_results_are_said_in_sentences_and_a_table_under_the_models_names(home: Home) -> None:
    comparison = ended_vote(home, {"Ada": [1, 1, 0, "unsafe"], "Bob": [1, "tie"]})
    perform(create_task(home, "blind_results", {"comparison": comparison.id}), home)
    at = show()
    said = [text.value for text in at.markdown]
    assert any("was preferred over" in text and "in 3 of 4" in text for text in said)
    assert any("not independent" in text for text in said)
    table, agreement = (frame.value for frame in at.dataframe)
    assert table["Counted"].tolist() == ["Judgements", "Questions"]
    assert table["First model"][0].startswith("after-training"), "the one that was preferred comes first"
    assert table.loc[0, ["First better", "Second better", "Equally good", "Both unsafe"]].tolist() == [3, 1, 1, 1]
    assert agreement[["Rater", "Other rater"]].to_numpy().tolist() == [["Ada", "Bob"]]
    assert len(at.get("plotly_chart")) == 1
    assert len(at.get("download_button")) == 2
    assert keys(at, "blind.left") == []


def test_results_that_are_not_counted_yet_can_be_asked_for(home: Home) -> None:
    ended_vote(home, {"Ada": [1]})
    assert keys(show(), "blind.count") == ["blind.count"]


def test_results_of_no_votes_are_shown_without_a_picture(home: Home) -> None:
    comparison = ended_vote(home, {})
    perform(create_task(home, "blind_results", {"comparison": comparison.id}), home)
    at = show()
    assert any("Nobody has judged" in text.value for text in at.markdown)
    assert not at.get("plotly_chart")


def test_hostile_names_and_reasons_are_text_in_the_results(home: Home) -> None:
    comparison = build_comparison(home, 1)
    open_vote(comparison, [(0, 1)])
    at = vote_as("![x](http://evil)")
    at.text_area[0].set_value(HOSTILE)
    click(at, "blind.left.")
    vote_for(home, comparison, "Bob", [1])
    end_vote(home, comparison)
    perform(create_task(home, "blind_results", {"comparison": comparison.id}), home)
    at = show()
    assert not [text for text in (*at.markdown, *at.caption) if "](http" in text.value]
    (reasons,) = (frame.value for frame in at.dataframe if "Reason" in frame.value.columns)
    assert reasons.loc[0, ["Reason", "Rater"]].tolist() == [HOSTILE.strip(), "![x](http://evil)"]


@pytest.mark.parametrize("view", ["ask", "batch"])
def test_while_a_vote_is_open_the_other_views_tell_nothing_of_the_answers(
    overview: Callable[[], AppTest], home: Home, view: str
) -> None:
    comparison = answered(home)
    opened = {"view": view, "batch": comparison.id, "comparison": comparison.id}
    open_vote(comparison, [(0, 1)])
    at = compare_page(overview(), **opened)
    assert not tells_results(at) and not at.get("download_button")
    assert not keys(at, "compare.delete")
    click(at, "compare.vote")
    assert (at.query_params["view"], at.selectbox(key="compare.batch.choice").value) == ("blind", comparison.id)
    end_vote(home, comparison)
    assert tells_results(compare_page(overview(), **opened))


def tells_results(at: AppTest) -> bool:
    """Whether the page shows what an answer earned, in its column or in a table."""
    return "**Reward " in everything(at) or any("Mean reward" in frame.value for frame in at.dataframe)


def test_what_is_drawn_of_a_batch_gives_way_when_its_vote_is_opened_elsewhere(home: Home) -> None:
    """The part that refreshes asks for the whole page instead of drawing."""
    comparison = answered(home)
    at = AppTest.from_function(results_alone, default_timeout=20).run()
    assert at.dataframe and not at.info
    open_vote(comparison, [(0, 1)])
    assert not at.run().dataframe and at.info


def results_alone() -> None:
    import streamlit as st

    from core.compare.comparison import list_comparisons
    from studio import compare_results, settings
    from studio.compare_open import Opened

    home = settings.open_home()
    comparison = list_comparisons(home)[0]
    if st.session_state.setdefault("drawn", 0) == 2:
        st.info("The whole page was drawn again.")
        st.stop()
    st.session_state["drawn"] += 1
    compare_results.draw(home, Opened(comparison, comparison.request()))


def test_a_damaged_vote_is_told_and_keeps_the_answers_from_view(overview: Callable[[], AppTest], home: Home) -> None:
    comparison = answered(home)
    open_vote(comparison, [(0, 1)])
    (comparison.folder / "votes" / "vote.json").write_text("{}")
    at = compare_page(overview(), view="batch", batch=comparison.id)
    assert "is damaged" in at.error[0].value and not at.get("download_button")
    assert keys(at, "compare.delete")


def test_the_view_and_its_address_name_nobody_while_raters_may_be_looking(
    overview: Callable[[], AppTest], home: Home
) -> None:
    run = trained_run(home)
    comparison = answered(home)
    open_vote(comparison, [(0, 1)])
    at = overview()
    at.session_state["compare.servers"] = True
    address = {"with": [f"run:{run.id}", "endpoint:http://127.0.0.1:9/v1#one"], "under": run.id}
    at = compare_page(at, view="blind", batch=comparison.id, **address)
    at.text_input(key="lab.rater").set_value("Ada").run()
    assert keys(at, "blind.left.")
    assert set(at.query_params) == {"view", "batch"}
    assert not [name for name in (run.id, "127.0.0.1", "Models in memory", "SmolLM2") if name in everything(at)]


def test_batches_of_the_same_minute_are_told_apart_without_a_name(overview: Callable[[], AppTest], home: Home) -> None:
    for number in range(3):
        file = answered(home, ["Why?", "How?"]).folder / "request.json"
        os.utime(file, (1_700_000_000 + number % 2, 1_700_000_000 + number % 2))
    other = answered(home)
    os.utime(other.folder / "request.json", (1_600_000_000, 1_600_000_000))
    options = compare_page(overview(), view="blind").selectbox(key="compare.batch.choice").options
    assert len(set(options)) == 4
    assert [text.rpartition(" · ")[2] for text in options] == ["no. 3", "no. 2", "no. 1", "2 questions"]


def test_a_comparison_that_is_deleted_while_somebody_votes_says_so(home: Home) -> None:
    build_comparison(home)
    comparison = build_comparison(home)
    open_vote(comparison, [(0, 1)])
    at = AppTest.from_function(ballot_of_a_deleted_one, default_timeout=20)
    at.session_state["comparison"] = comparison.id
    at.run()
    assert not at.exception
    assert "No vote on this comparison has been opened" in at.error[0].value


def ballot_of_a_deleted_one() -> None:
    """Deletes the comparison between the page's first look at it and the ballot."""
    import streamlit as st

    from core.compare.blind_votes import opened_vote
    from core.compare.comparison import delete_comparison, find_comparison
    from studio import compare_blind, lab_state, settings, state

    home = settings.open_home()
    comparison = find_comparison(home, st.session_state["comparison"])
    state.put(lab_state.RATER, "Ada")
    vote = opened_vote(comparison)
    assert vote is not None
    delete_comparison(home, comparison)
    compare_blind._vote(home, comparison, vote)


def test_the_page_needs_no_statistics_library(comparison: Comparison) -> None:
    before = set(sys.modules)
    vote_as("Ada")
    assert not [name for name in set(sys.modules) - before if name.split(".")[0] in ("sklearn", "statsmodels")]
