"""Exporting: the memory that merging, converting and quantising a model of a billion random weights take at their peak,
and the seconds that the embedded model takes from safetensors to GGUF.

Each is done in a process of its own, whose peak is read from the system; it holds PyTorch and the other libraries, too.
Where `LLAMA_CPP_DIR` names a folder with llama.cpp's own `convert_hf_to_gguf.py`, that converts the embedded model as
well, in turns with the studio's, both timed from the start of their process to its end, and their tensors are compared.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFReader
from safetensors.torch import save_file

from benchmarks import scratch_home
from core.config import EMBEDDED_POLICY
from core.engine.export.gguf_convert import convert
from core.engine.export.gguf_quantise import quantise
from core.engine.export.merge import merge
from core.engine.export.model_files import CONFIG, copy_tokenizer, read_json
from core.engine.export.shards import Planned, write_shards
from core.errors import ModelError
from core.jobs.tasks import silent
from core.models import prepared_folder
from core.paths import Home, write_json
from core.serving.adapter_files import CONFIG as ADAPTER_CONFIG
from core.serving.adapter_files import WEIGHTS

HIDDEN, INNER, LAYERS, HEADS, RANK = 2048, 8192, 14, 32, 16
BEYOND_SHARD_MB = 1000
CONVERT_SECONDS = 5.0
"""The most that writing the embedded model as a GGUF file may take on two cores."""
QUANTISE_SECONDS = 10.0
"""The most that it may take to make q4_k_m of the embedded model on two cores, the 16-bit file on the way included."""
_PEAK = "VmHWM:"
_UPSTREAM = "convert_hf_to_gguf.py"
_TURNS = 3


def measure(home: Home) -> dict[str, Any]:
    """The peaks of all three, and the most they may be: the largest file of the merged model and 1 GB."""
    with scratch_home(home) as work:
        base, adapter, merged = (work.root / name for name in ("base", "adapter", "merged"))
        planned = build_base(home, base)
        build_adapter(planned, adapter)
        peaks = {"merge": _child("merge", base, adapter, merged)}
        shutil.rmtree(base)
        peaks["convert"] = _child("convert", merged, work.root / "merged-f16.gguf")
        peaks["quantise"] = _child("quantise", work.root / "merged-f16.gguf", work.root / "merged-q4_k_m.gguf")
        shard = max(file.stat().st_size for file in merged.glob("*.safetensors")) / 1e6
        f16, q4_k_m = conversions(home, work.root)
        upstream = against_upstream(home, work.root)
    most = shard + BEYOND_SHARD_MB
    seconds = {"convert_seconds": f16["seconds"], "q4_k_m_seconds": f16["seconds"] + q4_k_m["seconds"]}
    allowed = {"convert_seconds": CONVERT_SECONDS, "q4_k_m_seconds": QUANTISE_SECONDS}
    return {
        "parameters": sum(one.numbers for one in planned),
        "model_mb": round(sum(one.bytes for one in planned) / 1e6),
        "largest_shard_mb": round(shard),
        "most_allowed_mb": round(most),
        **peaks,
        "convert_embedded": f16,
        "quantise_embedded": q4_k_m,
        **upstream,
        "met": {name: found <= allowed[name] for name, found in seconds.items()}
        | {f"{name}_memory": found["peak_mb"] <= most for name, found in peaks.items()},
    }


def conversions(home: Home, room: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Writing the embedded model as a GGUF file with 16-bit weights, and that as q4_k_m: their seconds and peaks."""
    embedded = _embedded(home)
    f16 = room / "embedded-f16.gguf"
    return _child("convert", embedded, f16), _child("quantise", f16, room / "embedded-q4_k_m.gguf")


def against_upstream(home: Home, room: Path) -> dict[str, Any]:
    """The seconds of whole processes that convert the embedded model, the studio's and llama.cpp's; nothing without it.

    llama.cpp's has its own `gguf` and `conversion` beside it, which must not be those of the studio's environment.
    """
    script = Path(os.environ.get("LLAMA_CPP_DIR", "")) / _UPSTREAM
    if not script.is_file():
        return {}
    files = [room / "turn-studio.gguf", room / "turn-upstream.gguf"]
    embedded = _embedded(home)
    commands = [
        [sys.executable, "-m", "benchmarks.export", "convert", embedded, files[0]],
        [sys.executable, script, embedded, "--outfile", files[1], "--outtype", "f16"],
    ]
    seconds: list[list[float]] = [[], []]
    for _ in range(_TURNS):
        for file, command, taken in zip(files, commands, seconds, strict=True):
            file.unlink(missing_ok=True)
            start = time.perf_counter()
            subprocess.run([str(part) for part in command], env=_own(), capture_output=True, check=True)
            taken.append(time.perf_counter() - start)
    mine, theirs = map(statistics.median, seconds)
    found = {"studio_seconds": round(mine, 1), "llama_cpp_seconds": round(theirs, 1), "ratio": round(mine / theirs, 2)}
    return {"against_llama_cpp": {**found, "same_tensors": _tensors(files[0]) == _tensors(files[1])}}


