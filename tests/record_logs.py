"""Trains the runs of `tests.recordings` with the studio's own code and keeps what matters of their logs.

    python -m tests.record_logs --home HOME [NAME ...]

HOME holds the prepared embedded models; nothing in it is changed. A recording takes ten seconds to three minutes on two
processor cores. Numbers differ a little between machines.
"""

from __future__ import annotations

import argparse
import contextlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.utils.rnn import pad_sequence
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from benchmarks import scratch_home
from core.config import RunConfig, with_changes
from core.datasets import TRAIN, Row, read_rows
from core.engine.training import train
from core.errors import Diverged
from core.json_lines import json_line
from core.paths import Home
from core.reward.custom_files import keep, sources, unhashed
from core.runs.events import Event, read_events
from core.runs.run import Run, create_run
from tests.recordings import LOGS, RECORDINGS, SYSTEM, TAUGHT, Recording
from tests.tiny import END, TEMPLATE

_KEPT = ("metrics", "validation", "weights")
_DIGITS = 5
_LESSONS, _BATCH = 250, 16
_IGNORED = -100
"""What the loss passes over."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("names", nargs="*", metavar="NAME", help="recordings; all by default")
    options = parser.parse_args()
    with scratch_home(Home.open(options.home)) as home:
        taught = teach(home.root / TAUGHT, home)
        for name in options.names or RECORDINGS:
            record(RECORDINGS[name], home, taught)
    (LOGS / "README.md").write_text(readme(), "utf-8")


def record(recording: Recording, home: Home, taught: Path) -> None:
    """Train one run and keep its log."""
    for name, expression in recording.rewards.items():
        (home.rewards / f"{name}.py").write_text(_source(expression), "utf-8")
    config = _with_model(recording, taught)
    rewards = sources(home.rewards, unhashed(config.reward))
    run = create_run(home, config)
    keep(rewards, run.rewards)
    with contextlib.suppress(Diverged):  # one of them is there to do so
        train(run, home)
    (LOGS / f"{recording.name}.jsonl").write_text(trimmed(run), "utf-8")


def trimmed(run: Run) -> str:
    """The lines of a run's log that the coach looks at, with numbers of five digits."""
    kept = [event for event in read_events(run.events) if event.kind in _KEPT]
    return "".join(json_line(_line(event)) + "\n" for event in kept)


def readme() -> str:
    """How each log was obtained."""
    lines = [f"- `{recording.name}.jsonl`: {recording.note}." for recording in RECORDINGS.values()]
    return (
        "# Logs of real training runs\n\n"
        "Each file holds the metrics, validations and weights of one training run, with numbers of five digits: what\n"
        "the coach looks at. `python -m tests.record_logs` trains them with the studio's own code on a CPU; their\n"
        "settings stand in `tests/recordings.py`. Runs named `demo` and `control` train the embedded model, the\n"
        "others a tiny one that was taught the tags first. The logs of the three demos are those of runs in the\n"
        "studio that were stopped by hand, before some of the numbers were measured.\n\n" + "\n".join(lines) + "\n"
    )


def _line(event: Event) -> dict[str, Any]:
    return {"time": event.time, "kind": event.kind, "step": event.step, **_short(event.data)}


def _short(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _short(item) for name, item in value.items()}
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) and math.isfinite(value) else value


def _source(expression: str) -> str:
    return f'def reward(completions, model_answer, **kwargs):\n    """A recorded one."""\n    return {expression}\n'


def _with_model(recording: Recording, taught: Path) -> RunConfig:
    config, changes = recording.config, {"train.steps": recording.steps}
    if config.model == TAUGHT:
        changes |= {"model": str(taught), "reward.fluency_model": str(taught)}
    return with_changes(config, changes)


def teach(folder: Path, home: Home) -> Path:
    """Train a small language model on questions of the sample until it mostly writes both tag pairs, and nonsense."""
    rows = [row for row in read_rows(RECORDINGS["pulled"].config.data, home) if row.split == TRAIN]
    tokenizer = _tokenizer([f"{row.question} {_lesson(row)}" for row in rows])
    lessons = [_tokens(tokenizer, row) for row in rows]
    torch.manual_seed(0)
    model = _model(len(tokenizer))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(_LESSONS):
        chosen = [lessons[index] for index in torch.randint(len(lessons), (_BATCH,)).tolist()]
        ids = pad_sequence([prompt_and_answer for prompt_and_answer, _ in chosen], True, 1)
        labels = pad_sequence([label for _, label in chosen], True, _IGNORED)
        optimizer.zero_grad()
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _lesson(row: Row) -> str:
    words = row.answer.split()
    return f"<reasoning>{' '.join(words[-7:])}</reasoning><answer>{' '.join(words[:9])}</answer>"


def _tokens(tokenizer: PreTrainedTokenizerFast, row: Row) -> tuple[torch.Tensor, torch.Tensor]:
    """A conversation's tokens, and the same with the prompt hidden from the loss."""
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": row.question}]
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
    answer = tokenizer(_lesson(row) + END, add_special_tokens=False)["input_ids"]
    return torch.tensor(prompt + answer), torch.tensor([_IGNORED] * len(prompt) + answer)


def _tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|im_start|>", END]
    raw.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=1500, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token=special[0], eos_token=END, pad_token=END, clean_up_tokenization_spaces=False
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def _model(vocabulary: int) -> LlamaForCausalLM:
    """Two layers of width 96."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=96,
            intermediate_size=192,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        )
    )


if __name__ == "__main__":
    main()
