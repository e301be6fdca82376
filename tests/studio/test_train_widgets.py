"""The values that the form's widgets hold and give."""

from __future__ import annotations

import pandas as pd
import pytest

from core.errors import ConfigError
from studio.train_widgets import trl_values, widget_value


def sheet(*rows: tuple[str | None, str | None]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["Field", "Value"])


def test_fields_that_are_written_get_the_types_that_trl_takes() -> None:
    found = trl_values(sheet(("delta", "4"), ("use_liger_kernel", "true"), ("vllm_model_impl", "transformers")))
    assert found == {"delta": 4.0, "use_liger_kernel": True, "vllm_model_impl": "transformers"}


def test_lines_that_are_not_filled_in_are_left_out() -> None:
    assert trl_values(sheet(("delta", None), (None, "4"), (None, None))) == {}


def test_a_field_that_trl_does_not_know_is_kept_for_the_check_before_the_start() -> None:
    assert trl_values(sheet(("gone", "4"))) == {"gone": "4"}


def test_a_value_of_the_wrong_type_is_named() -> None:
    with pytest.raises(ConfigError, match="delta is 'much', but TRL wants float"):
        trl_values(sheet(("delta", "much")))


def test_a_field_that_stands_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="delta stands there twice"):
        trl_values(sheet(("delta", "4"), ("delta", "5")))


@pytest.mark.parametrize(
    ("path", "value", "held"),
    [
        ("train.steps", 7, 7),
        ("train.learning_rate", 1, 1.0),
        ("train.epsilon_high", None, None),
        ("adapter.target_modules", ("q_proj",), ["q_proj"]),
        ("train.mask_truncated_completions", True, True),
        ("reward.weights.tags", 1, 1.0),
    ],
)
def test_a_mends_value_takes_the_form_that_the_widget_holds(path: str, value: object, held: object) -> None:
    found = widget_value(path, value)
    assert found == held and type(found) is type(held)
