"""Custom rewards as files: listed, checked without running them, added, recorded."""

from __future__ import annotations

import doctest
import hashlib
import importlib.util
import re
from pathlib import Path

import pytest

from core.config import CustomReward, RunConfig, with_changes
from core.errors import ConfigError, RewardError
from core.jobs.readiness import refuse_unready
from core.paths import ASSETS, Home
from core.reward.custom_check import check
from core.reward.custom_files import (
    add_custom,
    custom_reward,
    free_name,
    keep,
    kept_sources,
    list_custom,
    source_of,
    sources,
    templates,
)

GOOD = "def reward(completions, **kwargs):\n    return [0.0 for _ in completions]\n"


@pytest.mark.parametrize(
    "source",
    [
        GOOD,
        "def reward(prompts, completions, answer):\n    return []",
        "def reward(completions, options, *, group=None):\n    return []",
        "def reward(**kwargs):\n    return []",
        "def reward(model_answer, reference):\n    return []",
        "import re\nPATTERN = '\\d'\n" + GOOD,
        "\ufeff" + GOOD,
    ],
    ids=[
        "kwargs",
        "names that are passed",
        "a carried column",
        "only kwargs",
        "the answer alone",
        "an odd escape",
        "a byte order mark",
    ],
)
def test_a_file_with_the_function_is_fine(source: str) -> None:
    assert check(source.encode()) is None


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (b"x = 1\ndef reward(completions:\n    return []", r"Line 2 is not Python: "),
        (b"", r"It has no function reward\. Write one that begins with def reward\(completions, \*\*kwargs\)"),
        (b"class A:\n    def reward(self, completions): ...", r"has no function reward"),
        (b"x = 1\nasync def reward(completions, **kwargs):\n    return []", r"Line 2: reward is async"),
        (b"def reward(completions, /, **kwargs):\n    return []", r"Line 1: .* by position"),
        (b"def reward(prompts):\n    return []", r"Line 1: reward takes no completions"),
        (b"def reward(completions, completion_ids, **kwargs):\n    return []", r"asks for completion_ids"),
        ("x = 1\n# é".encode("latin-1"), r"Line 2 is not UTF-8 text"),
        (b"def reward(completions, **kwargs):\n    return '\0'", r"not (a )?Python"),
        (b"(" * 10_000, r"not (a )?Python"),
        (b"#" * 1_000_001, r"1,000,001 bytes"),
    ],
)
def test_what_cannot_work_is_said_with_its_line(source: bytes, problem: str) -> None:
    assert re.search(problem, check(source) or "")


def test_the_list_has_every_file_with_its_hash_and_its_problem(home: Home) -> None:
    (home.rewards / "fine.py").write_text(GOOD)
    (home.rewards / "broken.py").write_text("def reward(")
    (home.rewards / "semantic.py").write_text(GOOD)
    (home.rewards / "Not A Name.py").write_text(GOOD)
    (home.rewards / "notes.txt").write_text("not a reward")
    found = {file.name: file for file in list_custom(home)}
    assert set(found) == {"fine", "broken", "semantic", "Not A Name"}
    assert found["fine"].problem is None
    assert found["fine"].sha256 == hashlib.sha256(GOOD.encode()).hexdigest()
    assert "Line 1 is not Python" in str(found["broken"].problem)
    assert "the studio uses that name itself" in str(found["semantic"].problem)
    assert "lower-case letters" in str(found["Not A Name"].problem)


def test_listing_runs_nothing(home: Home, tmp_path: Path) -> None:
    (home.rewards / "loud.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n{GOOD}")
    list_custom(home)
    custom_reward(home, "loud")
    assert not (tmp_path / "ran").exists()


def test_a_configuration_gets_the_hash_of_the_file_as_it_is(home: Home) -> None:
    (home.rewards / "fine.py").write_text(GOOD)
    assert custom_reward(home, "fine") == CustomReward(name="fine", sha256=hashlib.sha256(GOOD.encode()).hexdigest())


