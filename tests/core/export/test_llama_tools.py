"""An installed llama.cpp, or llama-cpp-python, quantises first: stand-ins take their place."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFWriter

from core.engine.export import gguf_convert
from core.engine.export.gguf_convert import convert
from core.engine.export.gguf_quantise import quantise, quantiser
from core.engine.export.llama_tools import installed_tool
from core.errors import ConfigError, ModelError
from core.export import quantiser as light
from core.export.quantiser import LLAMA_CPP_DIR
from core.export.request import Form
from core.jobs.tasks import TaskStopped, silent
from tests.build_gguf import write_f16, write_out

COPY = "import json, os, shutil\nshutil.copy(sys.argv[1], sys.argv[2])\n"
TELL = COPY + "with open(sys.argv[1] + '.asked', 'w') as file: json.dump([sys.argv[3:], dict(os.environ)], file)\n"
HALF = "open(sys.argv[2], 'wb').write(open(sys.argv[1], 'rb').read()[:2000])\n"
FAIL = HALF + "sys.exit(3)\n"
WAIT = HALF + "import signal\nsignal.pause()\n"
CONVERT = "import json, os, shutil\nshutil.copy(os.path.join(sys.argv[1], 'made.gguf'), sys.argv[3])\n"
CONVERT_TELL = CONVERT + "with open(os.path.join(sys.argv[1], 'asked'), 'w') as file: json.dump(sys.argv[1:], file)\n"
CONVERT_HALF = (
    "import os\nopen(sys.argv[3], 'wb').write(open(os.path.join(sys.argv[1], 'made.gguf'), 'rb').read()[:2000])\n"
)
LIBRARY = """
import ctypes, shutil
class Parameters(ctypes.Structure):
    _fields_ = [("nthread", ctypes.c_int32), ("ftype", ctypes.c_int)]
def llama_model_quantize_default_params():
    return Parameters()
def llama_model_quantize(source, target, parameters):
    if parameters._obj.ftype != 15 or parameters._obj.nthread < 1:
        return 1
    shutil.copy(source.decode(), target.decode())
    return 0
"""


@pytest.fixture
def f16(tmp_path: Path) -> Path:
    return write_f16(tmp_path / "f16.gguf", layers=1)


@pytest.fixture(autouse=True)
def none_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LLAMA_CPP_DIR, raising=False)


def install(folder: Path, program: str, monkeypatch: pytest.MonkeyPatch, inner: str = "bin") -> None:
    """A folder as of an installed llama.cpp whose `llama-quantize` does what `program` says."""
    file = folder / inner / "llama-quantize"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!{sys.executable}\nimport sys\n{program}")
    file.chmod(0o755)
    monkeypatch.setenv(LLAMA_CPP_DIR, str(folder))


def left(tmp_path: Path) -> list[str]:
    return sorted(file.name for file in tmp_path.glob("*a.gguf"))


@pytest.mark.parametrize("inner", ["", "bin", "build/bin"])
def test_the_program_of_an_installed_llama_cpp_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inner: str
) -> None:
    install(tmp_path / "llama.cpp", COPY, monkeypatch, inner)
    assert quantiser() == "Quantised by llama-quantize."


@pytest.mark.parametrize(("form", "number"), [("gguf_q8_0", "7"), ("gguf_q5_k_m", "17"), ("gguf_q4_k_m", "15")])
def test_the_program_is_asked_for_the_form_and_gets_no_secrets(
    f16: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Form, number: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", "opensesame")
    install(tmp_path / "llama.cpp", TELL, monkeypatch)
    quantise(f16, tmp_path / "a.gguf", form, silent)
    assert (tmp_path / "a.gguf").read_bytes() == f16.read_bytes()
    asked, environment = json.loads((tmp_path / "f16.gguf.asked").read_text())
    assert asked[0] == number
    assert int(asked[1]) >= 1
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert "HF_TOKEN" not in environment


def test_a_folder_without_the_program_is_named(f16: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LLAMA_CPP_DIR, str(tmp_path))
    with pytest.raises(ConfigError, match=r"LLAMA_CPP_DIR names .*, which holds no program llama-quantize\. Name "):
        quantise(f16, tmp_path / "a.gguf", "gguf_q4_k_m", silent)
    assert quantiser().startswith("LLAMA_CPP_DIR names")


def test_a_program_that_fails_leaves_nothing_behind(f16: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "llama.cpp", FAIL, monkeypatch)
    with pytest.raises(ModelError, match=r"llama-quantize could not quantise the model \(exit code 3\)"):
        quantise(f16, tmp_path / "a.gguf", "gguf_q4_k_m", silent)
    assert left(tmp_path) == []


def test_half_a_file_is_not_taken_for_a_whole_one(f16: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "llama.cpp", HALF, monkeypatch)
    with pytest.raises(ModelError, match="only a part of one"):
        quantise(f16, tmp_path / "a.gguf", "gguf_q4_k_m", silent)
    assert left(tmp_path) == []


def test_a_stop_ends_the_program(f16: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "llama.cpp", WAIT, monkeypatch)

    def stop(phase: str, done: int, total: int) -> None:
        assert (phase, total > done) == ("quantising q4_k_m", True)
        if done == 2000:
            raise TaskStopped

    with pytest.raises(TaskStopped):
        quantise(f16, tmp_path / "a.gguf", "gguf_q4_k_m", stop)
    assert left(tmp_path) == []


def test_llama_cpp_python_is_used_where_it_is_installed(
    f16: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "llama_cpp.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    assert quantiser() == "Quantised by llama-cpp-python."
    quantise(f16, tmp_path / "a.gguf", "gguf_q4_k_m", silent)
    assert (tmp_path / "a.gguf").read_bytes() == f16.read_bytes()
    with pytest.raises(ModelError, match=r"llama-cpp-python could not quantise the model \(exit code 1\)"):
        quantise(f16, tmp_path / "b.gguf", "gguf_q8_0", silent)


def test_an_installed_llama_cpp_comes_before_llama_cpp_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(light, "find_spec", lambda name: object())
    install(tmp_path, COPY, monkeypatch)
    tool = installed_tool()
    assert tool is not None
    assert tool.name == "llama-quantize"


def converter(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as of llama.cpp's source whose `convert_hf_to_gguf.py` does what `script` says; returns a model's."""
    folder.mkdir()
    (folder / "convert_hf_to_gguf.py").write_text(f"import sys\n{script}")
    monkeypatch.setenv(LLAMA_CPP_DIR, str(folder))
    model = folder.parent / "model"
    model.mkdir()
    write_f16(model / "made.gguf", layers=1)
    return model


