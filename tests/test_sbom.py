"""The lists of packages that are handed to an auditor say what is really pinned."""

from __future__ import annotations

import json

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from core.paths import PROJECT

MODELS = "requirements-models.txt"


def _pinned(name: str) -> set[tuple[str, str]]:
    lines = (PROJECT / name).read_text().splitlines()
    found = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    return {(canonicalize_name(one.name), next(iter(one.specifier)).version) for one in found}


@pytest.mark.parametrize(
    ("lock", "listed"), [("requirements.lock", "sbom.json"), ("requirements-gpu.lock", "sbom-gpu.json")]
)
def test_the_list_of_packages_is_that_of_the_lock(lock: str, listed: str) -> None:
    sbom = json.loads((PROJECT / listed).read_text())
    assert sbom["bomFormat"] == "CycloneDX"
    found = {(canonicalize_name(one["name"]), one["version"]) for one in sbom["components"]}
    assert found == _pinned(lock) | _pinned(MODELS), "Write it anew: make sbom"