@pytest.mark.parametrize(
    "name", ["../escape", "tags", "judge", "", "a/b", "step", "similarity", "tokens", "mean_reward"]
)
def test_a_name_that_no_component_can_have_is_refused(home: Home, name: str) -> None:
    with pytest.raises(ConfigError, match="custom reward"):
        custom_reward(home, name)
    with pytest.raises(ConfigError, match="custom reward"):
        add_custom(home, name, GOOD)


def test_a_missing_a_changed_and_a_broken_file_are_refused(home: Home) -> None:
    with pytest.raises(RewardError, match=r"no custom reward fine: .*fine\.py is missing"):
        custom_reward(home, "fine")
    add_custom(home, "fine", GOOD)
    chosen = custom_reward(home, "fine")
    (home.rewards / "fine.py").write_text(GOOD + "# changed")
    with pytest.raises(RewardError, match=r"fine\.py has changed since it was added to the reward\. Add it again\."):
        source_of(home.rewards, chosen)
    (home.rewards / "fine.py").write_text("def reward(")
    with pytest.raises(RewardError, match=r"fine\.py cannot be used: Line 1"):
        custom_reward(home, "fine")


def test_adding_never_overwrites(home: Home) -> None:
    add_custom(home, "mine", GOOD)
    assert add_custom(home, "mine", GOOD.encode()).problem is None
    with pytest.raises(ConfigError, match=r"such as mine_2\."):
        add_custom(home, "mine", GOOD + "# other")
    assert (home.rewards / "mine.py").read_text() == GOOD
    add_custom(home, "mine_2", GOOD + "# other")
    assert free_name(home, "mine") == "mine_3"


def test_a_free_name_is_one_that_a_component_can_have(home: Home) -> None:
    name = "a" * 32
    add_custom(home, name, GOOD)
    assert add_custom(home, free_name(home, name), GOOD + "# other").problem is None


def test_what_cannot_be_used_is_not_added(home: Home) -> None:
    with pytest.raises(RewardError, match=r"mine\.py was not added: Line 1"):
        add_custom(home, "mine", "def reward(")
    assert list_custom(home) == []


def test_a_run_is_refused_whose_custom_reward_is_missing(home: Home, tiny_config: RunConfig) -> None:
    config = with_changes(tiny_config, {"reward.custom": [{"name": "fine"}]})
    with pytest.raises(RewardError, match="fine"):
        refuse_unready(home, config)
    add_custom(home, "fine", GOOD)
    refuse_unready(home, config)


def test_the_texts_are_kept_as_they_were(home: Home, tiny_config: RunConfig, tmp_path: Path) -> None:
    add_custom(home, "fine", GOOD)
    config = with_changes(tiny_config, {"reward.custom": [{"name": "fine"}]})
    folder, found = tmp_path / "kept", sources(home.rewards, config.reward)
    reward = config.reward.model_copy(update={"custom": tuple(source.reward for source in found)})
    keep(found, folder)
    (home.rewards / "fine.py").unlink()
    assert [source.content for source in kept_sources(folder, reward)] == [GOOD.encode()]
    (folder / "fine.py").write_text(GOOD + "# changed")
    with pytest.raises(RewardError, match=r"run's own copy .*fine\.py, is missing or no longer"):
        kept_sources(folder, reward)
    (folder / "fine.py").unlink()
    with pytest.raises(RewardError, match=r"run's own copy .*fine\.py, is missing or no longer"):
        kept_sources(folder, reward)


def test_the_template_comes_first_and_every_example_can_be_used_and_has_a_title() -> None:
    found = templates()
    assert [template.name for template in found] == ["template", "exact_choice", "length_band", "pattern"]
    assert all(check(template.source.encode()) is None and template.title for template in found)


@pytest.mark.parametrize("path", sorted((ASSETS / "rewards").glob("*.py")), ids=lambda path: path.stem)
def test_the_worked_examples_of_the_examples_are_right(path: Path) -> None:
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    failed, attempted = doctest.testmod(module)
    assert attempted > 0 and failed == 0