def _tensors(file: Path) -> dict[str, tuple[Any, bytes]]:
    """Each tensor's type and bytes, by its name."""
    return {one.name: (one.tensor_type, one.data.tobytes()) for one in GGUFReader(file).tensors}


def _embedded(home: Home) -> Path:
    """The embedded model's folder.

    Raises:
        ModelError: it is not prepared.
    """
    folder = prepared_folder(EMBEDDED_POLICY, home)
    if folder is None:
        raise ModelError("The embedded model is not prepared. Run: python -m core prepare")
    return folder


def build_base(home: Home, folder: Path) -> list[Planned]:
    """Write a Llama in bfloat16 with the embedded model's tokenizer; all of it in one file, as hard as it gets."""
    embedded = _embedded(home)
    folder.mkdir()
    copy_tokenizer(embedded, None, folder)
    config = read_json(embedded / CONFIG)
    shape = {"hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": LAYERS, "dtype": "bfloat16"}
    heads = {"num_attention_heads": HEADS, "num_key_value_heads": HEADS, "head_dim": HIDDEN // HEADS}
    write_json(folder / CONFIG, {**config, **shape, **heads})
    planned = list(_llama(int(config["vocab_size"])))
    torch.manual_seed(0)
    write_shards(planned, _random, folder, silent, limit=10**12)
    return planned


def build_adapter(planned: Sequence[Planned], folder: Path) -> None:
    """An adapter on every linear layer."""
    factors = {}
    for one in planned:
        if "_proj" in one.name:
            layer = f"base_model.model.{one.name.removesuffix('.weight')}"
            factors[f"{layer}.lora_A.weight"] = torch.randn(RANK, one.shape[1]) / 50
            factors[f"{layer}.lora_B.weight"] = torch.randn(one.shape[0], RANK) / 50
    folder.mkdir()
    save_file(factors, folder / WEIGHTS)
    write_json(folder / ADAPTER_CONFIG, {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": RANK})


def _llama(vocabulary: int) -> list[Planned]:
    """The tensors of a Llama with one embedding for input and output."""
    matrices = {f"self_attn.{name}_proj": (HIDDEN, HIDDEN) for name in "qkvo"}
    matrices |= {"mlp.gate_proj": (INNER, HIDDEN), "mlp.up_proj": (INNER, HIDDEN), "mlp.down_proj": (HIDDEN, INNER)}
    norms = {"input_layernorm": (HIDDEN,), "post_attention_layernorm": (HIDDEN,)}
    layers = {
        f"layers.{number}.{name}": shape for number in range(LAYERS) for name, shape in {**matrices, **norms}.items()
    }
    shapes = {"embed_tokens": (vocabulary, HIDDEN), **layers, "norm": (HIDDEN,)}
    return [Planned(f"model.{name}.weight", shape, torch.bfloat16) for name, shape in shapes.items()]


def _random(planned: Planned, made: torch.Tensor) -> None:
    made.normal_(std=0.02)


def _own() -> dict[str, str]:
    """The environment in which the studio converts by itself, whatever llama.cpp is there."""
    return {name: value for name, value in os.environ.items() if name != "LLAMA_CPP_DIR"}


def _child(*arguments: object) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.export", *map(str, arguments)]
    found = subprocess.run(command, env=_own(), capture_output=True, text=True, check=True)
    peaks: dict[str, float] = json.loads(found.stdout.splitlines()[-1])
    return peaks


def main(what: str, *places: str) -> None:
    """Merge, convert or quantise to q4_k_m, then tell how long it took and this process's peak memory."""
    start = time.perf_counter()
    if what == "merge":
        merge(*(Path(place) for place in places))
    elif what == "convert":
        convert(Path(places[0]), Path(places[1]))
    else:
        quantise(Path(places[0]), Path(places[1]), "gguf_q4_k_m", silent)
    seconds = time.perf_counter() - start
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    peak = next(int(line.split()[1]) for line in lines if line.startswith(_PEAK))
    print(json.dumps({"peak_mb": round(peak * 1024 / 1e6), "seconds": round(seconds, 1)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
