"""Custom rewards: Python files in `<home>/rewards/`, each one component of the reward.

Here they are listed, looked at and kept, but never run: that is done by `core.engine.custom_component`, in a process of
its own.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from pydantic import ValidationError

from core.access import audit
from core.access.permissions import allow
from core.config import CustomReward, RewardConfig
from core.errors import ConfigError, RewardError
from core.paths import ASSETS, Home, write_bytes
from core.reward.custom_check import check

_TEMPLATES = ASSETS / "rewards"


class NotAsChosen(RewardError):
    """A custom reward's file is missing, or not the one that was chosen."""


@dataclass(frozen=True)
class CustomFile:
    """One file in `<home>/rewards/`.

    Attributes:
        name: of the component, which is the file's name without `.py`.
        sha256: of its content; empty when it cannot be read.
        problem: why it cannot be used, as far as that shows without running it; None when nothing does.
    """

    name: str
    path: Path
    sha256: str
    problem: str | None


@dataclass(frozen=True)
class Source:
    """A custom reward with the text it had at one moment, and that text's hash in `reward.sha256`."""

    reward: CustomReward
    path: Path
    content: bytes


@dataclass(frozen=True)
class Template:
    """An example to start from: its name, what it is for in one sentence, and its text."""

    name: str
    title: str
    source: str


def list_custom(home: Home) -> list[CustomFile]:
    """Every custom reward, the unusable ones with their problem, in the order of their names."""
    return [_look(path) for path in sorted(home.rewards.glob("*.py")) if path.is_file()]


def custom_reward(home: Home, name: str) -> CustomReward:
    """The custom reward in the file `name`.py as it is now, to be put into a reward configuration.

    Raises:
        ConfigError: the name is none that a custom reward can have.
        RewardError: there is no such file, or it cannot be used.
    """
    return source_of(home.rewards, _named(name)).reward


def source_of(folder: Path, reward: CustomReward) -> Source:
    """Read the file of a custom reward once and check it.

    Args:
        folder: where the file lies: `<home>/rewards`, or the `rewards` of a run.
        reward: its name, and the hash that it must have; an empty hash is not compared.

    Raises:
        RewardError: the file is missing, cannot be used, or is not the one whose hash `reward` has.
    """
    path = folder / f"{reward.name}.py"
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise NotAsChosen(
            f"There is no custom reward {reward.name}: {path} is missing. Put the file there, or take the component "
            "out of the reward."
        ) from error
    except OSError as error:
        raise RewardError(f"{path} cannot be read ({error.strerror}). Check who may read it.") from error
    found = _hash(content)
    if reward.sha256 not in ("", found):
        raise NotAsChosen(f"The custom reward {path.name} has changed since it was added to the reward. Add it again.")
    problem = check(content)
    if problem:
        raise RewardError(f"The custom reward {path.name} cannot be used: {problem}")
    return Source(reward.model_copy(update={"sha256": found}), path, content)


def sources(folder: Path, config: RewardConfig) -> tuple[Source, ...]:
    """The files of all custom rewards of a configuration; raises RewardError as `source_of` does."""
    return tuple(source_of(folder, reward) for reward in config.custom)


def kept_sources(folder: Path, config: RewardConfig) -> tuple[Source, ...]:
    """The copies of all custom rewards in the `rewards` of a run, which are what the run goes on with.

    Raises:
        RewardError: a copy is missing or is no longer what the run was started with.
    """
    return tuple(_kept(folder, reward) for reward in config.custom)


def _kept(folder: Path, reward: CustomReward) -> Source:
    try:
        return source_of(folder, reward)
    except NotAsChosen as error:
        raise RewardError(
            f"The run's own copy of the custom reward {reward.name}, {folder / reward.name}.py, is missing or no "
            "longer what the run was started with. Put it back as it was, or start a new run."
        ) from error


def unhashed(config: RewardConfig) -> RewardConfig:
    """The configuration without the hashes of its custom rewards: it takes the files as they are."""
    return config.model_copy(update={"custom": tuple(r.model_copy(update={"sha256": ""}) for r in config.custom)})


def keep(sources: Sequence[Source], folder: Path) -> None:
    """Copy the texts of custom rewards into the folder of a run, so that its record is whole."""
    for source in sources:
        folder.mkdir(exist_ok=True)
        write_bytes(folder / source.path.name, source.content)


def add_custom(home: Home, name: str, source: str | bytes) -> CustomFile:
    """Put a new custom reward into the home. The same text under the same name again changes nothing.

    Raises:
        AccessDenied: whoever acts now may not.
        ConfigError: the name cannot be used, or a file with another text has it.
        RewardError: the text cannot be used; the message names the line.
        StorageError: the file cannot be written.
    """
    allow("reward.code")
    _named(name)
    content = source.encode() if isinstance(source, str) else source
    problem = check(content)
    if problem:
        raise RewardError(f"{name}.py was not added: {problem}")
    path = home.rewards / f"{name}.py"
    if not path.exists():
        write_bytes(path, content)
        audit.record(home, "reward.code", name, sha256=_hash(content))
    elif path.read_bytes() != content:
        raise ConfigError(
            f"There is a custom reward {name} with another text already, and it is kept. Give the new one another "
            f"name, such as {free_name(home, name)}."
        )
    return _look(path)


def free_name(home: Home, name: str) -> str:
    """`name`, or `name_2` and so on when there is a custom reward of that name."""
    names = (name if number == 1 else f"{name[:28]}_{number}" for number in count(1))
    return next(name for name in names if not (home.rewards / f"{name}.py").exists())


def templates() -> list[Template]:
    """The examples that come with the studio, the bare template first."""
    paths = sorted(_TEMPLATES.glob("*.py"), key=lambda path: (path.stem != "template", path.stem))
    found = [(path.stem, path.read_text(encoding="utf-8")) for path in paths]
    return [Template(name, (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0], text) for name, text in found]


def _look(path: Path) -> CustomFile:
    try:
        content = path.read_bytes()
    except OSError as error:
        return CustomFile(path.stem, path, "", f"It cannot be read ({error.strerror}). Check who may read it.")
    try:
        _named(path.stem)
    except ConfigError as error:
        return CustomFile(path.stem, path, _hash(content), str(error))
    return CustomFile(path.stem, path, _hash(content), check(content))


def _named(name: str) -> CustomReward:
    try:
        return CustomReward(name=name)
    except ValidationError as error:
        rule = str(error.errors()[0]["ctx"]["error"])
        raise ConfigError(f"{rule[:1].upper()}{rule[1:]}. Rename the file.") from error


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
