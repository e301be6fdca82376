"""Says in plain words what the forms of an export are, and what was found of them."""

from __future__ import annotations

from collections.abc import Mapping

from core.export.parity_report import ParityReport
from core.export.request import Form
from core.runs.files import Size
from studio.words import Badge

FORM_NOTES: Mapping[Form, str] = {
    "adapter": "Only what training has changed: a small file that is loaded beside the base model, by vLLM or Python.",
    "merged": "The whole model in full precision, for servers with a GPU (vLLM) and for training it further.",
    "merged_4bit": "The whole model in a quarter of the memory, for a GPU with little of it.",
    "gguf_f16": "One file for Ollama, LM Studio and other programs that need no GPU; as exact as trained, and large.",
    "gguf_q8_0": "About half of f16, with answers nearly alike. The right one where it fits into memory.",
    "gguf_q5_k_m": "Smaller and faster than q8_0. Answers can differ, of small models more than of large ones.",
    "gguf_q4_k_m": "The smallest and fastest. Answers differ most: read the comparison before you use it.",
    "unsloth_merged": "As the merged form above, but merged by Unsloth's own code, which has trained this model.",
    "unsloth_q8_0": "As GGUF q8_0, made by Unsloth with llama.cpp: of the folder that LLAMA_CPP_DIR names, else "
    "fetched over the network.",
    "unsloth_q4_k_m": "As GGUF q4_k_m, made by Unsloth with llama.cpp: of the folder that LLAMA_CPP_DIR names, else "
    "fetched over the network.",
}
NOT_COMPARED = Badge("Not compared", "gray", ":material/help:")
NOT_MADE = Badge("Not made yet", "gray", ":material/hourglass_empty:")
_SAME = Badge("Answers as trained", "green", ":material/check_circle:")
_WARNING = Badge("Answers differ somewhat", "orange", ":material/warning:")
_DRIFT = Badge("Answers differently", "red", ":material/error:")


def parity_badge(report: ParityReport | None, form: Form) -> Badge:
    """How a form answers, held against the adapter."""
    if report is None or report.of(form) is None:
        return NOT_COMPARED
    severity = report.severity_of(form)
    return {"drift": _DRIFT, "warning": _WARNING, None: _SAME}[severity]


def size_words(count: int) -> str:
    """How large a file is; small ones in bytes.

    >>> size_words(950), size_words(1_500_000)
    ('950 bytes', '1.5 MB')
    """
    return f"{count:,} bytes" if count < 100_000 else str(Size(count, whole=True))


def phase_words(phase: str) -> str:
    """A phase as the reader should see it.

    >>> phase_words("merging"), phase_words("")
    ('Merging', 'Starting')
    """
    return (phase[:1].upper() + phase[1:]) or "Starting"
