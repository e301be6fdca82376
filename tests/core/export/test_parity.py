"""Parity of real files: a tiny policy with an adapter, merged, converted and quantised, asked through transformers and
llama.cpp; and files that are wrong in the ways that other tools get wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from core.config import JudgeConfig, RewardConfig
from core.engine.export import parity_llama, parity_transformers
from core.engine.export.distributions import Likeliest, divergence, likeliest
from core.engine.export.gguf_convert import convert
from core.engine.export.gguf_quantise import quantise
from core.engine.export.merge import merge
from core.engine.export.parity import first_difference, parity
from core.engine.export.parity_rewards import without_judge
from core.export.parity_report import FormParity, ParityReport
from core.export.request import Form
from core.export.store import Export
from core.jobs.tasks import TaskStopped, silent
from core.paths import Home
from core.runs.run import Run
from tests import tiny
from tests.build_export import new_export, tiny_run

END = b"<|im_end|>"
LOUD = 8.0
"""By how much the tiny policy's random weights are made larger, so that its attention decides what it says."""


def loud_policy(folder: Path) -> Path:
    tiny.save_policy(folder)
    change_weights(
        folder, lambda name, weight: weight * LOUD if name.endswith("weight") and weight.dim() == 2 else weight
    )
    return folder


def change_weights(folder: Path, change: Callable[[str, torch.Tensor], torch.Tensor]) -> None:
    for file in folder.glob("*.safetensors"):
        weights = {name: change(name, weight).contiguous() for name, weight in load_file(file).items()}
        save_file(weights, file, {"format": "pt"})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home.open(tmp_path_factory.mktemp("parity") / "home")


