"""The direction of imports, and the weight of the user interface's process.

pages -> studio -> core's light half; job processes -> core.engine -> core's light half.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.paths import PROJECT

ENGINE_USERS = {
    "core/jobs/worker.py",
    "core/__main__.py",
    "core/commands/cli.py",
    "core/data/sources.py",  # its task downloads data sets
}
HEAVY = ("torch", "transformers", "trl", "peft", "datasets", "sentence_transformers", "vllm", "unsloth", "ray")


def sources(folder: str) -> list[Path]:
    return sorted((PROJECT / folder).rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def imports(path: Path) -> Iterator[str]:
    """The full names of what a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reaches(imported: str, package: str) -> bool:
    return imported == package or imported.startswith(package + ".")


@pytest.mark.parametrize("path", sources("core"), ids=name)
def test_core_knows_no_user_interface(path: Path) -> None:
    assert not [i for i in imports(path) for package in ("streamlit", "studio", "pages") if reaches(i, package)]


@pytest.mark.parametrize("path", sources("core"), ids=name)
def test_only_jobs_and_the_command_line_know_the_engine(path: Path) -> None:
    if name(path) not in ENGINE_USERS and not name(path).startswith("core/engine/"):
        assert not [i for i in imports(path) for package in ("core.engine", *HEAVY) if reaches(i, package)]


@pytest.mark.parametrize("path", sources("core/jobs"), ids=name)
def test_jobs_know_nothing_of_what_is_served(path: Path) -> None:
    assert not [i for i in imports(path) if reaches(i, "core.serving")]


@pytest.mark.parametrize("path", [*sources("studio"), *sources("pages")], ids=name)
def test_the_user_interface_knows_neither_engine_nor_pages(path: Path) -> None:
    assert not [i for i in imports(path) for package in ("core.engine", "pages", *HEAVY) if reaches(i, package)]


@pytest.mark.parametrize("path", sources("pages"), ids=name)
def test_pages_are_flat_scripts(path: Path) -> None:
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    assert not [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, defined)]


@pytest.mark.parametrize("path", [*sources("studio"), *sources("pages")], ids=name)
def test_no_html_is_ever_let_through(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "unsafe_allow_html" not in text
    assert "st.html" not in text


@pytest.mark.parametrize("path", [*sources("studio"), *sources("pages")], ids=name)
def test_only_the_modules_for_it_know_session_keys(path: Path) -> None:
    knowing = (
        "state.py",
        "address_state.py",
        "lab_state.py",
        "compare_state.py",
        "evaluate_state.py",
        "export_state.py",
    )
    if name(path) not in [f"studio/{file}" for file in knowing]:
        assert "session_state" not in path.read_text(encoding="utf-8")


def test_the_user_interface_never_loads_torch() -> None:
    light = [
        ".".join(path.relative_to(PROJECT).with_suffix("").parts)
        for path in sources("core")
        if name(path) not in ENGINE_USERS and "engine" not in path.parts
    ]
    modules = [f"studio.{path.stem}" for path in sources("studio") if path.stem not in ("__init__", "app")]
    wanted = sorted(module.removesuffix(".__init__") for module in [*light, *modules])
    program = (
        f"import importlib, sys\nfor module in {wanted!r}: importlib.import_module(module)\n"
        f"print([heavy for heavy in {HEAVY!r} if heavy in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "[]"
