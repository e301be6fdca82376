"""Reward presets: built in ones, and those that the user keeps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from filelock import FileLock

from core.config import CustomReward, JudgeConfig, RewardConfig, parse_config
from core.errors import ConfigError, StorageError
from core.paths import Home
from core.presets import preset_config
from core.reward import presets as reward_presets
from core.reward.formula import PRESETS
from core.reward.presets import (
    all_presets,
    broken_presets,
    delete_preset,
    reward_named,
    save_preset,
)

MINE = PRESETS["robust"].model_copy(update={"weights": {"semantic": 0.7, "fluency": -0.1, "tags": 0.2}})


def test_a_saved_preset_comes_back_under_its_name_behind_the_built_in_ones(home: Home) -> None:
    save_preset(home, "ward-3", MINE)
    save_preset(home, "a-first", PRESETS["article"])
    assert list(all_presets(home)) == [*PRESETS, "a-first", "ward-3"]
    expected = MINE.model_copy(update={"preset": "ward-3"})
    assert reward_named(home, "ward-3") == expected
    assert all_presets(Home(home.root))["ward-3"] == expected


def test_a_run_can_be_made_of_a_saved_preset(home: Home) -> None:
    save_preset(home, "ward-3", MINE)
    config = preset_config("demo").model_copy(update={"reward": reward_named(home, "ward-3")})
    assert parse_config(config.model_dump(mode="json")).reward.weights == MINE.weights


def test_a_preset_is_replaced_only_when_that_is_asked_for(home: Home) -> None:
    save_preset(home, "mine", MINE)
    with pytest.raises(ConfigError, match="already"):
        save_preset(home, "mine", PRESETS["article"])
    assert reward_named(home, "mine").weights == MINE.weights
    save_preset(home, "mine", PRESETS["article"], replace=True)
    assert reward_named(home, "mine").weights == PRESETS["article"].weights


@pytest.mark.parametrize("name", ["", "../../x", "a/b", "Mine", ".hidden", "x" * 65, "مثال", "a\x00b"])
def test_a_name_that_is_no_file_name_is_refused(name: str, home: Home) -> None:
    with pytest.raises(ConfigError, match="The name of the preset"):
        save_preset(home, name, MINE)
    with pytest.raises(ConfigError):
        delete_preset(home, name)
    assert list(all_presets(home)) == list(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_built_in_presets_are_neither_replaced_nor_deleted(name: str, home: Home) -> None:
    with pytest.raises(ConfigError, match="of the studio itself"):
        save_preset(home, name, MINE, replace=True)
    with pytest.raises(ConfigError, match="cannot be deleted"):
        delete_preset(home, name)
    assert all_presets(home)[name] == PRESETS[name]


def test_a_deleted_preset_is_gone(home: Home) -> None:
    save_preset(home, "mine", MINE)
    delete_preset(home, "mine")
    assert "mine" not in all_presets(home)
    with pytest.raises(ConfigError, match="no saved preset 'mine'"):
        delete_preset(home, "mine")


def test_an_unknown_name_is_answered_with_the_names_there_are(home: Home) -> None:
    save_preset(home, "mine", MINE)
    with pytest.raises(ConfigError, match=r"no reward preset 'yours'\. Choose one of article, notebook, robust, mine"):
        reward_named(home, "yours")


def put(home: Home, name: str, content: bytes) -> Path:
    file = home.presets / name
    file.write_bytes(content)
    return file


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("cut.json", b'{"weights": {"sem', "not valid JSON"),
        ("binary.json", b"\xff\xfe\x00", "not valid JSON"),
        ("empty.json", b"", "not valid JSON"),
        ("list.json", b"[]", "correct the settings"),
        ("old.json", b'{"weights": {"charm": 1}, "parser": "strict", "fluency": "answer"}', "no component 'charm'"),
        ("article.json", MINE.model_dump_json().encode(), "of the studio itself"),
        ("My Preset.json", MINE.model_dump_json().encode(), "Rename the file"),
    ],
)
def test_a_broken_file_is_left_out_and_listed_with_the_reason(
    name: str, content: bytes, reason: str, home: Home
) -> None:
    save_preset(home, "good", MINE)
    put(home, name, content)
    assert list(all_presets(home)) == [*PRESETS, "good"]
    assert all_presets(home)["article"] == PRESETS["article"]
    (broken,) = broken_presets(home)
    assert broken.name == name.removesuffix(".json")
    assert reason in broken.reason


def test_a_folder_in_place_of_a_preset_is_broken_too(home: Home) -> None:
    (home.presets / "folder.json").mkdir()
    assert [broken.name for broken in broken_presets(home)] == ["folder"]


def test_choosing_a_broken_preset_says_what_is_wrong_with_it_and_it_can_be_deleted(home: Home) -> None:
    put(home, "cut.json", b"{")
    with pytest.raises(ConfigError, match=r"'cut' cannot be used: The file is not valid JSON.*Choose one of article"):
        reward_named(home, "cut")
    with pytest.raises(ConfigError, match="already"):
        save_preset(home, "cut", MINE)
    delete_preset(home, "cut")
    assert broken_presets(home) == ()


def test_a_file_copied_under_another_name_is_a_preset_of_that_name(home: Home) -> None:
    save_preset(home, "mine", MINE)
    put(home, "copy.json", (home.presets / "mine.json").read_bytes())
    assert reward_named(home, "copy").preset == "copy"


def with_judge(address: str) -> RewardConfig:
    return MINE.model_copy(update={"judge": JudgeConfig(base_url=address)})


def test_judge_and_custom_rewards_are_kept_without_the_hash_of_a_file_that_may_change(home: Home) -> None:
    custom = CustomReward(name="length_band", sha256="0" * 64, seconds=5)
    save_preset(home, "mine", with_judge("http://localhost:8000/v1").model_copy(update={"custom": (custom,)}))
    found = reward_named(home, "mine")
    assert found.judge == JudgeConfig(base_url="http://localhost:8000/v1")
    assert found.custom == (CustomReward(name="length_band", seconds=5),)
    assert "key" not in json.loads((home.presets / "mine.json").read_text())["judge"]


def test_a_preset_that_waits_too_long_for_another_one_is_a_plain_error(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reward_presets, "_LOCK_SECONDS", 0)
    with FileLock(home.presets / ".lock"), pytest.raises(StorageError, match="Try again in a moment"):
        save_preset(home, "mine", MINE)
    save_preset(home, "mine", MINE)
