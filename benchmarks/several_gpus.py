"""Several GPUs against one, and models that are spread over them; `benchmarks.gpu` runs these."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import safe_open

from benchmarks import scratch_home, sizing
from benchmarks.gpu_runs import WARM_UP, configured, forget_scores, spread, trained, wall_seconds
from benchmarks.sizing import EIGHT, Layout, config_of
from core.config import EMBEDDED_POLICY, with_changes
from core.machine import nvidia_gpus
from core.models import locate
from core.paths import PROJECT, Home
from core.runs.events import latest_metrics, read_events
from core.runs.run import Run
from core.train_config import Sharding


def server(home: Home, data: Path, out: Path) -> dict[str, Any]:
    """Steps with vLLM as a server on a GPU of its own; it has to learn as soon as vLLM in the process does."""
    changes = {"train.steps": 40, "train.lr_schedule": "constant", "train.seed": 1}
    with scratch_home(home) as work:
        start = time.perf_counter()
        run = trained(work, configured(data, {**changes, "train.generation": "vllm_server"}))
        metrics = latest_metrics(read_events(run.events))
        first, last = (statistics.mean(m.reward for m in part) for part in (metrics[:5], metrics[-5:]))
        return {
            "job_seconds": round(time.perf_counter() - start, 1),
            "step_seconds": spread(wall_seconds(run)[WARM_UP:]),
            "reward": [round(m.reward, 3) for m in metrics],
            "met": {"the reward rises by 0.3 in 40 steps": last - first >= 0.3},
        }


def distributed(home: Home, data: Path, out: Path) -> dict[str, Any]:
    """Tokens a second of whole steps, writing, scoring and learning: two processes with a GPU each against one.

    512 completions for each process keep its GPU busy. The learning rate is zero, so that lengths stay the same.
    """
    found = {}
    with scratch_home(home) as work:
        for processes in (1, 2):
            changes = {
                "train.steps": 8,
                "train.processes": processes,
                "train.prompts_per_step": 32 * processes,
                "train.num_generations": 16,
                "train.learning_rate": 0.0,
            }
            run = trained(work, configured(data, changes))
            forget_scores(work)
            found[str(processes)] = shared_step(run)
    ratio = found["2"]["tokens_per_second"] / found["1"]["tokens_per_second"]
    return {"by_processes": found, "two_over_one": round(ratio, 3), "met": {"at least 1.7 times": ratio >= 1.7}}


def shared_step(run: Run) -> dict[str, Any]:
    """The figures of a run whose step may be shared among processes; seconds of the parts are the first one's."""
    metrics, seconds = latest_metrics(read_events(run.events))[WARM_UP:], wall_seconds(run)[WARM_UP:]
    tokens = sum(m.completion_tokens for m in metrics) * run.config().train.completions_per_step
    return {
        "completions_per_step": run.config().train.completions_per_step,
        "tokens_per_second": round(tokens / sum(seconds)),
        "step_seconds": spread(seconds),
        "generate_seconds": round(statistics.median(m.generate_seconds for m in metrics), 3),
        "score_seconds": round(statistics.median(m.score_seconds for m in metrics), 3),
        "update_seconds": round(statistics.median(m.update_seconds for m in metrics), 3),
    }


def distributed_curve(home: Home, data: Path, out: Path) -> dict[str, Any]:
    """The same run by one process, by two with a copy each, and by two with a part each.

    Completions are other ones, since each process has its own random numbers. So the curves are alike when the means of
    their last ten steps differ by no more than two standard errors of such a difference, or 0.05.
    """
    rewards: dict[str, list[float]] = {}
    ways: dict[str, tuple[int, Sharding]] = {"one": (1, "none"), "two": (2, "none"), "two_fsdp": (2, "fsdp")}
    with scratch_home(home) as work:
        for name, (processes, sharding) in ways.items():
            run = trained(work, configured(data, sharing(processes, sharding, steps=30)))
            rewards[name] = [m.reward for m in latest_metrics(read_events(run.events))]
    noise = 2 * (statistics.variance(rewards["one"][-10:]) / 5) ** 0.5
    apart = {
        name: statistics.mean(curve[-10:]) - statistics.mean(rewards["one"][-10:]) for name, curve in rewards.items()
    }
    return {
        "reward": {name: [round(value, 3) for value in curve] for name, curve in rewards.items()},
        "last_ten_against_one": {name: round(value, 3) for name, value in apart.items() if name != "one"},
        "two_standard_errors": round(noise, 3),
        "met": {
            "two processes learn as one does": abs(apart["two"]) <= max(noise, 0.05),
            "a model in two parts learns as one does": abs(apart["two_fsdp"]) <= max(noise, 0.05),
        },
    }


