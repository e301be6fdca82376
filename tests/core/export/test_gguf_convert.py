"""A GGUF file answers as the model it was made from does: read by llama.cpp, held against transformers."""

from __future__ import annotations

import errno
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFReader, GGUFWriter, TokenType
from tokenizers import Regex, pre_tokenizers, processors
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.convert_slow_tokenizer import TikTokenConverter
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from core.chat import ChatModel
from core.config import EMBEDDED_POLICY
from core.engine.export.distributions import divergence, likeliest
from core.engine.export.gguf_convert import convert
from core.engine.export.gguf_pretokenizers import cut
from core.engine.export.parity_llama import LlamaForm, opened
from core.errors import ModelError, StorageError
from core.jobs.tasks import TaskStopped
from core.paths import Home
from core.prompts import Message
from tests.build_architectures import (
    HINDI,
    ODD_TEXTS,
    build_model,
    bytes_tokenizer,
    change,
    save,
    sentencepiece_tokenizer,
)
from tests.tiny import END, TEMPLATE, policy_parts

SAME = 1e-3
"""The largest divergence, in nats, that 16-bit weights are allowed."""
QUESTION: list[Message] = [{"role": "user", "content": "Does aspirin thin the blood?  (2024)"}]
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 16}
LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}
GEMMA_ROPE = {
    "full_attention": {**LINEAR, "rope_theta": 1e6},
    "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
}
CASES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "llama": ("llama", {}),
    "llama, apart from its embedding, with biases": (
        "llama",
        {"tie_word_embeddings": False, "attention_bias": True, "mlp_bias": True},
    ),
    "llama 3.1 positions": ("llama", {"rope_parameters": LLAMA3}),
    "llama, linear positions": ("llama", {"rope_parameters": LINEAR}),
    "mistral": ("mistral", {}),
    "qwen2": ("qwen2", {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}),
    "qwen2, yarn": ("qwen2", {"rope_parameters": YARN, "max_position_embeddings": 64}),
    "qwen3": ("qwen3", {"tie_word_embeddings": False}),
    "smollm3": ("smollm3", {}),
    "gemma3": ("gemma3", {}),
    "gemma3, linear positions": ("gemma3", {"rope_parameters": GEMMA_ROPE}),
}


@contextmanager
def llama_of(folder: Path, scratch: Path, end: int = 1) -> Iterator[LlamaForm]:
    """The model in a folder, converted and loaded by llama.cpp; `end` is its end token."""
    scratch.mkdir(exist_ok=True)
    convert(folder, scratch / "model.gguf")
    with opened(scratch / "model.gguf", end, 256, scratch, lambda: None) as form:
        yield form


def worst_divergence(model: PreTrainedModel, form: LlamaForm, ids: list[int]) -> float:
    """Between what both expect next, at the worst place of a text."""
    with torch.no_grad():
        ours = likeliest(model.float()(torch.tensor([ids[:-1]])).logits[0])
    theirs = form.distributions(ids[:1], ids[1:])
    return max(divergence(one, other) for one, other in zip(ours, theirs, strict=True))


def tokens_of(form: LlamaForm, text: str) -> list[int]:
    asked = {"content": text, "add_special": False, "parse_special": True}
    answer = form.client.post("/tokenize", json=asked, timeout=60).raise_for_status().json()
    return [int(one) for one in answer["tokens"]]


def some_ids(size: int) -> list[int]:
    return [int(one) for one in np.random.default_rng(0).integers(2, size, 24)]


def field(file: Path, name: str) -> Any:
    """What the head of a GGUF file says; None for what it does not."""
    found = GGUFReader(file).get_field(name)
    return None if found is None else found.contents()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small Llama; not to be changed."""
    return save(tmp_path_factory.mktemp("tiny") / "model", build_model("llama"))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with a small Llama, to be spoilt."""
    return save(tmp_path / "own", build_model("llama"))


@pytest.mark.parametrize("case", CASES)
def test_the_file_expects_the_same_next_tokens(case: str, tmp_path: Path) -> None:
    kind, changes = CASES[case]
    model = build_model(kind, **changes)
    with llama_of(save(tmp_path / "merged", model), tmp_path / "gguf") as form:
        assert worst_divergence(model, form, some_ids(model.config.vocab_size)) < SAME


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_in_16_bits_become_the_same_file(dtype: torch.dtype, tmp_path: Path) -> None:
    model = build_model("llama").to(dtype)
    convert(save(tmp_path / "short", model), tmp_path / "short.gguf", title="tiny")
    convert(save(tmp_path / "long", model.float()), tmp_path / "long.gguf", title="tiny")
    assert (tmp_path / "short.gguf").read_bytes() == (tmp_path / "long.gguf").read_bytes()


