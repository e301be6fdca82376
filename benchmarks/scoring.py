"""Scoring 256 completions in calls of 8, as a trainer does, against the published notebook's way of doing it.

Both compute the notebook's reward of the bundled completions, with the same models in float32 on the same device:
similarity of every answer with its reference, the loss of the references in one padded batch for each call, tags. The
notebook loads the similarity model inside its reward function, so in every call, keeps the texts in their order and
remembers nothing. The studio loads each model once and keeps every score, and it sees that all completions of a prompt
have one reference, so that the notebook's fluency is one half for them whatever the language model says. How it would
do if it computed that loss is told as well. The repeat, all from the cache, is that of the recommended reward.

Three more figures are about the loss of 64 answers: by length in small batches, one by one, in one padded batch.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer, util
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.config import EMBEDDED_POLICY, EMBEDDED_SIMILARITY, Tags
from core.engine.device import choose_compute
from core.engine.scorers import CausalLanguageModel, in_length_order, load_similarity
from core.lab.boards import bundled_completions
from core.models import locate
from core.paths import Home
from core.reward.formula import PRESETS, Floats
from core.reward.parsing import parse
from core.reward.score_cache import ScoreCache
from core.reward.scoring import Sample, Scorer, SimilarityModel, judged_texts
from core.reward.text_measures import notebook_fluency, tag_score

COMPLETIONS = 256
CALL = 8
"""Completions of one prompt; the batch over which the notebook takes one mean loss, too."""
NEEDED = {"cpu": 5, "cuda": 10}
"""How many times faster than the notebook's way the studio has to be."""
REPEAT = 100
"""How many times faster again when everything is in the cache."""
TOLERANCE = 1e-4

Call = list[Sample]


def measure(home: Home, completions: int = COMPLETIONS) -> dict[str, Any]:
    """Seconds of both ways and of a repeat, and how far their scores lie apart."""
    device = choose_compute().device
    calls = _calls(completions)
    language = CausalLanguageModel.load(EMBEDDED_POLICY, home, device, torch.float32)
    notebook = _Notebook(home, device)
    start = time.perf_counter()
    similarity = load_similarity(EMBEDDED_SIMILARITY, home, device)
    load_seconds = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        studio = Scorer(PRESETS["notebook"], Tags(), similarity, language, ScoreCache(Path(folder) / "scores.sqlite"))
        _warm_up(notebook, studio)
        ways = [notebook.score, _components(studio), _loss_of_reference(language)]
        (theirs, notebook_seconds), (ours, seconds), (_, loss_seconds) = _timed(ways, calls)
        studio.close()
    repeat = _repeat(similarity, language, calls)
    apart = max(float(np.abs(ours - theirs).max()), _losses_apart(notebook, language, calls))
    ratio = notebook_seconds / seconds
    return {
        "completions": completions,
        "device": device.type,
        "seconds": {
            "notebook": round(notebook_seconds, 3),
            "studio": round(seconds, 3),
            "studio_loads_similarity_once": round(load_seconds, 3),
            "losses_of_references": round(loss_seconds, 3),
        },
        "notebook_over_studio": round(ratio, 1),
        "notebook_over_studio_with_loading": round(notebook_seconds / (seconds + load_seconds), 1),
        "notebook_over_studio_with_losses": round(notebook_seconds / (seconds + loss_seconds), 1),
        "largest_difference": apart,
        "robust": repeat,
        "loss_of_answers": _loss_of_answers(language, [s.completion for call in calls for s in call][: 8 * CALL]),
        "met": {
            f"at least {NEEDED[device.type]} times faster than the notebook's way": ratio >= NEEDED[device.type],
            f"a repeat at least {REPEAT} times faster again": repeat["first_over_repeat"] >= REPEAT,
            f"scores equal to {TOLERANCE:g}": apart <= TOLERANCE,
        },
    }


def _repeat(similarity: SimilarityModel, language: CausalLanguageModel, calls: Sequence[Call]) -> dict[str, Any]:
    """Seconds of the recommended reward in calls of eight, and of scoring all again from the cache."""
    with tempfile.TemporaryDirectory() as folder:
        scorer = Scorer(PRESETS["robust"], Tags(), similarity, language, ScoreCache(Path(folder) / "scores.sqlite"))
        ((first, seconds),) = _timed([_components(scorer)], calls)
        ((again, repeat_seconds),) = _timed([_components(scorer)], [[sample for call in calls for sample in call]])
        scorer.close()
    assert (first == again).all()
    return {
        "first_seconds": round(seconds, 3),
        "repeat_seconds": round(repeat_seconds, 4),
        "first_over_repeat": round(seconds / repeat_seconds, 1),
    }


