"""Which texts must alarm, which must not, and what redaction leaves."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from core.data.identifier_patterns import PATTERNS
from core.data.identifiers import find_identifiers, may_identify, redact
from core.paths import PROJECT

ALARMS = [
    ("Mr Smith has a cough.", [("name", "Smith")]),
    ("Mrs. O'Brien's wound is clean.", [("name", "O'Brien")]),
    ("Ms Smith-Jones was seen by Dr. van der Berg.", [("name", "Smith-Jones"), ("name", "van der Berg")]),
    ("Seen by Dr J. McDonald today.", [("name", "J. McDonald")]),
    ("MRS. SMITH, 45, has asthma.", [("name", "SMITH")]),
    ("Patient name: Maria Garcia Lopez\nAge 45", [("name", "Maria Garcia Lopez")]),
    ("The patient's name is José Núñez.", [("name", "José Núñez")]),
    ("A man named Robert Brown collapsed.", [("name", "Robert Brown")]),
    ("My name is Anna and I have a rash.", [("name", "Anna")]),
    ("Patient: John Doe, DOB 1961-04-03", [("name", "John Doe"), ("date of birth", "1961-04-03")]),
    ("患者姓名：张三，男，45岁", [("name", "张三")]),
    ("患者王先生，45岁", [("name", "王")]),
    ("MRN 00123456 was admitted.", [("record number", "00123456")]),
    ("Medical record number: A-123456", [("record number", "A-123456")]),
    ("Hospital No. 4432109", [("record number", "4432109")]),
    ("NHS number 943 476 5919", [("record number", "943 476 5919")]),
    ("known as 943 476 5919 here", [("record number", "943 476 5919")]),
    ("Patient ID: 998877", [("record number", "998877")]),
    ("住院号：20231234", [("record number", "20231234")]),
    ("Health insurance number: XYZ123456789", [("insurance number", "XYZ123456789")]),
    ("National Insurance No: QQ 12 34 56 C", [("insurance number", "QQ 12 34 56 C")]),
    ("Medicare ID 1EG4-TE5-MK73", [("insurance number", "1EG4-TE5-MK73")]),
    ("SSN 219-09-9999", [("identity number", "219-09-9999")]),
    ("her number, 219-09-9999, is known", [("identity number", "219-09-9999")]),
    ("social security number is 219099999", [("identity number", "219099999")]),
    ("身份证11010519491231002X", [("identity number", "11010519491231002X")]),
    ("DOB 03/04/1961", [("date of birth", "03/04/1961")]),
    ("D.O.B.: 3-4-61", [("date of birth", "3-4-61")]),
    ("She was born on 3 April 1961 in Leeds.", [("date of birth", "3 April 1961")]),
    ("Date of birth: April 3rd, 1961", [("date of birth", "April 3rd, 1961")]),
    ("出生日期：1961年4月3日", [("date of birth", "1961年4月3日")]),
    ("Call 020 7946 0958 if worse.", [("phone", "020 7946 0958")]),
    ("Call (415) 555-0132 or +44 7911 123456.", [("phone", "(415) 555-0132"), ("phone", "+44 7911 123456")]),
    ("Phone: 4155550132", [("phone", "4155550132")]),
    ("电话：13812345678", [("phone", "13812345678")]),
    ("Write to a.smith@hospital.example.org please.", [("email", "a.smith@hospital.example.org")]),
    ("Write to a.smith@ward.local please.", [("email", "a.smith@ward.local")]),
    ("She lives at 12 Oak Street with her son.", [("address", "12 Oak Street")]),
    ("Address: 5 The Elms, Leeds", [("address", "5 The Elms, Leeds")]),
    ("wohnt in der Hauptstraße 12", [("address", "Hauptstraße 12")]),
    ("Send it to P.O. Box 1234, please", [("address", "P.O. Box 1234")]),
    ("habite 12 bis rue de la Paix", [("address", "12 bis rue de la Paix")]),
    ("lives in London SW1A 2AA alone", [("postcode", "SW1A 2AA")]),
    ("from Beverly Hills, CA 90210.", [("postcode", "90210")]),
    ("post code: 80331", [("postcode", "80331")]),
    ("Postal code: K1A 0B1", [("postcode", "K1A 0B1")]),
    ("postcode: D02 AF3", [("postcode", "D02 AF3")]),
    ("ZIP is 10115", [("postcode", "10115")]),
    ("PLZ 80331", [("postcode", "80331")]),
    ("邮编：100 01", [("postcode", "100 01")]),
    ("I called MR. SMITH; his name is Brown.", [("name", "SMITH"), ("name", "Brown")]),
    ("医保卡号：12345678", [("insurance number", "12345678")]),
    ("住址：北京市朝阳区建国路", [("address", "北京市朝阳区建国路")]),
]
QUIET = [
    "Parkinson's disease, Wilson disease, Hodgkin lymphoma and Crohn's are eponyms; so are Babinski and Murphy.",
    "Mr. X, a 45-year-old man, and Mrs. K. were described in the report.",
    "MR imaging, MS, MR angiography and MRS of the brain; MS Contin 30 mg twice daily. DR screening is yearly.",
    "Blood pressure 120/80 mmHg, pulse 88, temperature 38.5 °C, saturation 94 % on 2 L/min.",
    "Sodium 138-142 mmol/L, platelets 150-450 x 10^9/L, white cells 11,000/mm3, BNP 1200 pg/mL, CA 19-9 3700 U/mL.",
    "ICD-10 E11.9 and I21.4, TNM T2 N1 M0, ECOG 1, NYHA III, L4 5HT2A, vitamin B12 1000 µg, CD4 count 350.",
    "In 2019 a 58-year-old was born at 38 weeks; the trial ran from 2010 to 2015 and included 12,345 patients.",
    "born in 1961, seen on 03/04/2021 and again on 12 March 2022",
    "Give 500 mg, 1000 mg, then 2000 mg; 0.5-1.0 mg/kg; 1 000 000 IU; 6-12 months; 30 000 60 000 90 000 units.",
    "PMID 12345678, doi 10.1056/NEJMoa2034577, NCT04368728, ISBN 978-3-16-148410-0.",
    "The drug name is Metformin. Its name: Aspirin. A disease called Kawasaki. A test named after Apgar.",
    "The patient called Monday. The patient: Middle-aged, fever. Patient number 3 of 12 in the case series.",
    "The family history is remarkable. Miss doses rarely. Dr. advised rest. Ask your Dr. About one week later.",
    "Address the cause: 3 steps. Social security benefits. A health insurance plan since 2019. In hospital no 3 beds.",
    "患者，男，45岁，血压120/80mmHg，体温38.5℃，白细胞11000。该患者先生活不能自理，这位女士咳嗽。",
    "Medicare covers 80 % in 2024. Insurance paid. The member was 12 cm long. Policy 2020 applies.",
    "Place 2 Large Bore Cannulas; 24 Hour Holter; Grade 3 Stage 2; Type 2 diabetes; 5 Fr Catheter",
    "DNA 5'-AGCTTAGC-3', p.Val600Glu, rs1801133, HLA-B27, G6PD, CYP2C19, BRCA1, 46 XY, t(9;22)(q34;q11).",
    "",
]


def test_the_quick_look_lets_every_text_with_an_identifier_through() -> None:
    texts = [text for text, _ in ALARMS]
    moved = [f"第三天，é {text} ß\n\nNaïve\u00a0reply." for text in texts]
    for text, may in zip([*texts, *moved], may_identify([*texts, *moved]), strict=True):
        assert may or not find_identifiers(text), text


@given(st.lists(st.text(st.sampled_from("0123456789٣ -/.()@ABQWZabcxyzéßØŁ王先生\n,:#"), max_size=30), max_size=20))
def test_the_quick_look_never_overlooks_what_the_search_finds(texts: list[str]) -> None:
    assert [
        text for text, may in zip(texts, may_identify(texts), strict=True) if find_identifiers(text) and not may
    ] == []


@pytest.mark.parametrize(
    ("gate", "pattern"),
    [(gate, one) for gate, kinds in PATTERNS.items() for patterns in kinds.values() for one in patterns],
)
def test_every_pattern_has_examples_and_its_gate_lets_them_through(gate: str, pattern: str) -> None:
    examples = [text for text, _ in ALARMS if regex.search(pattern, text, regex.MULTILINE)]
    assert examples
    assert [text for text in examples if not regex.search(gate, text)] == []
    assert pc.match_substring_regex(pa.array(examples), gate).to_pylist() == [True] * len(examples)


def test_the_quick_look_spares_ordinary_texts() -> None:
    ordinary = ["Take two tablets of 500 mg twice a day.", "Fièvre de 39,5 °C."]
    assert may_identify(ordinary) == [False, False]


@pytest.mark.parametrize(("text", "found"), ALARMS)
def test_what_likely_names_a_patient_alarms(text: str, found: list[tuple[str, str]]) -> None:
    assert [(one.kind, one.text) for one in find_identifiers(text)] == found


@pytest.mark.parametrize("text", QUIET)
def test_medicine_does_not_alarm(text: str) -> None:
    assert find_identifiers(text) == []


def test_redaction_leaves_the_rest_readable() -> None:
    text = "Mr Smith (DOB 03/04/1961, MRN 00123456) takes metformin; call 020 7946 0958."
    left = "Mr [NAME] (DOB [DATE OF BIRTH], MRN [RECORD NUMBER]) takes metformin; call [PHONE]."
    assert redact(text) == left


@pytest.mark.parametrize("text", [text for text, _ in ALARMS])
def test_a_redacted_text_is_quiet(text: str) -> None:
    assert find_identifiers(redact(text)) == []


@given(st.lists(st.sampled_from([text for text, _ in ALARMS]), max_size=4).map(" ".join))
def test_findings_stand_in_order_and_apart(text: str) -> None:
    found = find_identifiers(text)
    assert all(text[one.start : one.end] == one.text and one.text for one in found)
    assert all(first.end <= second.start for first, second in pairwise(found))


def test_finding_needs_neither_torch_nor_a_network() -> None:
    program = (
        "import socket, sys\n"
        "def refuse(*_): raise OSError('no network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from core.data.identifiers import find_identifiers\n"
        "found = find_identifiers('Mr Smith, a.b@c.org, 020 7946 0958, 219-09-9999')\n"
        "print(len(found), [name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "4 []"
