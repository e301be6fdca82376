"""What tests of the model server share: adapters that change something, questions, and the lone model's answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import torch
from openai import OpenAI
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaForCausalLM

from core.engine.device import Compute
from core.engine.generation import Sampling, generate
from core.engine.policy import Policy, load_policy
from core.paths import Home

TOKEN = "the-token"
ASK: list[Any] = [{"role": "user", "content": "Why is angina treated with nitrates?"}]
OTHER: list[Any] = [{"role": "user", "content": "What is scurvy, and which vitamin is missing in it?"}]
CPU = Compute(torch.device("cpu"), torch.float32, 2)


def load(base: Path) -> Policy:
    """The model in the number format in which tests compare."""
    return load_policy(str(base), Home(base.parent), CPU)


def save_adapter(base: Path, folder: Path, seed: int, **settings: Any) -> Path:
    """An adapter with weights of its own, so that it changes what the model says."""
    policy = load(base)
    torch.manual_seed(seed)
    wanted = {"r": 4, "lora_alpha": 16, "target_modules": ["q_proj", "v_proj", "down_proj"], **settings}
    model = get_peft_model(policy.model, LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, **wanted))
    model.save_pretrained(str(folder))
    return folder


def save_model(config: Any, base: Path, folder: Path) -> Path:
    """A model of another shape with the same tokenizer."""
    torch.manual_seed(1)
    LlamaForCausalLM(config).save_pretrained(folder)
    load(base).tokenizer.save_pretrained(folder)
    return folder


def post(url: str, path: str, value: Any) -> httpx.Response:
    return httpx.post(f"{url}/v1/{path}", json=value, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)


def load_adapter(url: str, name: str, folder: Path) -> httpx.Response:
    return post(url, "load_lora_adapter", {"lora_name": name, "lora_path": str(folder)})


def text_of(client: OpenAI, model: str = "base", ask: list[Any] = ASK, **settings: Any) -> str:
    """The answer to a question, the most likely one by default."""
    wanted = {"temperature": 0, "max_tokens": 24, **settings}
    return client.chat.completions.create(model=model, messages=ask, **wanted).choices[0].message.content or ""


def alone(base: Path, adapter: Path | None = None, ask: list[Any] = ASK, tokens: int = 24) -> str:
    """What a model writes that nobody else uses, by the code that runs use."""
    policy = load(base)
    model = policy.model if adapter is None else PeftModel.from_pretrained(policy.model, str(adapter))
    written = generate(model, policy.tokenizer, [policy.prompt_token_ids(ask)], Sampling(tokens))
    return str(policy.tokenizer.batch_decode(written, skip_special_tokens=True)[0])