def test_the_script_of_an_installed_llama_cpp_converts_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = converter(tmp_path / "llama.cpp", CONVERT_TELL, monkeypatch)
    assert convert(model, tmp_path / "a.gguf", silent, title="Ward 7") == "convert_hf_to_gguf.py"
    assert (tmp_path / "a.gguf").read_bytes() == (model / "made.gguf").read_bytes()
    asked = json.loads((model / "asked").read_text())
    assert asked[3:] == ["--outtype", "f16", "--model-name", "Ward 7"]


@pytest.mark.parametrize(
    ("script", "told"),
    [("sys.exit(3)", "could not convert the model (exit code 3)"), (CONVERT_HALF, "only a part of one")],
)
def test_a_script_that_does_not_work_here_leaves_it_to_the_studio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], script: str, told: str
) -> None:
    model = converter(tmp_path / "llama.cpp", script, monkeypatch)
    written = (model / "made.gguf").read_bytes()
    monkeypatch.setattr(gguf_convert, "_convert", lambda folder, part, title, tell: part.write_bytes(written))
    assert gguf_convert.convert(model, tmp_path / "a.gguf", silent) == ""
    assert left(tmp_path) == ["a.gguf"] and told in capsys.readouterr().out


def test_a_file_that_would_read_other_tokens_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.tiny import save_policy

    model = save_policy(tmp_path / "model")
    writer = GGUFWriter(model / "made.gguf", "llama")
    writer.add_tokenizer_model("llama")
    writer.add_tensor("token_embd.weight", np.zeros((2, 32), np.float16))
    write_out(writer)
    script = tmp_path / "llama.cpp" / "convert_hf_to_gguf.py"
    script.parent.mkdir()
    script.write_text(f"import sys\n{CONVERT}")
    monkeypatch.setenv(LLAMA_CPP_DIR, str(script.parent))
    assert convert(model, tmp_path / "a.gguf", silent) == ""
    assert "took the tokenizer for one of another kind" in capsys.readouterr().out
    assert (tmp_path / "a.gguf").read_bytes() != (model / "made.gguf").read_bytes()


def test_a_stop_ends_the_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = converter(tmp_path / "llama.cpp", "import signal\nsignal.pause()\n", monkeypatch)
    told: list[str] = []

    def stop(phase: str, done: int = 0, total: int = 0) -> None:
        told.append(phase)
        if len(told) > 2:
            raise TaskStopped

    with pytest.raises(TaskStopped):
        convert(model, tmp_path / "a.gguf", stop)
    assert left(tmp_path) == []
