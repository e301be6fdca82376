"""What the installed TRL and transformers offer, read from their source files without importing them.

Importing either takes seconds and hundreds of megabytes, which the studio's own process never spends; parsing the few
files that name the options takes a fraction of a second, once. What an option does to the result is told in
`core.training.option_notes`; an option that is new there is offered by its name alone.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

from core.errors import ConfigError
from core.train_config import Aggregation, Scaling
from core.training import option_notes

Plain = bool | int | float | str
_CONFIGS = (
    ("transformers", "training_args.py", "TrainingArguments"),
    ("trl", "trainer/base_config.py", "_BaseConfig"),
    ("trl", "trainer/grpo_config.py", "GRPOConfig"),
)
"""Where the fields of TRL's GRPOConfig are defined, the most general first."""
_KINDS: Mapping[str, type] = {"bool": bool, "int": int, "float": float, "str": str}
_TRACKER_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "azure_ml": ("azureml",),
    "flyte": ("flytekit",),
    "tensorboard": ("tensorboard", "tensorboardX"),
    "dagshub": ("dagshub", "mlflow"),
}
"""Packages whose name is not the tracker's own; for `dagshub` both are needed, else one is enough."""
_DEPRECATED = "deprecated"


@dataclass(frozen=True)
class Choice:
    """One value that a setting may have.

    Attributes:
        name: as TRL and transformers spell it.
        note: what it does to the result; empty for one that the studio does not know.
        package: what has to be installed for it and is not; empty when nothing is missing.
    """

    name: str
    note: str
    package: str = ""


@dataclass(frozen=True)
class TrlField:
    """A field of TRL's GRPOConfig.

    Attributes:
        annotation: its type as written.
        kinds: which plain types it takes, of bool, int, float and str; none for a field that takes only others.
        default: its default; the text of the expression where it is no plain value.
        help: what TRL says about it.
    """

    name: str
    annotation: str
    kinds: tuple[type, ...]
    default: Any
    help: str


@lru_cache(maxsize=1)
def loss_types() -> tuple[Choice, ...]:
    """The losses that the installed trainer computes."""
    return _compared("loss_type", option_notes.LOSS_TYPES)


@lru_cache(maxsize=1)
def importance_sampling_levels() -> tuple[Choice, ...]:
    """Over what probability ratios are taken."""
    return _compared("importance_sampling_level", option_notes.LEVELS)


@lru_cache(maxsize=1)
def reward_scalings() -> tuple[Choice, ...]:
    """What advantages can be divided by, as far as the studio computes it too."""
    return tuple(c for c in _compared("scale_rewards", option_notes.SCALINGS) if c.name in get_args(Scaling))


@lru_cache(maxsize=1)
def aggregations() -> tuple[Choice, ...]:
    """In which order component scores are added up and standardised, as far as the studio computes it too."""
    found = _compared("multi_objective_aggregation", option_notes.AGGREGATIONS)
    return tuple(choice for choice in found if choice.name in get_args(Aggregation))


@lru_cache(maxsize=1)
def schedules() -> tuple[Choice, ...]:
    """How the learning rate can change over a run."""
    return _sorted(_enumeration("trainer_utils.py", "SchedulerType"), option_notes.SCHEDULES)


@lru_cache(maxsize=1)
def optimizers() -> tuple[Choice, ...]:
    """The optimisers that transformers knows, each with the package that is missing for it."""
    found = _sorted(_enumeration("training_args.py", "OptimizerNames"), option_notes.OPTIMIZERS)
    return tuple(Choice(choice.name, choice.note, _missing_for_optimizer(choice.name)) for choice in found)


@lru_cache(maxsize=1)
def trackers() -> tuple[Choice, ...]:
    """Where a run can report to beside the studio, each with the package that is missing for it."""
    tree = _tree("transformers", "integrations/integration_utils.py")
    names = [
        key.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "INTEGRATION_TO_CALLBACK"
        if isinstance(node.value, ast.Dict)
        for key in node.value.keys
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    ]
    found = _sorted(names, option_notes.TRACKERS)
    return tuple(Choice(choice.name, choice.note, _missing_for_tracker(choice.name)) for choice in found)


def needs_bitsandbytes(optimizer: str) -> bool:
    """Whether an optimiser is one of bitsandbytes, which computes on NVIDIA GPUs."""
    return _optimizer_package(optimizer) == "bitsandbytes"


def installed(choices: tuple[Choice, ...]) -> tuple[Choice, ...]:
    """Those for which nothing is missing."""
    return tuple(choice for choice in choices if not choice.package)


