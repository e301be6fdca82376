"""Which weights get how many bits: the rules of llama.cpp, as a table."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from gguf import GGMLQuantizationType as Kind

from core.engine.export.gguf_head import GgufHead, Weight
from core.engine.export.gguf_mix import Mix
from core.errors import ModelError
from core.export.request import Form

Q4: Form = "gguf_q4_k_m"
Q5: Form = "gguf_q5_k_m"
Q8: Form = "gguf_q8_0"


def weight(name: str, *shape: int, kind: Kind = Kind.F16) -> Weight:
    return Weight(name, kind, shape)


def dense(layers: int = 16, width: int = 512, hidden: int = 1024, tied: bool = True) -> GgufHead:
    """The head of a dense Llama whose heads share keys and values by threes."""
    weights = [weight("token_embd.weight", 1000, width), weight("output_norm.weight", width, kind=Kind.F32)]
    for layer in range(layers):
        block = f"blk.{layer}"
        weights += [weight(f"{block}.{name}.weight", width, width) for name in ("attn_q", "attn_output")]
        weights += [weight(f"{block}.{name}.weight", width // 3, width) for name in ("attn_k", "attn_v")]
        weights += [weight(f"{block}.{name}.weight", hidden, width) for name in ("ffn_gate", "ffn_up")]
        weights += [weight(f"{block}.ffn_down.weight", width, hidden)]
        weights += [weight(f"{block}.{name}.weight", width, kind=Kind.F32) for name in ("attn_norm", "ffn_norm")]
    if not tied:
        weights.append(weight("output.weight", 1000, width))
    return GgufHead(Path("f16.gguf"), "llama", layers, 9, 3, 0, 32, {}, tuple(weights))


def kind_of(name: str, form: Form, head: GgufHead) -> Kind:
    (found,) = (each for each in head.weights if each.name == name)
    return Mix(form, head).kind(found)


@pytest.mark.parametrize(
    ("name", "q8", "q5", "q4"),
    [
        ("token_embd.weight", Kind.Q8_0, Kind.Q6_K, Kind.Q6_K),
        ("output_norm.weight", Kind.F32, Kind.F32, Kind.F32),
        ("blk.0.attn_norm.weight", Kind.F32, Kind.F32, Kind.F32),
        ("blk.0.attn_q.weight", Kind.Q8_0, Kind.Q5_K, Kind.Q4_K),
        ("blk.0.attn_k.weight", Kind.Q8_0, Kind.Q5_K, Kind.Q4_K),
        ("blk.0.attn_output.weight", Kind.Q8_0, Kind.Q5_K, Kind.Q4_K),
        ("blk.0.ffn_gate.weight", Kind.Q8_0, Kind.Q5_K, Kind.Q4_K),
        ("blk.0.ffn_up.weight", Kind.Q8_0, Kind.Q5_K, Kind.Q4_K),
        ("blk.1.attn_v.weight", Kind.Q8_0, Kind.Q6_K, Kind.Q6_K),  # the first eighth
        ("blk.1.ffn_down.weight", Kind.Q8_0, Kind.Q6_K, Kind.Q6_K),
        ("blk.2.attn_v.weight", Kind.Q8_0, Kind.Q5_K, Kind.Q4_K),  # between
        ("blk.2.ffn_down.weight", Kind.Q8_0, Kind.Q5_K, Kind.Q4_K),
        ("blk.4.attn_v.weight", Kind.Q8_0, Kind.Q6_K, Kind.Q6_K),  # every third of those between
        ("blk.4.ffn_down.weight", Kind.Q8_0, Kind.Q6_K, Kind.Q6_K),
        ("blk.13.attn_v.weight", Kind.Q8_0, Kind.Q6_K, Kind.Q6_K),
        ("blk.14.ffn_down.weight", Kind.Q8_0, Kind.Q6_K, Kind.Q6_K),  # the last eighth
        ("blk.15.attn_v.weight", Kind.Q8_0, Kind.Q6_K, Kind.Q6_K),
    ],
)
def test_a_weight_gets_the_bits_that_llama_cpp_gives_it(name: str, q8: Kind, q5: Kind, q4: Kind) -> None:
    assert [kind_of(name, form, dense()) for form in (Q8, Q5, Q4)] == [q8, q5, q4]


def test_weights_that_write_tokens_get_more_bits_than_those_that_only_read_them() -> None:
    head = dense(tied=False)
    assert kind_of("output.weight", Q4, head) == Kind.Q6_K
    assert kind_of("token_embd.weight", Q4, head) == Kind.Q4_K
    assert kind_of("token_embd.weight", Q5, head) == Kind.Q5_K


@pytest.mark.parametrize(
    ("name", "q5", "q4"),
    [
        ("token_embd.weight", Kind.Q8_0, Kind.Q8_0),
        ("blk.2.attn_q.weight", Kind.Q5_1, Kind.Q5_0),
        ("blk.1.attn_v.weight", Kind.Q8_0, Kind.Q8_0),
        ("blk.2.ffn_down.weight", Kind.Q5_K, Kind.Q4_K),  # its rows are 1,024 wide
    ],
)
def test_rows_that_are_no_multiple_of_256_get_a_kind_with_blocks_of_32(name: str, q5: Kind, q4: Kind) -> None:
    assert [kind_of(name, form, dense(width=576)) for form in (Q5, Q4)] == [q5, q4]


@pytest.mark.parametrize("form", [Q8, Q5, Q4])
def test_rows_that_are_no_multiple_of_32_keep_their_16_bits(form: Form) -> None:
    assert kind_of("blk.2.attn_q.weight", form, dense(width=40)) == Kind.F16
    assert kind_of("token_embd.weight", form, dense(width=40)) == Kind.F16


@pytest.mark.parametrize(
    ("form", "kinds"),
    [
        (Q4, {Kind.Q5_0: 166, Kind.Q4_K: 16, Kind.Q6_K: 14, Kind.Q8_0: 15}),
        (Q5, {Kind.Q5_1: 166, Kind.Q5_K: 16, Kind.Q6_K: 14, Kind.Q8_0: 15}),
    ],
)
def test_the_embedded_model_gets_the_mix_that_llama_cpps_own_quantiser_wrote(
    form: Form, kinds: dict[Kind, int]
) -> None:
    """The counts are those of llama.cpp's program for SmolLM2-135M: 30 layers, 576 wide, 1,536 inside."""
    head = dense(layers=30, width=576, hidden=1536)
    found = Counter(Mix(form, head).kind(each) for each in head.weights)
    assert found == {**kinds, Kind.F32: 61}


