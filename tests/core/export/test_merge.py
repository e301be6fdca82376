"""Merging: weights are those that PEFT merges, the merged model answers as base and adapter did, faults are told."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, VeraConfig, get_peft_model
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
)

from core.engine.export import shards, weights
from core.engine.export.adapter_form import adapter_copy
from core.engine.export.four_bit import merged_4bit
from core.engine.export.merge import merge
from core.errors import ConfigError, ModelError, RunError, StorageError
from core.jobs.tasks import TaskStopped
from tests.tiny import END, policy_parts

PROMPT = torch.tensor([[5, 9, 200, 31, 77, 12]])
LORA = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj", "down_proj"]}


def save_base(folder: Path, tied: bool = False, dtype: torch.dtype = torch.float32) -> Path:
    """A tiny Llama with the tiny policy's tokenizer."""
    _, tokenizer = policy_parts()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=tied,
        initializer_range=0.2,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).to(dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return save_base(tmp_path / "base")


def load(folder: Path, **options: Any) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(folder, **options).eval()


def save_adapter(base: Path, folder: Path, config: Any) -> Path:
    """An adapter with random numbers in all its tensors."""
    torch.manual_seed(1)
    adapted = get_peft_model(load(base, dtype=torch.float32), config)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.1)
    adapted.save_pretrained(folder)
    return folder


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(PROMPT).logits.float()
    return found


def merged_by_peft(base: Path, adapter: Path) -> dict[str, torch.Tensor]:
    model = PeftModel.from_pretrained(load(base, dtype=torch.float32), str(adapter)).merge_and_unload()
    return dict(model.state_dict())


def written(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


PLAIN: dict[str, dict[str, Any]] = {
    "as the studio trains": {},
    "rank-stabilised": {"use_rslora": True},
    "ranks and alphas of their own": {
        "rank_pattern": {"layers.0.self_attn.q_proj": 2},
        "alpha_pattern": {"down_proj": 3, "layers.1.self_attn.v_proj": 1},
    },
    "a layer trained whole": {"modules_to_save": ["lm_head"]},
    "a norm trained whole": {"modules_to_save": ["norm"]},
    "square and oblong layers": {"target_modules": ["q_proj", "o_proj", "k_proj", "gate_proj", "lm_head"]},
}


@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`:UserWarning")
@pytest.mark.parametrize("changes", PLAIN.values(), ids=list(PLAIN))
def test_weights_are_those_that_peft_merges(changes: dict[str, Any], base: Path, tmp_path: Path) -> None:
    adapter = save_adapter(base, tmp_path / "adapter", LoraConfig(**{**LORA, **changes}))
    merge(base, adapter, tmp_path / "merged")
    expected, found = merged_by_peft(base, adapter), written(tmp_path / "merged")
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, expected[name].to(torch.float16), rtol=1e-3, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`:UserWarning")
def test_an_adapter_on_the_embedding_is_merged(base: Path, tmp_path: Path) -> None:
    adapter = save_adapter(base, tmp_path / "adapter", LoraConfig(r=4, target_modules=["embed_tokens", "q_proj"]))
    merge(base, adapter, tmp_path / "merged")
    found = written(tmp_path / "merged")
    for name, tensor in merged_by_peft(base, adapter).items():
        torch.testing.assert_close(found[name], tensor.to(torch.float16), rtol=1e-3, atol=1e-6)


def test_layers_that_hold_inputs_first_are_merged(tmp_path: Path) -> None:
    _, tokenizer = policy_parts()
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=4, eos_token_id=1, bos_token_id=0)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    lora = LoraConfig(r=4, target_modules=["c_attn", "c_proj"], fan_in_fan_out=True)
    adapter = save_adapter(tmp_path / "base", tmp_path / "adapter", lora)
    merge(tmp_path / "base", adapter, tmp_path / "merged")
    expected, found = merged_by_peft(tmp_path / "base", adapter), written(tmp_path / "merged")
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, expected[name].to(torch.float16), rtol=1e-3, atol=1e-6)


