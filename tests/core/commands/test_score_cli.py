"""`python -m core score` and `stress`: which reward they take, and what they print."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from core.commands.cli import main
from core.commands.reward_options import with_weights
from core.commands.score import add_lab_verbs
from core.config import CustomReward, RewardConfig, RunConfig, Tags
from core.lab.stress import TRICKS, foretold, weakest
from core.paths import Home
from core.reward.formula import PRESETS
from core.reward.presets import save_preset
from core.reward.scoring import Component, Sample, Scorer
from tests.build_boards import GOOD
from tests.build_scorers import Says, arithmetic_scorer

ROW = {"question": "What helps?", "answer": "give adrenaline now"}


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps(ROW | {"completion": text}) for text in (GOOD, "nothing")))
    return file


def scored(arguments: list[str], home: Home, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What `score` prints when arithmetic stands in the place of the models."""
    run(["score", *arguments], home)
    return [json.loads(line, parse_constant=refuse) for line in capsys.readouterr().out.splitlines()]


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def run(arguments: list[str], home: Home, *others: Component) -> None:
    """A verb of the lab when arithmetic stands in the place of the models."""

    def opened(reward: RewardConfig, tags: Tags, home: Home) -> closing[Scorer]:
        return closing(arithmetic_scorer(reward, home.cache, others, tags))

    parser = argparse.ArgumentParser()
    add_lab_verbs(parser.add_subparsers(), opened)
    options = parser.parse_args(arguments)
    options.verb(options, home)


def test_weights_of_the_command_line_replace_those_they_name(
    home: Home, rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, nothing = scored([str(rows), "--weights", "semantic=0.5,fluency=0,tags=-0.1"], home, capsys)
    assert good["reward"] == pytest.approx(0.5 * good["components"]["semantic"] - 0.1 * good["components"]["tags"])
    assert (nothing["valid"], nothing["reward"]) == (False, -1.0)


def test_without_a_word_the_recommended_preset_is_taken(
    home: Home, rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    take = partial(scored, home=home, capsys=capsys)
    assert take([str(rows)]) == take([str(rows), "--preset", "robust"]) != take([str(rows), "--preset", "article"])


def test_a_saved_preset_can_be_named(home: Home, rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_preset(home, "mine", with_weights(PRESETS["robust"], "semantic=0,fluency=0,tags=0.3"))
    good, _ = scored([str(rows), "--preset", "mine"], home, capsys)
    assert good["reward"] == pytest.approx(0.3)


def test_a_runs_configuration_brings_its_reward_and_tags(
    home: Home, tiny_config: RunConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny_config.model_copy(
        update={"prompt": tiny_config.prompt.model_copy(update={"tags": Tags(answer="final")})}
    )
    file, rows = tmp_path / "config.json", tmp_path / "rows.csv"
    file.write_text(config.model_dump_json())
    rows.write_text("question,answer,completion\nQ?,give,<final>give</final>\n")
    (line,) = scored([str(rows), "--config", str(file)], home, capsys)
    assert line["valid"]
    (line,) = scored([str(rows), "--config", str(file), "--answer-tag", "answer"], home, capsys)
    assert not line["valid"]


@pytest.fixture
def own(home: Home) -> str:
    """The name of a saved preset whose own component counts for something."""
    config = PRESETS["robust"].model_copy(update={"custom": (CustomReward(name="own"),), "weights": {"own": 1.0}})
    save_preset(home, "mine", config)
    return "mine"


def test_no_opinion_is_null_and_notes_are_told_beside_the_scores(
    own: str, home: Home, rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["score", str(rows), "--preset", own], home, Says([0.5, None], notes=["One has no verdict."]))
    printed = capsys.readouterr()
    good, nothing = (json.loads(line, parse_constant=refuse) for line in printed.out.splitlines())
    assert (good["components"]["own"], nothing["components"]["own"]) == (0.5, None)
    assert printed.err == "Note: One has no verdict.\n"


def test_stress_tells_notes_on_standard_error(own: str, home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    run(["stress", "--preset", own], home, Says(lambda samples: [0.5] * len(samples), notes=["Slow."]))
    assert capsys.readouterr().err == "Note: Slow.\n"


def test_further_columns_reach_custom_rewards(own: str, home: Home, tmp_path: Path) -> None:
    seen: list[Sample] = []

    def look(samples: Sequence[Sample]) -> list[float]:
        seen.extend(samples)
        return [0.0] * len(samples)

    file = tmp_path / "rows.csv"
    file.write_text("question,answer,completion,group,ward\nQ?,give,<answer>give</answer>,1,A\nQ?,give,none,1,\n")
    run(["score", str(file), "--preset", own], home, Says(look))
    assert [sample.columns for sample in seen] == [{"ward": "A"}, {"ward": ""}]


def test_weights_that_are_not_named_stay() -> None:
    assert with_weights(PRESETS["robust"], "tags=-0.1").weights == {"semantic": 0.5, "fluency": 0.3, "tags": -0.1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weights", "semantic"], "--weights holds 'semantic': give NAME=NUMBER"),
        (["--weights", "semantic=high"], "--weights holds 'semantic=high'"),
        (["--weights", "colour=1"], "there is no component 'colour'"),
        (["--weights", "semantic=nan"], "weights.semantic is nan"),
        (["--weights", "semantic=0,fluency=0,tags=0"], "at least one weight must differ from zero"),
        (["--preset", "nothing"], "There is no reward preset 'nothing'"),
        (["--config", "/no/such/config.json"], "There is no configuration file"),
    ],
)
def test_a_reward_that_cannot_be_used_is_one_sentence(
    arguments: list[str], message: str, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stress", *arguments, "--home", str(home.root)]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("preset", PRESETS)
def test_stress_prints_every_trick_and_what_slips_through(
    preset: str, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stress", "--preset", preset, "--home", str(home.root)]) == 0
    lines = capsys.readouterr().out.splitlines()
    found = foretold(PRESETS[preset])
    assert [line.split()[0] for line in lines[1 : 1 + len(TRICKS)]] == list(found.tricks)
    assert lines[-1].startswith(f"{len(weakest(found))} of {len(TRICKS)} tricks of the stress set slip through")


def test_stress_as_json_holds_the_matrix(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stress", "--json", "--weights", "tags=1,semantic=0,fluency=0", "--home", str(home.root)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["names"] == ["semantic", "fluency", "tags", "validity", "reward"]
    assert len(found["caught"]) == len(found["margins"]) == len(found["tricks"]) == len(TRICKS)
    assert "negation" in found["weakest"] and found["warning"]


def test_a_reward_with_other_models_is_measured_before_it_is_judged(
    home: Home, tiny_config: RunConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.json"
    file.write_text(tiny_config.model_dump_json())
    assert main(["stress", "--json", "--config", str(file), "--home", str(home.root)]) == 0
    assert sum(json.loads(capsys.readouterr().out)["pairs"]) == 70


def test_a_run_takes_a_saved_preset_and_refuses_one_that_is_not_there(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--reward", "nothing", "--home", str(home.root)]) == 2
    assert "There is no reward preset 'nothing'" in capsys.readouterr().err
