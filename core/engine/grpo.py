"""GRPO training through TRL's GRPOTrainer, with each prompt run once for its whole group.

`GroupTrainer` changes how the policy is run, never what is computed: see `core.engine.shared_prompt`. Everything that
can be asked of a run arrives in a `RunConfig`; everything that happens is told to a `Progress`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from peft import LoraConfig
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase, StoppingCriteria, StoppingCriteriaList
from trl import GRPOConfig, GRPOTrainer
from trl.trainer.utils import pad, selective_log_softmax, selective_log_softmax_and_entropy

from core.config import RunConfig
from core.engine.device import Compute
from core.engine.shared_prompt import completion_logits, prompt_cache, supports_shared_prompt


class Progress(Protocol):
    """Is told what a step is busy with."""

    def phase(self, name: str, done: int = 0, total: int = 0) -> None:
        """`name` is one of loading, generating, scoring, updating; `done` of `total` counts tokens where it can."""
        ...


def grpo_config(config: RunConfig, compute: Compute, folder: Path) -> GRPOConfig:
    """The run's settings in TRL's own terms."""
    train = config.train
    cpu = compute.device.type == "cpu"
    rows = train.prompts_per_step * train.num_generations
    return GRPOConfig(
        output_dir=str(folder),
        use_cpu=cpu,
        bf16=False,  # the weights themselves are held in the chosen format; no autocast
        gradient_checkpointing=not cpu,
        per_device_train_batch_size=rows if cpu else train.num_generations,
        gradient_accumulation_steps=1 if cpu else train.prompts_per_step,
        num_generations=train.num_generations,
        max_steps=train.steps,
        max_completion_length=train.max_completion_length,
        learning_rate=train.learning_rate,
        lr_scheduler_type=train.lr_schedule,
        warmup_steps=train.warmup,
        max_grad_norm=train.max_grad_norm,
        temperature=train.temperature,
        top_p=train.top_p,
        beta=train.beta,
        loss_type=train.loss_type,
        scale_rewards=train.scale_rewards,
        seed=train.seed,
        logging_steps=1,
        save_strategy="steps",
        save_steps=train.save_every,
        save_total_limit=train.keep_checkpoints,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=not cpu,
    )


def lora_config(config: RunConfig) -> LoraConfig:
    return LoraConfig(
        r=config.adapter.rank,
        lora_alpha=config.adapter.alpha,
        target_modules=list(config.adapter.target_modules),
        task_type="CAUSAL_LM",
    )


class GroupTrainer(GRPOTrainer):  # type: ignore[misc]  # TRL ships no types
    """GRPOTrainer that runs each prompt once for its group and says what it is doing."""

    def __init__(self, *args: Any, progress: Progress, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._progress = progress
        # Gradient checkpointing computes activations again and keeps no keys and values to repeat.
        self._shares_prompts = not self.args.gradient_checkpointing and supports_shared_prompt(
            self.accelerator.unwrap_model(self.model)
        )

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], images: Any, multimodal_fields: Any, has_tool_images: bool = False
    ) -> tuple[list[list[int]], Any]:
        self._progress.phase("generating", 0, self.max_completion_length)
        if not self._shares_prompts:
            found: tuple[list[list[int]], Any] = super()._generate_single_turn(
                prompt_ids, images, multimodal_fields, has_tool_images
            )
            return found
        model = self.accelerator.unwrap_model(self.model_wrapped)
        return generate(model, self._tokenizer, prompt_ids, self.generation_config, self._progress), None

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> Any:
        self._progress.phase("scoring")
        return super()._calculate_rewards(*args, **kwargs)

    def _compute_loss(self, model: Any, inputs: Any) -> Any:
        self._progress.phase("updating")
        return super()._compute_loss(model, inputs)

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        *args: Any,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        if not self._shares_prompts or compute_aux_loss:
            found: tuple[Tensor, Tensor | None, Tensor | None] = super()._get_per_token_logps_and_entropies(
                model,
                input_ids,
                attention_mask,
                logits_to_keep,
                *args,
                compute_entropy=compute_entropy,
                compute_aux_loss=compute_aux_loss,
                **kwargs,
            )
            return found
        logits = completion_logits(model, input_ids, attention_mask, logits_to_keep)
        completion_ids = input_ids[:, -logits_to_keep:]
        mask = attention_mask[:, -logits_to_keep:]
        if not compute_entropy:
            logps = selective_log_softmax(logits, completion_ids, temperature=self.temperature, row_mask=mask)
            return logps, None, None
        logps, entropies = selective_log_softmax_and_entropy(
            logits,
            completion_ids,
            entropy_requires_grad=self._entropy_bonus_enabled,
            temperature=self.temperature,
            row_mask=mask,
        )
        return logps, entropies, None


class _TokenCounter(StoppingCriteria):  # type: ignore[misc]
    """Stops nothing; tells the progress how many tokens have been generated."""

    def __init__(self, progress: Progress, prompt_length: int, total: int) -> None:
        self._progress = progress
        self._prompt_length = prompt_length
        self._total = total

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: Any) -> Tensor:
        self._progress.phase("generating", input_ids.size(1) - self._prompt_length, self._total)
        return torch.zeros(input_ids.size(0), dtype=torch.bool, device=input_ids.device)


@torch.no_grad()
def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt_ids: Sequence[Sequence[int]],
    generation_config: Any,
    progress: Progress | None = None,
) -> list[list[int]]:
    """Write one completion for each prompt; equal prompts are read once.

    Returns:
        Token ids of each completion, up to and including the first end token.
    """
    device = model.device
    rows = [torch.tensor(ids) for ids in prompt_ids]
    ids = pad(rows, padding_value=tokenizer.pad_token_id, padding_side="left").to(device)  # (B, P)
    mask = pad([torch.ones_like(row) for row in rows], padding_value=0, padding_side="left").to(device)
    training = model.training
    model.eval()
    try:
        shared = {"past_key_values": prompt_cache(model, ids, mask)} if supports_shared_prompt(model) else {}
        output = model.generate(
            input_ids=ids,
            attention_mask=mask,
            **shared,
            generation_config=generation_config,
            stopping_criteria=StoppingCriteriaList(
                [] if progress is None else [_TokenCounter(progress, ids.size(1), generation_config.max_new_tokens)]
            ),
        )
    finally:
        model.train(training)
    return [_until_end(row, tokenizer.eos_token_id) for row in output[:, ids.size(1) :].tolist()]


def _until_end(ids: list[int], end: int) -> list[int]:
    return ids[: ids.index(end) + 1] if end in ids else ids
