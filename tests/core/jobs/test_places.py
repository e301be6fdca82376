"""How many runs a machine takes at a time, and on which of its GPUs."""

from __future__ import annotations

import pytest

from core.config import RunConfig, with_changes
from core.errors import ConfigError
from core.jobs import places
from core.jobs.places import SERVER_GPUS, Places, environment, gpu_names, starters_environment
from core.machine import Gpu
from core.presets import preset_config

VISIBLE = "CUDA_VISIBLE_DEVICES"
FOUR = Places(("0", "1", "2", "3"), cores=64)
PLAIN = preset_config("demo")
SERVER = with_changes(PLAIN, {"train.generation": "vllm_server"})


def gpus(count: int) -> tuple[Gpu, ...]:
    return tuple(Gpu(index, "NVIDIA H200", 1, 1) for index in range(count))


@pytest.mark.parametrize(
    ("machine", "config", "held", "expected"),
    [
        (FOUR, PLAIN, [], ("0",)),
        (FOUR, PLAIN, [("0",), ("2",)], ("1",)),
        (FOUR, PLAIN, [("0",), ("1",), ("2",), ("3",)], None),
        (FOUR, PLAIN, [()], ("1",)),  # a run that does not say where it is
        (FOUR, SERVER, [], ("0", "1", "2")),  # a server of three GPUs could not share out the model's heads
        (FOUR, SERVER, [("1",)], ("0", "2", "3")),
        (FOUR, SERVER, [("0", "1", "2")], None),
        (Places(("0", "1"), 4), SERVER, [], ("0", "1")),
        (Places((), cores=2), PLAIN, [], ()),
        (Places((), cores=2), PLAIN, [()], None),
        (Places((), cores=16), PLAIN, [()], ()),
        (Places((), cores=16), PLAIN, [(), ()], None),
    ],
)
def test_a_run_gets_gpus_that_no_other_holds_or_none(
    machine: Places, config: RunConfig, held: list[tuple[str, ...]], expected: tuple[str, ...] | None
) -> None:
    assert machine.free(config, held) == expected


def test_a_run_that_needs_more_gpus_than_there_are_never_waits_for_them() -> None:
    with pytest.raises(ConfigError, match=r"needs 2 GPUs.* This machine has 1 GPU"):
        Places(("0",), 16).free(SERVER, held=[("0",)])


@pytest.mark.parametrize(
    ("listed", "expected"), [(None, ("0", "1")), ("3,5", ("3", "5")), ("GPU-8f", ("GPU-8f",)), ("", ())]
)
def test_gpus_are_named_as_the_environment_names_them(
    listed: str | None, expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VISIBLE, raising=False)
    if listed is not None:
        monkeypatch.setenv(VISIBLE, listed)
    assert gpu_names(gpus(len(expected) if listed is not None else 2)) == expected


def test_a_job_sees_one_gpu_and_is_told_which_are_its_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VISIBLE, raising=False)
    told = environment(("1", "2", "3"))
    assert (told[VISIBLE], told[SERVER_GPUS]) == ("1", "2,3")


@pytest.mark.parametrize("listed", [None, "4,6"])
def test_what_a_job_starts_in_its_turn_may_use_every_gpu_again(
    listed: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VISIBLE, raising=False)
    if listed is not None:
        monkeypatch.setenv(VISIBLE, listed)
    for name, value in environment(("4",)).items():
        monkeypatch.setenv(name, value)
    assert starters_environment().get(VISIBLE) == listed


def test_the_gpus_of_a_server_are_known_to_its_job_and_to_no_job_that_comes_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert places.server_gpus() == ()
    for name, value in environment(("4", "5", "6")).items():
        monkeypatch.setenv(name, value)
    assert places.server_gpus() == ("5", "6")
    assert places.SERVER_GPUS not in starters_environment()


def test_a_machine_says_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VISIBLE, raising=False)
    monkeypatch.setattr(places, "nvidia_gpus", lambda: gpus(2))
    assert Places.of_this_machine().gpus == ("0", "1")
    assert str(FOUR) == "4 GPU(s)" and str(Places((), 2)) == "2 processor cores and no GPU"
