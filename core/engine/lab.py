"""The tasks of the reward lab that need models: fresh completions, measured boards, a reward under stress."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel

from core.config import PromptConfig, RewardConfig
from core.data.prepared import find
from core.datasets import Row, choose, read_rows, training_rows
from core.engine.device import choose_compute
from core.engine.generation import Sampling, generate
from core.engine.policy import Policy, load_policy
from core.engine.scorers import opened_scorer
from core.errors import RunError
from core.jobs.tasks import TaskStopped, Tell
from core.lab import measuring
from core.lab.board import Board
from core.lab.boards import BUNDLED, RUN, add_measures, keep_copy, load_board, resolved, save_board
from core.lab.measuring import Measured, light_board
from core.lab.requests import MeasureRequest, SampleRequest, StressRequest, checked
from core.lab.stress import stress_with
from core.paths import Home
from core.presets import preset_config
from core.prompts import conversation_text, whole_completion
from core.reward.ready import ready_reward
from core.reward.scoring import Sample
from core.runs.run import Run, find_run

_SAMPLED, _COPIED = "samples", "measured"
"""What boards that a task makes are named."""


def sample(home: Home, arguments: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """The task "sample": `core.lab.requests.SampleRequest` to `{"board": id}`.

    Whoever stops it while completions are written keeps those of the prompts that were done, and whoever stops it while
    they are measured keeps all of them.

    Raises:
        StudioError: a model, the data or the run cannot be used.
    """
    request = checked(SampleRequest, arguments)
    reward = ready_reward(home, request.reward)
    asked = _Asked.of(home, request)
    rows = choose(training_rows(read_rows(request.data, home)), request.prompts, request.seed)
    title = request.title or f"{request.run or request.model}, {len(rows)} prompts"
    samples: list[Sample] = []
    try:
        for group in _written(home, asked, rows, request, tell):
            samples += group
    except TaskStopped:
        if samples:
            save_board(home, _SAMPLED, light_board(title, samples, tags=asked.prompt.tags))
        raise
    board = light_board(title, samples, tags=asked.prompt.tags)
    board_id = save_board(home, _SAMPLED, board)
    add_measures(home, board_id, _measured(home, board, reward, tell))
    return {"board": board_id}


def measure(home: Home, arguments: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """The task "measure": `core.lab.requests.MeasureRequest` to `{"board": id}`.

    A kept board keeps its id. The bundled one and those of runs have one measured copy each, which is measured further.

    Raises:
        StudioError: there is no such board, or the reward cannot be used.
    """
    request = checked(MeasureRequest, arguments)
    board_id = resolved(home, request.board)
    board = load_board(home, board_id)
    found = _measured(home, board, ready_reward(home, request.reward), tell)
    if board_id == BUNDLED or board_id.startswith(RUN):
        return {"board": keep_copy(home, _COPIED, board_id, board, found)}
    add_measures(home, board_id, found)
    return {"board": board_id}


def stress(home: Home, arguments: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """The task "stress": `core.lab.requests.StressRequest` to `core.lab.stress.StressResult.to_json`.

    Raises:
        StudioError: the reward cannot be used.
    """
    request = checked(StressRequest, arguments)
    with opened_scorer(ready_reward(home, request.reward), request.tags, home) as scorer:
        return stress_with(scorer, tell).to_json()


def _measured(home: Home, board: Board, reward: RewardConfig, tell: Tell) -> Measured:
    tell("loading the scoring models", 0, 0)
    with opened_scorer(reward, board.tags, home) as scorer:
        return measuring.measure(board, scorer, tell)


@dataclass(frozen=True)
class _Asked:
    """Who is asked and how: as the request says, else as the run was, as the prepared data set says, as the demo is."""

    model: str
    run: Run | None
    prompt: PromptConfig
    sampling: Sampling

    @classmethod
    def of(cls, home: Home, request: SampleRequest) -> _Asked:
        run = find_run(home, request.run) if request.run else None
        usual = run.config() if run else preset_config("demo")
        prompt, tokens = usual.prompt, usual.train.max_completion_length
        if run is None and request.data.prepared is not None:
            draft = find(home, request.data.prepared).manifest.draft
            prompt, tokens = draft.prompt, draft.max_completion_length
        temperature = usual.train.temperature if request.temperature is None else request.temperature
        return cls(
            usual.model if run else request.model,
            run,
            request.prompt or prompt,
            Sampling(request.max_tokens or tokens, temperature, usual.train.top_p),
        )


def _written(home: Home, asked: _Asked, rows: list[Row], request: SampleRequest, tell: Tell) -> Iterator[list[Sample]]:
    """The completions of one prompt after the other."""
    tell("loading the model", 0, 0)
    policy, model = _policy(home, asked)
    progress = _GroupProgress(tell, len(rows))
    for number, row in enumerate(rows):
        progress.group = number
        prompt = policy.conversation(asked.prompt, row.question)
        ids = policy.prompt_token_ids(prompt)
        torch.manual_seed((request.seed + number) % 2**32)
        written = generate(model, policy.tokenizer, [ids] * request.completions, asked.sampling, progress)
        text = conversation_text(prompt)
        yield [
            Sample(row.question, row.answer, whole_completion(prompt, completion), str(row.number), text, row.carried)
            for completion in policy.tokenizer.batch_decode(written, skip_special_tokens=True)
        ]


def _policy(home: Home, asked: _Asked) -> tuple[Policy, Any]:
    compute = choose_compute()
    policy = load_policy(asked.model, home, compute)
    model = policy.model.to(compute.device)
    if asked.run is not None:
        if not (asked.run.adapter / "adapter_config.json").is_file():
            raise RunError(
                f"{asked.run.id} has no trained adapter yet. Wait until it ends, or stop it: it then saves one."
            )
        model = PeftModel.from_pretrained(model, str(asked.run.adapter)).merge_and_unload()
    return policy, model.eval()


class _GroupProgress:
    """Tells a task how many tokens of how many there are; it is asked at every token whether it should stop."""

    def __init__(self, tell: Tell, groups: int) -> None:
        self._tell = tell
        self._groups = groups
        self.group = 0

    def phase(self, name: str, done: int = 0, total: int = 0) -> None:
        self._tell("writing completions", self.group * total + done, self._groups * total)