def test_several_files_of_weights_become_the_same_file_as_one(tiny: Path, tmp_path: Path) -> None:
    sharded = save(tmp_path / "sharded", build_model("llama"), max_shard_size="100KB")
    assert len(list(sharded.glob("*.safetensors"))) > 1
    convert(sharded, tmp_path / "sharded.gguf", title="tiny")
    convert(tiny, tmp_path / "whole.gguf", title="tiny")
    assert (tmp_path / "sharded.gguf").read_bytes() == (tmp_path / "whole.gguf").read_bytes()


def test_positions_are_read_in_the_older_form_too(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", build_model("llama", rope_parameters=LLAMA3))
    convert(folder, tmp_path / "new.gguf", title="tiny")
    older = {name: value for name, value in LLAMA3.items() if name != "rope_theta"}
    change(folder / "config.json", rope_parameters=None, rope_theta=10000.0, rope_scaling=older)
    convert(folder, tmp_path / "old.gguf", title="tiny")
    assert (tmp_path / "old.gguf").read_bytes() == (tmp_path / "new.gguf").read_bytes()


def test_a_window_that_llama_cpp_leaves_out_limits_the_context(tmp_path: Path) -> None:
    convert(save(tmp_path / "model", build_model("mistral", sliding_window=128)), tmp_path / "model.gguf")
    assert field(tmp_path / "model.gguf", "llama.context_length") == 128


def mistral_pattern() -> str:
    upper, lower = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
    return (
        rf"[^\r\n\p{{L}}\p{{N}}]?[{upper}]*[{lower}]+|[^\r\n\p{{L}}\p{{N}}]?[{upper}]+[{lower}]*|\p{{N}}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )


def llama3_pattern() -> str:
    return str(inspect.signature(TikTokenConverter.__init__).parameters["pattern"].default)


def split(pattern: str) -> Any:
    by_pattern = pre_tokenizers.Split(Regex(pattern), "isolated")
    return pre_tokenizers.Sequence([by_pattern, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def plain() -> Any:
    return pre_tokenizers.ByteLevel(add_prefix_space=False)


def digits() -> Any:
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), plain()])


def like_llama3() -> Any:
    return split(llama3_pattern())


def like_qwen2() -> Any:
    return split(PRETOKENIZE_REGEX)


def like_mistral() -> Any:
    return split(mistral_pattern())


@pytest.mark.parametrize(
    ("steps", "name"),
    [(plain, "gpt-2"), (digits, "smollm"), (like_llama3, "llama-bpe"), (like_qwen2, "qwen2"), (like_mistral, "tekken")],
)
def test_texts_are_cut_into_the_same_tokens(steps: Callable[[], Any], name: str, tmp_path: Path) -> None:
    tokenizer = bytes_tokenizer(steps)
    folder = save(tmp_path / "merged", build_model("llama", len(tokenizer)), tokenizer)
    with llama_of(folder, tmp_path / "gguf") as form:
        assert field(tmp_path / "gguf" / "model.gguf", "tokenizer.ggml.pre") == name
        for text in ODD_TEXTS:
            # llama.cpp's own cut for Mistral knows no combining marks; see gguf_pretokenizers.
            known = text.replace(HINDI, "") if name == "tekken" else text
            assert tokens_of(form, known) == tokenizer.encode(known, add_special_tokens=False)


@pytest.mark.parametrize("prefix", [True, False])
def test_texts_are_cut_into_the_same_pieces(prefix: bool, tmp_path: Path) -> None:
    tokenizer = sentencepiece_tokenizer(prefix)
    folder = save(tmp_path / "merged", build_model("llama", len(tokenizer)), tokenizer)
    with llama_of(folder, tmp_path / "gguf") as form:
        for text in (*ODD_TEXTS, f"<s><|im_start|>user\nHello{END}\n"):
            assert tokens_of(form, text) == tokenizer.encode(text, add_special_tokens=False)


def test_a_chat_begins_with_its_mark_once(tmp_path: Path) -> None:
    tokenizer = sentencepiece_tokenizer(prefix=False)
    begin = tokenizer.bos_token_id
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", begin)]
    )
    folder = save(tmp_path / "merged", build_model("llama", len(tokenizer)), tokenizer)
    with llama_of(folder, tmp_path / "gguf") as form:
        asked = {"messages": QUESTION, "max_tokens": 1}
        read = form.client.post("/v1/chat/completions", json=asked, timeout=60).raise_for_status().json()
        ours = tokenizer.apply_chat_template(QUESTION, add_generation_prompt=True, return_dict=False)
        assert field(tmp_path / "gguf" / "model.gguf", "tokenizer.ggml.add_bos_token") is True
        assert ours.count(begin) == 1
        assert read["usage"]["prompt_tokens"] == len(ours)


