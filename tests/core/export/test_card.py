"""The model card: what it tells, and what must never stand in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from core.config import with_changes
from core.evaluate.counting import count
from core.export.card import fenced, license_of, model_card, plain
from core.export.evaluations import evaluations_of_export
from core.export.parity_report import FormParity, ParityFinding, ParityReport
from core.export.request import Form
from core.export.store import Export
from core.paths import Home, write_json
from core.runs.run import Run
from core.serving.candidates import adapter_candidate
from tests.build_adapters import save_adapter
from tests.build_evaluation import answered_comparison, build_evaluation
from tests.build_export import exportable_run, made_up_export
from tests.build_runs import HOSTILE, QUESTION, REFERENCE, Plan, build_run


@pytest.fixture
def run(home: Home, tmp_path: Path) -> Run:
    """A finished run on the published base of the embedded model, whose adapter is made up."""
    exportable_run(home, tmp_path / "HuggingFaceTB" / "SmolLM2")
    run = build_run(home, Plan())
    write_json(
        run.config_file,
        with_changes(run.config(), {"model": str(tmp_path / "HuggingFaceTB" / "SmolLM2")}).model_dump(mode="json"),
    )
    save_adapter(run.adapter, tmp_path / "HuggingFaceTB" / "SmolLM2")
    return run


def card_of(home: Home, export: Export, base: Path | None = None) -> str:
    return model_card(home, export, export.made[0], base, ())


def metadata(card: str) -> dict[str, object]:
    found = yaml.safe_load(card.split("---\n")[1])
    assert isinstance(found, dict)
    return found


def test_the_hub_learns_what_it_is(home: Home, run: Run) -> None:
    found = metadata(card_of(home, made_up_export(home, run, ["adapter"])))
    assert (found["library_name"], found["pipeline_tag"]) == ("peft", "text-generation")
    assert {"grpo", "lora"} <= set(found["tags"])  # type: ignore[call-overload]
    assert "base_model" not in found, "a folder of this machine is no model on the Hub"


def test_a_base_model_on_the_hub_is_named(home: Home, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    export = made_up_export(home, run, ["merged"])
    write_json(run.config_file, with_changes(run.config(), {"model": "smollm2-135m-instruct"}).model_dump(mode="json"))
    found = metadata(card_of(home, export))
    assert (found["base_model"], found["license"]) == ("HuggingFaceTB/SmolLM2-135M-Instruct", "apache-2.0")


def test_the_state_of_a_base_model_from_the_hub_is_named(home: Home, run: Run) -> None:
    export = made_up_export(home, run, ["merged"])
    assert ", commit" not in card_of(home, export)
    export.keep_manifest(export.manifest().model_copy(update={"base_commit": "0123abc"}))
    assert "Base model: SmolLM2, commit 0123abc." in card_of(home, export)


def test_it_tells_reward_data_and_what_was_measured(home: Home, run: Run) -> None:
    card = card_of(home, made_up_export(home, run, ["adapter"]))
    assert "Not for clinical use" in card
    assert "| Similarity | 0.5 |" in card
    assert "| Steps | 36 of 36 |" in card
    assert "d3f2c3efeb6a0b6024b92f51234b2297fa42625cf9ec269393623d7881044f24" in card
    rows = [line for line in card.splitlines() if line.startswith(("| Reward |", "| Mean reward on held-out"))]
    assert len(rows) == 3 and not any("–" in row for row in rows)


def test_neither_questions_answers_nor_paths_of_this_machine_stand_in_it(home: Home, run: Run) -> None:
    export = made_up_export(home, run, ["adapter"])
    export.keep_parity(ParityReport(questions=(QUESTION,), reference=FormParity(form="reference")))
    card = card_of(home, export)
    assert not [text for text in (QUESTION, REFERENCE, str(home.root.parent), "INR") if text in card]


def test_a_hostile_title_is_shown_as_it_is(home: Home, run: Run) -> None:
    card = card_of(home, made_up_export(home, run, ["adapter"], title=HOSTILE[:200]))
    for markup in ("<img", "![", "[pixel", "://", "**bold"):
        assert not re.search(rf"(?<!\\){re.escape(markup)}", card)
    assert "\\<img src=x onerror=alert(1)\\>" in card


def test_a_system_prompt_cannot_end_its_block() -> None:
    assert fenced("a\n````\nb").splitlines()[0] == "`````text"
    assert plain("a | b\n| c") == "a \\| b \\| c"


def test_drift_is_told(home: Home, run: Run) -> None:
    export = made_up_export(home, run, ["adapter"])
    finding = ParityFinding(form="adapter", kind="divergence", severity="drift", sentence="It answers differently.")
    form = FormParity(form="adapter", divergence=0.0125, reward=0.5, format_rate=1.0)
    export.keep_parity(ParityReport(drift=True, questions=("a", "b"), forms=(form,), findings=(finding,)))
    card = card_of(home, export)
    assert "| LoRA adapter | 0.01250 | 0.50 | 1.00 |" in card and "- It answers differently." in card


def test_what_a_program_said_of_a_form_that_could_not_be_asked_is_not_published(home: Home, run: Run) -> None:
    export = made_up_export(home, run, ["adapter"])
    finding = ParityFinding(form="adapter", kind="unchecked", severity="drift", sentence="No file /srv/secret/model.")
    form = FormParity(form="adapter", problem="No file /srv/secret/model.")
    export.keep_parity(ParityReport(drift=True, questions=("a",), forms=(form,), findings=(finding,)))
    card = card_of(home, export)
    assert "- It could not be asked, so nobody knows how it answers." in card and "secret" not in card


def test_a_card_names_the_forms_in_its_own_folder_alone(home: Home, run: Run) -> None:
    forms: list[Form] = ["merged", "gguf_f16", "gguf_q8_0"]
    export = made_up_export(home, run, forms)
    findings = [ParityFinding(form=form, kind="reward", severity="warning", sentence=f"Of {form}.") for form in forms]
    found = [FormParity(form=form, reward=0.5) for form in forms]
    export.keep_parity(ParityReport(forms=tuple(found), findings=tuple(findings)))
    merged, gguf = (model_card(home, export, form, None, ()) for form in (forms[0], forms[2]))
    assert "GGUF" not in merged and "Of merged." in merged.replace("\\", "")
    assert "q8_0.gguf" in gguf.replace("\\", "") and "f16.gguf" in gguf and "| Merged" not in gguf


def test_an_export_that_was_not_compared_says_so(home: Home, run: Run) -> None:
    assert "were not compared" in card_of(home, made_up_export(home, run, ["adapter"]))


def test_the_licence_is_that_of_the_base_models_own_card(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nlicense: llama3.1\n---\n# Base\n")
    assert license_of("", tmp_path) == "llama3.1"
    (tmp_path / "README.md").write_text("---\n: [\n---\n")
    assert license_of("", tmp_path) == ""
    assert license_of("someone/else", None) == ""


def test_evaluations_of_this_adapter_alone_are_told(home: Home, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    export = made_up_export(home, run, ["adapter"])
    comparison = answered_comparison(home)
    evaluation = build_evaluation(home, comparison)
    assert evaluations_of_export(home, export) == []
    asked = comparison.request()
    candidates = (asked.candidates[0], adapter_candidate(run))
    write_json(
        comparison.folder / "request.json", asked.model_copy(update={"candidates": candidates}).model_dump(mode="json")
    )
    assert evaluations_of_export(home, export) == [], "its statistics have not been counted"

    count(evaluation, comparison)
    [note] = evaluations_of_export(home, export)
    assert (note.questions, list(note.judges)) == (12, ["judge-one"]) and note.found
    assert plain(note.found[0]) in card_of(home, export)
