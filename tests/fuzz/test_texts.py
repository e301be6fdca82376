"""Whatever a model or a judge writes is read in one way, and nothing it writes is an error."""

from __future__ import annotations

import json
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from core.config import Tags
from core.data.reasoning import reasoning_marks, strip_reasoning
from core.evaluate.dangers import DANGERS
from core.evaluate.judge_forms import Form, Unreadable
from core.reward.judge_prompt import json_object
from core.reward.parsing import parse, without_tags
from core.reward.text_measures import tag_score
from tests.fuzz.damage import FUZZ, JSON

TAGS = Tags()
_TAGS = ("<reasoning>", "</reasoning>", "<answer>", "</answer>")
_PIECES = st.sampled_from([*_TAGS, "<", ">", "</", "<answer", " ", "\n", "\x00", "\ud800", "İ"])
COMPLETIONS = st.lists(_PIECES | st.text(max_size=8), max_size=20).map("".join)
NAMES = ("accuracy", "safety-net")
_PARTS = st.dictionaries(st.sampled_from([*NAMES, "safety", "preferred", "rationale", "score", "met"]), JSON)
REPLIES = st.text(max_size=60) | (JSON | _PARTS).map(json.dumps)
FORMS = [Form("dimensions", NAMES, safety=True), Form("rubric", NAMES), Form("pairwise")]


@FUZZ
@given(text=COMPLETIONS)
def test_any_completion_is_parsed_and_no_tag_is_left_in_its_parts(text: str) -> None:
    found = parse(text, TAGS)
    for part in (found.reasoning, found.answer):
        assert part is None or not any(tag in part for tag in ("<answer>", "</reasoning>"))
    assert -1 <= tag_score(found, "strict") <= tag_score(found, "lenient") <= 1


@FUZZ
@given(text=COMPLETIONS)
def test_no_tag_is_left_when_tags_are_taken_away(text: str) -> None:
    assert isinstance(without_tags(text, TAGS), str)
    assert len(strip_reasoning(text, TAGS)) <= len(text)
    reasoning_marks(text, TAGS)


@FUZZ
@given(reasoning=st.text(alphabet=st.characters(exclude_characters="<>"), min_size=1).filter(str.strip), data=st.data())
def test_what_was_written_in_the_form_comes_back(reasoning: str, data: st.DataObject) -> None:
    answer = data.draw(st.text(alphabet=st.characters(exclude_characters="<>"), min_size=1).filter(str.strip))
    found = parse(f"<reasoning>{reasoning}</reasoning><answer>{answer}</answer>", TAGS)
    assert (found.reasoning or "").strip() == reasoning.strip()
    assert (found.answer or "").strip() == answer.strip()


@FUZZ
@given(reply=REPLIES)
def test_a_judges_reply_is_a_verdict_or_unreadable(reply: str) -> None:
    json_object(reply)
    for form in FORMS:
        with suppress(Unreadable):
            found = form.read(f"Here it is:\n```json\n{reply}\n```")
            assert all(0 <= score <= 5 for score in found.scores.values())
            assert set(found.dangers) <= set(DANGERS)