def test_no_mark_is_put_before_chats_that_have_none(tmp_path: Path) -> None:
    tokenizer = sentencepiece_tokenizer(prefix=True)
    tokenizer.chat_template = TEMPLATE
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.bos_token_id)]
    )
    convert(save(tmp_path / "merged", build_model("llama", len(tokenizer)), tokenizer), tmp_path / "model.gguf")
    assert field(tmp_path / "model.gguf", "tokenizer.ggml.add_bos_token") is False


def test_end_tokens_without_room_are_named_in_the_log(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(own / "generation_config.json", eos_token_id=[1, 0, 5, 7])
    convert(own, tmp_path / "model.gguf")
    assert field(tmp_path / "model.gguf", "tokenizer.ggml.eom_token_id") == 5
    assert "may write on after the tokens 7." in capsys.readouterr().out


def test_the_file_carries_template_and_end_token_of_the_chat(tiny: Path, tmp_path: Path) -> None:
    convert(tiny, tmp_path / "model.gguf")
    tokenizer = policy_parts()[1]
    assert field(tmp_path / "model.gguf", "tokenizer.chat_template") == tokenizer.chat_template
    assert field(tmp_path / "model.gguf", "tokenizer.ggml.eos_token_id") == tokenizer.convert_tokens_to_ids(END)


def test_further_end_tokens_of_generation_are_carried_too(own: Path, tmp_path: Path) -> None:
    change(own / "generation_config.json", eos_token_id=[0, 1])
    convert(own, tmp_path / "model.gguf")
    assert field(tmp_path / "model.gguf", "tokenizer.ggml.eos_token_id") == 1
    assert field(tmp_path / "model.gguf", "tokenizer.ggml.eot_token_id") == 0


def test_rows_without_a_token_are_named_as_unused(tmp_path: Path) -> None:
    size = len(policy_parts()[1])
    convert(save(tmp_path / "model", build_model("llama", size + 8)), tmp_path / "model.gguf")
    kinds = field(tmp_path / "model.gguf", "tokenizer.ggml.token_type")
    assert kinds[size:] == [TokenType.UNUSED] * 8
    assert kinds[:3] == [TokenType.CONTROL, TokenType.CONTROL, TokenType.NORMAL]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model_type": "falcon"}, "architecture is 'falcon'"),
        ({"model_type": "mixtral", "num_local_experts": 8}, "mixture of experts"),
        ({"model_type": "qwen3_moe"}, "mixture of experts"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "quantised already"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu'"),
        ({"model_type": "mistral", "attention_bias": True}, "attention_bias is true"),
        ({"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}}, "rope_type is 'dynamic'"),
        ({"rope_parameters": {**YARN, "beta_fast": 16}}, "beta_fast"),
    ],
)
def test_a_model_that_would_come_out_wrong_is_refused_by_name(
    changes: Mapping[str, Any], told: str, own: Path, tmp_path: Path
) -> None:
    change(own / "config.json", **changes)
    with pytest.raises(ModelError, match=told) as refusal:
        convert(own, tmp_path / "model.gguf")
    assert "merged safetensors" in str(refusal.value)


@pytest.mark.parametrize(
    ("kind", "changes", "told"),
    [
        ("gemma3", {"query_pre_attn_scalar": 168}, "query_pre_attn_scalar is 168"),
        ("gemma3", {"final_logit_softcapping": 30.0}, "final_logit_softcapping"),
        ("gemma3", {"layer_types": ["full_attention"] * 7}, "layer_types"),
        ("smollm3", {"no_rope_layers": [1] * 5}, "no_rope_layers"),
    ],
)
def test_settings_that_llama_cpp_has_built_in_are_not_exported_otherwise(
    kind: str, changes: Mapping[str, Any], told: str, tmp_path: Path
) -> None:
    folder = save(tmp_path / "model", build_model(kind))
    change(folder / "config.json", **changes)
    with pytest.raises(ModelError, match=told):
        convert(folder, tmp_path / "model.gguf")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"pre_tokenizer": {"type": "Whitespace"}}, "neither on bytes"),
        ({"normalizer": {"type": "Lowercase"}}, "Lowercase"),
        (
            {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Punctuation"}, {"type": "ByteLevel"}]}},
            r"pre-tokenizer \(Punctuation, ByteLevel\)",
        ),
    ],
)
def test_a_tokenizer_that_llama_cpp_does_not_know_is_refused(changes: Mapping[str, Any], told: str, tiny: Path) -> None:
    raw = json.loads((tiny / "tokenizer.json").read_text("utf-8"))
    with pytest.raises(ModelError, match=told):
        cut({**raw, **changes})


