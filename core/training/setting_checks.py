"""Whether the settings of a run go together and exist in the installed TRL, wherever it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from core.config import RunConfig
from core.machine import Machine
from core.training import options
from core.training.advice import Finding, Mend
from core.training.fields import label
from core.training.model_shape import ModelShape
from core.training.options import Choice
from core.training.parts import divisors

_TOKEN_SUMS = ("bnpo", "dr_grpo", "dapo", "cispo")
"""Losses that sum over tokens, so that a ratio of whole completions would be weighed by their length."""
_WANTS_EVALUATION = ("reduce_lr_on_plateau", "greedy")
_WANTS_ARGUMENTS = {
    "cosine_with_min_lr": '{"min_lr_rate": 0.1}',
    "cosine_warmup_with_min_lr": '{"min_lr_rate": 0.1}',
    "warmup_stable_decay": '{"num_decay_steps": 10}',
}
"""Schedules that cannot do without `lr_scheduler_kwargs`, with some."""


def findings(config: RunConfig, shape: ModelShape | None) -> list[Finding]:
    """What is wrong or unwise in the settings; the shape tells the names of the model's layers, where it is known."""
    return [
        *_choices(config),
        *_schedule(config),
        *_levels(config),
        *_parts(config),
        *_layers(config, shape),
        *_truncation(config),
        *_trackers(config),
    ]


def stop(name: str, message: str, *mends: Mend) -> Finding:
    """A reason why a run cannot start."""
    return Finding(name, "stop", message, mends)


def warning(name: str, message: str, *mends: Mend) -> Finding:
    """Something unwise."""
    return Finding(name, "warning", message, mends)


def lacks(machine: Machine, package: str, what: str) -> str:
    """Why something that needs a GPU and a package cannot be done here; empty when it can."""
    if not machine.gpus:
        return f"{what} needs an NVIDIA GPU and this machine has none."
    if not machine.has_cuda:
        return f"{what} needs a GPU and PyTorch is installed for processors only. Run make install on this machine."
    if machine.packages.get(package) is None:
        return f"{what} needs the Python package {package}, which is not installed. Run make install on this machine."
    return ""


def unknown(path: str, asked: str, choices: Sequence[Choice], mend: Mend) -> Finding:
    """A name that the installed TRL does not know, with those that it does."""
    names = ", ".join(choice.name for choice in choices)
    return stop(path, f"{label(path)}: the installed TRL does not know {asked!r}. It knows {names}.", mend)


def _choices(config: RunConfig) -> Iterable[Finding]:
    offered: dict[str, tuple[str, Callable[[], tuple[Choice, ...]]]] = {
        "train.loss_type": (config.train.loss_type, options.loss_types),
        "train.importance_sampling_level": (
            config.train.importance_sampling_level,
            options.importance_sampling_levels,
        ),
        "train.lr_schedule": (config.train.lr_schedule, options.schedules),
        "train.scale_rewards": (config.train.scale_rewards, options.reward_scalings),
        "train.multi_objective_aggregation": (config.train.multi_objective_aggregation, options.aggregations),
    }
    for path, (asked, choices) in offered.items():
        if asked not in [choice.name for choice in choices()]:
            first = choices()[0].name
            yield unknown(path, asked, choices(), Mend(first, {path: first}))


def _schedule(config: RunConfig) -> Iterable[Finding]:
    asked, further = config.train.lr_schedule, config.train.trl
    cosine = Mend("cosine", {"train.lr_schedule": "cosine"})
    if asked in _WANTS_EVALUATION:
        message = (
            f"The schedule {asked} follows a value that TRL measures on its own, and runs here measure none that way."
        )
        yield stop("schedule", message, cosine)
    elif asked in _WANTS_ARGUMENTS and "lr_scheduler_kwargs" not in further:
        arguments = _WANTS_ARGUMENTS[asked]
        yield stop(
            "schedule",
            f"The schedule {asked} needs to be told more under further TRL fields, as lr_scheduler_kwargs.",
            Mend(f"With {arguments}", {"train.trl": {**further, "lr_scheduler_kwargs": arguments}}),
            cosine,
        )
    elif asked == "constant" and config.train.warmup:
        yield warning(
            "schedule",
            "The schedule constant has no warm-up, so the warm-up does nothing.",
            Mend("constant_with_warmup", {"train.lr_schedule": "constant_with_warmup"}),
        )


