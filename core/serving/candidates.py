"""What can be asked for an answer: a model as it is, a run's adapter, a GGUF file, or a model behind an address.

A candidate has a text form, for the command line and for addresses of pages:

    model:NAME   run:ID   run:ID@best   run:ID@20   gguf:FILE   endpoint:URL#MODEL
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from core.access.permissions import allow, may
from core.addresses import plain_address
from core.config import EMBEDDED_POLICY
from core.endpoints import is_listed
from core.errors import ConfigError, ModelError, RunError, StudioError
from core.models import EMBEDDED, locate, prepared_folder
from core.paths import Home
from core.runs.labels import read_label
from core.runs.run import Run, find_run, list_runs
from core.runs.stamps import PerRun
from core.serving.adapter_files import CONFIG, Adapter, check_adapter
from core.settings_base import Settings

FINAL, BEST = "", "best"
"""Checkpoints of a run that are no step: the adapter it ended with, and the one that did best on validation."""

_GGUF_ENDING = ".gguf"
_FORMS = "model:NAME, run:ID, run:ID@best, run:ID@STEP, gguf:FILE or endpoint:URL#MODEL"


class Candidate(Settings):
    """Something that can be asked. `str(candidate)` is its text form."""

    kind: Literal["model", "adapter", "gguf", "endpoint"]
    model: str
    """The base model's name, folder or Hugging Face id; the GGUF file; or the name of the model at the address."""
    run: str = ""
    """The id of the run whose adapter it is."""
    checkpoint: str = FINAL
    """Which of the run's adapters: empty for the final one, `best`, or a step."""
    url: str = ""
    """The address of a remote model."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if not self.model:
            raise ValueError("a candidate must name a model")
        if bool(self.run) != (self.kind == "adapter") or bool(self.url) != (self.kind == "endpoint"):
            raise ValueError("an adapter has a run, an endpoint has an address, and nothing else has either")
        if self.checkpoint not in (FINAL, BEST) and not _is_step(self.checkpoint):
            raise ValueError("checkpoint must be empty, 'best' or a step")
        return self

    def __str__(self) -> str:
        if self.kind == "adapter":
            return f"run:{self.run}" + (f"@{self.checkpoint}" if self.checkpoint else "")
        return f"endpoint:{self.url}#{self.model}" if self.kind == "endpoint" else f"{self.kind}:{self.model}"


def parse_candidate(text: str, home: Home) -> Candidate:
    """The candidate that a text form names.

    Whoever may ask only what the studio offers is told nothing about other files and models, not even whether they are
    there.

    Raises:
        AccessDenied: it is not offered, and whoever acts now may ask nothing else.
        ConfigError: the text has none of the forms, or names no file or address.
        RunError: there is no such run.
        ModelError: there is no such model.
    """
    kind, _, rest = text.strip().partition(":")
    if kind == "run" and rest:
        run_id, sign, checkpoint = rest.partition("@")
        return adapter_candidate(find_run(home, run_id), checkpoint if sign else FINAL)
    if kind == "endpoint" and rest:
        remote = _endpoint_candidate(rest)
        allow_candidates(home, [remote])
        return remote
    if kind in ("model", "gguf") and rest and not may("compare.add"):
        return _offered_as(text.strip(), home)
    if kind == "model" and rest:
        return model_candidate(rest, home)
    if kind == "gguf" and rest:
        return _gguf_candidate(Path(rest))
    raise ConfigError(f"{text!r} names nothing that can be asked. Write it as {_FORMS}.")


def allow_candidates(home: Home, candidates: Iterable[Candidate]) -> None:
    """Go on only if whoever acts now may ask each of these candidates.

    Embedded models, what runs have made and were made from, and addresses that the environment lists are there for
    everybody. Any other folder, file, Hugging Face id or address is read, downloaded or asked with the studio's rights.

    Raises:
        AccessDenied: they may not ask one of them.
    """
    allow("compare.ask")
    there = cache(partial(offered, home))  # walks through all runs, so it is done once and only where it is needed
    if not may("compare.add") and not all(_for_everybody(home, candidate, there) for candidate in candidates):
        allow("compare.add")


def _for_everybody(home: Home, candidate: Candidate, there: Callable[[], Sequence[Candidate]]) -> bool:
    if candidate.kind == "endpoint":
        return is_listed(candidate.url)
    if candidate.kind == "adapter":
        try:
            return find_run(home, candidate.run).config().model == candidate.model
        except StudioError:  # gone or damaged
            return False
    return (candidate.kind == "model" and candidate.model in EMBEDDED) or candidate in there()


def _offered_as(text: str, home: Home) -> Candidate:
    """What is there for everybody under this text form; it need not be looked for on the disk.

    Raises:
        AccessDenied: nothing is.
    """
    kind, _, model = text.partition(":")
    named = Candidate(kind="gguf" if kind == "gguf" else "model", model=model)
    allow_candidates(home, [named])
    return named


def adapter_candidate(run: Run, checkpoint: str = FINAL) -> Candidate:
    """A run's adapter.

    Raises:
        ConfigError: the checkpoint is none, or the run's configuration cannot be read.
    """
    if checkpoint not in (FINAL, BEST) and not _is_step(checkpoint):
        raise ConfigError(
            f"{checkpoint!r} is no checkpoint of {run.id}. Name a step such as 20, 'best' for the adapter that did "
            "best on validation, or nothing for the final one."
        )
    return Candidate(kind="adapter", model=run.config().model, run=run.id, checkpoint=checkpoint)


def model_candidate(name: str, home: Home) -> Candidate:
    """A model as it is; a folder is named by its whole path, so that one folder is one candidate.

    Raises:
        ModelError: there is no such model.
    """
    return Candidate(kind="model", model=name if name in EMBEDDED else locate(name, home))


def candidates_of(run: Run) -> list[Candidate]:
    """What a run offers: its base model, the final adapter, the best one, and its checkpoints, the newest first.

    Raises:
        ConfigError: the run's configuration cannot be read.
    """
    return list(_kept_candidates(run))


def _candidates_of(run: Run) -> tuple[Candidate, ...]:
    model = run.config().model
    steps = [str(step) for step in reversed(run.checkpoint_steps())]
    there = [checkpoint for checkpoint in (FINAL, BEST, *steps) if (_folder(run, checkpoint) / CONFIG).is_file()]
    adapters = [Candidate(kind="adapter", model=model, run=run.id, checkpoint=checkpoint) for checkpoint in there]
    return Candidate(kind="model", model=model), *adapters


def _nothing_half_written(run: Run) -> bool:
    """Whether no adapter lacks what is written last: a folder does not tell when that comes to one in it."""
    return run.adapter.is_dir() == (run.adapter / CONFIG).is_file() and not run.half_written_checkpoints()


_kept_candidates = PerRun(_candidates_of, lambda run: run.checkpoints, _nothing_half_written)


def offered(home: Home) -> list[Candidate]:
    """All that is worth offering: base models of runs, their adapters, and what they have exported, the newest first.

    Archived runs and runs that cannot be read are left out.
    """
    found = [candidate for run in list_runs(home) for candidate in _offered_by(run)]
    if prepared_folder(EMBEDDED_POLICY, home) is not None:
        found.append(Candidate(kind="model", model=EMBEDDED_POLICY))
    return sorted(dict.fromkeys(found), key=lambda candidate: candidate.kind != "model")


def _offered_by(run: Run) -> Iterator[Candidate]:
    try:
        if not read_label(run).archived:
            yield from candidates_of(run)
            yield from _exported(run)
    except StudioError:  # a run that is damaged says so where it is looked at
        return


def _exported(run: Run) -> Iterator[Candidate]:
    """GGUF files and merged models in a run's `exports/`; names of what is just being written begin with a dot."""
    exports = run.folder / "exports"
    files = [file for file in sorted(exports.rglob("*.*")) if not _is_hidden(file.relative_to(exports))]
    for file in filter(is_gguf, files):
        yield Candidate(kind="gguf", model=str(file.resolve()))
    for file in files:
        if file.name == "config.json" and any(file.parent.glob("*.safetensors")):
            yield Candidate(kind="model", model=str(file.parent.resolve()))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def title(candidate: Candidate) -> str:
    """What people read, text as it is.

    >>> title(Candidate(kind="adapter", model="smollm2-135m-instruct", run="demo-1", checkpoint="20"))
    'demo-1, step 20'
    """
    if candidate.kind == "adapter":
        which = {FINAL: "final", BEST: "best on validation"}.get(candidate.checkpoint, f"step {candidate.checkpoint}")
        return f"{candidate.run}, {which}"
    if candidate.kind == "endpoint":
        return f"{candidate.model} at {candidate.url}"
    return Path(candidate.model).name if Path(candidate.model).is_absolute() else candidate.model