def zero3(home: Home, data: Path, out: Path) -> dict[str, Any]:
    """Two processes with a part each by DeepSpeed, against two with a copy each: what is learned, and what it takes."""
    ways: tuple[Sharding, ...] = ("zero3", "none")
    with scratch_home(home) as work:
        found: dict[str, Any] = {
            way: shared_curve(trained(work, configured(data, sharing(2, way, steps=20)))) for way in ways
        }
    parts, copies = found["zero3"], found["none"]
    noise = 2 * (statistics.variance(copies["reward"][-10:]) / 5) ** 0.5
    apart = statistics.mean(parts["reward"][-10:]) - statistics.mean(copies["reward"][-10:])
    whole = parts["adapter_weights"] == copies["adapter_weights"] > 0
    return {
        **found,
        "last_ten_against_copies": round(apart, 3),
        "two_standard_errors": round(noise, 3),
        "met": {"learns as copies do": abs(apart) <= max(noise, 0.05), "the adapter has all its weights": whole},
    }


def sharing(processes: int, sharding: Sharding, steps: int) -> dict[str, Any]:
    """The settings of a run whose curve is to be compared with that of another way to share its steps."""
    return {
        "train.steps": steps,
        "train.processes": processes,
        "train.sharding": sharding,
        "train.lr_schedule": "constant",
        "train.seed": 1,
    }


def shared_curve(run: Run) -> dict[str, Any]:
    """Reward and seconds of a run's steps, the memory in use on its first GPU, and how many weights its adapter has."""
    metrics = latest_metrics(read_events(run.events))
    with safe_open(run.adapter / "adapter_model.safetensors", framework="numpy") as tensors:
        weights = sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    return {
        "reward": [round(m.reward, 3) for m in metrics],
        "step_seconds": spread(wall_seconds(run)[WARM_UP:]),
        "gpu_gb": round(max(m.gpu_bytes for m in metrics) / 1e9, 1),
        "adapter_weights": weights,
    }


def large(home: Home, data: Path, out: Path) -> dict[str, Any]:
    """The size Recommended with a model of the shape of Llama 3.1 8B: what a step takes, against the estimate.

    Its weights are random, so that hardly any completion ends before it is as long as it may be, as the estimate has
    it. On one GPU, and spread over two by FSDP and by ZeRO-3, with vLLM in the training process.
    """
    ways: dict[str, tuple[int, Sharding]] = {"one": (1, "none"), "two_fsdp": (2, "fsdp"), "two_zero3": (2, "zero3")}
    with scratch_home(home) as work:
        folder, tokenizer = work.root / "large", locate(EMBEDDED_POLICY, work)
        vocabulary = json.loads(Path(tokenizer, "config.json").read_text(encoding="utf-8"))["vocab_size"]
        command = [sys.executable, "-m", "benchmarks.large", str(folder), "8B", tokenizer]
        made = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
        layout = Layout(replace(EIGHT, vocabulary=vocabulary), 1)
        changes = {"model": str(folder), "data.path": str(data.resolve()), "train.steps": 8}
        changes |= {"train.held_out_rows": 0, "train.validate_every": 0, "train.save_every": 1000}
        found: dict[str, dict[str, Any]] = {}
        for name, (processes, sharding) in ways.items():
            shared = {"train.processes": processes, "train.sharding": sharding}
            found[name] = large_step(trained(work, with_changes(config_of(layout), {**changes, **shared})))
    known, need = sizing.measured(), sizing.memory(layout)
    return {
        "parameters": int(made.stdout.split()[-1]),
        **found,
        "estimated_step_seconds_of_one": [round(sizing.step_seconds(layout, known, best), 1) for best in (True, False)],
        "estimated_gpu_gb_beside_vllm_of_one": round((need.total - need.cache) / 1e9, 1),
        "met": {},
    }


def large_step(run: Run) -> dict[str, Any]:
    """Seconds of a step and of its parts, and the memory in use on the first GPU beside vLLM's share."""
    metrics = latest_metrics(read_events(run.events))[WARM_UP:]
    vllm_bytes = run.config().train.vllm_memory * nvidia_gpus()[0].memory_bytes
    return {
        "steps": len(metrics),
        "step_seconds": spread(wall_seconds(run)[WARM_UP:]),
        "generate_seconds": round(statistics.median(m.generate_seconds for m in metrics), 2),
        "score_seconds": round(statistics.median(m.score_seconds for m in metrics), 2),
        "update_seconds": round(statistics.median(m.update_seconds for m in metrics), 2),
        "completion_tokens": round(statistics.mean(m.completion_tokens for m in metrics), 1),
        "gpu_gb_beside_vllm": round((max(m.gpu_bytes for m in metrics) - vllm_bytes) / 1e9, 1),
    }
