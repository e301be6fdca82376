"""The model server with the embedded model: the first token, the memory of an adapter, many answers at once.

The server is the task as the studio starts it, and is asked over HTTP by the `openai` client. The model's own prefill
time is that of the same prompt in one pass in this process, measured in turns with the server, which is idle meanwhile.
The server reads what prompts have in common only once, so these prompts differ from their first words on; how soon it
answers one that begins like the last is told as well.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import torch
from openai import AsyncOpenAI, OpenAI
from peft import get_peft_model

from benchmarks import scratch_home
from core.config import EMBEDDED_POLICY
from core.datasets import choose, read_rows, training_rows
from core.engine.device import choose_compute
from core.engine.grpo import lora_config
from core.engine.policy import Policy, load_policy
from core.errors import StudioError
from core.jobs import supervisor
from core.jobs.tasks import Task
from core.paths import Home
from core.presets import preset_config
from core.serving import lifetime

ANSWERS, TOKENS = 16, 64
TURNS = 9
FIRST_TOKEN_MS = 150
MEMORY_RATIO = 1.15
BATCH_RATIO = 3

Conversation = list[Any]


def measure(home: Home) -> dict[str, Any]:
    """How long the first token takes beyond prefill, what an adapter takes of memory, what writing at once gains."""
    with scratch_home(home) as work:
        policy = load_policy(EMBEDDED_POLICY, work, choose_compute())
        asked = _conversations(work, policy)
        server = _Server.start(work)
        try:
            first = _first_token(server, policy, asked)
            batch = _throughput(server, asked)
            memory = _memory(server, policy, asked, work.root / "adapter")
        finally:
            server.stop()
    return {
        "first_token": first,
        "memory": memory,
        "batch": batch,
        "met": {
            f"first token at most {FIRST_TOKEN_MS} ms beyond prefill": first["beyond_prefill_ms"] <= FIRST_TOKEN_MS,
            f"base and adapter in at most {MEMORY_RATIO} of one model": memory["ratio"] <= MEMORY_RATIO,
            f"{ANSWERS} at once at least {BATCH_RATIO} times one by one": batch["ratio"] >= BATCH_RATIO,
        },
    }


@dataclass(frozen=True)
class _Server:
    """The server's task and where it answers."""

    task: Task
    url: str
    token: str

    @classmethod
    def start(cls, home: Home) -> _Server:
        """Start the task and wait until it answers."""
        task = supervisor.start_task(home, "serve_model", {"model": EMBEDDED_POLICY, "max_rank": 16, "port": 0})
        lifetime.use(task)
        file = task.folder / lifetime.ADDRESS
        while not file.is_file():
            if not task.status().live:
                raise StudioError(f"The model server did not start: {task.status().error}")
            time.sleep(0.1)
        address = httpx.Response(200, content=file.read_bytes()).json()
        return cls(task, address["url"], address["token"])

    def stop(self) -> None:
        self.task.stop_request.touch()
        while self.task.status().live:
            time.sleep(0.1)

    def client(self) -> OpenAI:
        return OpenAI(base_url=f"{self.url}/v1", api_key=self.token, max_retries=0)

    def async_client(self) -> AsyncOpenAI:
        return AsyncOpenAI(base_url=f"{self.url}/v1", api_key=self.token, max_retries=0)

    def load_adapter(self, name: str, folder: Path) -> None:
        headers = {"Authorization": f"Bearer {self.token}"}
        wanted = {"lora_name": name, "lora_path": str(folder)}
        reply = httpx.post(f"{self.url}/v1/load_lora_adapter", json=wanted, headers=headers, timeout=60)
        reply.raise_for_status()

    def memory(self) -> int:
        """Bytes that the server's process takes, its share of pages that it shares with others."""
        return int(psutil.Process(self.task.status().pid).memory_full_info().pss)


def _conversations(home: Home, policy: Policy) -> list[Conversation]:
    """Questions of the sample data in the demo's prompt."""
    config = preset_config("demo")
    rows = choose(training_rows(read_rows(config.data, home)), ANSWERS, 0)
    return [policy.conversation(config.prompt, row.question) for row in rows]


