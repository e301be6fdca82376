"""The opening tag written for the model: it reads it everywhere, its answers hold it, and it never learns from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.chat import ChatModel
from core.config import PromptConfig, RunConfig, Tags, with_changes
from core.datasets import read_rows
from core.engine.device import choose_compute
from core.engine.lab import sample
from core.engine.policy import load_policy
from core.engine.run_rows import choose_rows
from core.engine.trainer import SharedPromptTrainer
from core.engine.training import train
from core.jobs.tasks import silent
from core.lab.boards import load_board
from core.paths import Home
from core.presets import preset_config
from core.prompts import EXAMPLES, begun_turn, conversation_text, merge_system, messages, whole_completion
from core.runs.completions import BEFORE, read_completions, step_file
from core.runs.run import Run, create_run
from tests import tiny

TAGS = Tags(reasoning="think", answer="final")
PROMPT = PromptConfig(system="Write <{reasoning}> and <{answer}>.", tags=TAGS, examples=EXAMPLES, prefill=True)
PLAIN = PROMPT.model_copy(update={"prefill": False})


def one_step(tiny_models: Path, prompt: PromptConfig) -> RunConfig:
    """One step of two groups of two completions, and two held-out questions."""
    return with_changes(
        preset_config("demo"),
        {
            "model": str(tiny_models / "policy"),
            "reward.similarity_model": str(tiny_models / "similarity"),
            "reward.fluency_model": str(tiny_models / "policy"),
            "prompt": prompt.model_dump(),
            "train.steps": 1,
            "train.num_generations": 2,
            "train.max_prompt_length": 1000,
            "train.max_completion_length": 8,
            "train.held_out_rows": 2,
            "train.validate_every": 0,
        },
    )


def test_the_models_turn_begins_with_the_opening_tag_only_when_that_is_asked() -> None:
    assert begun_turn(messages(PROMPT, "Why?")) == (messages(PLAIN, "Why?"), "<think>")
    assert begun_turn(messages(PLAIN, "Why?")) == (messages(PLAIN, "Why?"), "")


def test_a_whole_completion_is_the_tag_and_what_was_written() -> None:
    assert whole_completion(messages(PROMPT, "Why?"), "a</think>") == "<think>a</think>"
    assert whole_completion(messages(PLAIN, "Why?"), "a</think>") == "a</think>"


def test_a_begun_turn_survives_a_template_without_a_system_role() -> None:
    assert begun_turn(merge_system(messages(PROMPT, "Why?")))[1] == "<think>"


def test_the_preview_ends_with_the_tag_as_transformers_would_go_on_from_it(tiny_models: Path, home: Home) -> None:
    rendered = ChatModel.open(str(tiny_models / "policy"), home).render(messages(PROMPT, "Why?"))
    tokenizer = tiny.policy_parts()[1]
    assert rendered.text.endswith("<|im_start|>assistant\n<think>")
    encoded = tokenizer.apply_chat_template(messages(PROMPT, "Why?"), continue_final_message=True)
    assert list(rendered.ids) == encoded["input_ids"]
    assert rendered.altered == ()


def test_prompts_are_counted_with_the_tag(tiny_models: Path, home: Home) -> None:
    chat = ChatModel.open(str(tiny_models / "policy"), home)
    questions = ["Why?", "What helps against chest pain?", ""]
    assert chat.prompt_lengths(PROMPT, questions) == [chat.render(messages(PROMPT, q)).tokens for q in questions]


def test_the_policy_reads_what_the_preview_shows(tiny_models: Path, home: Home) -> None:
    name = str(tiny_models / "policy")
    policy, chat = load_policy(name, home, choose_compute()), ChatModel.open(name, home)
    for prompt in (PROMPT, PLAIN):
        ids = policy.prompt_token_ids(policy.conversation(prompt, "Why?"))
        assert ids == list(chat.render(messages(prompt, "Why?")).ids)


@dataclass(frozen=True)
class Trained:
    """A run of one step, what its trainer let the model read, what the model wrote, and what it then learned from."""

    run: Run
    prompts: list[list[int]]
    written: list[list[int]]
    learned: list[list[int]]


def train_noted(home: Home, config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> Trained:
    """Train with an eye on TRL's trainer."""
    noted = Trained(create_run(home, config), [], [], [])
    generate, learn = SharedPromptTrainer._generate_single_turn, SharedPromptTrainer._compute_loss

    def noted_generate(self: Any, prompt_ids: list[list[int]], *args: Any, **kwargs: Any) -> Any:
        found = generate(self, prompt_ids, *args, **kwargs)
        noted.prompts.extend(prompt_ids)
        noted.written.extend(found[0])
        return found

    def noted_learn(self: Any, model: Any, inputs: Any) -> Any:
        rows = zip(inputs["completion_ids"], inputs["completion_mask"].bool(), strict=True)
        noted.learned.extend(ids[mask].tolist() for ids, mask in rows)
        return learn(self, model, inputs)

    monkeypatch.setattr(SharedPromptTrainer, "_generate_single_turn", noted_generate)
    monkeypatch.setattr(SharedPromptTrainer, "_compute_loss", noted_learn)
    train(noted.run, home)
    return noted


