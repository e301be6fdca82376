"""GRPO training through TRL's GRPOTrainer, with each prompt run once for its whole group.

`GroupTrainer` changes how the policy is run, never what is computed: see `core.engine.shared_prompt`. Everything that
can be asked of a run arrives in a `RunConfig`; everything that happens is told to a `Progress`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from peft import LoraConfig
from torch import Tensor
from trl import GRPOConfig, GRPOTrainer
from trl.trainer.utils import selective_log_softmax, selective_log_softmax_and_entropy

from core.config import RunConfig
from core.engine.device import Compute
from core.engine.generation import Progress, Sampling, generate
from core.engine.shared_prompt import completion_logits, supports_shared_prompt


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
        sampling = Sampling(self.max_completion_length, self.temperature, self.top_p)
        return generate(model, self._tokenizer, prompt_ids, sampling, self._progress), None

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