def _first_token(server: _Server, policy: Policy, asked: Sequence[Conversation]) -> dict[str, Any]:
    """Medians over turns of prefill alone, and of the server's first piece of text."""
    prefill, first = [], []
    with server.client() as client:
        for turn in range(TURNS + 1):  # the first turn warms both up
            conversation = _unlike_any_other(asked[turn], turn)
            prompt = torch.tensor([policy.prompt_token_ids(conversation)])
            prefill.append(_seconds(partial(_prefill, policy, prompt)))
            first.append(_seconds(partial(_first_piece, client, conversation)))
        alike = [_seconds(partial(_first_piece, client, conversation)) for conversation in asked[: TURNS + 1]]
    beyond = statistics.median(theirs - mine for theirs, mine in zip(first[1:], prefill[1:], strict=True))
    return {
        "prompt_tokens": prompt.size(1),
        "prefill_ms": round(1000 * statistics.median(prefill[1:])),
        "served_ms": round(1000 * statistics.median(first[1:])),
        "beyond_prefill_ms": round(1000 * beyond),
        "served_ms_when_the_prompt_begins_alike": round(1000 * statistics.median(alike[1:])),
    }


def _unlike_any_other(conversation: Conversation, number: int) -> Conversation:
    """The same conversation, but for its first words."""
    first, *others = conversation
    return [{**first, "content": f"{number} is this case's number. {first['content']}"}, *others]


@torch.inference_mode()
def _prefill(policy: Policy, prompt: torch.Tensor) -> None:
    policy.model.eval()(input_ids=prompt, use_cache=True, logits_to_keep=1)


def _first_piece(client: OpenAI, conversation: Conversation) -> None:
    """An answer of one token, to its end: nothing of it is left to be written while something else is measured."""
    for _ in client.chat.completions.create(
        model="base", messages=conversation, temperature=0, max_tokens=1, stream=True
    ):
        pass


def _throughput(server: _Server, asked: Sequence[Conversation]) -> dict[str, Any]:
    """Tokens per second of the same questions, one by one and all at once."""

    async def ask(client: AsyncOpenAI, number: int) -> int:
        reply = await client.chat.completions.create(
            model="base", messages=asked[number], temperature=0.7, seed=number, max_tokens=TOKENS
        )
        return reply.usage.completion_tokens if reply.usage else 0

    async def one_by_one() -> int:
        async with server.async_client() as client:
            return sum([await ask(client, number) for number in range(ANSWERS)])

    async def at_once() -> int:
        async with server.async_client() as client:
            return sum(await asyncio.gather(*(ask(client, number) for number in range(ANSWERS))))

    rates = {}
    for name, way in (("one_by_one", one_by_one), ("at_once", at_once)):
        start = time.perf_counter()
        tokens = asyncio.run(way())
        rates[name] = tokens / (time.perf_counter() - start)
    return {
        "answers": ANSWERS,
        "tokens_per_second": {name: round(rate, 1) for name, rate in rates.items()},
        "ratio": round(rates["at_once"] / rates["one_by_one"], 2),
    }


def _memory(server: _Server, policy: Policy, asked: Sequence[Conversation], folder: Path) -> dict[str, Any]:
    """The server's memory when the base has answered, and again with an adapter when both have, side by side.

    The ratio counts the model's weights only, not the libraries of the process: what the adapter adds, over them.
    """

    async def ask(models: Sequence[str]) -> None:
        async with server.async_client() as client:
            wanted = {"messages": asked[0], "temperature": 0, "max_tokens": TOKENS}
            await asyncio.gather(*(client.chat.completions.create(model=model, **wanted) for model in models))

    asyncio.run(ask(["base", "base"]))
    one = server.memory()
    weights = sum(weight.numel() * weight.element_size() for weight in policy.model.parameters())
    get_peft_model(policy.model, lora_config(preset_config("demo"))).save_pretrained(str(folder))
    server.load_adapter("adapter", folder)
    asyncio.run(ask(["base", "adapter"]))
    both = server.memory()
    return {
        "weights_mb": round(weights / 1e6),
        "server_mb": {"base": round(one / 1e6), "base_and_adapter": round(both / 1e6)},
        "ratio": round(1 + (both - one) / weights, 3),
        "ratio_of_the_process": round(both / one, 3),
    }


def _seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