@pytest.mark.parametrize(
    ("architecture", "heads", "kind"),
    [("llama", 9, Kind.Q5_K), ("llama", 3, Kind.Q4_K), ("qwen2", 3, Kind.Q5_K), ("qwen3", 9, Kind.Q4_K)],
)
def test_values_that_many_heads_share_get_more_bits_in_models_of_80_layers(
    architecture: str, heads: int, kind: Kind
) -> None:
    head = replace(dense(layers=80), architecture=architecture, heads=heads)
    assert kind_of("blk.11.attn_v.weight", Q4, head) == kind


def test_what_is_no_matrix_of_weights_is_left_as_it_is() -> None:
    head = dense()
    mix = Mix(Q4, head)
    for each in (weight("blk.0.attn_q.bias", 512), weight("rope_freqs.weight", 32, kind=Kind.F32)):
        assert mix.kind(each) == each.kind


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (replace(dense(), experts=8), "GGUF q4_k_m is not made of mixtures of experts here"),
        (
            replace(dense(), weights=(weight("blk.0.ffn_down_exps.weight", 8, 512, 512),)),
            "not made of mixtures of experts",
        ),
        (replace(dense(), architecture="falcon"), "not made of models of the architecture 'falcon' here"),
        (replace(dense(), weights=(weight("output.weight", 9, 256, kind=Kind.Q8_0),)), "is quantised already"),
    ],
    ids=["experts", "weights of experts", "another architecture", "quantised"],
)
def test_a_model_with_other_rules_is_refused_by_name(head: GgufHead, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        Mix(Q4, head)