@pytest.fixture(scope="module")
def both(tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[bool, Trained]]:
    """The same run with the tag and without."""
    found = {}
    home = Home.open(tmp_path_factory.mktemp("prefill") / "home")
    for prompt in (PROMPT, PLAIN):
        with pytest.MonkeyPatch.context() as monkeypatch:
            found[prompt.prefill] = train_noted(home, one_step(tiny_models, prompt), monkeypatch)
    yield found


@pytest.mark.parametrize("prompt", [PROMPT, PLAIN], ids=["with the tag", "without"])
def test_the_trainer_feeds_the_model_what_the_preview_shows(
    prompt: PromptConfig, both: dict[bool, Trained], home: Home
) -> None:
    trained = both[prompt.prefill]
    chat = ChatModel.open(trained.run.config().model, home)
    asked = [completion.question for completion in read_completions(step_file(trained.run, 1))]
    assert trained.prompts == [list(chat.render(messages(prompt, question)).ids) for question in asked]
    assert len(asked) == trained.run.config().train.completions_per_step


def test_the_tag_is_kept_and_scored_but_not_learned_from(both: dict[bool, Trained]) -> None:
    trained = both[True]
    written = tiny.policy_parts()[1].batch_decode(trained.written, skip_special_tokens=True)
    kept = [completion.completion for completion in read_completions(step_file(trained.run, 1))]
    assert kept == [f"<think>{text}" for text in written]
    assert sorted(trained.learned) == sorted(trained.written)


def test_held_out_answers_are_written_behind_the_tag_and_begin_with_it(both: dict[bool, Trained]) -> None:
    """The same random numbers behind another prompt give other answers."""
    prefilled, plain = (
        [answer.completion for answer in read_completions(both[tag].run.completions / BEFORE)] for tag in (True, False)
    )
    assert prefilled
    assert all(answer.startswith("<think>") for answer in prefilled)
    assert [answer.removeprefix("<think>") for answer in prefilled] != plain


def test_the_labs_answers_begin_with_the_tag(tiny_models: Path, home: Home) -> None:
    config = one_step(tiny_models, PROMPT)
    asked = {
        "model": config.model,
        "data": "sample",
        "prompts": 1,
        "completions": 2,
        "max_tokens": 4,
        "prompt": PROMPT.model_dump(),
        "reward": config.reward.model_dump(mode="json"),
    }
    texts = [item.completion for item in load_board(home, sample(home, asked, silent)["board"]).samples]
    assert all(text.startswith("<think>") for text in texts)


def test_the_tag_is_among_what_the_model_was_given(home: Home) -> None:
    assert conversation_text(messages(PROMPT, "Why?")).endswith("Why?\n<think>")


class Alerts:
    """Remembers what a reporter would put into a run's record."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def event(self, kind: str, message: str) -> None:
        self.messages.append(message)


def test_training_rows_are_as_long_as_the_preview_says(tiny_models: Path, home: Home) -> None:
    """With a limit at the exact length of the longest prompt no row is left out, with one less some are."""
    config = one_step(tiny_models, PROMPT)
    policy = load_policy(config.model, home, choose_compute())
    rows = read_rows(config.data, home)
    longest = max(ChatModel.open(config.model, home).prompt_lengths(PROMPT, [row.question for row in rows]))
    for limit, left_out in ((longest, False), (longest - 1, True)):
        alerts: Any = Alerts()
        choose_rows(with_changes(config, {"train.max_prompt_length": limit}), home, policy, alerts)
        assert bool(alerts.messages) == left_out
