"""GPU figures: what training costs with vLLM, Unsloth and bare TRL, and whether the article's curve is reached.

`python -m benchmarks.gpu PART … --data FILE [--home DIR] [--out DIR]` on a machine with an NVIDIA GPU; FILE holds
questions and answers, such as PubMedQA (Jin et al. 2019). Every part starts jobs as the studio does and reads what they
wrote.

    step         seconds of a step against the same script on bare TRL, vLLM in both
    generation   vLLM against the policy writing for itself
    unsloth      Unsloth against TRL: seconds of a step, GPU memory at its peak
    live         seconds of a step with and without a page that is drawn anew once a second
    learning     200 steps of the `article` reward; the run is kept under DIR
    server       a vLLM server on a second GPU
    distributed  two GPUs against one: tokens per second with as many completions for each, vLLM in both processes
    distributed_curve
                 two GPUs against one: the reward with the same completions a step; and where the model is spread
    zero3        two GPUs: the model spread over them by DeepSpeed against a copy on each
    large        a model of the shape of Llama 3.1 8B, on one GPU and spread over two
    answers      the model server: base and adapter of the newest run in DIR, asked one by one and all at once
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import scratch_home
from benchmarks.conditions import machine
from benchmarks.gpu_runs import (
    JOB_SECONDS,
    WARM_UP,
    configured,
    forget_scores,
    require_finished,
    spread,
    trained,
    wall_seconds,
)
from benchmarks.several_gpus import distributed, distributed_curve, large, server, zero3
from core.errors import StudioError
from core.jobs import supervisor
from core.jobs.spawning import JOB_ENVIRONMENT
from core.machine import nvidia_gpus
from core.paths import PROJECT, Home
from core.runs.events import latest_metrics, read_events
from core.runs.run import Run, list_runs
from core.serving.candidates import adapter_candidate, model_candidate
from core.serving.client import Decoding, ask_all
from core.serving.conversations import conversation
from core.serving.endpoint import Endpoint
from core.serving.servers import stop_all, wait_for


def step(home: Home, data: Path, out: Path) -> dict[str, Any]:
    """The studio's job against bare TRL, both with vLLM and a learning rate of zero, so that lengths stay the same.

    Studio, bare, bare, studio: a machine that grows slower or faster meanwhile treats both alike.
    """
    config = configured(data, {"train.steps": 24, "train.learning_rate": 0.0})
    mine: list[float] = []
    theirs: list[float] = []
    with scratch_home(home) as work:
        run = trained(work, config)
        mine += wall_seconds(run)[WARM_UP:]
        for _ in range(2):
            forget_scores(work)
            theirs += bare(run, work)[WARM_UP:]
        forget_scores(work)
        mine += wall_seconds(trained(work, config))[WARM_UP:]
    ratio = statistics.median(mine) / statistics.median(theirs)
    return {
        "studio_seconds": spread(mine),
        "bare_trl_seconds": spread(theirs),
        "studio_over_bare": round(ratio, 3),
        "met": {"step time at most 1.02 of bare TRL": ratio <= 1.02},
    }


def generation(home: Home, data: Path, out: Path) -> dict[str, Any]:
    """Seconds that writing a step's completions takes, with vLLM and by the policy itself with transformers."""
    found = {}
    with scratch_home(home) as work:
        for way, steps in (("vllm", 10), ("plain", 5)):
            changes = {"train.steps": steps, "train.generation": way, "train.learning_rate": 0.0}
            run = trained(work, configured(data, changes))
            metrics = latest_metrics(read_events(run.events))[1:]
            seconds = statistics.median(m.generate_seconds for m in metrics)
            tokens = statistics.mean(m.completion_tokens for m in metrics) * run.config().train.completions_per_step
            found[way] = {"seconds": round(seconds, 3), "tokens_per_second": round(tokens / seconds)}
    ratio = found["plain"]["seconds"] / found["vllm"]["seconds"]
    return {**found, "plain_over_vllm": round(ratio, 1), "met": {"vLLM at least 5 times faster": ratio >= 5}}


