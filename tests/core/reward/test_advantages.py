"""Rewards and advantages against the installed TRL: its own lines, taken out of its trainer, on the same numbers."""

from __future__ import annotations

import ast
import importlib.util
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import CodeType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from core.reward.advantages import advantages, effective_weights, objective_advantages
from core.reward.formula import Floats, combine, combine_many
from core.train_config import Aggregation, Scaling

SCALES: tuple[Scaling, ...] = ("group", "batch", "none")
AGGREGATIONS: tuple[Aggregation, ...] = ("sum_then_normalize", "normalize_then_sum")
ARTICLE = [0.5, 0.4, 0.1]


def trl_function(file: str, name: str) -> ast.FunctionDef:
    """A function of TRL's `trainer` package as it stands in the installed file; TRL itself is not imported."""
    spec = importlib.util.find_spec("trl")
    assert spec is not None and spec.submodule_search_locations
    source = Path(spec.submodule_search_locations[0], "trainer", file).read_text(encoding="utf-8")
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef) and node.name == name]
    assert len(found) == 1, f"TRL's {file} has {len(found)} functions {name}; find out where it has gone"
    return found[0]


def targets(node: ast.stmt) -> set[str]:
    return (
        {target.id for target in node.targets if isinstance(target, ast.Name)}
        if isinstance(node, ast.Assign)
        else set()
    )


@cache
def trl_code() -> tuple[CodeType, Callable[..., torch.Tensor]]:
    """The statements that turn `rewards_per_func` into `advantages`, and the `nanstd` that they call."""
    body = trl_function("grpo_trainer.py", "_generate_and_score_completions").body
    first = next(i for i, node in enumerate(body) if "unscorable_mask" in targets(node))
    last = next(i for i, node in enumerate(body) if "advantages" in targets(node) and "nan_to_num" in ast.unparse(node))
    assert any(isinstance(node, ast.If) for node in body[first:last]), "the two aggregations have gone elsewhere"
    names: dict[str, Any] = {"torch": torch}
    exec(compile(ast.Module([trl_function("utils.py", "nanstd")], type_ignores=[]), "trl utils", "exec"), names)
    return compile(ast.Module(body[first : last + 1], type_ignores=[]), "trl grpo_trainer", "exec"), names["nanstd"]


def trl_advantages(
    scores: Floats, weights: list[float], size: int, scale: Scaling, aggregation: Aggregation = "sum_then_normalize"
) -> Floats:
    """What TRL makes of the scores of its reward functions, shape (completions, functions), in groups of `size`."""
    code, nanstd = trl_code()
    trainer = SimpleNamespace(
        scale_rewards=scale,
        multi_objective_aggregation=aggregation,
        reward_weights=torch.tensor(weights, dtype=torch.float64),
        reward_funcs=[None] * len(weights),
    )
    names = {
        "torch": torch,
        "nanstd": nanstd,
        "self": trainer,
        "device": "cpu",
        "num_generations": size,
        "rewards_per_func": torch.tensor(scores, dtype=torch.float64),
    }
    exec(code, names)
    return np.asarray(names["advantages"])


def grouped(completions: int, size: int) -> list[str]:
    return [f"group {row // size}" for row in range(completions)]


score = st.one_of(
    st.floats(-1, 1), st.sampled_from([-1.0, 0.0, 0.5, 1.0])
)  # equal scores are common, so try them often
tables = st.integers(1, 3).flatmap(lambda groups: arrays.arrays(np.float64, (groups * 4, 3), elements=score))
sizes = st.sampled_from([1, 2, 4])
weights_of_three = st.lists(st.floats(-2, 2), min_size=3, max_size=3)
masks = st.lists(st.booleans(), min_size=12, max_size=12)


@pytest.mark.parametrize("scale", SCALES)
@settings(deadline=None)
@given(table=tables, size=sizes)
def test_advantages_of_rewards_are_those_of_trl(table: Floats, size: int, scale: Scaling) -> None:
    rewards = table[:, 0]
    expected = trl_advantages(rewards[:, None], [1.0], size, scale)
    assert advantages(rewards, grouped(len(rewards), size), scale) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("scale", SCALES)
@settings(deadline=None)
@given(table=tables, size=sizes, weights=st.lists(st.floats(-0.33, 0.33), min_size=3, max_size=3))
def test_weighted_sums_that_are_not_clipped_are_those_of_trl(
    table: Floats, size: int, weights: list[float], scale: Scaling
) -> None:
    valid = np.ones(len(table), dtype=bool)
    found = objective_advantages(table, weights, valid, -1.0, grouped(len(table), size), scale)
    assert found == pytest.approx(trl_advantages(table, weights, size, scale), abs=1e-6)


@pytest.mark.parametrize("scale", SCALES)
@settings(deadline=None)
@given(table=tables, size=sizes, weights=weights_of_three, mask=masks, invalid_reward=st.floats(-1, 1))
def test_sums_with_validity_and_clipping_are_the_advantages_of_the_reward(
    table: Floats, size: int, weights: list[float], mask: list[bool], invalid_reward: float, scale: Scaling
) -> None:
    valid, groups = np.array(mask[: len(table)]), grouped(len(table), size)
    rewards = combine(table, weights, valid, invalid_reward)
    found = objective_advantages(table, weights, valid, invalid_reward, groups, scale)
    assert found.tolist() == advantages(rewards, groups, scale).tolist()
    assert found == pytest.approx(trl_advantages(rewards[:, None], [1.0], size, scale), abs=1e-6)


