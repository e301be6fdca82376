import pytest

from core.config import with_changes
from core.presets import SIZES, preset_config, size_note


@pytest.mark.parametrize("size", SIZES)
def test_a_size_as_it_is_keeps_its_own_note(size: str) -> None:
    assert size_note(size, preset_config(size)) == SIZES[size].note


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train.max_completion_length": 256}, "18 steps with at most 4,096, so expect about 4 times as long"),
        ({"train.max_completion_length": 96}, "18 steps with at most 1,536, so expect about 1.5 times as long"),
        ({"train.max_completion_length": 32}, "18 steps with at most 512, so expect about 50% of that time"),
        ({"train.steps": 36, "train.num_generations": 16}, "36 steps with at most 2,048, so expect about 4 times"),
    ],
)
def test_other_limits_are_set_against_those_the_note_is_about(changes: dict[str, int], said: str) -> None:
    note = size_note("demo", with_changes(preset_config("demo"), changes))
    assert note.startswith(SIZES["demo"].note)
    assert "for 18 steps with at most 1,024 written tokens each" in note
    assert said in note


def test_settings_that_write_no_more_tokens_change_no_note() -> None:
    changed = with_changes(preset_config("demo"), {"train.learning_rate": 1e-4, "train.max_prompt_length": 1024})
    assert size_note("demo", changed) == SIZES["demo"].note
