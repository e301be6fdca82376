"""Custom rewards: Python files in `<home>/rewards/`, each one component of the reward.

Here they are listed, looked at and kept, but never run: that is done by `core.engine.custom_rewards`, in a process of
its own. What can be said of a file without running it is said here, with its line.
"""

from __future__ import annotations

import ast
import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from pydantic import ValidationError

from core.config import CustomReward, RewardConfig
from core.errors import ConfigError, RewardError
from core.paths import ASSETS, Home, write_bytes

FUNCTION = "reward"
"""The name that the function in a custom reward has."""
PASSED = ("prompts", "completions", "question", "reference", "answer", "group")
"""What the function is always given, by name; beside it every further column that the data carries."""

_TRAINER_ONLY = frozenset(["completion_ids", "trainer_state", "log_extra", "log_metric", "environments"])
"""What TRL's trainer gives to a reward function and the studio cannot, since it scores without a trainer as well."""
_MAX_BYTES = 1_000_000
_TEMPLATES = ASSETS / "rewards"


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
    return source_of(home, _named(name)).reward


def source_of(home: Home, reward: CustomReward) -> Source:
    """Read the file of a custom reward once and check it.

    Raises:
        RewardError: the file is missing, cannot be used, or is not the one whose hash `reward` has.
    """
    path = home.rewards / f"{reward.name}.py"
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise RewardError(
            f"There is no custom reward {reward.name}: {path} is missing. Put the file there, or take the component "
            "out of the reward."
        ) from error
    except OSError as error:
        raise RewardError(f"{path} cannot be read ({error.strerror}). Check who may read it.") from error
    found = _hash(content)
    if reward.sha256 not in ("", found):
        raise RewardError(
            f"The custom reward {path.name} has changed since it was chosen (its hash was {reward.sha256[:12]}… and is "
            f"{found[:12]}… now). To go on with a run, put it back as it was, from the copy in the run's folder; else "
            "choose it again, or start a new run, with the file as it is."
        )
    problem = check(content)
    if problem:
        raise RewardError(f"The custom reward {path.name} cannot be used: {problem}")
    return Source(reward.model_copy(update={"sha256": found}), path, content)


def sources(home: Home, config: RewardConfig) -> tuple[Source, ...]:
    """The files of all custom rewards of a configuration; raises RewardError as `source_of` does."""
    return tuple(source_of(home, reward) for reward in config.custom)


def keep(sources: Sequence[Source], folder: Path) -> None:
    """Copy the texts of custom rewards into the folder of a run, so that its record is whole."""
    for source in sources:
        folder.mkdir(exist_ok=True)
        write_bytes(folder / source.path.name, source.content)


def add_custom(home: Home, name: str, source: str | bytes) -> CustomFile:
    """Put a new custom reward into the home. The same text under the same name again changes nothing.

    Raises:
        ConfigError: the name cannot be used, or a file with another text has it.
        RewardError: the text cannot be used; the message names the line.
        StorageError: the file cannot be written.
    """
    _named(name)
    content = source.encode() if isinstance(source, str) else source
    problem = check(content)
    if problem:
        raise RewardError(f"{name}.py was not added: {problem}")
    path = home.rewards / f"{name}.py"
    if not path.exists():
        write_bytes(path, content)
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


def check(content: bytes) -> str | None:
    """Why a file cannot be a custom reward, in a sentence with its line; None when nothing speaks against it.

    >>> check(b"def reward(completions, **kwargs):\\n    return [0.0 for _ in completions]")
    >>> check(b"def reward(completions, **kwargs)\\n    return []")
    "Line 1 is not Python: expected ':'. Correct the line."
    """
    if len(content) > _MAX_BYTES:
        return f"It has {len(content):,} bytes, and a custom reward at most {_MAX_BYTES:,}. Leave data out of it."
    try:
        source = content.decode("utf-8-sig")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as for "\d"; the user's file may be as it likes
            tree = ast.parse(source)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        return f"Line {line} is not UTF-8 text. Save the file as UTF-8."
    except SyntaxError as error:
        return f"Line {error.lineno or 1} is not Python: {error.msg}. Correct the line."
    except (ValueError, RecursionError, MemoryError):  # what the parser says of null bytes and of endless nesting
        return "It is not a Python file. Upload the file as you wrote it, as plain text."
    return _check_function(tree)


def _check_function(tree: ast.Module) -> str | None:
    wanted = f"def {FUNCTION}(completions, **kwargs)"
    found = [
        node
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == FUNCTION
    ]
    if not found:
        return f"It has no function {FUNCTION}. Write one that begins with {wanted}: at the left margin."
    function = found[-1]
    if isinstance(function, ast.AsyncFunctionDef):
        return f"Line {function.lineno}: {FUNCTION} is async, and the studio calls plain functions. Write {wanted}."
    arguments = function.args
    if arguments.posonlyargs:
        return f"Line {function.lineno}: {FUNCTION} takes arguments by position, but they come by name. Remove the '/'."
    names = [argument.arg for argument in (*arguments.args, *arguments.kwonlyargs)]
    if arguments.kwarg is None and "completions" not in names:
        return f"Line {function.lineno}: {FUNCTION} takes no completions. Write {wanted}."
    asked = sorted(_TRAINER_ONLY & _required(arguments))
    if asked:
        return (
            f"Line {function.lineno}: {FUNCTION} asks for {asked[0]}, which only a trainer has. It can have "
            f"{', '.join(PASSED)} and the columns that the data carries."
        )
    return None


def _required(arguments: ast.arguments) -> set[str]:
    """The names of the arguments that have no default."""
    plain = arguments.args[: len(arguments.args) - len(arguments.defaults)]
    named = [a for a, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default is None]
    return {argument.arg for argument in (*plain, *named)}


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
