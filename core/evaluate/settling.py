"""What is written into an evaluation's request when it is made, so that no later change around it changes its sense."""

from __future__ import annotations

import os
from collections.abc import Mapping

from core.compare.comparison import ComparisonRequest
from core.config import DataConfig
from core.endpoints import own_address
from core.errors import StudioError
from core.evaluate.request import EvaluationRequest, make_evaluation_request
from core.paths import Home
from core.runs.run import find_run


def settled(
    home: Home, request: EvaluationRequest, asked: ComparisonRequest, environment: Mapping[str, str] = os.environ
) -> EvaluationRequest:
    """The request with the address of each judge, and the candidates that were trained on other data than is asked of.

    An empty address is that of the environment now: were it looked up at every start, two endpoints could pass for one
    judge.

    Raises:
        ConfigError: the environment's address is none, or two judges are one.
    """
    judges = [{**dict(judge), "base_url": judge.base_url or own_address(environment)} for judge in request.judges]
    elsewhere = trained_elsewhere(home, asked)
    return make_evaluation_request(**{**dict(request), "judges": judges, "trained_elsewhere": elsewhere})


def trained_elsewhere(home: Home, asked: ComparisonRequest) -> tuple[int, ...]:
    """The places of candidates whose run has other data than the run that the questions are of.

    A run that cannot be read is passed over: nothing is known of its data.
    """
    data = {run: _data_of(home, run) for run in {asked.run, *(one.run for one in asked.candidates)} if run}
    of_questions = data.get(asked.run)
    known = [(place, data.get(candidate.run)) for place, candidate in enumerate(asked.candidates)]
    return tuple(place for place, found in known if found and of_questions and not _is_same(found, of_questions))


def _data_of(home: Home, run: str) -> DataConfig | None:
    try:
        return find_run(home, run).config().data
    except StudioError:
        return None


def _is_same(one: DataConfig, other: DataConfig) -> bool:
    """Whether both are the same rows: by what they hold where both say it, else by where they are."""
    if one.fingerprint and other.fingerprint:
        return one.fingerprint == other.fingerprint
    return one.path == other.path
