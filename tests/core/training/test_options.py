"""What is read from the sources of TRL and transformers, against the imported libraries."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import MISSING, fields

import pytest

from core.errors import ConfigError
from core.paths import PROJECT
from core.training import option_notes, options
from core.training.options import TrlField, parse_value


def names(choices: tuple[options.Choice, ...]) -> set[str]:
    return {choice.name for choice in choices}


def test_schedules_and_optimizers_are_those_of_transformers() -> None:
    from transformers import SchedulerType
    from transformers.training_args import OptimizerNames

    assert names(options.schedules()) == {member.value for member in SchedulerType}
    assert names(options.optimizers()) == {member.value for member in OptimizerNames}


def test_trackers_are_those_that_transformers_reports_to() -> None:
    from transformers.integrations.integration_utils import (
        INTEGRATION_TO_CALLBACK,
        get_available_reporting_integrations,
    )

    assert names(options.trackers()) == set(INTEGRATION_TO_CALLBACK)
    assert names(options.installed(options.trackers())) >= set(get_available_reporting_integrations())


def test_fields_are_those_of_the_imported_config() -> None:
    from trl import GRPOConfig

    imported = {field.name: field for field in fields(GRPOConfig) if field.init}
    deprecated = {name for name, field in imported.items() if field.metadata.get("help", "").startswith("Deprecated")}
    found = options.trl_fields()
    assert set(found) == set(imported) - deprecated
    wrong = [
        name
        for name, field in found.items()
        if imported[name].default is not MISSING and field.default != imported[name].default and name != "optim"
    ]  # the default of `optim` depends on the version of PyTorch and is computed
    assert not wrong


def test_help_is_that_of_the_imported_config() -> None:
    from trl import GRPOConfig

    imported = {
        field.name: " ".join(field.metadata["help"].replace("%%", "%").split())
        for field in fields(GRPOConfig)
        if "help" in field.metadata
    }
    assert all(field.help == imported[name] for name, field in options.trl_fields().items() if field.help)
    assert options.trl_fields()["delta"].help


@pytest.mark.parametrize(
    ("read", "field"),
    [
        (options.loss_types, "loss_type"),
        (options.importance_sampling_levels, "importance_sampling_level"),
        (options.reward_scalings, "scale_rewards"),
        (options.aggregations, "multi_objective_aggregation"),
        (options.schedules, "lr_scheduler_type"),
    ],
)
def test_the_default_of_trl_is_offered(read: Callable[[], tuple[options.Choice, ...]], field: str) -> None:
    assert options.trl_fields()[field].default in names(read())


def test_the_documented_losses_are_offered() -> None:
    text = options.trl_fields()["loss_type"].help
    assert {choice.name for choice in options.loss_types() if f"'{choice.name}'" in text} == names(options.loss_types())


def test_every_note_is_about_something_that_is_offered() -> None:
    assert set(option_notes.LOSS_TYPES) <= names(options.loss_types())
    assert set(option_notes.LEVELS) == names(options.importance_sampling_levels())
    assert set(option_notes.SCALINGS) == names(options.reward_scalings())
    assert set(option_notes.AGGREGATIONS) == names(options.aggregations())
    assert set(option_notes.SCHEDULES) <= names(options.schedules())
    assert set(option_notes.OPTIMIZERS) <= names(options.optimizers())
    assert set(option_notes.TRACKERS) <= names(options.trackers())


def test_an_optimizer_names_the_package_that_is_missing_for_it() -> None:
    package = {choice.name: choice.package for choice in options.optimizers()}
    assert package["adamw_torch_fused"] == ""
    assert package["galore_adamw"] == "galore_torch"
    assert options.needs_bitsandbytes("paged_lion_8bit") and not options.needs_bitsandbytes("adamw_torch_8bit")


def test_every_optimizer_said_to_need_bitsandbytes_is_one_of_its() -> None:
    from transformers import trainer_optimizer

    listed = {member.value for member in trainer_optimizer._BITSANDBYTES_OPTIMIZERS}
    assert {choice.name for choice in options.optimizers() if options.needs_bitsandbytes(choice.name)} == listed


def test_an_unknown_option_is_offered_by_its_name_alone() -> None:
    assert options._sorted(["newloss", "grpo"], option_notes.LOSS_TYPES)[-1] == options.Choice("newloss", "")


def test_reading_the_options_imports_neither_library() -> None:
    program = (
        "import sys\nfrom core.training import options as o\n"
        "o.loss_types(), o.schedules(), o.optimizers(), o.trackers(), o.trl_fields()\n"
        "print([name for name in ('torch', 'transformers', 'trl') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("kinds", "text", "value"),
    [
        ((float,), "4", 4.0),
        ((float,), "1e-3", 0.001),
        ((bool,), "True", True),
        ((bool,), "false", False),
        ((int,), " 12 ", 12),
        ((str,), "12", "12"),
        ((str,), '{"min_lr_rate": 0.1}', '{"min_lr_rate": 0.1}'),
        ((bool, str), "all", "all"),
    ],
)
def test_a_written_value_gets_the_type_that_the_field_takes(kinds: tuple[type, ...], text: str, value: object) -> None:
    found = parse_value(TrlField("x", "", kinds, None, ""), text)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(("kinds", "text"), [((int,), "2.5"), ((bool,), "1"), ((float,), "much"), ((int,), "true")])
def test_a_value_of_another_type_is_refused_with_the_type(kinds: tuple[type, ...], text: str) -> None:
    with pytest.raises(ConfigError, match=f"TRL wants {kinds[0].__name__}"):
        parse_value(TrlField("delta", "", kinds, None, ""), text)