TIED: dict[str, dict[str, Any]] = {
    "adapter on the input": {"target_modules": ["embed_tokens"]},
    "adapter on the output": {"target_modules": ["lm_head"]},
    "output trained whole": {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
    "neither": {"target_modules": ["q_proj"]},
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # PEFT warns of embeddings that are one
@pytest.mark.parametrize("changes", TIED.values(), ids=list(TIED))
def test_embeddings_that_were_one_behave_as_they_did_in_training(changes: dict[str, Any], tmp_path: Path) -> None:
    base = save_base(tmp_path / "base", tied=True)
    adapter = save_adapter(base, tmp_path / "adapter", LoraConfig(r=4, **changes))
    merge(base, adapter, tmp_path / "merged")
    expected = logits(PeftModel.from_pretrained(load(base, dtype=torch.float32), str(adapter)))
    torch.testing.assert_close(logits(load(tmp_path / "merged", dtype=torch.float32)), expected, rtol=0, atol=0.02)


def test_a_merged_model_stays_within_the_limit_of_its_adapter(base: Path, tmp_path: Path) -> None:
    adapter = save_adapter(base, tmp_path / "adapter", LoraConfig(**LORA))
    merge(base, adapter, tmp_path / "merged")
    expected = logits(PeftModel.from_pretrained(load(base, dtype=torch.float32), str(adapter))).log_softmax(-1)
    found = logits(load(tmp_path / "merged", dtype=torch.float32)).log_softmax(-1)
    assert (expected.exp() * (expected - found)).sum(-1).mean() < 1e-3
    assert not torch.allclose(expected, logits(load(base, dtype=torch.float32)).log_softmax(-1), atol=0.1)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "config",
    [
        LoraConfig(**LORA, use_dora=True),
        LoraConfig(**LORA, trainable_token_indices=[5, 9]),
        VeraConfig(r=4, target_modules=["q_proj"]),
    ],
    ids=["DoRA", "with tokens of its own", "VeRA"],
)
def test_other_kinds_are_merged_by_peft_itself(config: Any, base: Path, tmp_path: Path) -> None:
    adapter = save_adapter(base, tmp_path / "adapter", config)
    merge(base, adapter, tmp_path / "merged")
    expected = logits(PeftModel.from_pretrained(load(base, dtype=torch.float32), str(adapter)))
    torch.testing.assert_close(logits(load(tmp_path / "merged", dtype=torch.float32)), expected, rtol=0, atol=0.02)


def test_a_kind_that_cannot_be_merged_is_refused_by_name(base: Path, tmp_path: Path) -> None:
    adapter = save_adapter(base, tmp_path / "adapter", LoraConfig(**LORA, task_type="CAUSAL_LM"))
    change_json(adapter / "adapter_config.json", alora_invocation_tokens=[1, 2])
    with pytest.raises(ModelError, match="alora_invocation_tokens"):
        merge(base, adapter, tmp_path / "merged")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_peft_cannot_merge_is_told(base: Path, tmp_path: Path) -> None:
    adapter = save_adapter(base, tmp_path / "adapter", LoraConfig(**LORA, lora_bias=True))
    with pytest.raises(ModelError, match="Export the adapter form"):
        merge(base, adapter, tmp_path / "merged")


def change_json(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_16_bit_base_keeps_its_number_format(dtype: torch.dtype, tmp_path: Path) -> None:
    base = save_base(tmp_path / "base", dtype=dtype)
    adapter = save_adapter(base, tmp_path / "adapter", LoraConfig(**LORA))
    merge(base, adapter, tmp_path / "merged")
    assert {tensor.dtype for tensor in written(tmp_path / "merged").values()} == {dtype}
    assert load(tmp_path / "merged").dtype == dtype


def test_weights_too_large_for_float16_become_bfloat16(base: Path, tmp_path: Path) -> None:
    file = base / "model.safetensors"
    tensors = load_file(file)
    tensors["model.norm.weight"][3] = 1e5
    save_file(tensors, file, metadata={"format": "pt"})
    merge(base, None, tmp_path / "merged")
    assert load(tmp_path / "merged").dtype == torch.bfloat16
    assert written(tmp_path / "merged")["model.norm.weight"][3].item() == pytest.approx(1e5, rel=0.01)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_numbers_that_are_not_finite_are_refused(dtype: torch.dtype, tmp_path: Path) -> None:
    base = save_base(tmp_path / "base", dtype=dtype)
    adapter = save_adapter(base, tmp_path / "adapter", LoraConfig(**LORA))
    file = adapter / "adapter_model.safetensors"
    tensors = load_file(file)
    next(iter(tensors.values()))[0, 0] = float("nan")
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(ModelError, match="no finite numbers"):
        merge(base, adapter, tmp_path / "merged")


def test_a_16_bit_model_without_an_adapter_is_copied_bit_by_bit(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base", dtype=torch.bfloat16)
    merge(base, None, tmp_path / "merged")
    original, found = written(base), written(tmp_path / "merged")
    assert all(torch.equal(found[name], tensor) for name, tensor in original.items())


def test_several_files_load_as_one_does(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = save_adapter(base, tmp_path / "adapter", LoraConfig(**LORA))
    merge(base, adapter, tmp_path / "one")
    monkeypatch.setattr(shards.write_shards, "__defaults__", (20_000,))
    merge(base, adapter, tmp_path / "several")
    assert len(list((tmp_path / "several").glob("model-0000?-of-0000?.safetensors"))) > 2
    assert torch.equal(logits(load(tmp_path / "several")), logits(load(tmp_path / "one")))


def test_a_base_of_several_files_is_merged(base: Path, tmp_path: Path) -> None:
    load(base).save_pretrained(tmp_path / "parts", max_shard_size="30KB")
    policy_parts()[1].save_pretrained(tmp_path / "parts")
    adapter = save_adapter(base, tmp_path / "adapter", LoraConfig(**LORA))
    merge(base, adapter, tmp_path / "one")
    merge(tmp_path / "parts", adapter, tmp_path / "merged")
    assert torch.equal(logits(load(tmp_path / "merged")), logits(load(tmp_path / "one")))


def test_rows_taken_a_few_at_a_time_give_the_same_weights(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = save_adapter(base, tmp_path / "adapter", LoraConfig(**LORA))
    merge(base, adapter, tmp_path / "whole")
    monkeypatch.setattr(weights, "_BLOCK", 100)
    merge(base, adapter, tmp_path / "rows")
    for name, tensor in written(tmp_path / "whole").items():
        torch.testing.assert_close(written(tmp_path / "rows")[name], tensor, rtol=1e-3, atol=1e-6)


def test_the_tokenizer_reads_as_before(base: Path, tmp_path: Path) -> None:
    merge(base, None, tmp_path / "merged")
    turns = [{"role": "user", "content": "What helps against thirst?"}]
    before, after = (AutoTokenizer.from_pretrained(folder) for folder in (base, tmp_path / "merged"))
    wanted = {"add_generation_prompt": True, "return_dict": False}
    assert after.apply_chat_template(turns, **wanted) == before.apply_chat_template(turns, **wanted)


def test_an_end_token_that_the_base_forgot_is_named(base: Path, tmp_path: Path) -> None:
    change_json(base / "generation_config.json", eos_token_id=7)
    merge(base, None, tmp_path / "merged")
    end = policy_parts()[1].convert_tokens_to_ids(END)
    assert load(tmp_path / "merged").generation_config.eos_token_id == [end, 7]


def test_a_file_of_the_tokenizer_that_the_base_lacks_is_taken_from_the_adapter(base: Path, tmp_path: Path) -> None:
    adapter = save_adapter(base, tmp_path / "adapter", LoraConfig(**LORA))
    (base / "tokenizer.json").rename(adapter / "tokenizer.json")
    merge(base, adapter, tmp_path / "merged")
    assert (tmp_path / "merged" / "tokenizer.json").is_file()


def test_a_missing_tokenizer_is_told(base: Path, tmp_path: Path) -> None:
    (base / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        merge(base, None, tmp_path / "merged")


def test_folders_of_this_machine_are_not_told(base: Path, tmp_path: Path) -> None:
    adapter = save_adapter(base, tmp_path / "adapter", LoraConfig(**LORA))
    change_json(base / "config.json", _name_or_path=str(base))
    merge(base, adapter, tmp_path / "merged")
    adapter_copy(base, adapter, tmp_path / "copy")
    texts = [file.read_text() for form in ("merged", "copy") for file in (tmp_path / form).glob("*.json")]
    assert str(tmp_path) in (adapter / "adapter_config.json").read_text()
    assert not any(str(tmp_path) in text for text in texts)


def test_an_adapter_of_another_base_is_refused(base: Path, tmp_path: Path) -> None:
    adapter = save_adapter(base, tmp_path / "adapter", LoraConfig(**LORA))
    file = adapter / "adapter_model.safetensors"
    save_file({name: tensor.repeat(1, 2) for name, tensor in load_file(file).items()}, file)
    with pytest.raises(ModelError, match="does not fit the base model"):
        merge(base, adapter, tmp_path / "merged")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_adapter_with_layers_that_the_base_lacks_is_refused(base: Path, tmp_path: Path) -> None:
    adapter = save_adapter(base, tmp_path / "adapter", LoraConfig(**LORA))
    file = adapter / "adapter_model.safetensors"
    save_file({name.replace("layers.1.", "layers.9."): tensor for name, tensor in load_file(file).items()}, file)
    with pytest.raises(ModelError, match="cannot be merged"):
        merge(base, adapter, tmp_path / "merged")


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_base_is_refused(damage: str, base: Path, tmp_path: Path) -> None:
    file = base / "model.safetensors"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-10])
    else:
        file.unlink()
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        merge(base, None, tmp_path / "merged")


def test_a_quantised_base_is_refused_by_name(base: Path, tmp_path: Path) -> None:
    change_json(base / "config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})
    with pytest.raises(ModelError, match=r"quantised \(bitsandbytes\)"):
        merge(base, None, tmp_path / "merged")


def test_nothing_is_overwritten(base: Path, tmp_path: Path) -> None:
    (tmp_path / "merged").mkdir()
    with pytest.raises(RunError, match="nothing is overwritten"):
        merge(base, None, tmp_path / "merged")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "is full"),
        (SafetensorError("I/O error: No space left on device (os error 28)"), "is full"),
        (SafetensorError("I/O error: Read-only file system (os error 30)"), "cannot be written"),
    ],
)
def test_a_disk_that_takes_no_more_is_told(
    error: Exception, told: str, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(shards, "save_file", fail)
    with pytest.raises(StorageError, match=told):
        merge(base, None, tmp_path / "merged")


def test_a_stop_is_heeded_between_two_tensors(base: Path, tmp_path: Path) -> None:
    def stop(phase: str, done: int, total: int) -> None:
        if done > total / 2:
            raise TaskStopped

    with pytest.raises(TaskStopped):
        merge(base, None, tmp_path / "merged", stop)
    assert not list((tmp_path / "merged").glob("*.safetensors"))


def test_progress_tells_bytes_up_to_the_whole(base: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    merge(base, None, tmp_path / "merged", lambda *values: told.append(values))
    total = sum(tensor.nbytes for tensor in written(tmp_path / "merged").values())
    assert told[0] == ("merging", 0, total)
    assert told[-1] == ("merging", total, total)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_a_copied_adapter_answers_as_it_did(base: Path, tmp_path: Path) -> None:
    adapter = save_adapter(base, tmp_path / "adapter", LoraConfig(**LORA))
    adapter_copy(base, adapter, tmp_path / "copy", base_name="owner/base")
    before, after = (
        logits(PeftModel.from_pretrained(load(base), str(folder))) for folder in (adapter, tmp_path / "copy")
    )
    assert torch.equal(before, after)
    assert (
        json.loads((tmp_path / "copy" / "adapter_config.json").read_text())["base_model_name_or_path"] == "owner/base"
    )
    assert {"tokenizer.json", "chat_template.jinja", "generation_config.json"} <= {
        file.name for file in (tmp_path / "copy").iterdir()
    }


def test_only_safe_files_are_copied_with_an_adapter(base: Path, tmp_path: Path) -> None:
    adapter = save_adapter(base, tmp_path / "adapter", LoraConfig(**LORA))
    (adapter / "training_args.bin").write_bytes(b"pickled")
    adapter_copy(base, adapter, tmp_path / "copy")
    assert not (tmp_path / "copy" / "training_args.bin").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_four_bits_are_refused_without_a_gpu(base: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="NVIDIA GPU"):
        merged_4bit(base, tmp_path / "merged-4bit")
    assert not (tmp_path / "merged-4bit").exists()
