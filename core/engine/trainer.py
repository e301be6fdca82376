"""TRL's GRPOTrainer as the studio's jobs use it.

Neither class changes what is computed. `RunTrainer` says what it is doing, begins turns of the model's, keeps to the
data order when it goes on, and answers questions between steps. `SharedPromptTrainer` also runs each prompt once for
its group, see `core.engine.shared_prompt`: on a processor that halves a step, on a GPU TRL's own way is the faster one.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback
from trl import GRPOTrainer
from trl.models.utils import _ForwardRedirection
from trl.trainer.utils import selective_log_softmax, selective_log_softmax_and_entropy

from core.config import RunConfig
from core.engine.checkpoints import checkpoint_step
from core.engine.data_order import EpochOrder
from core.engine.device import Compute
from core.engine.generation import Progress, Sampling, generate
from core.engine.policy import conversation_token_ids
from core.engine.sent_weights import send_own_copies
from core.engine.sharding import spread_by_deepspeed
from core.engine.shared_prompt import completion_logits, supports_shared_prompt
from core.prompts import Message, begun_turn, whole_completion


def trainer_class(config: RunConfig, compute: Compute) -> type[RunTrainer]:
    """The faster of the two trainers where the run computes.

    Unsloth has a way of its own to run the policy, and a model that is spread over processes must be run as a whole.
    """
    train = config.train
    own_way = compute.device.type != "cpu" or train.backend == "unsloth" or train.sharding != "none"
    return RunTrainer if own_way else SharedPromptTrainer


class _Ready(Exception):
    """The model is spread and holds what the checkpoint does; the next thing would be a step."""


class _Halt(TrainerCallback):  # type: ignore[misc]
    """Breaks training off before its first step, since transformers spreads a model nowhere else."""

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        raise _Ready


class RunTrainer(GRPOTrainer):  # type: ignore[misc]  # TRL ships no types
    """GRPOTrainer that tells `progress` what it is doing."""

    def __init__(self, *args: Any, progress: Progress, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._progress = progress
        if self.is_deepspeed_enabled:
            spread_by_deepspeed(self.model, self.args)
        if self.use_vllm and self.vllm_mode == "server":
            send_own_copies(self.vllm_generation)

    def learn(self, checkpoint: Path | None) -> None:
        """Train to the last step, from a checkpoint or from the beginning."""
        if checkpoint is not None:  # so that completions are used as often, and end with the same step, as planned
            self._step = checkpoint_step(checkpoint) * self.args.gradient_accumulation_steps
        self.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))

    def take_up(self, checkpoint: Path) -> None:
        """Be as after a run's last step, without learning more; a model that is spread over processes is so again."""
        if not (self.args.fsdp or self.is_deepspeed_enabled):
            self.model.load_adapter(str(checkpoint), "default")
            return
        self.add_callback(_Halt())
        with suppress(_Ready):
            self.learn(checkpoint)

    def _get_train_sampler(self, dataset: Any = None) -> EpochOrder:
        return EpochOrder.like(super()._get_train_sampler(dataset))

    def answer(self, prompt_ids: list[list[int]], seed: int) -> list[list[int]]:
        """One completion for each prompt, sampled as in training; the same seed and policy give the same ones.

        Training's own random numbers are left as they were.
        """
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            if self.use_vllm:
                return self._answer_with_vllm(prompt_ids, seed)
            if self._chooses_tokens_otherwise or self.args.fsdp or self.is_deepspeed_enabled:
                return self._answer_like_trl(prompt_ids)
            model = self.accelerator.unwrap_model(self.model_wrapped)
            return generate(model, self._tokenizer, prompt_ids, self._sampling())

    def _answer_with_vllm(self, prompt_ids: list[list[int]], seed: int) -> list[list[int]]:
        vllm, usual = self.vllm_generation, self.vllm_generation.generation_kwargs
        vllm.generation_kwargs = {**usual, "seed": seed}
        try:
            return self._answer_like_trl(prompt_ids)
        finally:
            vllm.generation_kwargs = usual

    def _answer_like_trl(self, prompt_ids: list[list[int]]) -> list[list[int]]:
        """TRL's own way of writing completions for an evaluation: one for each prompt."""
        training, self.num_generations_eval = self.model.training, 1
        self.model.eval()
        try:
            return [list(ids) for ids in super()._generate_single_turn(prompt_ids, None, {})[0]]
        finally:
            self.model.train(training)

    @property
    def _chooses_tokens_otherwise(self) -> bool:
        """Whether tokens are chosen by rules that only transformers' own generation knows."""
        return bool(self.top_k or self.min_p or self.repetition_penalty != 1.0 or self.args.generation_kwargs)

    def _sampling(self) -> Sampling:
        return Sampling(self.max_completion_length, self.temperature, self.top_p)

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        self._progress.phase("generating")
        return super()._generate_single_turn(*args, **kwargs)

    def _tokenize_prompts(self, prompts: list[list[Message]]) -> tuple[list[list[int]], Any, dict[str, Any]]:
        """TRL would close a turn of the model's that has only begun."""
        if not begun_turn(prompts[0])[1]:
            found: tuple[list[list[int]], Any, dict[str, Any]] = super()._tokenize_prompts(prompts)
            return found
        return [conversation_token_ids(self._tokenizer, prompt) for prompt in prompts], None, {}

    def _calculate_rewards(
        self,
        inputs: Any,
        prompts: list[list[Message]],
        completions: list[list[Message]],
        completion_ids: list[list[int]],
    ) -> Any:
        """Rewards judge whole completions; what the policy learns from is only what it wrote."""
        self._progress.phase("scoring")
        whole = [
            [{**turns[0], "content": whole_completion(prompt, turns[0]["content"])}]
            for prompt, turns in zip(prompts, completions, strict=True)
        ]
        return super()._calculate_rewards(inputs, prompts, whole, completion_ids)

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        self._progress.phase("updating")
        return super().compute_loss(*args, **kwargs)


class SharedPromptTrainer(RunTrainer):
    """RunTrainer that runs each prompt once for its whole group, where the model allows it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Gradient checkpointing computes activations again and keeps no keys and values to repeat.
        self._shares_prompts = not self.args.gradient_checkpointing and supports_shared_prompt(
            self.accelerator.unwrap_model(self.model)
        )

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], images: Any, multimodal_fields: Any, has_tool_images: bool = False
    ) -> Any:
        if not self._shares_prompts or self._chooses_tokens_otherwise:
            return super()._generate_single_turn(prompt_ids, images, multimodal_fields, has_tool_images)
        self._progress.phase("generating", 0, self.max_completion_length)
        model = self.accelerator.unwrap_model(self.model_wrapped)
        return generate(model, self._tokenizer, prompt_ids, self._sampling(), self._progress), None

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
            kwargs |= {"compute_entropy": compute_entropy, "compute_aux_loss": compute_aux_loss}
            found: tuple[Tensor, Tensor | None, Tensor | None] = super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, *args, **kwargs
            )
            return found
        logits = self._completion_logits(model, input_ids, attention_mask, logits_to_keep)
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

    def _completion_logits(self, model: Any, *tensors: Any) -> Tensor:
        """`completion_logits` of a model that may be one of several copies, which add up their gradients only where
        they are run through what PyTorch has wrapped around them."""
        inner = self.accelerator.unwrap_model(model)
        if inner is model:
            return completion_logits(model, *tensors)
        logits: Tensor = _ForwardRedirection()(model, inner, completion_logits, inner, *tensors)
        return logits