def unsloth(home: Home, data: Path, out: Path) -> dict[str, Any]:
    """Both backends with vLLM in the process and the same settings."""
    found = {}
    with scratch_home(home) as work:
        for backend in ("trl", "unsloth"):
            start = time.perf_counter()
            run = trained(work, configured(data, {"train.steps": 10, "train.backend": backend}))
            seconds = wall_seconds(run)[WARM_UP:]
            metrics = latest_metrics(read_events(run.events))
            found[backend] = {
                "step_seconds": spread(seconds),
                "update_seconds": round(statistics.median(m.update_seconds for m in metrics[WARM_UP:]), 3),
                "gpu_gb": round(max(m.gpu_bytes for m in metrics) / 1e9, 1),
                "whole_job_seconds": round(time.perf_counter() - start, 1),
                "reward": [round(m.reward, 3) for m in metrics],
            }
    ratio = found["trl"]["step_seconds"]["median"] / found["unsloth"]["step_seconds"]["median"]
    return {**found, "trl_over_unsloth": round(ratio, 2), "met": {}}


def live(home: Home, data: Path, out: Path) -> dict[str, Any]:
    """Steps while a page watches, in turns with steps while none does, within one run."""
    with scratch_home(home) as work:
        run = supervisor.start(work, configured(data, {"train.steps": 60, "train.learning_rate": 0.0}), "live")
        while run.status().live:
            step_now = run.written_status().step
            if step_now and (step_now // 10) % 2:
                watch_for(run, work, step_now // 10 * 10 + 10)
            time.sleep(0.2)
        require_finished(run)
        seconds = dict(enumerate(wall_seconds(run), start=1))
    with_page = [value for number, value in seconds.items() if number > WARM_UP and (number // 10) % 2]
    without = [value for number, value in seconds.items() if number > WARM_UP and not (number // 10) % 2]
    ratio = statistics.median(with_page) / statistics.median(without)
    return {
        "watched_seconds": spread(with_page),
        "unwatched_seconds": spread(without),
        "watched_over_unwatched": round(ratio, 4),
        "met": {"the live view costs at most 1 % of a step": ratio <= 1.01},
    }


def watch_for(run: Run, home: Home, until: int) -> None:
    """Draw the run's page once a second, in another process as the studio does, until it has done `until` steps."""
    command = [sys.executable, "-m", "benchmarks.watcher", str(home.root), run.id, str(until)]
    subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)


def learning(home: Home, data: Path, out: Path) -> dict[str, Any]:
    """200 steps under the article's reward; what the article reports is a rise from about -0.3 to +0.55."""
    config = configured(
        data,
        {
            "name": "Article reward on PubMedQA",
            "train.steps": 200,
            "train.max_completion_length": 200,
            "train.warmup": 0.02,
            "train.save_every": 50,
            "train.seed": 1,
        },
    )
    start = time.perf_counter()
    run = trained(home, config)
    metrics = latest_metrics(read_events(run.events))
    rewards = [m.reward for m in metrics]
    tens = [statistics.mean(rewards[n : n + 10]) for n in range(0, len(rewards), 10)]
    reached = next((10 * (n + 1) for n, mean in enumerate(tens) if mean >= 0.55), None)
    pack(run, out)
    return {
        "steps": len(metrics),
        "job_seconds": round(time.perf_counter() - start, 1),
        "step_seconds": spread(wall_seconds(run)),
        "reward_by_ten_steps": [round(mean, 3) for mean in tens],
        "first_ten_steps_at_0.55": reached,
        "valid": [round(metrics[0].valid, 2), round(metrics[-1].valid, 2)],
        "components_first_last": {
            name: [round(metrics[0].components[name], 3), round(metrics[-1].components[name], 3)]
            for name in metrics[0].components
        },
        "met": {"mean reward of ten steps at least +0.55 within 200 steps": reached is not None},
    }


def answers(home: Home, data: Path, out: Path) -> dict[str, Any]:
    """Base and adapter from one copy of the weights: the first token, and 100 questions at once against one by one."""
    run = next(run for run in list_runs(home) if run.adapter.is_dir())
    questions = [json.loads(line)["question"] for line in data.read_text(encoding="utf-8").splitlines()[:100]]
    found: dict[str, Any] = {}
    start, free = time.perf_counter(), nvidia_gpus()[0].free_bytes
    for candidate in (model_candidate(run.config().model, home), adapter_candidate(run)):
        endpoint = wait_for(home, candidate, JOB_SECONDS)
        found.setdefault("ready_seconds", round(time.perf_counter() - start, 1))
        asked = {n: conversation(home, candidate, run.config().prompt, text) for n, text in enumerate(questions)}
        asyncio.run(timed(endpoint, dict(list(asked.items())[:4]), 1))
        alone = asyncio.run(timed(endpoint, dict(list(asked.items())[:12]), 1))
        together = asyncio.run(timed(endpoint, asked, len(asked)))
        found[candidate.kind] = {"alone": alone, "together": together}
        found["gpu_gb"] = round((free - nvidia_gpus()[0].free_bytes) / 1e9, 1)
    stop_all(home)
    kinds = [found["model"], found["adapter"]]
    gains = [one["together"]["tokens_per_second"] / one["alone"]["tokens_per_second"] for one in kinds]
    return {**found, "together_over_alone": [round(gain, 1) for gain in gains], "met": {}}


async def timed(endpoint: Endpoint, asked: Mapping[int, Any], at_once: int) -> dict[str, float]:
    """Tokens a second over all answers, and the median seconds until an answer's first text."""
    start, tokens = time.perf_counter(), 0
    first: list[float] = []
    async for _, answer in ask_all(endpoint, asked, Decoding(max_tokens=200), at_once):
        if answer.error:
            raise StudioError(answer.error)
        tokens += answer.tokens or 0
        first.append(answer.first_seconds or 0.0)
    seconds = time.perf_counter() - start
    return {"tokens_per_second": round(tokens / seconds), "first_token_seconds": round(statistics.median(first), 3)}


def bare(run: Run, home: Home) -> list[float]:
    """Seconds of the steps of the same configuration on TRL alone."""
    command = [sys.executable, "-m", "benchmarks.bare_trl", str(run.folder), str(home.root)]
    environment = {**JOB_ENVIRONMENT, **os.environ}
    answer = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    if answer.returncode:
        print(answer.stderr[-6000:], file=sys.stderr)
        raise StudioError("The bare script failed; its last words stand above.")
    seconds: list[float] = json.loads(answer.stdout.splitlines()[-1])
    return seconds


def pack(run: Run, out: Path) -> None:
    """Put a run without its checkpoints and completions beside the results, to be looked at elsewhere."""
    out.mkdir(parents=True, exist_ok=True)
    archive = out / f"{run.id}.tar.gz"
    leave = [f"--exclude={name}" for name in ("checkpoints", "adapter", "best")]
    subprocess.run(["tar", "-czf", archive, *leave, "-C", run.folder.parent, run.id], check=True)


_ALONE = (step, generation, unsloth, live, learning, answers)
_SEVERAL = (server, distributed, distributed_curve, zero3, large)
PARTS: Mapping[str, Callable[[Home, Path, Path], dict[str, Any]]] = {
    function.__name__: function for function in (*_ALONE, *_SEVERAL)
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--data", type=Path, required=True, metavar="FILE")
    parser.add_argument("--home", metavar="DIR")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), metavar="DIR")
    options = parser.parse_args()
    home = Home.open(options.home)
    failed = False
    for name in options.parts:
        try:
            result = PARTS[name](home, options.data, options.out)
        except StudioError as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = True
            continue
        record = {"benchmark": f"gpu_{name}", "date": time.strftime("%Y-%m-%d"), "machine": machine(home), **result}
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / f"gpu_{name}.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        print(json.dumps({name: result}), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
