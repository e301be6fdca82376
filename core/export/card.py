"""The model card: what was trained on what, by which reward, how it did, and what it must not be used for.

It is made of the run, of evaluations of this adapter, and of the parity report. It holds the run's system prompt, but
no question or answer of the data, no path of this machine, no address and no key, since it is published with the model.
Text that people wrote stands in it so that it cannot be Markdown or HTML. It names only what lies in its own folder:
the other forms may stay here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import ModelCardData, metadata_load
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from core.errors import RunError
from core.evaluate.run_record import RunRecord, run_records
from core.export.card_numbers import CurveEnd, curve_ends
from core.export.commands import Commands, system_text
from core.export.evaluations import EvaluationNote, evaluations_of_export
from core.export.names import public_name
from core.export.parity_report import ParityReport
from core.export.request import FORM_TITLES, GGUF_FORMS, Form
from core.export.store import CARD, Export, title_of
from core.paths import ASSETS, Home
from core.reward.verdicts import component_title
from core.runs.files import Size

_TEMPLATE = "card.md.jinja"
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|&!~$:@]|(?<=www)\.)", re.IGNORECASE)
"""What would begin markup, or make a link of a text that looks like an address."""
_LIBRARIES: Mapping[Form, str] = {
    "adapter": "peft",
    "merged": "transformers",
    "merged_4bit": "transformers",
    "unsloth_merged": "transformers",
}
_LICENSES = {"HuggingFaceTB/SmolLM2-135M-Instruct": "apache-2.0"}
"""Of base models that come without a card of their own."""


@dataclass(frozen=True)
class FormLine:
    """One form that lies in the card's folder."""

    title: str
    place: str
    size: str


@dataclass(frozen=True)
class CardView:
    """What the template shows.

    Attributes:
        form: the title of the form that this card lies beside.
        base: the base model's public name, else the name of its folder.
        base_commit: which state of it, by the Hub's name; empty where it is a folder or came in a package.
        license: as the base model's own card has it; empty where that is not known.
        forms: those that lie in the card's folder.
        curves: what was measured at the beginning and at the end of training.
        evaluations: of this very adapter or of files of this export.
        parity: how the adapter itself and these forms answered; None where answers were not compared.
        commands: for this form.
    """

    title: str
    form: str
    base: str
    base_commit: str
    license: str
    record: RunRecord
    checkpoint: str
    system: str
    forms: Sequence[FormLine]
    curves: Sequence[CurveEnd]
    evaluations: Sequence[EvaluationNote]
    parity: ParityReport | None
    commands: Sequence[Commands]
    software: Mapping[str, str]
    adapter_sha256: str


def model_card(home: Home, export: Export, form: Form, base: Path | None, commands: Sequence[Commands]) -> str:
    """The model card that lies beside one form.

    Args:
        base: the folder of the base model, for its licence; None where it is not at hand.
        commands: those that load this form.

    Raises:
        RunError: the run is gone.
        DataError: the export is damaged.
        ConfigError: the run's configuration cannot be read.
    """
    record = run_records(home, [export.run_id])[0]
    if not isinstance(record, RunRecord):
        raise RunError(record.reason)
    manifest = export.manifest()
    beside = [one for one in export.made if export.form_folder(one) == export.form_folder(form)]
    base_name = public_name(record.config.model)
    view = CardView(
        title=title_of(export),
        form=FORM_TITLES[form],
        base=base_name or Path(record.config.model).name,
        base_commit=manifest.base_commit,
        license=license_of(base_name, base),
        record=record,
        checkpoint=_checkpoint(export, record),
        system=system_text(record.config),
        forms=[_line(export, one) for one in beside],
        curves=curve_ends(record),
        evaluations=evaluations_of_export(home, export),
        parity=_parity_of(export, beside),
        commands=commands,
        software=manifest.software,
        adapter_sha256=manifest.adapter_sha256,
    )
    return f"---\n{metadata(view, form, base_name)}---\n\n{_environment().get_template(_TEMPLATE).render(view=view)}"


def metadata(view: CardView, form: Form, base_name: str) -> str:
    """The part in YAML that the Hub reads."""
    data = ModelCardData(
        base_model=base_name or None,
        license=view.license or None,
        library_name=None if form in GGUF_FORMS else _LIBRARIES[form],
        pipeline_tag="text-generation",
        tags=[
            "grpo",
            "grpo-studio",
            "trl",
            *(["lora"] if form == "adapter" else []),
            *(["gguf"] * (form in GGUF_FORMS)),
        ],
    )
    return str(data.to_yaml()).rstrip("\n") + "\n"


def license_of(base_name: str, base: Path | None) -> str:
    """The licence that the base model's own card names; empty where none is known."""
    card = base / CARD if base is not None else None
    if card is not None and card.is_file():
        try:
            found = (metadata_load(card) or {}).get("license", "")
        except Exception:  # whatever is wrong with a card of unknown origin, it then names no licence
            found = ""
        if isinstance(found, str) and found:
            return found
    return _LICENSES.get(base_name, "")


def _line(export: Export, form: Form) -> FormLine:
    return FormLine(FORM_TITLES[form], export.place_of(form).name, str(Size(export.bytes_of(form), whole=True)))


def _parity_of(export: Export, forms: Sequence[Form]) -> ParityReport | None:
    """What was found of these forms; None where none of them was looked at."""
    report = export.parity()
    if report is None or not any(report.of(form) for form in forms):
        return None
    return report.model_copy(
        update={
            "forms": tuple(found for found in report.forms if found.form in forms),
            "findings": tuple(finding for finding in report.findings if finding.form in forms),
        }
    )


def _checkpoint(export: Export, record: RunRecord) -> str:
    """Which state of the training it is, in words."""
    checkpoint = export.request().checkpoint
    if checkpoint == "best":
        step = record.results.validation_step
        return "the one that did best on the validation questions" + ("" if step is None else f" (step {step})")
    return f"that of step {checkpoint}" if checkpoint else "the final one"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(ASSETS / "export"),
        autoescape=False,  # the result is Markdown; `plain` and `fenced` keep texts of people from being any
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(plain=plain, fenced=fenced, number=_number, component=component_title)
    return environment


def plain(text: object) -> str:
    """A text of unknown origin in one line of Markdown that shows it as it is.

    >>> plain("a *b*\\n<img>")
    'a \\\\*b\\\\* \\\\<img\\\\>'
    """
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def fenced(text: str, language: str = "text") -> str:
    """A text of unknown origin as a block of code that it cannot end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
