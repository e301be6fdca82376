"""How the adapter, and forms made of safetensors, answer: by transformers, computed in 32 bits.

Merged weights are read as they were stored and then computed in 32 bits, so that what is measured is what was stored
and not how one machine rounds.
"""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from peft import PeftModel
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from core.engine.export.distributions import Likeliest, likeliest
from core.engine.export.parity_asked import EndToken, Question, Written
from core.engine.generation import Sampling, generate
from core.engine.policy import conversation_token_ids, explained
from core.errors import ModelError, OutOfMemory
from core.tokenizer_files import TOKENIZER, read_template

_GENERATION = "generation_config.json"
_BATCH = 8
"""Questions that are answered side by side."""
_ROOM = 1.2
"""How much more of a GPU's free memory a model may take than its weights, for keys, values and logits."""


@dataclass(frozen=True)
class TransformersForm:
    """A model in memory, and the tokenizer with the chat template of the folder that is handed on."""

    model: Any
    tokenizer: PreTrainedTokenizerBase
    folder: Path

    def prompt_ids(self, question: Question) -> list[int]:
        """What this form's own chat template and tokenizer make of a question."""
        return conversation_token_ids(self.tokenizer, question.conversation)

    def write(self, questions: Sequence[Question], most: int, told: Callable[[], None]) -> list[Written]:
        """See `core.engine.export.parity_asked.Answering`."""
        prompts = [self.prompt_ids(question) for question in questions]
        written: list[Written] = []
        for start in range(0, len(prompts), _BATCH):
            told()
            batch = prompts[start : start + _BATCH]
            found = generate(self.model, self.tokenizer, batch, Sampling(most), _Told(told))
            texts = self.tokenizer.batch_decode(found, skip_special_tokens=True)
            for prompt, ids, text in zip(batch, found, texts, strict=True):
                ended = bool(ids) and ids[-1] == self.tokenizer.eos_token_id
                written.append(Written(tuple(prompt), tuple(ids), text, ended))
        return written

    @torch.inference_mode()
    def distributions(self, prompt_ids: Sequence[int], ids: Sequence[int]) -> list[Likeliest]:
        """See `core.engine.export.parity_asked.Answering`; one row without padding, so nothing else moves it."""
        if not ids:
            return []
        row = torch.tensor([[*prompt_ids, *ids[:-1]]], device=self.model.device)
        return likeliest(self.model(input_ids=row, use_cache=False, logits_to_keep=len(ids)).logits[0])

    def end_token(self, end_text: str) -> EndToken:
        """See `core.engine.export.parity_asked.Answering`.

        Programs that load a folder stop at the tokens that its generation_config.json names, else at its tokenizer's.
        """
        own, file = str(self.tokenizer.eos_token), self.folder / _GENERATION
        told = json.loads(file.read_text(encoding="utf-8")).get("eos_token_id") if file.is_file() else None
        if told is not None:
            ids = told if isinstance(told, list) else [told]
            texts = [str(text) for text in self.tokenizer.convert_ids_to_tokens(ids)]
            own = own if own in texts else " ".join(texts)
        return EndToken(own, own == end_text, own == end_text)


@contextmanager
def opened(base: Path, adapter: Path | None, folder: Path, *, as_trained: bool = False) -> Iterator[TransformersForm]:
    """A model with its tokenizer for the length of a `with` block; its memory is freed afterwards.

    Args:
        base: the folder of the weights.
        adapter: the adapter that is put on them.
        folder: whose tokenizer, chat template and end token count.
        as_trained: read the tokenizer as training does; by default as those do who are handed the folder, with
            `AutoTokenizer`, which may make another one of the same files.

    Raises:
        ModelError: something cannot be loaded, or is missing.
        OutOfMemory: it does not fit into memory in 32 bits.
    """
    tokenizer = _tokenizer(folder, as_trained)
    _refuse_what_does_not_fit(base)
    with explained(folder.name, "causal language model"):
        # Of 4-bit weights this is the number format that they are computed in.
        model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, use_safetensors=True)
        if adapter is not None:
            model = PeftModel.from_pretrained(model, str(adapter))
    form = TransformersForm(_placed(model).eval(), tokenizer, folder)
    del model
    try:
        yield form
    finally:
        del form
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _tokenizer(folder: Path, as_trained: bool) -> PreTrainedTokenizerBase:
    """The tokenizer in a folder with its chat template."""
    source = read_template(folder)
    if source is None or not (folder / TOKENIZER).is_file():
        missing = TOKENIZER if source is not None else "chat template"
        raise ModelError(f"There is no {missing} in {folder.name}, so nobody knows what it reads. Export it again.")
    with explained(folder.name, "causal language model"):
        tokenizer: PreTrainedTokenizerBase = (
            PreTrainedTokenizerFast.from_pretrained(folder)
            if as_trained
            else AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        )
    if as_trained:
        tokenizer.chat_template = source
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _refuse_what_does_not_fit(folder: Path) -> None:
    """Linux gives memory that it does not have and kills whoever uses it, so this is reckoned beforehand."""
    needed, free = wide_bytes(folder), psutil.virtual_memory().available
    if needed > free:
        raise OutOfMemory(
            f"Its weights take {needed / 1e9:.1f} GB of memory in 32 bits, in which forms are compared, and "
            f"{free / 1e9:.1f} GB are free. Stop other model servers and runs, or use a machine with more memory."
        )


def wide_bytes(folder: Path) -> int:
    """What the weights in a folder take in 32 bits."""
    total = 0
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as weights:
            total += sum(4 * math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    return total


def _placed(model: Any) -> Any:
    """The model on a GPU where it has room there in 32 bits, else where it is."""
    if not torch.cuda.is_available() or model.device.type == "cuda":
        return model
    needed = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    return model.to("cuda") if needed * _ROOM < torch.cuda.mem_get_info()[0] else model


@dataclass(frozen=True)
class _Told:
    """Lets a check be stopped between two tokens."""

    told: Callable[[], None]

    def phase(self, name: str, done: int = 0, total: int = 0) -> None:
        self.told()