@pytest.mark.parametrize("scale", SCALES)
@settings(deadline=None)
@given(table=tables, size=sizes, weights=weights_of_three, mask=masks, invalid_reward=st.floats(-1, 1))
def test_normalising_first_is_what_trl_does_when_invalid_completions_have_no_scores(
    table: Floats, size: int, weights: list[float], mask: list[bool], invalid_reward: float, scale: Scaling
) -> None:
    valid = np.array(mask[: len(table)])
    objectives = np.column_stack([np.where(valid[:, None], table, math.nan), np.where(valid, 0.0, invalid_reward)])
    expected = trl_advantages(objectives, [*weights, 1.0], size, scale, "normalize_then_sum")
    found = objective_advantages(
        table, weights, valid, invalid_reward, grouped(len(table), size), scale, "normalize_then_sum"
    )
    assert found == pytest.approx(expected, abs=1e-6)


def test_normalising_first_worked_out_by_hand() -> None:
    """Two groups of two: each score is one standard deviation of 2 ** -0.5 off the mean, so 1 ± 0.5 and -1 ± 0.5."""
    table = np.array([[1.0, 0.0], [0.0, 0.001], [0.3, 0.9], [0.3, 0.9]])
    found = objective_advantages(
        table, [1.0, 0.5], np.ones(4, dtype=bool), -1.0, list("aabb"), "group", AGGREGATIONS[1]
    )
    first = (0.5 / (math.sqrt(0.5) + 1e-4)) - 0.5 * (0.0005 / (0.001 * math.sqrt(0.5) + 1e-4))
    spread = first * math.sqrt(2 / 3)
    assert found == pytest.approx(np.array([first, -first, 0, 0]) / (spread + 1e-4))


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("scale", SCALES)
def test_a_group_of_one_and_equal_groups_have_no_advantage(scale: Scaling, aggregation: Aggregation) -> None:
    table, valid = np.array([[0.9, 0.1, 1.0], [0.2, 0.2, 0.2], [0.2, 0.2, 0.2]]), np.ones(3, dtype=bool)
    found = objective_advantages(table, ARTICLE, valid, -1.0, list("abb"), scale, aggregation)
    assert found == pytest.approx(0.0)
    nothing = objective_advantages(table, ARTICLE, ~valid, -1.0, list("abb"), scale, aggregation)
    assert nothing == pytest.approx(0.0)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_one_completion_alone_and_none_at_all(aggregation: Aggregation) -> None:
    for count in (0, 1):
        valid = np.ones(count, dtype=bool)
        found = objective_advantages(np.ones((count, 3)), ARTICLE, valid, -1.0, ["a"] * count, "batch", aggregation)
        assert found.tolist() == [0.0] * count


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_an_invalid_completion_is_pushed_down_whatever_its_scores(aggregation: Aggregation) -> None:
    table = np.array([[0.1, 0.1, 0.0], [0.3, 0.2, 0.5], [math.nan, math.inf, 1.0]])
    found = objective_advantages(table, ARTICLE, np.array([True, True, False]), -1.0, ["a"] * 3, "group", aggregation)
    assert found.argmin() == 2


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_broken_scorer_is_refused(aggregation: Aggregation, broken: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        objective_advantages(
            np.array([[broken, 0.0, 0.0]]), ARTICLE, np.array([True]), -1.0, ["a"], "group", aggregation
        )


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_a_negative_weight_turns_the_order_round(aggregation: Aggregation) -> None:
    table, valid = np.array([[0.9], [0.5], [0.1]]), np.ones(3, dtype=bool)
    liked, penalised = (
        objective_advantages(table, [weight], valid, -1.0, ["a"] * 3, "group", aggregation) for weight in (0.7, -0.7)
    )
    assert penalised == pytest.approx(-liked)
    assert liked.argsort().tolist() == [2, 1, 0]


@settings(deadline=None)
@given(table=tables, mask=masks, weights=weights_of_three)
def test_rewards_are_the_formula_written_out(table: Floats, mask: list[bool], weights: list[float]) -> None:
    valid = np.array(mask[: len(table)])
    expected = [
        max(-1.0, min(1.0, math.fsum(w * c for w, c in zip(weights, row, strict=True)))) if ok else -0.3
        for row, ok in zip(table.tolist(), valid, strict=True)
    ]
    assert combine(table, weights, valid, -0.3) == pytest.approx(expected, abs=1e-9)


@settings(deadline=None)
@given(table=tables, mask=masks, points=arrays.arrays(np.float64, (5, 3), elements=st.floats(-2, 2)))
def test_many_choices_of_weights_at_once_are_one_after_the_other(
    table: Floats, mask: list[bool], points: Floats
) -> None:
    valid = np.array(mask[: len(table)])
    found = combine_many(table, points, valid, -1.0)
    for column, weights in zip(found.T, points.tolist(), strict=True):
        assert column == pytest.approx(combine(table, weights, valid, -1.0), abs=1e-9)


@settings(deadline=None)
@given(table=tables, mask=masks, weights=weights_of_three, size=sizes)
def test_effective_weights_add_up_to_one(table: Floats, mask: list[bool], weights: list[float], size: int) -> None:
    valid, groups = np.array(mask[: len(table)]), grouped(len(table), size)
    shares = effective_weights(table, weights, combine(table, weights, valid), groups)
    assert shares is None or shares.sum() == pytest.approx(1.0)
    if size == 1:
        assert shares is None


def test_numbers_name_groups_as_well_as_words() -> None:
    rewards = np.array([1.0, 0.5, 0.0, 0.1])
    words, numbers = ["b", "a", "b", "a"], np.array([0, 1, 0, 1])
    for scale in SCALES:
        assert advantages(rewards, words, scale).tolist() == advantages(rewards, numbers, scale).tolist()
