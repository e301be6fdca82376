"""A vLLM server gets the policy's weights with the adapter in them, whenever it looks at what it was handed."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from types import MethodType, SimpleNamespace
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from trl.generation.vllm_generation import VLLMGeneration

from core.engine.sent_weights import send_own_copies
from tests.tiny import policy_parts


@pytest.fixture
def policy() -> Any:
    """The tiny policy with an adapter that changes something."""
    config = LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False)
    return get_peft_model(copy.deepcopy(policy_parts()[0]), config)


@pytest.fixture
def generation(policy: Any) -> Any:
    """As much of TRL's own class as walks over the weights."""
    found: Any = SimpleNamespace(
        model=policy, _dist=SimpleNamespace(gather_params=lambda parameters: nullcontext(), is_fsdp=False)
    )
    for name in ("_iter_named_params", "_fix_param_name_to_vllm"):
        setattr(found, name, MethodType(getattr(VLLMGeneration, name), found))
    return found


def with_adapter(policy: Any) -> dict[str, torch.Tensor]:
    merged: dict[str, torch.Tensor] = copy.deepcopy(policy).merge_and_unload().state_dict()
    return merged


def query_weights(handed: list[tuple[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in handed if name.endswith("q_proj.weight")}


def test_what_is_packed_after_the_last_weight_was_handed_over_has_the_adapter_in_it(
    policy: Any, generation: Any
) -> None:
    send_own_copies(generation)
    found = query_weights(list(generation._iter_named_params()))
    merged = with_adapter(policy)
    assert found
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, merged[name])


def test_trl_alone_takes_the_adapter_out_before_the_last_weights_are_packed(policy: Any, generation: Any) -> None:
    """When this fails, TRL has been mended and `core.engine.sent_weights` can go."""
    found = query_weights(list(generation._iter_named_params()))
    merged = with_adapter(policy)
    assert not any(torch.allclose(tensor, merged[name], atol=1e-4) for name, tensor in found.items())


def test_the_policy_is_as_it_was_afterwards(policy: Any, generation: Any) -> None:
    before = {name: tensor.clone() for name, tensor in policy.state_dict().items()}
    send_own_copies(generation)
    list(generation._iter_named_params())
    for name, tensor in policy.state_dict().items():
        torch.testing.assert_close(tensor, before[name])
