"""What differs between two runs, however deep it lies."""

from __future__ import annotations

from typing import Any

import pytest

from core.config import RunConfig, with_changes
from core.presets import preset_config
from core.runs.difference import Difference, difference, differing, every_setting

BASE = with_changes(preset_config("demo"), {"train.trl": {"delta": 1}})
EXAMPLE = {"question": "Why?", "reasoning": "So.", "answer": "Because."}


def shown(changes: dict[str, Any], base: RunConfig = BASE) -> dict[str, tuple[str, str]]:
    return {row.path: (row.left, row.right) for row in difference(base, with_changes(base, changes))}


def test_a_run_does_not_differ_from_itself() -> None:
    assert difference(BASE, BASE.model_copy(deep=True)) == []


def test_a_difference_says_where_it_is_and_both_values() -> None:
    (found,) = difference(BASE, with_changes(BASE, {"train.steps": 7}))
    assert isinstance(found, Difference)
    assert (found.path, found.left, found.right) == ("train.steps", str(BASE.train.steps), "7")


@pytest.mark.parametrize(
    ("changes", "path", "right"),
    [
        ({"name": "second"}, "name", "second"),
        ({"reward.weights": {"semantic": 0.5, "fluency": 0.3, "tags": 0.1}}, "reward.weights.tags", "0.1"),
        ({"adapter.target_modules": ["q_proj"]}, "adapter.target_modules", "q_proj"),
        ({"train.trackers": ["mlflow", "tensorboard"]}, "train.trackers", "mlflow, tensorboard"),
        ({"train.trl": {"delta": 2}}, "train.trl.delta", "2"),
        ({"train.trl": {"delta": True}}, "train.trl.delta", "yes"),
        ({"train.trl": {"delta": 1.0}}, "train.trl.delta", "1.0"),
        ({"train.trl": {}}, "train.trl.delta", "–"),
        ({"train.min_p": 0.1}, "train.min_p", "0.1"),
        ({"prompt.tags.answer": "reply"}, "prompt.tags.answer", "reply"),
        ({"prompt.prefill": True}, "prompt.prefill", "yes"),
        ({"data.fingerprint": "0123456789abcdef"}, "data.fingerprint", "0123456789ab"),
    ],
)
def test_every_kind_of_setting_is_compared(changes: dict[str, Any], path: str, right: str) -> None:
    found = shown(changes)
    assert list(found) == [path]
    assert found[path][1] == right != found[path][0]


def test_examples_are_compared_one_by_one() -> None:
    one = with_changes(BASE, {"prompt.examples": [EXAMPLE]})
    found = shown({"prompt.examples": [EXAMPLE | {"answer": "No."}, EXAMPLE]}, one)
    assert found["prompt.examples.0.answer"] == ("Because.", "No.")
    assert found["prompt.examples.1.question"] == ("–", "Why?")
    assert "prompt.examples.0.question" not in found


def test_custom_rewards_are_compared_by_their_names() -> None:
    one = with_changes(BASE, {"reward.custom": [{"name": "short"}, {"name": "dose"}]})
    found = shown({"reward.custom": [{"name": "dose", "seconds": 5}]}, one)
    assert found["reward.custom.dose.seconds"] == ("30.0", "5.0")
    assert found["reward.custom.short.seconds"] == ("30.0", "–")


def test_a_judge_that_only_one_run_asks_is_shown_with_its_settings() -> None:
    found = shown({"reward.judge": {"model": "small"}})
    assert found["reward.judge.model"] == ("–", "small")
    assert "reward.judge" not in found


def test_long_texts_are_cut_to_where_they_part() -> None:
    long = "Answer the question. " * 50
    found = shown({"prompt.system": long + "Be brief."}, with_changes(BASE, {"prompt.system": long + "Be kind."}))
    assert found["prompt.system"][0].endswith("Be kind.")
    assert found["prompt.system"][1].endswith("Be brief.")
    assert all(text.startswith("…") and len(text) < 200 for text in found["prompt.system"])


def test_two_texts_that_differ_never_look_the_same() -> None:
    found = shown({"prompt.system": "One line.\n"}, with_changes(BASE, {"prompt.system": "One line."}))
    assert found["prompt.system"] == ("One line.", "One line.\\n")


def test_several_runs_stand_side_by_side_and_only_what_differs_is_listed() -> None:
    configs = [with_changes(BASE, {"train.seed": seed}) for seed in (0, 1, 1)]
    assert [(row.path, row.values) for row in differing(configs)] == [("train.seed", ("0", "1", "1"))]


def test_every_setting_of_a_run_is_told_once_and_whole() -> None:
    config = with_changes(BASE, {"prompt.examples": [EXAMPLE], "prompt.system": "x" * 500, "train.trl": {}})
    told = {row.path: row.value for row in every_setting(config)}
    assert told["prompt.system"] == "x" * 500
    assert (told["prompt.examples.0.question"], told["reward.weights.tags"], told["train.trl"]) == (
        "Why?",
        "0.2",
        "none",
    )
    assert len(told) == len(every_setting(config))
