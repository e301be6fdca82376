"""Forms that Unsloth makes itself: who may have them, and what it is asked, with a stand-in in its place."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from core.engine.export import unsloth_forms
from core.engine.export.task import export_model
from core.engine.export.unsloth_forms import by_unsloth
from core.errors import ConfigError, ModelError
from core.export import unsloth
from core.export.quantiser import LLAMA_CPP_DIR
from core.export.request import UNSLOTH_FORMS, Form
from core.export.store import list_exports
from core.export.unsloth import cannot_use_unsloth, offered_forms
from core.jobs.tasks import TaskStopped, silent
from core.machine import Machine
from core.paths import Home
from core.runs.run import Run
from tests.build_export import exportable_run, new_export, tiny_run
from tests.build_gguf import write_f16
from tests.build_machine import machine

UNSLOTH = """
import json, os, shutil, sys
from pathlib import Path
assert "transformers" not in sys.modules, "Unsloth has to be imported first"
SITE = Path(__file__).parent

class Model:
    def __init__(self, asked):
        self.asked = asked
        adapter = Path(asked["model_name"])
        self.base = json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"]
    def tell(self, **told):
        names = [name for name in os.environ if name.startswith(("UNSLOTH", "HF_"))]
        environment = {name: os.environ[name] for name in names}
        known = {"base": self.base, "loaded": self.asked, "environment": environment, **told}
        (SITE / "asked.json").write_text(json.dumps(known))
    def save_pretrained_merged(self, save_directory, tokenizer, save_method, safe_serialization):
        self.tell(method=save_method, safe=safe_serialization, end=tokenizer.eos_token)
        Path(save_directory).mkdir()
        shutil.copy(Path(self.base) / "config.json", save_directory)
        shutil.copy(Path(self.base) / "model.safetensors", save_directory)
    def save_pretrained_gguf(self, save_directory, tokenizer, quantization_method, safe_serialization):
        llama_cpp = os.environ.get("UNSLOTH_LLAMA_CPP_PATH")
        held = sorted(os.listdir(llama_cpp)) if llama_cpp else None
        self.tell(method=quantization_method, safe=safe_serialization, where=os.getcwd(), llama_cpp=held)
        folder = Path(save_directory + "_gguf")
        folder.mkdir()
        shutil.copy(SITE / "made.gguf", folder / "model.gguf")
        return {"gguf_files": [str(folder / "model.gguf")], "save_directory": save_directory}

class FastLanguageModel:
    @staticmethod
    def from_pretrained(**asked):
        return Model(asked), None
"""
TRANSFORMERS = """
class PreTrainedTokenizerFast:
    eos_token = "<|im_end|>"
    @classmethod
    def from_pretrained(cls, folder):
        return cls()
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an Unsloth that makes files at once, on a machine that seems to have a GPU."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "unsloth.py").write_text(UNSLOTH)
    (folder / "transformers.py").write_text(TRANSFORMERS)
    write_f16(folder / "made.gguf", layers=1)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.delenv(LLAMA_CPP_DIR, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(unsloth_forms, "find_spec", lambda name: object())
    return folder


@pytest.fixture
def run(home: Home, tmp_path: Path) -> Run:
    """A run of the tiny policy that counts as trained by Unsloth."""
    return tiny_run(home, tmp_path / "tiny", train__backend="unsloth")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsloth.Machine, "inspect", classmethod(lambda cls, home: machine(1)))


def make(home: Home, run: Run, form: Form, target: Path, scratch: Path) -> None:
    by_unsloth(home, Path(run.config().model), run.adapter, target, form, scratch, silent)


def asked(site: Path) -> Mapping[str, Any]:
    told: Mapping[str, Any] = json.loads((site / "asked.json").read_text())
    return told


def test_only_a_run_that_unsloth_has_trained_is_offered_its_forms(home: Home, run: Run, tmp_path: Path) -> None:
    assert set(UNSLOTH_FORMS) <= set(offered_forms(run.config()))
    other = exportable_run(home, tmp_path / "base")
    assert not set(UNSLOTH_FORMS) & set(offered_forms(other.config()))
    with pytest.raises(ConfigError, match="trained with Unsloth, and this one was not"):
        new_export(home, other, ["unsloth_merged"])


@pytest.mark.parametrize(
    ("here", "reason"),
    [(machine(), "needs an NVIDIA GPU"), (machine(1, packages={"unsloth": None}), "unsloth, which is not installed")],
)
def test_a_machine_that_lacks_something_is_refused_before_the_start(
    home: Home, run: Run, monkeypatch: pytest.MonkeyPatch, here: Machine, reason: str
) -> None:
    monkeypatch.setattr(unsloth.Machine, "inspect", classmethod(lambda cls, home: here))
    assert reason in cannot_use_unsloth("unsloth_q8_0", here) and not cannot_use_unsloth("gguf_q8_0", here)
    with pytest.raises(ConfigError, match=reason):
        new_export(home, run, ["adapter", "unsloth_q8_0"])
    assert list_exports(home) == []