def test_a_missing_tokenizer_is_named(own: Path, tmp_path: Path) -> None:
    (own / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"has no tokenizer\.json"):
        convert(own, tmp_path / "model.gguf")


def test_a_tokenizer_without_an_end_token_is_refused(own: Path, tmp_path: Path) -> None:
    change(own / "tokenizer_config.json", eos_token=None)
    with pytest.raises(ModelError, match="names no end token"):
        convert(own, tmp_path / "model.gguf")


def test_a_tokenizer_larger_than_the_model_is_refused(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", build_model("llama", len(policy_parts()[1]) - 4))
    with pytest.raises(ModelError, match="different models"):
        convert(folder, tmp_path / "model.gguf")


def test_half_a_file_of_weights_is_told(own: Path, tmp_path: Path) -> None:
    weights = own / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:20_000])
    with pytest.raises(ModelError, match="missing or damaged"):
        convert(own, tmp_path / "model.gguf")


def test_a_missing_layer_is_told(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", build_model("llama"))
    change(folder / "config.json", num_hidden_layers=3)
    with pytest.raises(ModelError, match=r"tensors are missing, such as blk\.2\."):
        convert(folder, tmp_path / "model.gguf")


def test_an_unknown_tensor_is_refused_by_name(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", build_model("qwen3"))
    change(folder / "config.json", model_type="llama")
    with pytest.raises(ModelError, match=r"no place for its tensor .*(q|k)_norm"):
        convert(folder, tmp_path / "model.gguf")


@pytest.mark.parametrize(("value", "told"), [(1e5, "larger than 16-bit"), (float("nan"), "not finite")])
def test_a_weight_that_float16_cannot_hold_is_told(value: float, told: str, tmp_path: Path) -> None:
    model = build_model("llama")
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight[0, 0] = value
    with pytest.raises(ModelError, match=told):
        convert(save(tmp_path / "model", model), tmp_path / "model.gguf")
    assert not list(tmp_path.glob("*.gguf"))


def test_nothing_is_overwritten(tiny: Path, tmp_path: Path) -> None:
    target = tmp_path / "model.gguf"
    target.write_text("another file")
    with pytest.raises(StorageError, match="there already"):
        convert(tiny, target)
    assert target.read_text() == "another file"


def test_a_stop_half_way_leaves_no_file(tiny: Path, tmp_path: Path) -> None:
    def stop(phase: str, done: int, total: int) -> None:
        if list((tmp_path / "gguf").iterdir()):
            raise TaskStopped

    (tmp_path / "gguf").mkdir()
    with pytest.raises(TaskStopped):
        convert(tiny, tmp_path / "gguf" / "model.gguf", stop)
    assert list((tmp_path / "gguf").iterdir()) == []


def test_a_full_disk_is_told_and_leaves_no_file(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(writer: GGUFWriter, tensor: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(GGUFWriter, "write_tensor_data", full)
    (tmp_path / "gguf").mkdir()
    with pytest.raises(StorageError, match="full"):
        convert(tiny, tmp_path / "gguf" / "model.gguf")
    assert list((tmp_path / "gguf").iterdir()) == []


@pytest.mark.real
def test_the_embedded_model_reads_and_expects_the_same(embedded_home: Home, tmp_path: Path) -> None:
    folder = embedded_home.models / EMBEDDED_POLICY
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ours = list(ChatModel.open(EMBEDDED_POLICY, embedded_home).render(QUESTION).ids)
    with llama_of(folder, tmp_path / "gguf", end=2) as form:
        text = form.client.post("/apply-template", json={"messages": QUESTION}, timeout=60).json()["prompt"]
        assert tokens_of(form, text) == ours
        for odd in ODD_TEXTS:
            assert tokens_of(form, odd) == ChatModel.open(EMBEDDED_POLICY, embedded_home).tokenizer.encode(odd).ids
        assert worst_divergence(model, form, ours) < SAME
