"""What a training run is asked to do: one frozen, validated value that is written into the run and never changed.

The models here import nothing but each other, so any module can use them. `parse_config` is the one place where values
enter; its messages name the field, the value, the rule and the remedy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from core.addresses import plain_address
from core.errors import ConfigError
from core.settings_base import Settings
from core.train_config import AdapterConfig, TrainConfig

EMBEDDED_POLICY = "smollm2-135m-instruct"
EMBEDDED_SIMILARITY = "all-minilm-l6-v2"
SAMPLE = "sample"
PREPARED = "prepared:"
"""What stands before the name of a prepared data set, where a data file could be named too."""

COMPONENTS = ("semantic", "fluency", "tags")
"""Built-in reward components, in the order in which they are shown."""
JUDGE = "judge"
"""The reward component that asks a language model for its opinion."""

_COMPONENT = re.compile(r"[a-z][a-z0-9_]{0,31}")
_RUN_COLUMNS = frozenset(
    [
        *("step", "group", "question", "reference", "completion", "prompt", "columns"),
        *("reward", "advantage", "valid", "well_formed", "validity"),
    ],
)
"""Names that a custom component cannot have, since they stand beside it in a run's files."""
_HEADINGS = frozenset(
    [
        *("similarity", "valid_or_not", "tokens", "mean_reward", "questions", "kept_as"),
        *("rank", "move", "kind", "component"),
    ],
)
"""Names that it cannot have either, since its title would be the heading of another column on a page: a component has
its title from `core.reward.verdicts.component_title`."""
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_HIDE = re.compile(r"Input should be|Value error, ")
_NEVER_SHOWN = frozenset(["base_url", "judge"])
"""Fields whose value no message repeats: people paste addresses with keys in them."""


Parser = Literal["lenient", "strict"]
"""Whether faults of form, such as text outside the tags, cost tag score; see `core.reward.parsing`."""
Fluency = Literal["answer", "answer_without_repetition", "reference_batch"]
"""What perplexity is taken of: each answer; the same less a penalty for repetition; or, as the published notebook does,
the reference answers in batches of eight."""


class Tags(Settings):
    """The names of the two tag pairs of a completion, without angle brackets."""

    reasoning: str = "reasoning"
    answer: str = "answer"

    @model_validator(mode="after")
    def _are_two_names(self) -> Self:
        for name in (self.reasoning, self.answer):
            if not _TAG.fullmatch(name):
                raise ValueError(f"the tag name {name!r} must be 1 to 32 letters, digits, '_' or '-'")
        if self.reasoning == self.answer:
            raise ValueError("the two tag names must differ")
        return self


DEFAULT_TAGS = Tags()


class Example(Settings):
    """A worked example, shown to the model as an earlier exchange of the conversation."""

    question: str
    reasoning: str
    answer: str


class DataConfig(Settings):
    """Which rows to train on."""

    path: str = SAMPLE
    """`sample` for the embedded data set, `prepared:NAME` for a prepared one, else a JSONL or CSV file."""
    question: str = "question"
    answer: str = "answer"
    """The columns of a file; prepared data sets have theirs."""
    fingerprint: str = ""
    """What the data was when the run was started: of a prepared data set see `core.data.prepared`, of a file its
    SHA-256. Filled in by `core.jobs.readiness.ready`; a run is refused when the data has changed since. Empty is not
    compared."""

    @property
    def prepared(self) -> str | None:
        """The name of the prepared data set, or None when the data is anything else."""
        return self.path.removeprefix(PREPARED) if self.path.startswith(PREPARED) else None


class PromptConfig(Settings):
    """What stands before every question."""

    system: str
    tags: Tags = DEFAULT_TAGS
    examples: tuple[Example, ...] = ()
    prefill: bool = False
    """Whether the model's turn begins with the opening tag of the reasoning, so that it only has to go on."""


class CustomReward(Settings):
    """A Python file in `<home>/rewards/` whose function is one component of the reward."""

    name: str
    """The file's name without `.py`, and that of the component."""
    sha256: str = ""
    """Of the file when the run was started; a run is refused when it has changed since. Empty is not compared."""
    seconds: float = Field(default=30.0, gt=0, le=3600)
    """How long one call may take."""

    @model_validator(mode="after")
    def _has_a_free_name(self) -> Self:
        if not _COMPONENT.fullmatch(self.name):
            raise ValueError(
                f"the custom reward name {self.name!r} must be 1 to 32 lower-case letters, digits or '_', "
                "starting with a letter"
            )
        if self.name in _RUN_COLUMNS | _HEADINGS | {*COMPONENTS, JUDGE}:
            raise ValueError(f"a custom reward cannot be named {self.name!r}; the studio uses that name itself")
        return self


