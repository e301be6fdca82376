"""Probabilities of the next token, as far as two programs can be held against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

KEPT = 1024
"""How many of the likeliest tokens are kept: llama.cpp tells them as text, and a whole vocabulary takes megabytes."""

_LEAST = 1e-7
"""The least probability that is told from none, in numbers of 32 bits."""


@dataclass(frozen=True)
class Likeliest:
    """The likeliest next tokens at one place.

    Attributes:
        ids: of the tokens, the likeliest first, shape (at most KEPT,).
        logprobs: the natural logarithms of their probabilities, which are those among the whole vocabulary.
    """

    ids: NDArray[np.int32]
    logprobs: NDArray[np.float32]

    @property
    def choice(self) -> int:
        """The most likely token."""
        return int(self.ids[0])

    @property
    def meaningful(self) -> bool:
        """Whether these are probabilities; broken weights give none."""
        return len(self.ids) > 0 and not bool(np.isnan(self.logprobs).any())


def likeliest(logits: Tensor) -> list[Likeliest]:
    """The likeliest next tokens of each row of `logits`, shape (rows, vocabulary)."""
    found = torch.log_softmax(logits.float(), -1).topk(min(KEPT, logits.size(-1)), -1)
    ids, logprobs = found.indices.to(torch.int32).cpu().numpy(), found.values.cpu().numpy()
    return [Likeliest(*row) for row in zip(ids, logprobs, strict=True)]


def divergence(reference: Likeliest, other: Likeliest) -> float:
    """The Kullback-Leibler divergence of `reference` to `other`, in nats.

    Tokens that are not kept of both count as one token, so it is never more than the divergence over the whole
    vocabulary, and the same where the vocabulary has no more than KEPT tokens. Of what is no probability (not
    `meaningful`) it is not a number.
    """
    _, ours, theirs = np.intersect1d(reference.ids, other.ids, assume_unique=True, return_indices=True)
    p, q = _with_rest(reference.logprobs[ours]), _with_rest(other.logprobs[theirs])
    found = float((p * np.log(p / q)).sum())
    return 0.0 if found < 0.0 else found  # a little below zero by rounding alone


def _with_rest(logprobs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities, and last that of everything else."""
    kept = np.exp(logprobs.astype(np.float64))
    found: NDArray[np.float64] = np.maximum(np.append(kept, 1.0 - kept.sum()), _LEAST)
    return found


@dataclass(frozen=True)
class Compared:
    """How far two rows of distributions are apart; see `core.export.parity_report.FormParity`."""

    positions: int
    divergence: float | None
    divergence_max: float | None
    same_choice: float | None


def compare(reference: Sequence[Likeliest], other: Sequence[Likeliest]) -> Compared:
    """How far the distributions of a form are from the reference's at the same places."""
    pairs = list(zip(reference, other, strict=True))
    if not pairs:
        return Compared(0, None, None, None)
    found = [divergence(ours, theirs) for ours, theirs in pairs]
    same = np.mean([ours.choice == theirs.choice for ours, theirs in pairs])
    return Compared(len(pairs), float(np.mean(found)), max(found), float(same))