def _levels(config: RunConfig) -> Iterable[Finding]:
    """TRL's own warnings about losses and importance sampling, see `GRPOTrainer.__init__`."""
    loss, level = config.train.loss_type, config.train.importance_sampling_level
    to_token = Mend("Over tokens", {"train.importance_sampling_level": "token"})
    to_sequence = Mend("Over the sequence", {"train.importance_sampling_level": "sequence"})
    if loss == "luspo" and level != "sequence":
        yield warning(
            "sampling level", "The loss luspo is meant for importance sampling over the sequence.", to_sequence
        )
    elif loss == "vespo" and level != "token":
        yield warning("sampling level", "The loss vespo takes whole completions into account itself.", to_token)
    elif level == "sequence" and loss in _TOKEN_SUMS:
        yield warning(
            "sampling level",
            f"With importance sampling over the sequence, the loss {loss} lets long completions count more.",
            Mend("Loss grpo", {"train.loss_type": "grpo"}),
            to_token,
        )


def _parts(config: RunConfig) -> Iterable[Finding]:
    rows, asked = config.train.completions_per_process, config.train.gradient_accumulation
    if asked is None or rows < 1 or rows % asked == 0:
        return
    nearest = max(part for part in divisors(rows) if part <= asked)
    whose = "A step" if config.train.processes == 1 else "Each training process"
    yield stop(
        "parts of a step",
        f"{whose} has {rows} completions, which {asked} parts do not divide evenly.",
        Mend(f"{nearest} parts", {"train.gradient_accumulation": nearest}),
        Mend("Let the studio choose", {"train.gradient_accumulation": None}),
    )


def _layers(config: RunConfig, shape: ModelShape | None) -> Iterable[Finding]:
    asked = config.adapter.target_modules
    if shape is None or not shape.linear:
        known = asked  # nothing tells the model's layers before it is loaded
    else:
        known = tuple(name for name in asked if name.rpartition(".")[2] in shape.linear)
    if asked and len(known) == len(asked):
        return
    offered = tuple(shape.linear) if shape else ()
    missing = ", ".join(name for name in asked if name not in known) or "none"
    yield stop(
        "trained layers",
        f"Trained layers: {missing} of this model. It has {', '.join(offered) or 'no layers that are known here'}."
        if asked
        else "No layer is trained. Choose at least one.",
        *([Mend("All its linear layers", {"adapter.target_modules": offered})] if offered else []),
    )


def _truncation(config: RunConfig) -> Iterable[Finding]:
    if config.train.mask_truncated_completions and config.train.max_completion_length < 32:
        yield warning(
            "truncation",
            f"Nearly every completion is cut off after {config.train.max_completion_length} tokens, and those that are "
            "cut off are left out of the loss: hardly anything would be learned.",
            Mend("Let them count", {"train.mask_truncated_completions": False}),
            Mend("Max completion length 128", {"train.max_completion_length": 128}),
        )


def _trackers(config: RunConfig) -> Iterable[Finding]:
    known = {choice.name: choice for choice in options.trackers()}
    for name in config.train.trackers:
        rest = tuple(other for other in config.train.trackers if other != name)
        mend = Mend(f"Without {name}", {"train.trackers": rest})
        if name not in known:
            yield unknown("train.trackers", name, options.installed(options.trackers()), mend)
        elif known[name].package:
            message = f"Reporting to {name} needs the Python package {known[name].package}, which is not installed."
            yield stop(f"tracker {name}", message, mend)