class JudgeConfig(Settings):
    """A language model behind an OpenAI-compatible endpoint that says how good an answer is; its key comes from the
    environment and is never written down."""

    model: str = Field(default="gpt-4o-mini", min_length=1)
    base_url: str = ""
    """Where the endpoint is; empty takes the environment's `OPENAI_BASE_URL`, else OpenAI's."""
    instruction: str = ""
    """What the judge is told to look for; empty takes the studio's own words."""
    concurrent: int = Field(default=8, ge=1, le=256)
    """How many questions may be under way at once."""
    seconds: float = Field(default=30.0, gt=0, le=600)
    """How long one answer may take."""

    @field_validator("base_url")
    @classmethod
    def _is_plain(cls, url: str) -> str:
        return plain_address(url) if url.strip() else ""


class RewardConfig(Settings):
    """How a completion is turned into one number; see `core.reward.formula` for the formula."""

    preset: str = "robust"
    """The name of the preset that this was made from: built in or saved by the user."""
    weights: dict[str, float]
    parser: Parser
    fluency: Fluency
    invalid_reward: float = Field(default=-1.0, ge=-1, le=1)
    similarity_model: str = EMBEDDED_SIMILARITY
    fluency_model: str = EMBEDDED_POLICY
    custom: tuple[CustomReward, ...] = ()
    judge: JudgeConfig | None = None

    @property
    def components(self) -> tuple[str, ...]:
        """Every component there is, in the order in which they are shown: built in, custom, the judge."""
        return (*COMPONENTS, *(reward.name for reward in self.custom), *((JUDGE,) if self.judge else ()))

    @property
    def weight_vector(self) -> tuple[float, ...]:
        """The weight of each of `components`; 0 where none is given."""
        return tuple(self.weights.get(name, 0.0) for name in self.components)

    @model_validator(mode="after")
    def _weighs_known_components(self) -> Self:
        if len(set(self.components)) < len(self.components):
            raise ValueError("a custom reward is named twice; name each once")
        unknown = [name for name in self.weights if name not in self.components]
        if unknown:
            raise ValueError(f"there is no component {unknown[0]!r}; the components are {', '.join(self.components)}")
        if not any(self.weights.values()):
            raise ValueError("at least one weight must differ from zero, or every completion earns the same")
        return self


class RunConfig(Settings):
    """Everything a training run needs to know."""

    name: str = Field(default="", max_length=120)
    model: str = EMBEDDED_POLICY
    """An embedded name, a local directory, or a Hugging Face id."""
    data: DataConfig = DataConfig()
    prompt: PromptConfig
    reward: RewardConfig
    train: TrainConfig
    adapter: AdapterConfig = AdapterConfig()


def parse_config(values: Mapping[str, Any]) -> RunConfig:
    """Check `values` and return the run they describe.

    Raises:
        ConfigError: names every field that is wrong, its value and the rule.
    """
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(validation_sentence(error)) from error


def read_config(path: Path) -> RunConfig:
    """Read a run's configuration from a JSON file."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"There is no configuration file {path}. Check the path.") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path} is not valid JSON ({error}). Correct it and try again.") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds a {type(values).__name__}, but a configuration is a JSON object.")
    return parse_config(values)


def with_changes(config: RunConfig, changes: Mapping[str, Any]) -> RunConfig:
    """A copy of `config` with some fields replaced, checked again; keys are dotted paths such as `train.steps`."""
    return parse_config(replace_fields(config.model_dump(), changes))


def replace_fields(values: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with the fields at these dotted paths replaced in place.

    Raises:
        ConfigError: a path leads nowhere.

    >>> replace_fields({"train": {"steps": 1}}, {"train.steps": 2})
    {'train': {'steps': 2}}
    """
    for path, value in changes.items():
        *parents, leaf = path.split(".")
        target = values
        for parent in parents:
            inner = target.get(parent)
            if not isinstance(inner, dict):
                raise ConfigError(f"There is no setting {path}: {parent} has no parts. Correct its name.")
            target = inner
        target[leaf] = value
    return values


def validation_sentence(error: ValidationError) -> str:
    """One sentence a field: "train.num_generations is 1: should be greater than or equal to 2"."""
    parts = []
    for problem in error.errors():
        field = ".".join(str(part) for part in problem["loc"]) or "the configuration"
        rule = _HIDE.sub(lambda m: "should be" if m[0].startswith("Input") else "", problem["msg"])
        hidden = bool(_NEVER_SHOWN.intersection(problem["loc"][-1:]))
        if problem["type"] == "missing":
            parts.append(f"{field} is missing")
        elif problem["type"] == "extra_forbidden":
            parts.append(f"{field} is not a known setting; remove it or correct its name")
        elif hidden or (problem["type"] == "value_error" and isinstance(problem["input"], dict)):
            parts.append(f"{field}: {rule}")
        else:
            parts.append(f"{field} is {problem['input']!r}: {rule}")
    return "Please correct the settings. " + "; ".join(parts) + "."