def is_gguf(model: str | Path) -> bool:
    """Whether a model is named by its GGUF file."""
    return Path(model).suffix.lower() == _GGUF_ENDING


def adapter_of(home: Home, candidate: Candidate) -> Adapter:
    """A run's adapter, with its files checked.

    Raises:
        RunError: the run is gone, or has no such adapter.
        ModelError: the adapter is damaged, or belongs to another base model than the run's.
    """
    run = find_run(home, candidate.run)
    folder = _folder(run, candidate.checkpoint)
    if not (folder / CONFIG).is_file():
        raise _no_adapter(run, candidate.checkpoint)
    return check_adapter(folder, f"The adapter {title(candidate)!r}", candidate.model, home)


def adapter_folder(home: Home, candidate: Candidate) -> Path:
    """Where the checked files of a run's adapter lie; raises as `adapter_of` does."""
    return adapter_of(home, candidate).folder


def _no_adapter(run: Run, checkpoint: str) -> RunError:
    if checkpoint == FINAL:
        return RunError(f"{run.id} has no trained adapter yet. Wait until it ends, or stop it: it then saves one.")
    if checkpoint == BEST:
        return RunError(
            f"{run.id} has kept no best adapter: it is chosen on validation questions, which this run has not answered "
            "yet. Choose its final adapter or a checkpoint."
        )
    steps = ", ".join(map(str, run.checkpoint_steps())) or "none"
    return RunError(f"{run.id} has no checkpoint of step {checkpoint}; those that are there: {steps}.")


def _folder(run: Run, checkpoint: str) -> Path:
    if checkpoint == FINAL:
        return run.adapter
    return run.best if checkpoint == BEST else run.checkpoints / f"checkpoint-{checkpoint}"


def _is_step(text: str) -> bool:
    return text.isascii() and text.isdecimal() and not text.startswith("0")


def _gguf_candidate(file: Path) -> Candidate:
    file = file.expanduser()
    if not is_gguf(file) or not file.is_file():
        raise ModelError(
            f"{str(file)!r} is no GGUF file: there must be a file there whose name ends in {_GGUF_ENDING}. Check the "
            "path."
        )
    return Candidate(kind="gguf", model=str(file.resolve()))


def _endpoint_candidate(rest: str) -> Candidate:
    url, _, model = rest.partition("#")
    try:
        address = plain_address(url)
    except ValueError as error:
        raise ConfigError(f"The address of the endpoint {error}.") from None
    if not model.strip():
        raise ConfigError("The endpoint's model has no name. Write it as endpoint:URL#MODEL.")
    return Candidate(kind="endpoint", model=model.strip(), url=address)
