"""Fits the weights of a reward to what raters prefer, and says how well they foretell it where they were not fitted.

Only the direction of the weights follows from votes, so they are given the size that the present ones have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError

from core.config import RewardConfig, validation_sentence
from core.errors import ConfigError
from core.jobs.tasks import Tell, silent
from core.lab.board import Board
from core.lab.boards import load_board
from core.lab.bradley_terry import FLAT, OUTER_FOLDS, JudgedPairs, agrees, fitted_weights, held_out_agreement
from core.lab.fit_interval import compared
from core.lab.fit_result import Fit
from core.lab.rater_agreement import kappas
from core.lab.vote_files import Vote, rater_name
from core.lab.votes import raters as known_raters
from core.lab.votes import votes as kept_votes
from core.lab.votes import votes_on
from core.paths import Home
from core.reward.formula import Floats, combine

FEWEST_PAIRS = 20
"""Below this the 95 % interval of a share spans more than 0.4 (binomial, near one half): no weight could be trusted."""
FEWEST_GROUPS = 5
"""Agreement is measured on groups that were left out, and its interval resamples groups; fewer give neither."""


def fit(board: Board, config: RewardConfig, votes: Sequence[Vote], seed: int = 0, tell: Tell = silent) -> Fit:
    """The weights under which the reward best agrees with `votes`, and how well it agrees on groups left out.

    Args:
        board: the completions that were judged, measured for every component of `config`.
        config: the present reward; its weights are compared with the fitted ones and give those their size.
        votes: by one rater or several; of two by one rater on the same completions the later counts.
        seed: of the folds and the bootstrap.

    Raises:
        DataError: a component has not been measured on the board.
    """
    components = board.components(config)
    votes = list({(vote.rater, vote.pair): vote for vote in votes}.values())
    pairs = _informative(board, components, votes)
    decided = ~pairs.ties
    known = Fit(
        current_weights=dict(zip(config.components, config.weight_vector, strict=True)),
        pairs=int(decided.sum()),
        ties=int(pairs.ties.sum()),
        groups=len(np.unique(pairs.groups[decided])),
        invalid=pairs.invalid,
        alike=pairs.alike,
        gone=pairs.gone,
        enough=False,
        kappa=kappas(votes),
    )
    reason = _too_few(known)
    if reason:
        return known.model_copy(update={"reason": reason})
    size = float(np.abs(config.weight_vector).sum())
    tell("fitting", 0, OUTER_FOLDS)
    weights = fitted_weights(pairs, np.ones(len(decided), dtype=bool), size, seed)
    if not weights.any():
        return known.model_copy(update={"reason": "The votes favour no component over another, so no weight follows."})
    fitted = held_out_agreement(pairs, board, components, config, size, seed, tell)[decided]
    current = agrees(pairs, combine(components, config.weight_vector, board.valid, config.invalid_reward))[decided]
    flat = np.abs(pairs.differences).max(axis=0) < FLAT
    return known.model_copy(
        update={
            "enough": True,
            "weights": dict(zip(config.components, map(float, weights.round(6)), strict=True)),
            "constant": tuple(name for name, same in zip(config.components, flat, strict=True) if same),
            **compared(fitted, current, pairs.groups[decided], seed),
        }
    )


def fit_task(home: Home, arguments: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """The task `fit`: `board` is an id, `reward` a `RewardConfig`, `raters` names or None for all; returns a `Fit`.

    Raises:
        ConfigError: the configuration is wrong, or there are no votes by one of the raters.
        DataError: there is no such board, or a component has not been measured on it.
    """
    try:
        config = RewardConfig.model_validate(arguments["reward"])
    except ValidationError as error:
        raise ConfigError(validation_sentence(error)) from error
    chosen = arguments.get("raters")
    tell("reading", 0, 0)
    found = [v for name in _distinct(chosen) for v in _votes_of(home, name)] if chosen else kept_votes(home)
    board = load_board(home, arguments["board"])
    there = {placed.vote for placed in votes_on(board, found)}
    asked = [v for v in found if v in there or v.board == arguments["board"]]  # the latter alone are gone from it
    return fit(board, config, asked, int(arguments.get("seed", 0)), tell).model_dump(mode="json")


def _distinct(names: Sequence[str]) -> list[str]:
    return list({rater_name(name).casefold(): name for name in names}.values())


def _votes_of(home: Home, rater: str) -> list[Vote]:
    found = kept_votes(home, rater)
    if not found:
        everybody = ", ".join(known_raters(home)) or "nobody yet"
        raise ConfigError(f"There are no votes by {rater_name(rater)!r}. Votes have been given by: {everybody}.")
    return found


def _informative(board: Board, components: Floats, votes: Sequence[Vote]) -> JudgedPairs:
    """The votes that say something about weights, and how many were left out."""
    here = votes_on(board, votes)
    winners = np.array([placed.winner for placed in here], dtype=np.intp)
    losers = np.array([placed.loser for placed in here], dtype=np.intp)
    differences = components[winners] - components[losers]
    valid = board.valid[winners] & board.valid[losers]
    differs = (np.abs(differences) >= FLAT).any(axis=1)
    used = valid & differs
    return JudgedPairs(
        winners=winners[used],
        losers=losers[used],
        ties=np.array([placed.vote.tie for placed in here], dtype=bool)[used],
        groups=board.index[winners[used]],
        differences=differences[used],
        invalid=int((~valid).sum()),
        alike=int((valid & ~differs).sum()),
        gone=len(votes) - len(here),
    )


def _too_few(known: Fit) -> str:
    """Why there can be no fit; empty when there can."""
    if known.pairs < FEWEST_PAIRS:
        return (
            f"Judgements that say something about weights: {known.pairs}. A fit needs {FEWEST_PAIRS} or more; judge at "
            f"least {FEWEST_PAIRS - known.pairs} more."
        )
    if known.groups < FEWEST_GROUPS:
        return (
            f"Prompts with such judgements: {known.groups}. A fit needs {FEWEST_GROUPS} or more, since it is tested on "
            "prompts that it has not seen; judge completions of other prompts."
        )
    return ""
