import json
from pathlib import Path
from typing import Any

import pytest

from core.config import RunConfig, parse_config, read_config, with_changes
from core.errors import ConfigError
from core.presets import SIZES, preset_config
from core.reward.formula import PRESETS


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("reward", PRESETS)
def test_every_preset_survives_the_way_through_json(size: str, reward: str) -> None:
    config = preset_config(size, reward)
    assert parse_config(json.loads(config.model_dump_json())) == config


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train.num_generations": 1}, ["train.num_generations is 1", "greater than or equal to 2"]),
        ({"train.steps": "many"}, ["train.steps is 'many'", "integer"]),
        ({"train.learning_rate": float("nan")}, ["train.learning_rate is nan", "finite"]),
        ({"train.scale_rewards": "row"}, ["train.scale_rewards is 'row'", "'batch'"]),
        ({"train.epochs": 3}, ["train.epochs", "not a known setting"]),
        ({"reward.weights": {"semantic": 0}}, ["reward", "at least one weight"]),
        ({"prompt.tags": {"reasoning": "a b"}}, ["prompt.tags", "'a b'"]),
        ({"prompt.tags": {"reasoning": "x", "answer": "x"}}, ["prompt.tags", "must differ"]),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_rule(change: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        with_changes(preset_config("demo"), change)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_config_file_that_is_not_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    with pytest.raises(ConfigError, match="no configuration file"):
        read_config(path)
    path.write_text("{")
    with pytest.raises(ConfigError, match="not valid JSON"):
        read_config(path)
    path.write_text("[]")
    with pytest.raises(ConfigError, match="is a JSON object"):
        read_config(path)


def test_a_config_cannot_be_changed_after_it_was_made() -> None:
    config: RunConfig = preset_config("demo")
    with pytest.raises(ValueError, match="frozen"):
        config.model = "other"  # type: ignore[misc]


def test_unknown_presets_are_named() -> None:
    with pytest.raises(ConfigError, match="no size 'huge'"):
        preset_config("huge")
    with pytest.raises(ConfigError, match="no reward preset 'x'"):
        preset_config("demo", "x")
