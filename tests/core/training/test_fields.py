"""The one table of settings against the configuration."""

from __future__ import annotations

import pytest

from core.config import RunConfig
from core.presets import preset_config
from core.train_config import AdapterConfig, TrainConfig
from core.training.fields import FIELDS, Field, bounds, field_info, in_group, label, value_at

WANTED = {f"train.{name}" for name in TrainConfig.model_fields} | {
    f"adapter.{name}" for name in AdapterConfig.model_fields
}


def test_every_setting_of_training_and_adapter_is_in_the_table() -> None:
    assert {path for path in FIELDS if path.startswith(("train.", "adapter."))} == WANTED


def test_the_form_asks_for_every_setting_of_training_and_adapter() -> None:
    assert not [path for path in WANTED if FIELDS[path].group == "question"]


@pytest.mark.parametrize("field", FIELDS.values(), ids=lambda field: field.path)
def test_every_field_exists_in_the_configuration(field: Field) -> None:
    assert field_info(field.path).annotation is not None


def test_no_two_settings_have_the_same_label() -> None:
    assert len({field.label for field in FIELDS.values()}) == len(FIELDS)


def test_bounds_come_from_the_configuration() -> None:
    assert bounds(field_info("train.num_generations")) == (2, 256)
    assert bounds(field_info("train.temperature")) == (None, 5)


def test_values_are_found_by_their_path() -> None:
    config: RunConfig = preset_config("demo")
    assert value_at(config, "train.steps") == config.train.steps
    assert value_at(config, "reward.weights.tags") == config.reward.weights["tags"]


def test_a_part_of_a_setting_is_named_by_the_whole() -> None:
    assert label("reward.judge.model") == "Judge: model"
    assert label("not.a.setting") == "not.a.setting"


def test_groups_share_no_field() -> None:
    paths = [field.path for group in ("essential", "memory", "algorithm", "advanced") for field in in_group(group)]  # type: ignore[arg-type]
    assert len(paths) == len(set(paths))
