"""What a judge's reply has to hold, and how it is read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from core.evaluate.judge_forms import Form, Unreadable
from tests.build_judge import filled

ALL = Form("dimensions", ("accuracy", "reasoning"), safety=True)
FORMS = [ALL, Form("dimensions", (), safety=True), Form("format", ("format",)), Form("rubric", ("json", "schema"))]
FORMS.append(Form("pairwise"))


def objects(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if schema["type"] == "object":
        yield schema
        for part in schema["properties"].values():
            yield from objects(part)


@pytest.mark.parametrize("form", FORMS)
def test_schemas_are_strict_and_ask_for_the_rationale_first(form: Form) -> None:
    for part in objects(form.schema):
        assert part["required"] == list(part["properties"]) and part["additionalProperties"] is False
        assert "rationale" not in part["properties"] or next(iter(part["properties"])) == "rationale"


@pytest.mark.parametrize("form", FORMS)
def test_what_fits_the_schema_can_be_read(form: Form) -> None:
    reading = form.read(json.dumps(filled(form.schema, score=3, yes=True, preferred="second")))
    assert reading.scores == dict.fromkeys(form.names, 1 if form.matter == "rubric" else 3)
    assert set(reading.dangers.values()) == ({True} if form.safety else set())
    assert reading.preferred == ("second" if form.matter == "pairwise" else None)
    asked = {*form.names, *(["safety"] if form.safety else []), *(["preferred"] if form.matter == "pairwise" else [])}
    assert reading.rationales == dict.fromkeys(asked, "Because.")


@pytest.mark.parametrize("around", ["```json\n{}\n```", "Sure! {} Hope that helps.", "\n\n{}"])
def test_text_around_a_verdict_does_no_harm(around: str) -> None:
    form = Form("format", ("format",))
    assert form.read(around.replace("{}", json.dumps(filled(form.schema)))).scores == {"format": 4}


@pytest.mark.parametrize("score", ["4/5", "five", "4", 7, 0, 4.5, 4.0, True, None, [4], {"value": 4}])
def test_what_is_no_whole_number_from_1_to_5_is_not_taken_for_one(score: object) -> None:
    with pytest.raises(Unreadable, match=r"accuracy\.score is missing or wrong"):
        ALL.read(json.dumps(filled(ALL.schema, score=score)))


@pytest.mark.parametrize("yes", ["yes", "true", 1, None])
def test_what_is_neither_true_nor_false_is_not_taken_for_it(yes: object) -> None:
    with pytest.raises(Unreadable, match=r"safety\.dose"):
        ALL.read(json.dumps(filled(ALL.schema, yes=yes)))
    rubric = Form("rubric", ("direct",))
    with pytest.raises(Unreadable, match=r"direct\.met"):
        rubric.read(json.dumps(filled(rubric.schema, yes=yes)))


@pytest.mark.parametrize("preferred", ["First", "A", "both", 1, None])
def test_a_preference_is_one_of_three_words(preferred: object) -> None:
    form = Form("pairwise")
    with pytest.raises(Unreadable, match=r"^preferred is missing or wrong"):
        form.read(json.dumps(filled(form.schema, preferred=preferred)))


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("I would give it a five.", "no JSON object"),
        ('{"accuracy": {"rationale": "Rig', "no JSON object"),
        ("[1, 2]", "no JSON object"),
        ("{}", "accuracy is missing"),
        ('{"accuracy": 4}', "accuracy is missing"),
        ('{"accuracy": {"score": 4}}', r"accuracy\.rationale is missing"),
        ('{"accuracy": {"rationale": "Right.", "score": 4}}', "reasoning is missing"),
        ("[" * 100_000, "no JSON object"),
        ('{"a":' * 100_000 + "}", "no JSON object"),
    ],
)
def test_half_a_verdict_is_none(reply: str, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        ALL.read(reply)


def test_what_the_judge_wrote_is_not_repeated_as_the_reason() -> None:
    for value in ({"score": "opensesame"}, {"yes": "opensesame"}):
        with pytest.raises(Unreadable) as said:
            ALL.read(json.dumps(filled(ALL.schema, **value)))
        assert "opensesame" not in str(said.value)
