"""The models behind the reward's `semantic` and `fluency` components.

Texts are scored in small batches sorted by length. One large padded batch is slower than one text at a time on a CPU:
most of it is padding, and its logits alone take gigabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from core.config import RewardConfig, Tags
from core.engine.components import open_components
from core.engine.device import choose_compute
from core.engine.policy import explained
from core.models import EMBEDDED, locate
from core.paths import Home
from core.reward.score_cache import ScoreCache
from core.reward.scoring import Scorer, SimilarityModel
from core.runs.run import Run

MAX_TOKENS = 512
BATCH = 8
"""Texts a processor reads at once: more is mostly padding and large logits."""
GPU_BATCH = 64


def open_scorer(
    config: RewardConfig, tags: Tags, home: Home, device: torch.device, dtype: torch.dtype, run: Run | None = None
) -> Scorer:
    """Load both models of a reward configuration, its custom rewards and its judge; whoever opens a scorer closes it.

    Args:
        run: whose own copies of the custom rewards are loaded; None loads the home's files.

    Raises:
        ModelError: one of the models is not there.
        RewardError, ConfigError: as `core.engine.components.open_components`.
    """
    language = CausalLanguageModel.load(config.fluency_model, home, device, dtype)
    similarity = load_similarity(config.similarity_model, home, device)
    cache = ScoreCache(home.cache / "scores.sqlite")
    others = open_components(config, tags, home, cache, run)
    return Scorer(config, tags, similarity, language, cache, others)


@contextmanager
def opened_scorer(config: RewardConfig, tags: Tags, home: Home, run: Run | None = None) -> Iterator[Scorer]:
    """A scorer in float32 on this machine's device for the length of a `with` block; see `open_scorer`."""
    with closing(open_scorer(config, tags, home, choose_compute().device, torch.float32, run)) as scorer:
        yield scorer


def load_similarity(name: str, home: Home, device: torch.device) -> SimilarityModel:
    """A cross-encoder when the model has a classification head, else a sentence embedding model."""
    place = locate(name, home)
    options = {"device": str(device), "model_kwargs": {"use_safetensors": True, "dtype": torch.float32}}
    with explained(name, "similarity model"):
        architectures = AutoConfig.from_pretrained(place).architectures or [""]
        if any("SequenceClassification" in architecture for architecture in architectures):
            return CrossEncoderSimilarity(_identity(name), CrossEncoder(place, **options))
        return EmbeddingSimilarity(_identity(name), SentenceTransformer(place, **options))


def _identity(name: str) -> str:
    """What stands for the model in a cache key; a local directory counts as new when its weights change."""
    if name in EMBEDDED:
        return f"{name}@{EMBEDDED[name].sha256[:16]}"
    folder = Path(name).expanduser()
    if folder.is_dir():
        newest = max(file.stat().st_mtime_ns for file in folder.glob("*.safetensors"))
        return f"{folder.resolve()}@{newest}"
    return name


class EmbeddingSimilarity:
    """Cosine of two sentence embeddings; references are embedded once and remembered."""

    def __init__(self, name: str, model: SentenceTransformer) -> None:
        self.name = name
        self._model = model
        self._references: dict[str, torch.Tensor] = {}

    def similarity(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        new = [reference for reference in dict.fromkeys(b for _, b in pairs) if reference not in self._references]
        answers = list(dict.fromkeys(a for a, _ in pairs))
        # SentenceTransformer.encode sorts by length itself.
        vectors = self._model.encode(
            answers + new,
            batch_size=4 if self._model.device.type == "cpu" else 32,  # a processor pays for the padding of short texts
            convert_to_tensor=True,
            normalize_embeddings=True,
            show_progress_bar=False,
        ).float()
        by_answer = dict(zip(answers, vectors, strict=False))
        self._references.update(zip(new, vectors[len(answers) :], strict=True))
        return [float((by_answer[a] * self._references[b]).sum().clamp(-1, 1)) for a, b in pairs]


class CrossEncoderSimilarity:
    """A model that reads both texts at once and answers with one number, such as `cross-encoder/stsb-roberta-base`."""

    def __init__(self, name: str, model: CrossEncoder) -> None:
        self.name = name
        self._model = model

    def similarity(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        scores = self._model.predict(list(pairs), batch_size=BATCH, show_progress_bar=False)
        return [min(max(float(score), -1.0), 1.0) for score in scores]


class CausalLanguageModel:
    """Mean token loss of texts under a frozen language model."""

    def __init__(self, name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.name = name
        self._model = model.eval().requires_grad_(False)
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, name: str, home: Home, device: torch.device, dtype: torch.dtype) -> CausalLanguageModel:
        place = locate(name, home)
        with explained(name, "causal language model"):
            model = AutoModelForCausalLM.from_pretrained(place, dtype=dtype, use_safetensors=True).to(device)
            tokenizer = AutoTokenizer.from_pretrained(place)
        return cls(f"{_identity(name)}:{str(dtype).removeprefix('torch.')}", model, tokenizer)

    def mean_loss(self, texts: Sequence[str]) -> list[float]:
        batch = BATCH if self._model.device.type == "cpu" else GPU_BATCH
        return in_length_order(texts, self._token_ids(texts), self._batch_loss, batch)

    def _token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text behind one start token, so that the first word is scored as well."""
        start = self._tokenizer.bos_token_id
        if start is None:
            start = self._tokenizer.eos_token_id
        encoded = self._tokenizer(list(texts), add_special_tokens=False, truncation=True, max_length=MAX_TOKENS)
        return [[start, *ids] for ids in encoded["input_ids"]]

    @torch.inference_mode()
    def _batch_loss(self, rows: Sequence[list[int]]) -> list[float]:
        """Mean loss of each row of token ids; padding is not counted."""
        device = self._model.device
        longest = max(len(row) for row in rows)
        ids = torch.zeros(len(rows), longest, dtype=torch.long)  # (B, L), padded on the right
        mask = torch.zeros(len(rows), longest, dtype=torch.long)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = torch.tensor(row)
            mask[index, : len(row)] = 1
        ids, mask = ids.to(device), mask.to(device)
        logits = self._model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
        counted = mask[:, 1:].bool()
        losses = torch.nn.functional.cross_entropy(logits[counted].float(), ids[:, 1:][counted], reduction="none")
        parts: Sequence[torch.Tensor] = losses.split(counted.sum(1).tolist())  # type: ignore[no-untyped-call]
        return [float(part.mean()) if len(part) else 0.0 for part in parts]


def in_length_order(
    texts: Sequence[str],
    rows: Sequence[list[int]],
    score: Callable[[Sequence[list[int]]], list[float]],
    batch: int = BATCH,
) -> list[float]:
    """Apply `score` to `rows` in batches of similar length and return the results in the order of `texts`."""
    order = sorted(range(len(texts)), key=lambda index: len(rows[index]))
    found = [0.0] * len(texts)
    for start in range(0, len(order), batch):
        part = order[start : start + batch]
        for index, value in zip(part, score([rows[index] for index in part]), strict=True):
            found[index] = value
    return found
