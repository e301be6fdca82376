"""Writes completions: the policy's answers to prompts, token by token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import DynamicCache, GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase, TopPLogitsWarper
from trl.trainer.utils import pad

from core.engine.shared_prompt import continue_prompts, positions, read_prompts, supports_shared_prompt


class Progress(Protocol):
    """Is told what a step is busy with."""

    def phase(self, name: str, done: int = 0, total: int = 0) -> None:
        """`name` is one of loading, generating, scoring, updating; `done` of `total` counts tokens where it can."""
        ...


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen.

    Attributes:
        max_new_tokens: where a completion is cut off.
        temperature: 0 takes the most likely token.
        top_p: only the most likely tokens that together have this probability can be chosen.
    """

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0

    def choose(self, logits: Tensor, heights: Tensor | None = None) -> Tensor:
        """One token for each row of `logits`, shape (rows, vocabulary); returns shape (rows,).

        Args:
            heights: the random numbers to choose by, between 0 and 1, shape (rows, 1); by default PyTorch's next ones.
        """
        if self.temperature == 0:
            return logits.argmax(-1)
        scores = logits.float() / self.temperature
        if self.top_p < 1:
            scores = TopPLogitsWarper(self.top_p)(None, scores)
        # The inverse of the cumulative distribution at a random height: one number a row. `torch.multinomial` draws one
        # for each token of the vocabulary, which is a tenth of the time of a token on a processor.
        sums = scores.softmax(-1).cumsum(-1)
        drawn = torch.rand(len(sums), 1, device=sums.device) if heights is None else heights
        return torch.searchsorted(sums, drawn * sums[:, -1:], right=True).squeeze(-1).clamp(max=sums.size(-1) - 1)


@torch.no_grad()
def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt_ids: Sequence[Sequence[int]],
    sampling: Sampling,
    progress: Progress | None = None,
) -> list[list[int]]:
    """Write one completion for each prompt; equal prompts are read once where the model allows it.

    Returns:
        Token ids of each completion, up to and including the first end token.
    """
    rows = [torch.tensor(ids) for ids in prompt_ids]
    ids = pad(rows, padding_value=tokenizer.pad_token_id, padding_side="left").to(model.device)  # (B, P)
    mask = pad([torch.ones_like(row) for row in rows], padding_value=0, padding_side="left").to(model.device)
    write = _write_shared if supports_shared_prompt(model) else _write_plain
    training = model.training
    model.eval()
    try:
        written = write(model, tokenizer, ids, mask, sampling, progress)
    finally:
        model.train(training)
    return [_until_end(row, tokenizer.eos_token_id) for row in written.tolist()]


def _write_shared(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    ids: Tensor,
    mask: Tensor,
    sampling: Sampling,
    progress: Progress | None,
) -> Tensor:
    """All rows side by side behind their shared prompts, until each has ended; shape (B, at most max_new_tokens)."""
    prompt = read_prompts(model, ids, mask)
    cache = DynamicCache(config=model.config)
    token, position = ids[:, -1:], positions(mask)[:, -1:]
    written: list[Tensor] = []
    ended = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    while len(written) < sampling.max_new_tokens and not ended.all():
        logits = continue_prompts(model, prompt, token, position + len(written), cache)[:, -1]
        token = sampling.choose(logits)[:, None].masked_fill(ended[:, None], tokenizer.pad_token_id)
        ended = ended | (token[:, 0] == tokenizer.eos_token_id)
        written.append(token)
        if progress is not None:
            progress.phase("generating", len(written), sampling.max_new_tokens)
    return torch.cat(written, dim=1)


def _write_plain(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    ids: Tensor,
    mask: Tensor,
    sampling: Sampling,
    progress: Progress | None,
) -> Tensor:
    """As transformers does it, for models whose prompts cannot be shared."""
    chosen = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
    config = GenerationConfig(
        max_new_tokens=sampling.max_new_tokens,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        repetition_penalty=1.0,  # what is left open is taken from the model's own settings
        **(chosen if sampling.temperature > 0 else {"do_sample": False}),
    )
    written: Tensor = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)[:, ids.size(1) :]
    return written


def _until_end(ids: list[int], end: int) -> list[int]:
    return ids[: ids.index(end) + 1] if end in ids else ids