class _Notebook:
    """The published notebook's three reward functions, a call of each for the completions of one prompt."""

    def __init__(self, home: Home, device: torch.device) -> None:
        self._similarity = locate(EMBEDDED_SIMILARITY, home)
        place = locate(EMBEDDED_POLICY, home)
        self._device = device
        self._language = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32).to(device).eval()
        self._tokenizer = AutoTokenizer.from_pretrained(place)

    def score(self, call: Call) -> Floats:
        """Scores of a call's completions, shape (completions, 3)."""
        parsed = [parse(sample.completion, Tags()) for sample in call]
        fluency = notebook_fluency([self.loss([sample.reference for sample in call])] * len(call))
        tags = [tag_score(part, "lenient") for part in parsed]
        return np.column_stack([self._similarities(judged_texts(parsed), call), fluency, tags])

    def _similarities(self, answers: Sequence[str], call: Call) -> list[float]:
        model = SentenceTransformer(self._similarity, device=str(self._device))
        vectors = [model.encode(answers, convert_to_tensor=True, show_progress_bar=False)]
        references = [sample.reference for sample in call]
        vectors.append(model.encode(references, convert_to_tensor=True, show_progress_bar=False))
        found: list[float] = util.pairwise_cos_sim(*vectors).tolist()
        return found

    @torch.inference_mode()
    def loss(self, texts: Sequence[str]) -> float:
        """One mean loss over the tokens of all texts, padded to the longest."""
        started = [f"{self._tokenizer.bos_token}{text}" for text in texts]
        batch = self._tokenizer(started, return_tensors="pt", padding=True, padding_side="right").to(self._device)
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        return float(self._language(**batch, labels=labels).loss)


def _losses_apart(notebook: _Notebook, language: CausalLanguageModel, calls: Sequence[Call]) -> float:
    """How far the loss of each call's reference lies apart; the notebook's fluency shows nothing of it."""
    references = [call[0].reference for call in calls]
    theirs = [notebook.loss([sample.reference for sample in call]) for call in calls]
    return float(np.abs(np.array(theirs) - np.array(language.mean_loss(references))).max())


def _warm_up(notebook: _Notebook, studio: Scorer) -> None:
    """One call of each on texts of its own: neither pays for the device's first steps."""
    call = [Sample("What is this?", "A warm-up.", f"<answer>Warm {n}</answer>", "warm-up") for n in range(CALL)]
    notebook.score(call)
    studio.score(call)


def _components(scorer: Scorer) -> Callable[[Call], Floats]:
    return lambda call: scorer.score(call).components


def _loss_of_reference(language: CausalLanguageModel) -> Callable[[Call], Floats]:
    """What the studio does not compute, because it follows that it makes no difference."""
    return lambda call: np.array(language.mean_loss([call[0].reference]))


def _timed(ways: Sequence[Callable[[Call], Floats]], calls: Sequence[Call]) -> list[tuple[Floats, float]]:
    """The scores of each way and its seconds; the ways take turns, so that a busy moment slows down all of them."""
    found: list[list[Floats]] = [[] for _ in ways]
    seconds = [0.0] * len(ways)
    for call in calls:
        for number, way in enumerate(ways):
            start = time.perf_counter()
            found[number].append(way(call))
            seconds[number] += time.perf_counter() - start
    return [(np.concatenate(scores), spent) for scores, spent in zip(found, seconds, strict=True)]


def _calls(completions: int) -> list[Call]:
    """The bundled groups, eight completions of one prompt each."""
    samples = bundled_completions().samples[:completions]
    return [list(samples[first : first + CALL]) for first in range(0, len(samples), CALL)]


def _loss_of_answers(model: CausalLanguageModel, texts: list[str]) -> dict[str, Any]:
    """Seconds for the loss of `texts` in the studio's batches of similar length, and in two other ways."""
    rows = model._token_ids(texts)
    ways: dict[str, Callable[[], list[float]]] = {
        "sorted_small_batches": lambda: model.mean_loss(texts),
        "one_by_one": lambda: [model.mean_loss([text])[0] for text in texts],
        "one_padded_batch": lambda: in_length_order(texts, rows, model._batch_loss, batch=len(texts)),
    }
    seconds = {}
    for name, way in ways.items():
        start = time.perf_counter()
        way()
        seconds[name] = round(time.perf_counter() - start, 3)
    return {"texts": len(texts), "seconds": seconds}