def test_an_export_that_goes_on_elsewhere_is_refused_with_the_reason(home: Home, run: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="PyTorch finds none on this machine"):
        make(home, run, "unsloth_merged", tmp_path / "merged", tmp_path / "scratch")


def test_unsloth_merges_in_a_process_of_its_own_without_secrets(
    home: Home, run: Run, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "opensesame")
    make(home, run, "unsloth_merged", tmp_path / "merged", tmp_path / "scratch")
    told = asked(site)
    assert (told["base"], told["method"], told["safe"]) == (run.config().model, "merged_16bit", None)
    assert told["loaded"]["load_in_4bit"] is False and told["end"] == "<|im_end|>"
    assert "HF_TOKEN" not in told["environment"] and told["environment"]["UNSLOTH_DISABLE_STATISTICS"] == "1"
    made = {file.name for file in (tmp_path / "merged").iterdir()}
    assert {"model.safetensors", "tokenizer.json", "chat_template.jinja", "generation_config.json"} <= made
    assert not (tmp_path / "scratch").exists() and "unsloth" not in sys.modules


def test_a_gguf_file_is_made_as_the_form_says(home: Home, run: Run, site: Path, tmp_path: Path) -> None:
    make(home, run, "unsloth_q4_k_m", tmp_path / "a.gguf", tmp_path / "scratch")
    assert (tmp_path / "a.gguf").read_bytes() == (site / "made.gguf").read_bytes()
    told = asked(site)
    assert (told["method"], told["where"], told["llama_cpp"]) == ("q4_k_m", str(tmp_path / "scratch"), None)
    assert not (tmp_path / "scratch").exists()


def test_unsloth_gets_a_copy_of_the_llama_cpp_that_is_named(
    home: Home, run: Run, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "llama.cpp"
    (folder / "gguf-py").mkdir(parents=True)
    (folder / "llama-quantize").write_text("#!/bin/sh\n")
    (folder / "llama-quantize").chmod(0o755)
    monkeypatch.setenv(LLAMA_CPP_DIR, str(folder))
    with pytest.raises(ConfigError, match=r"without convert_hf_to_gguf\.py"):
        make(home, run, "unsloth_q8_0", tmp_path / "a.gguf", tmp_path / "scratch")
    (folder / "convert_hf_to_gguf.py").write_text("")
    make(home, run, "unsloth_q8_0", tmp_path / "a.gguf", tmp_path / "scratch")
    told = asked(site)
    assert told["llama_cpp"] == ["convert_hf_to_gguf.py", "gguf-py", "llama-quantize"]
    assert told["environment"]["UNSLOTH_AUTO_INSTALL"] == "0"
    assert told["environment"]["UNSLOTH_LLAMA_CPP_PATH"] != str(folder)
    assert sorted(file.name for file in folder.iterdir()) == told["llama_cpp"]


def test_an_unsloth_that_fails_is_told_with_a_way_out(home: Home, run: Run, site: Path, tmp_path: Path) -> None:
    (site / "unsloth.py").write_text("raise SystemExit(3)")
    with pytest.raises(ModelError, match=r"exit code 3.*Choose Merged, 16 bits"):
        make(home, run, "unsloth_merged", tmp_path / "merged", tmp_path / "scratch")
    with pytest.raises(ModelError, match=r"exit code 3.*set LLAMA_CPP_DIR"):
        make(home, run, "unsloth_q8_0", tmp_path / "a.gguf", tmp_path / "scratch")
    assert not (tmp_path / "scratch").exists()


def test_a_stop_ends_unsloth(home: Home, run: Run, site: Path, tmp_path: Path) -> None:
    (site / "unsloth.py").write_text("import signal\nsignal.pause()\n")

    def stop(phase: str, done: int = 0, total: int = 0) -> None:
        if phase == unsloth_forms.PHASE:
            raise TaskStopped

    with pytest.raises(TaskStopped):
        by_unsloth(
            home, Path(run.config().model), run.adapter, tmp_path / "a", "unsloth_q8_0", tmp_path / "scratch", stop
        )
    assert not (tmp_path / "scratch").exists()


def test_an_export_by_unsloth_is_compared_and_described_as_any_other(
    home: Home, run: Run, site: Path, gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = new_export(home, run, ["unsloth_merged"], questions=1)
    work = unsloth_forms._run

    def on_a_gpu_only_there(*about: Any) -> None:
        work(*about)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    monkeypatch.setattr(unsloth_forms, "_run", on_a_gpu_only_there)
    outcome = export_model(home, {"run": run.id, "export": export.id}, silent)
    assert export.whole and "unsloth" in export.manifest().software
    # The stand-in leaves the adapter out: that is what a comparison is for.
    assert outcome["drift"] is True
    card = (export.form_folder("unsloth_merged") / "README.md").read_text()
    assert "Merged by Unsloth, 16 bits" in card and "library_name: transformers" in card
