"""Who calls whom in the light half of core and in the user interface, read from the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from core.paths import PROJECT

ASKING = frozenset({"core.access.permissions.allow", "core.access.permissions.allow_vote"})
"""What a function calls that asks whether somebody may."""
_FILES = ("write_json", "write_bytes", "write_text", "rmtree", "unlink", "rename", "touch", "truncate")
_WRITING = frozenset({*_FILES, "LineWriter", "Popen"})
"""The last words of calls that write, delete or start something."""


@dataclass(frozen=True)
class Function:
    """One function or method.

    Attributes:
        name: with its module, and its class.
        calls: the full names of what it calls, as far as imports tell; of a method of an object only the last word.
    """

    name: str
    calls: frozenset[str]

    @property
    def asks(self) -> bool:
        return bool(self.calls & ASKING)

    @property
    def writes(self) -> bool:
        return any(call.rpartition(".")[2] in _WRITING for call in self.calls)


@cache
def light_core() -> list[Function]:
    """Every function of the light half of core, but for the command line."""
    heavy = ("core/engine/", "core/commands/")
    files = [file for file in sorted((PROJECT / "core").rglob("*.py")) if not _name(file).startswith(heavy)]
    return [function for file in files for function in functions_of(file)]


def functions_of(file: Path) -> list[Function]:
    """The functions of a file."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    module = _name(file).removesuffix(".py").replace("/", ".")
    known = {**_defined(tree, module), **_imported(tree)}
    return [Function(f"{module}.{name}", _calls(node, known)) for name, node in _functions(tree)]


def used_by(file: Path) -> frozenset[str]:
    """The full names of all that a file of the user interface takes from core, called there or handed on."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    known = _imported(tree)
    named = (_full(node, known) for node in ast.walk(tree) if isinstance(node, (ast.Name, ast.Attribute)))
    return frozenset(name for name in named if name.startswith("core."))


def unguarded_writers(functions: list[Function]) -> frozenset[str]:
    """Functions that write, delete or start something, by themselves or through others, and that nobody asks for."""
    found = {function.name for function in functions if function.writes and not function.asks}
    while more := {f.name for f in functions if not f.asks and f.name not in found and f.calls & found}:
        found |= more
    return frozenset(found)


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    yield f"{node.name}.{inner.name}", inner


def _defined(tree: ast.Module, module: str) -> dict[str, str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name: f"{module}.{node.name}" for node in tree.body if isinstance(node, kinds)}


def _imported(tree: ast.Module) -> dict[str, str]:
    return {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _calls(function: ast.AST, known: dict[str, str]) -> frozenset[str]:
    return frozenset(_full(node.func, known) for node in ast.walk(function) if isinstance(node, ast.Call))


def _full(node: ast.AST, known: dict[str, str]) -> str:
    """The full name of what is called; the last word alone where it is not imported or defined here."""
    if isinstance(node, ast.Name):
        return known.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        whole = _full(node.value, known)
        return f"{whole}.{node.attr}" if whole.startswith("core.") else node.attr
    return ""


def _name(file: Path) -> str:
    return file.relative_to(PROJECT).as_posix()