@pytest.fixture(scope="module")
def run(home: Home, tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose adapter changes what the policy says."""
    changes: dict[str, Any] = {
        "reward__similarity_model": str(tiny_models / "similarity"),
        "reward__fluency_model": str(tiny_models / "policy"),
        "train__max_completion_length": 12,
        "train__max_prompt_length": 1200,
    }
    return tiny_run(home, loud_policy(tmp_path_factory.mktemp("base") / "policy"), **changes)


@pytest.fixture(scope="module")
def merged(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("merged") / "merged"
    merge(Path(run.config().model), run.adapter, folder, silent)
    return folder


@pytest.fixture(scope="module")
def f16(merged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("f16") / "model.gguf"
    convert(merged, file, silent)
    return file


def export_of(home: Home, run: Run, form: Form, put: Callable[[Path], object], questions: int = 2) -> Export:
    """An export whose one form is put in its place."""
    export = new_export(home, run, [form], questions=questions)
    export.place_of(form).parent.mkdir(exist_ok=True)
    put(export.place_of(form))
    return export


def look(home: Home, run: Run, form: Form, put: Callable[[Path], object]) -> ParityReport:
    return parity(home, export_of(home, run, form, put), [form], silent)


def kinds(report: ParityReport, severity: str) -> set[str]:
    return {finding.kind for finding in report.findings if finding.severity == severity}


def only(report: ParityReport) -> FormParity:
    assert len(report.forms) == 1
    assert not report.forms[0].problem, report.forms[0].problem
    return report.forms[0]


@pytest.fixture(scope="module")
def whole(home: Home, run: Run, merged: Path, f16: Path) -> ParityReport:
    """An export as it should be, all forms of it looked at together."""
    forms: list[Form] = ["adapter", "merged", "gguf_f16", "gguf_q8_0"]
    export = new_export(home, run, forms, questions=3)
    export.form_folder("gguf_f16").mkdir()
    shutil.copytree(run.adapter, export.place_of("adapter"))
    shutil.copytree(merged, export.place_of("merged"))
    shutil.copy(f16, export.place_of("gguf_f16"))
    quantise(f16, export.place_of("gguf_q8_0"), "gguf_q8_0", silent)
    report = parity(home, export, forms, silent)
    export.keep_parity(report)
    assert export.parity() == report
    return report


@pytest.mark.parametrize("form", ["adapter", "merged", "gguf_f16"])
def test_a_faithful_form_has_not_drifted(whole: ParityReport, form: Form) -> None:
    found = whole.of(form)
    assert found is not None
    assert not found.problem
    assert found.prompts_equal == 3
    assert found.end_declared
    assert found.end_honoured
    assert found.positions == 36
    assert found.divergence is not None
    assert found.divergence < 1e-3
    assert whole.severity_of(form) is None
    assert not whole.drift


def test_the_exported_adapter_answers_as_the_adapter_does(whole: ParityReport) -> None:
    found = whole.of("adapter")
    assert found is not None
    assert found.divergence == 0.0
    assert found.same_answers == 3


def test_a_quantised_form_diverges_more_than_one_of_16_bits(whole: ParityReport) -> None:
    fine, coarse = whole.of("gguf_f16"), whole.of("gguf_q8_0")
    assert fine is not None
    assert coarse is not None
    assert coarse.divergence is not None
    assert fine.divergence is not None
    assert coarse.divergence > fine.divergence


def test_every_form_gets_the_reward_of_its_answers(whole: ParityReport) -> None:
    assert whole.reference is not None
    for found in (whole.reference, *whole.forms):
        assert found.reward is not None
        assert found.reward == pytest.approx(np.mean([answer.reward for answer in found.answers]))
        assert found.format_rate == 0.0
        assert found.ended == 0


def test_questions_are_those_that_were_never_trained_on(whole: ParityReport, home: Home, run: Run) -> None:
    from core.datasets import held_out_rows, read_rows

    assert len(whole.questions) == 3
    assert set(whole.questions) <= {row.question for row in held_out_rows(read_rows(run.config().data, home))}


def patched(source: Path, *changes: tuple[bytes, bytes]) -> Callable[[Path], None]:
    """Copies a file with these bytes replaced."""

    def put(target: Path) -> None:
        content = source.read_bytes()
        for old, new in changes:
            assert old in content
            assert len(old) == len(new)
            content = content.replace(old, new)
        target.write_bytes(content)

    return put


def end_key(number: int) -> bytes:
    """The end token of a GGUF file as it stands there: the key, the type UINT32, the value."""
    return b"tokenizer.ggml.eos_token_id" + (4).to_bytes(4, "little") + number.to_bytes(4, "little")


def test_a_file_that_names_another_end_token_drifts(home: Home, run: Run, f16: Path) -> None:
    report = look(home, run, "gguf_f16", patched(f16, (end_key(1), end_key(0))))
    found = only(report)
    assert report.drift
    assert not found.end_declared
    assert found.end_token == "<|im_start|>"
    assert found.divergence is not None
    assert found.divergence < 1e-3
    assert kinds(report, "drift") == {"stop"}


def test_an_end_token_that_llama_cpp_does_not_stop_at_drifts(home: Home, run: Run, f16: Path) -> None:
    report = look(home, run, "gguf_f16", patched(f16, (end_key(1), end_key(0)), (END, b"<|am_and|>")))
    assert only(report).prompts_equal == 2
    assert not only(report).end_honoured
    assert report.drift


def test_swapped_rows_of_queries_and_keys_drift(home: Home, run: Run, merged: Path, tmp_path: Path) -> None:
    def swapped(name: str, weight: torch.Tensor) -> torch.Tensor:
        heads = {"q_proj.weight": 4, "k_proj.weight": 2}.get(".".join(name.split(".")[-2:]))
        if heads is None:
            return weight
        rows = weight.reshape(heads, 2, len(weight) // heads // 2, -1)
        return rows.swapaxes(1, 2).reshape(weight.shape)

    wrong = tmp_path / "merged"
    shutil.copytree(merged, wrong)
    change_weights(wrong, swapped)
    report = look(home, run, "gguf_f16", lambda target: convert(wrong, target, silent))
    assert report.drift
    assert only(report).prompts_equal == 2
    assert kinds(report, "drift") == {"divergence"}


def test_another_chat_template_drifts(home: Home, run: Run, f16: Path) -> None:
    report = look(home, run, "gguf_f16", patched(f16, (b"<|im_start|>assistant", b"<|im_start|>therapist")))
    assert report.drift
    assert only(report).prompts_equal == 0
    assert kinds(report, "drift") == {"prompt"}


def test_weights_without_the_adapter_drift(home: Home, run: Run) -> None:
    report = look(home, run, "merged", lambda target: merge(Path(run.config().model), None, target, silent))
    assert kinds(report, "drift") == {"divergence"}


def test_a_merged_folder_that_names_another_end_token_drifts(home: Home, run: Run, merged: Path) -> None:
    def put(target: Path) -> None:
        shutil.copytree(merged, target)
        (target / "generation_config.json").write_text('{"eos_token_id": 0}')

    report = look(home, run, "merged", put)
    assert kinds(report, "drift") == {"stop"}
    assert only(report).end_token == "<|im_start|>"


def test_a_folder_that_others_read_as_other_tokens_drifts(home: Home, run: Run, merged: Path) -> None:
    def put(target: Path) -> None:
        shutil.copytree(merged, target)
        file = target / "tokenizer_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"tokenizer_class": "LlamaTokenizer"}))

    report = look(home, run, "merged", put)
    assert only(report).prompts_equal == 0
    assert kinds(report, "drift") == {"prompt"}


def test_weights_that_are_no_numbers_are_told_as_not_checked(home: Home, run: Run, merged: Path) -> None:
    def put(target: Path) -> None:
        shutil.copytree(merged, target)
        change_weights(target, lambda name, weight: weight * torch.nan if "norm" in name else weight)

    report = look(home, run, "merged", put)
    assert kinds(report, "drift") == {"unchecked"}
    assert "no finite numbers" in report.findings[0].sentence


def test_nothing_counts_as_checked_against_an_adapter_that_is_no_numbers(
    home: Home, run: Run, merged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(logits: torch.Tensor) -> list[Likeliest]:
        return likeliest(logits * torch.nan)

    monkeypatch.setattr(parity_transformers, "likeliest", broken)
    report = look(home, run, "merged", lambda target: shutil.copytree(merged, target))
    assert report.drift
    assert "The adapter on its base model, which it is compared with, cannot be computed" in report.findings[0].sentence


def test_an_unexpected_error_in_one_form_is_told_of_that_form_alone(
    home: Home, run: Run, merged: Path, f16: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = export_of(home, run, "merged", lambda target: shutil.copytree(merged, target))
    export.form_folder("gguf_f16").mkdir()
    shutil.copy(f16, export.place_of("gguf_f16"))
    monkeypatch.setattr(parity_llama, "read_gguf", lambda file: {}["no such key"])
    report = parity(home, export, ["merged", "gguf_f16"], silent)
    assert report.severity_of("merged") is None
    assert [finding.kind for finding in report.findings_of("gguf_f16")] == ["unchecked"]
    assert "KeyError" in report.findings[0].sentence


def test_a_coarse_file_is_warned_of_and_not_blocked(home: Home, run: Run, merged: Path, tmp_path: Path) -> None:
    noisy = tmp_path / "merged"
    shutil.copytree(merged, noisy)
    torch.manual_seed(0)
    change_weights(
        noisy, lambda name, weight: weight + 2 * weight.std() * torch.randn_like(weight) if "_proj" in name else weight
    )
    report = look(home, run, "gguf_q8_0", lambda target: convert(noisy, target, silent))
    assert "divergence" in kinds(report, "warning")
    assert not report.drift
    assert report.severity_of("gguf_q8_0") == "warning"


def test_half_a_file_is_told_as_not_checked(home: Home, run: Run, f16: Path) -> None:
    report = look(home, run, "gguf_f16", lambda target: target.write_bytes(f16.read_bytes()[:-20_000]))
    assert kinds(report, "drift") == {"unchecked"}
    assert report.drift
    assert "damaged or only a part" in report.findings[0].sentence


def test_a_file_that_takes_too_long_is_told_as_not_checked(
    home: Home, run: Run, f16: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity_llama, "SECONDS", 0.0)
    report = look(home, run, "gguf_f16", lambda target: shutil.copy(f16, target))
    assert kinds(report, "drift") == {"unchecked"}
    assert "was not done with" in report.findings[0].sentence


def test_a_check_can_be_stopped_while_a_file_answers(home: Home, run: Run, f16: Path) -> None:
    def stop_at(phase: str, done: int = 0, total: int = 0) -> None:
        if done >= 2:
            raise TaskStopped

    export = export_of(home, run, "gguf_f16", lambda target: shutil.copy(f16, target))
    with pytest.raises(TaskStopped):
        parity(home, export, ["gguf_f16"], stop_at)


def test_a_model_that_does_not_fit_into_memory_is_told_as_not_checked(
    home: Home, run: Run, f16: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert parity_transformers.wide_bytes(Path(run.config().model)) > 4 * 32 * 400
    monkeypatch.setattr(parity_transformers, "wide_bytes", lambda folder: 10**18)
    report = look(home, run, "gguf_f16", lambda target: shutil.copy(f16, target))
    assert report.drift
    assert "does not fit into memory" in report.findings[0].sentence


def test_a_missing_scorer_leaves_the_answers_without_reward(home: Home, f16: Path, run: Run) -> None:
    bare = tiny_run(
        home,
        Path(run.config().model),
        reward__similarity_model="all-minilm-l6-v2",
        train__max_completion_length=8,
        train__max_prompt_length=1200,
    )
    report = look(home, bare, "gguf_f16", lambda target: shutil.copy(f16, target))
    assert only(report).reward is None
    assert any("have no reward" in note for note in report.notes)
    assert not report.drift


def judged(weights: dict[str, float]) -> RewardConfig:
    return RewardConfig(weights=weights, parser="strict", fluency="answer", judge=JudgeConfig())


def test_a_judge_is_never_asked() -> None:
    left, notes = without_judge(judged({"semantic": 1.0, "judge": 1.0}))
    assert left is not None
    assert left.judge is None
    assert left.weights == {"semantic": 1.0}
    assert notes


def test_a_reward_that_is_a_judge_alone_is_left_out() -> None:
    left, notes = without_judge(judged({"judge": 1.0}))
    assert left is None
    assert "judge's opinion alone" in notes[0]


def test_the_divergence_of_whole_vocabularies_is_that_of_the_formula() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 50, dtype=torch.float64)
    p, q = logits.softmax(-1)
    one, other = likeliest(logits)
    assert divergence(one, other) == pytest.approx(float((p * (p / q).log()).sum()), rel=1e-4)
    assert divergence(one, one) == 0.0


@pytest.fixture
def cut() -> Iterator[tuple[Likeliest, Likeliest, float]]:
    torch.manual_seed(0)
    logits = torch.randn(2, 5000, dtype=torch.float64) * 3
    p, q = logits.softmax(-1)
    one, other = likeliest(logits)
    yield one, other, float((p * (p / q).log()).sum())


def test_what_is_left_out_only_makes_the_divergence_smaller(cut: tuple[Likeliest, Likeliest, float]) -> None:
    one, other, whole = cut
    assert len(one.ids) == 1024
    assert 0.0 < divergence(one, other) <= whole


def test_the_first_difference_of_answers_of_unequal_length_is_where_one_ends() -> None:
    assert first_difference([1, 2], [1, 2, 3]) == 2
    assert first_difference([1, 2, 3], [1, 2, 3]) is None
