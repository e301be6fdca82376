"""The embedded models for real: prepared from their packages, scored with, trained for two steps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.commands.cli import main
from core.config import EMBEDDED_POLICY, with_changes
from core.engine.prepare import prepare
from core.jobs import supervisor
from core.models import prepared_folder
from core.paths import Home
from core.presets import preset_config
from core.runs.completions import held_out, read_completions, step_file
from core.runs.events import latest_metrics, read_events

pytestmark = pytest.mark.real

QUESTION = "What is the first-line treatment for anaphylaxis in an adult?"
REFERENCE = "Intramuscular adrenaline is the first-line treatment for anaphylaxis."
COMPLETIONS = {
    "good": "<reasoning>Anaphylaxis narrows airways.</reasoning><answer>Give adrenaline into the muscle of the thigh "
    "at once, the first treatment for anaphylaxis.</answer>",
    "off": "<reasoning>It hurts.</reasoning><answer>The capital of France is a city on the river Seine.</answer>",
    "garbled": "<reasoning>A.</reasoning><answer>adrenaline thigh the of anaphylaxis into first muscle once</answer>",
    "untagged": "Give adrenaline into the muscle of the thigh.",
    "copied": f"<reasoning>A.</reasoning><answer>{QUESTION}</answer>",
}


def test_the_converted_policy_ends_its_turn_with_the_right_token(embedded_home: Home) -> None:
    folder = prepared_folder(EMBEDDED_POLICY, embedded_home)
    assert folder is not None
    for name in ("config.json", "generation_config.json"):
        config = json.loads((folder / name).read_text())
        assert (config["eos_token_id"], config["pad_token_id"]) == (2, 2)
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    assert (tokenizer["eos_token"], tokenizer["pad_token"]) == ("<|im_end|>", "<|im_end|>")
    assert "<|im_start|>" in (folder / "chat_template.jinja").read_text()


def test_preparing_again_changes_nothing(embedded_home: Home) -> None:
    weights = embedded_home.models / EMBEDDED_POLICY / "model.safetensors"
    before = weights.stat().st_mtime_ns
    prepare(embedded_home)
    assert weights.stat().st_mtime_ns == before


@pytest.mark.parametrize("preset", ["article", "notebook", "robust"])
def test_scores_put_a_good_answer_above_the_others(
    preset: str, embedded_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.jsonl"
    rows = [{"question": QUESTION, "answer": REFERENCE, "completion": text} for text in COMPLETIONS.values()]
    file.write_text("\n".join(map(json.dumps, rows)))
    assert main(["score", str(file), "--preset", preset, "--home", str(embedded_home.root)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = dict(zip(COMPLETIONS, lines, strict=True))
    assert [found[name]["valid"] for name in COMPLETIONS] == [True, True, True, False, False]
    assert found["good"]["components"]["semantic"] > 0.5 > found["off"]["components"]["semantic"]
    assert found["good"]["reward"] == max(line["reward"] for line in lines)
    floor = -0.3 if preset == "notebook" else -1.0
    assert found["untagged"]["reward"] == found["copied"]["reward"] == floor
    assert sum(line["advantage"] for line in lines) == pytest.approx(0.0, abs=1e-6)
    fluencies = {name: line["components"]["fluency"] for name, line in found.items()}
    if preset == "notebook":
        assert set(fluencies.values()) == {0.5}
    else:
        assert fluencies["good"] > fluencies["garbled"]


def test_the_demo_trains_for_two_steps(embedded_home: Home) -> None:
    small = {"train.steps": 2, "train.held_out_rows": 2, "train.prompts_per_step": 2, "train.num_generations": 4}
    config = with_changes(preset_config("demo"), small)
    run = supervisor.start(embedded_home, config)
    status = supervisor.wait(run, 600)
    assert status.state == "finished", run.log.read_text()
    metrics = latest_metrics(read_events(run.events))
    assert [m.step for m in metrics] == [1, 2]
    assert all(-1 <= m.reward <= 1 and 0 < m.components["semantic"] < 1 for m in metrics)
    assert len(read_completions(step_file(run, 1))) == 8
    assert len({c.group for c in read_completions(step_file(run, 1))}) == 2
    assert all(answer.before.completion for answer in held_out(run))
    assert any(m.grad_norm > 0 for m in metrics)
