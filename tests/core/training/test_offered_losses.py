"""Every loss that the form offers makes a training step with the installed TRL."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.training import options


@pytest.mark.parametrize("loss", [choice.name for choice in options.loss_types()])
def test_an_offered_loss_makes_a_training_step(loss: str, tmp_path: Path) -> None:
    from copy import deepcopy

    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    from tests import tiny

    model, tokenizer = tiny.policy_parts()
    policy = deepcopy(model)
    before = policy.lm_head.weight.detach().clone()
    trainer = GRPOTrainer(
        model=policy,
        processing_class=tokenizer,
        reward_funcs=lambda completions, **_: [float(index) for index, _ in enumerate(completions)],
        train_dataset=Dataset.from_list([{"prompt": "A question"}] * 2),
        args=GRPOConfig(
            output_dir=str(tmp_path),
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            per_device_train_batch_size=2,
            num_generations=2,
            max_completion_length=4,
            max_steps=1,
            learning_rate=0.1,
            lr_scheduler_type="constant",
            loss_type=loss,
            importance_sampling_level="sequence" if loss == "luspo" else "token",
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
            dataloader_pin_memory=False,
            seed=0,
        ),
    )
    trainer.train()
    assert not policy.lm_head.weight.equal(before)
