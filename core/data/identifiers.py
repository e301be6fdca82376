"""Likely patient identifiers in a text, found on this machine by Presidio's pattern recognisers.

What is found: names behind a title or a cue ("Mr Smith", "patient name: …"), numbers of records, insurances and
identity documents, dates of birth, phones, e-mail and street addresses, postcodes, in the forms common in English, and
some of them in German, French and Chinese.

What is not found: a name without a title or cue ("John came in with a cough"), nicknames, a date of admission, the name
of a hospital or town, a rare illness or job that gives somebody away, anything inside a picture. A text without a
finding is not proven to be anonymous; somebody has to read a part of the rows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import regex

from core.data.identifier_patterns import (
    ADDRESS,
    DATE_OF_BIRTH,
    EMAIL,
    IDENTITY_NUMBER,
    INSURANCE_NUMBER,
    NAME,
    PATTERNS,
    PHONE,
    POSTCODE,
    RECORD_NUMBER,
)

KINDS = (NAME, RECORD_NUMBER, INSURANCE_NUMBER, IDENTITY_NUMBER, DATE_OF_BIRTH, PHONE, EMAIL, ADDRESS, POSTCODE)
"""In the order in which one wins over another that starts in the same place and is as long."""

_HEAVY = ("torch", "transformers")
_PHONE_LIKE = r"\p{Nd}(?:[-/ .()]*\p{Nd}){6}"
_PHONE_FORM = regex.compile(
    r"\+\d.*|\(?0[1-9].*|\(\d{3}\) ?\d{3}[- .]\d{4}|(?:1[-. ])?\d{3}[-. ]\d{3}[-. ]\d{4}|1[3-9]\d{9}"
)
"""How people write a phone number; other digits that could be dialled are far more often a count or a code."""
_PHONE_CUE = regex.compile(r"(?i)\b(?:tele)?phone|\btel\b|\bmobile\b|\bcell\b|\bfax\b|电话|手机")
_DATE = regex.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}")
_REGIONS = ("US", "GB", "DE", "FR", "IN", "CN")
_CUE_REACH = 20
"""How many characters before a number its cue may stand."""


@dataclass(frozen=True)
class Identifier:
    """One likely identifier: its kind, and `text` at `start` up to but not including `end`."""

    kind: str
    start: int
    end: int
    text: str


def find_identifiers(text: str) -> list[Identifier]:
    """The likely identifiers in `text`, in their order; none overlaps another.

    >>> [(found.kind, found.text) for found in find_identifiers("Mrs. O'Brien, DOB 03/04/1961, has Hodgkin lymphoma.")]
    [('name', "O'Brien"), ('date of birth', '03/04/1961')]
    """
    found = [
        Identifier(kind, result.start, result.end, text[result.start : result.end])
        for hint, members in _recognizers()
        if hint.search(text)
        for kind, recognizer in members
        for result in recognizer.analyze(text, recognizer.supported_entities, None)
        if kind != PHONE or _written_as_phone(text, result.start, result.end)
    ]
    return _apart(found)


def may_identify(texts: Sequence[str]) -> list[bool]:
    """Which of many texts can hold an identifier at all; quick, and only for those is `find_identifiers` worth it.

    >>> may_identify(["Why does aspirin help?", "Is that so, Mrs. Jones?"])
    [False, True]
    """
    held = "|".join(f"(?:{form.pattern})" for form, _ in _recognizers())
    found: list[bool] = pc.match_substring_regex(pa.array(texts, pa.string()), held).to_pylist()
    return found


def redact(text: str) -> str:
    """`text` with a placeholder for each likely identifier.

    >>> redact("Mr Smith, MRN 00123456, takes metformin.")
    'Mr [NAME], MRN [RECORD NUMBER], takes metformin.'
    """
    parts, done = [], 0
    for found in find_identifiers(text):
        parts += [text[done : found.start], f"[{found.kind.upper()}]"]
        done = found.end
    return "".join([*parts, text[done:]])


def _apart(found: list[Identifier]) -> list[Identifier]:
    """Of identifiers that overlap, the one that starts first, then the longest."""
    kept: list[Identifier] = []
    for candidate in sorted(found, key=lambda one: (one.start, -one.end, KINDS.index(one.kind))):
        if not kept or candidate.start >= kept[-1].end:
            kept.append(candidate)
    return kept


def _written_as_phone(text: str, start: int, end: int) -> bool:
    """Whether the digits that could be dialled are written as people write a phone number, or have a cue."""
    cue = _PHONE_CUE.search(text, max(start - _CUE_REACH, 0), start)
    return bool(cue or _PHONE_FORM.fullmatch(text, start, end)) and not _DATE.fullmatch(text, start, end)


@cache
def _recognizers() -> list[tuple[regex.Pattern[str], list[tuple[str, Any]]]]:
    """What a text must hold to be looked at, and then each kind with a recogniser of it."""
    with _without(_HEAVY):
        from presidio_analyzer import Pattern, PatternRecognizer  # noqa: PLC0415 brings spaCy, more than a second
        from presidio_analyzer.predefined_recognizers import (  # noqa: PLC0415
            EmailRecognizer,
            NhsRecognizer,
            PhoneRecognizer,
            UsSsnRecognizer,
        )

    def own(kind: str, patterns: tuple[str, ...]) -> tuple[str, Any]:
        named = [Pattern(f"{kind} {number}", pattern, 1.0) for number, pattern in enumerate(patterns)]
        return kind, PatternRecognizer(kind, patterns=named, global_regex_flags=regex.MULTILINE)

    # Check digits and impossible numbers are Presidio's; runs of digits without blanks or dashes need a cue.
    spaced = Pattern("spaced", r"\b\d{3}[- ]\d{3}[- ]\d{4}\b", 0.5)
    dashed = Pattern("dashed", r"\b\d{3}-\d{2}-\d{4}\b", 0.5)
    groups = {hint: [own(*item) for item in kinds.items()] for hint, kinds in PATTERNS.items()}
    # Of the e-mail recogniser the pattern alone: it would download a list of domains.
    groups["@"] = [(EMAIL, PatternRecognizer(EMAIL, patterns=list(EmailRecognizer.PATTERNS)))]
    groups[_PHONE_LIKE] = [
        (PHONE, PhoneRecognizer(supported_regions=_REGIONS)),
        (RECORD_NUMBER, NhsRecognizer(patterns=[spaced])),
        (IDENTITY_NUMBER, UsSsnRecognizer(patterns=[dashed])),
    ]
    return [(regex.compile(hint), members) for hint, members in groups.items()]


@contextmanager
def _without(packages: tuple[str, ...]) -> Iterator[None]:
    """Let imports inside believe that these packages are not installed.

    Presidio imports spaCy, which imports PyTorch and transformers when they are there: seven seconds and half a
    gigabyte that pattern recognisers have no use for.
    """
    hidden = [package for package in packages if package not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is how Python itself marks such a module
    try:
        yield
    finally:
        for package in hidden:
            del sys.modules[package]