@lru_cache(maxsize=1)
def trl_fields() -> Mapping[str, TrlField]:
    """Every field of TRL's GRPOConfig by its name, those of its parents included; deprecated ones are left out."""
    found: dict[str, TrlField] = {}
    for package, file, name in _CONFIGS:
        found |= {field.name: field for node in _class_body(package, file, name) if (field := _field(node)) is not None}
    return {name: field for name, field in found.items() if not field.help.lower().startswith(_DEPRECATED)}


def parse_value(field: TrlField, text: str) -> Plain:
    """The value that somebody wrote for a field, in one of the types that it takes.

    >>> parse_value(TrlField("delta", "float | None", (float,), None, ""), "4")
    4.0

    Raises:
        ConfigError: the text is none of them.
    """
    written = text.strip()
    try:
        value = json.loads(written.lower() if written.lower() in ("true", "false") else written)
    except ValueError:
        value = written
    if isinstance(value, int) and not isinstance(value, bool) and int not in field.kinds and float in field.kinds:
        value = float(value)
    for candidate in (value, written):
        if type(candidate) in field.kinds:
            return candidate
    kinds = " or ".join(kind.__name__ for kind in field.kinds) or "a value that cannot be written here"
    raise ConfigError(f"train.trl: {field.name} is {text!r}, but TRL wants {kinds}. Correct the value.")


def _compared(attribute: str, notes: Mapping[str, str]) -> tuple[Choice, ...]:
    return _sorted(list(_comparisons().get(attribute, ())), notes)


@lru_cache(maxsize=1)
def _comparisons() -> Mapping[str, Mapping[str, None]]:
    """The texts that TRL's trainer compares each attribute of its own with; the keys of a mapping keep their order."""
    found: dict[str, dict[str, None]] = {}
    for node in ast.walk(_tree("trl", "trainer/grpo_trainer.py")):
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.Attribute):
            found.setdefault(node.left.attr, {}).update(dict.fromkeys(_texts(node.comparators[0])))
    return found


def _texts(node: ast.expr) -> Iterator[str]:
    parts = node.elts if isinstance(node, ast.List | ast.Tuple | ast.Set) else [node]
    yield from (part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str))


def _sorted(names: list[str], notes: Mapping[str, str]) -> tuple[Choice, ...]:
    """Those that the studio knows in its own order, then the others as they came."""
    known = [name for name in notes if name in names]
    return tuple(Choice(name, notes.get(name, "")) for name in [*known, *(n for n in names if n not in notes)])


def _enumeration(file: str, name: str) -> list[str]:
    body = _class_body("transformers", file, name)
    return [text for node in body if isinstance(node, ast.Assign) for text in _texts(node.value)]


def _class_body(package: str, file: str, name: str) -> list[ast.stmt]:
    classes = (node for node in _tree(package, file).body if isinstance(node, ast.ClassDef))
    return next(node.body for node in classes if node.name == name)


def _field(node: ast.stmt) -> TrlField | None:
    if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None):
        return None
    default, text = _default_and_help(node.value)
    written = ast.unparse(node.annotation)
    if written.startswith("ClassVar"):
        return None
    kinds = tuple(kind for name, kind in _KINDS.items() if re.search(rf"(?<![\w\[]){name}(?![\w\[\]])", written))
    return TrlField(node.target.id, written, kinds, default, " ".join(text.replace("%%", "%").split()))


def _default_and_help(node: ast.expr) -> tuple[Any, str]:
    if not (isinstance(node, ast.Call) and ast.unparse(node.func) == "field"):
        return _literal(node), ""
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    default = _literal(given["default"]) if "default" in given else None
    metadata = given.get("metadata")
    texts = metadata.values if isinstance(metadata, ast.Dict) else []
    return default, next((text for part in texts for text in _help_texts(part)), "")


def _help_texts(node: ast.expr) -> Iterator[str]:
    found = _literal(node)
    if isinstance(found, str):
        yield found


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


def _missing_for_optimizer(name: str) -> str:
    package = _optimizer_package(name)
    return package if package and find_spec(package) is None else ""


def _optimizer_package(name: str) -> str:
    found = option_notes.OPTIMIZER_PACKAGES.items()
    return next((package for part, package in found if re.search(part, name)), "")


def _missing_for_tracker(name: str) -> str:
    packages = _TRACKER_PACKAGES.get(name, (name,))
    there = [find_spec(package) is not None for package in packages]
    enough = all(there) if name == "dagshub" else any(there)
    return "" if enough else packages[0]


def _tree(package: str, file: str) -> ast.Module:
    spec = find_spec(package)
    folders = (spec.submodule_search_locations if spec else None) or ()
    for folder in folders:
        path = Path(folder) / file
        if path.is_file():
            return ast.parse(path.read_text(encoding="utf-8"))
    raise ConfigError(
        f"The Python package {package} is not installed as it should be: it has no {file}. Run: make install"
    )
