"""The documents: what they link to is there, and what they tell people to type works.

Commands in fenced `sh` blocks are run in the order in which they stand. What cannot run in a test is named in `NOT_RUN`
with the reason, and is at least read by the program that would run it.
"""

from __future__ import annotations

import ast
import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from core.commands.cli import command_line
from core.jobs.folder import process
from core.paths import ASSETS, PROJECT, Home
from core.runs.run import list_runs
from core.serving.servers import stop_all

GUIDES = tuple(sorted((PROJECT / "docs").glob("*.md")))
PAGES = (
    PROJECT / "README.md",
    *GUIDES,
    *(PROJECT / f"{name}.md" for name in ("ARCHITECTURE", "THREATS", "CONTRIBUTING")),
)
SCREENSHOTS = PROJECT / "scripts" / "screenshots.py"
CORE = "python -m core "
NOT_RUN = {
    "make": "installs packages, opens the studio or runs all tests; make itself reads it",
    "docker": "no engine for containers; the shell reads it, and tests/test_deployment.py the files",
    "git": "needs a network; the shell reads it",
    "export": "sets a variable for the commands below it; the shell reads it",
    "ray": "starts a cluster that outlives the test, see tests/core/cluster; the shell reads it",
    "tar": "writes outside of a scratch folder; the shell reads it",
    "python -m pytest": "tests within tests; pytest's folder is looked for",
}
"""How commands begin that are not run, with the reason and what is done instead."""
OTHERS_PREFIXES = ("GRPO_STUDIO_CML_",)
"""Names in the source that are beginnings of variables, not variables."""
SOURCES = (
    *("core", "studio", "pages", "cml", "scripts", ".project-metadata.yaml"),
    *("Dockerfile", "compose.yaml", "compose.cuda.yaml"),
)
"""The product and what starts it: where variables of the environment are looked for."""
SECONDS = 300


@dataclass(frozen=True)
class Line:
    """One command of a document."""

    page: Path
    text: str

    @property
    def of_core(self) -> bool:
        return self.text.startswith(CORE)


def commands(pages: Iterable[Path]) -> list[Line]:
    """The lines of all fenced `sh` blocks."""
    blocks = (
        (page, token.content)
        for page in pages
        for token in MarkdownIt().parse(page.read_text(encoding="utf-8"))
        if token.type == "fence" and token.info.strip() == "sh"
    )
    return [Line(page, text.strip()) for page, block in blocks for text in block.splitlines() if text.strip()]


def links(page: Path) -> list[str]:
    """What a document links to on this disk, pictures included."""
    tokens = MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
    inline = [child for token in tokens for child in token.children or ()]
    found = [
        str(child.attrs.get("href") or child.attrs.get("src"))
        for child in inline
        if child.type in ("link_open", "image")
    ]
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def pictures_of_the_script() -> set[str]:
    """The names in the table of scripts/screenshots.py and among those that it leaves alone."""
    tree = ast.parse(SCREENSHOTS.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    named = {call.args[0] for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Picture"}
    by_hand = [node.value for node in ast.walk(tree) if _assigns(node, "BY_HAND") and isinstance(node, ast.Assign)]
    keys = [key for found in by_hand if isinstance(found, ast.Dict) for key in found.keys]
    return {str(node.value) for node in (*named, *keys) if isinstance(node, ast.Constant)}


def _assigns(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id == name for one in node.targets)


@pytest.mark.parametrize("document", PAGES, ids=lambda document: document.name)
def test_every_link_and_picture_is_there(document: Path) -> None:
    missing = [
        link for link in links(document) if link.split("#")[0] and not (document.parent / link.split("#")[0]).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("document", PAGES, ids=lambda document: document.name)
def test_every_part_that_is_linked_to_is_a_heading(document: Path) -> None:
    for link in links(document):
        file, _, part = link.partition("#")
        target = document.parent / file if file else document
        if part and target.suffix == ".md":
            assert part in headings(target), link


def headings(page: Path) -> set[str]:
    """What the headings of a document are linked by."""
    tokens = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    titles = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_picture_is_one_that_the_script_takes_or_names() -> None:
    shown = {Path(link).stem for page in PAGES for link in links(page) if "screenshots/" in link}
    kept = {file.stem for file in (PROJECT / "assets" / "screenshots").iterdir()}
    assert shown == pictures_of_the_script() == kept


def test_the_administrators_table_has_every_variable_and_no_other() -> None:
    rows = re.findall(r"^\| (`.*?) \|", (PROJECT / "docs" / "administrator.md").read_text("utf-8"), re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`(GRPO_STUDIO_[A-Z_]+)`", row)}
    assert documented == variables_of_the_source()


def variables_of_the_source() -> set[str]:
    """Every name that begins with GRPO_STUDIO_ in the product and what starts it."""
    places = [PROJECT / name for name in SOURCES]
    files = [file for place in places for file in ([place] if place.is_file() else place.rglob("*.*"))]
    texts = [file.read_text("utf-8") for file in files if file.suffix in (".py", ".sh", ".yaml", "")]
    found = {name for text in texts for name in re.findall(r"GRPO_STUDIO_[A-Z_]*[A-Z]\b", text)}
    return found - {name.rstrip("_") for name in OTHERS_PREFIXES} | made_names()


def made_names() -> set[str]:
    """Names that the source puts together from a prefix and the fields of a model."""
    from core.jobs.cml_jobs import CmlSettings

    return {f"{OTHERS_PREFIXES[0]}{field.upper()}" for field in CmlSettings.model_fields}


@pytest.mark.parametrize("line", [one for one in commands(PAGES) if one.of_core], ids=lambda line: line.text)
def test_every_command_of_the_studio_is_one(line: Line) -> None:
    command_line().parse_args(shlex.split(line.text)[3:])


@pytest.mark.parametrize("line", [one for one in commands(PAGES) if not one.of_core], ids=lambda line: line.text)
def test_every_other_command_is_known_and_can_be_read(line: Line) -> None:
    assert any(line.text.startswith(f"{start} ") for start in NOT_RUN), "say in NOT_RUN why it is not run"
    subprocess.run(["bash", "-n", "-c", line.text], check=True, timeout=SECONDS)
    words = shlex.split(line.text)
    if words[0] == "make":
        subprocess.run(["make", "-n", *words[1:]], cwd=PROJECT, check=True, capture_output=True, timeout=SECONDS)
    elif line.text.startswith("python -m pytest"):
        assert all((PROJECT / word).exists() for word in words[3:] if not word.startswith("-"))


@pytest.mark.parametrize("document", PAGES, ids=lambda document: document.name)
def test_python_in_a_document_is_python(document: Path) -> None:
    for token in MarkdownIt().parse(document.read_text(encoding="utf-8")):
        if token.type == "fence" and token.info.strip() == "python":
            ast.parse(token.content)


class Reader:
    """Somebody who types the commands of one document, in a folder and a home of their own, with tiny models."""

    def __init__(self, folder: Path, home: Home) -> None:
        self.home = home
        self._folder = folder
        from tests.tiny import save_policy, save_similarity

        self._policy, similarity = save_policy(folder / "policy"), save_similarity(folder / "similarity")
        reward = {"similarity_model": str(similarity), "fluency_model": str(self._policy)}
        sizes = {"steps": 2, "prompts_per_step": 2, "num_generations": 2, "max_completion_length": 8}
        few = {
            "max_prompt_length": 1000,
            "held_out_rows": 2,
            "validation_rows": 2,
            "validate_every": 2,
            "save_every": 1,
        }
        self._settings = {
            "model": str(self._policy),
            **{f"reward.{name}": value for name, value in reward.items()},
            **{f"train.{name}": value for name, value in (sizes | few).items()},
        }
        shutil.copy(ASSETS / "rewards" / "length_band.py", home.rewards)
        self._write_files()

    def _write_files(self) -> None:
        """The files that documents name: questions, and completions to score."""
        rows = [(f"What does drug number {number} do?", f"It lowers value {number}.") for number in range(40)]
        with (self._folder / "notes.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("question", "answer"), *rows])
        asked, reference = rows[0]
        said = ("<reasoning>So.</reasoning><answer>It lowers it.</answer>", "It raises it.")
        records = [{"question": asked, "answer": reference, "completion": text} for text in said]
        (self._folder / "completions.jsonl").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")

    def type(self, line: Line) -> None:
        """Run one command and fail with what it said."""
        words = [self._meant(word) for word in shlex.split(line.text)[1:]]
        if line.text.startswith((f"{CORE}train", f"{CORE}preflight")):
            words += self._quickly(words)
        answer = subprocess.run(
            [sys.executable, *words],
            cwd=self._folder,
            env=os.environ
            | {"GRPO_STUDIO_HOME": str(self.home.root), "PYTHONPATH": str(PROJECT), "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        allowed = (0, 2) if "preflight" in words else (0,)  # a model of random weights is told not to start
        assert answer.returncode in allowed, f"{line.text}\n{answer.stdout}\n{answer.stderr}"

    def _meant(self, word: str) -> str:
        """What stands for a placeholder: the newest finished run and the one before, a tiny model, a custom reward."""
        runs = [run.id for run in list_runs(self.home) if run.status().state == "finished"]
        newest, before = (*runs, "RUN", "OTHER")[0], (*runs, "RUN", "OTHER", "OTHER")[1]
        word = word.replace("model:smollm2-135m-instruct", f"model:{self._policy}")
        word = re.sub(r"\bOTHER\b", before, re.sub(r"\bRUN\b", newest, word))
        return "length_band" if word == "NAME" else word

    def _quickly(self, words: Sequence[str]) -> list[str]:
        """Further settings that let a run take seconds; none that the command names itself."""
        named = {"train.steps"} if "--steps" in words else set()
        return [
            part for path, value in self._settings.items() if path not in named for part in ("--set", f"{path}={value}")
        ]


@pytest.fixture
def reader(tmp_path: Path) -> Iterable[Reader]:
    """A reader of one document; what their runs left running is ended."""
    from tests.embedded import link_models

    home = link_models(Home.open(tmp_path / "home"))
    yield Reader(tmp_path, home)
    stop_all(home)
    for run in list_runs(home):
        left = process(run.written_status())
        if left is not None and left.pid != os.getpid():
            left.kill()
            left.wait(10)


@pytest.mark.slow
@pytest.mark.parametrize(
    "document",
    [document for document in PAGES if any(one.of_core for one in commands([document]))],
    ids=lambda document: document.name,
)
def test_the_commands_of_a_document_work_in_their_order(document: Path, reader: Reader) -> None:
    lines = [line for line in commands([document]) if line.of_core]
    training = Line(document, f"{CORE}train --size demo --seed 1")
    if not any(line.text.startswith(f"{CORE}train") for line in lines) and any(" RUN" in line.text for line in lines):
        reader.type(training)  # it goes on where somebody has trained
    for line in lines:
        reader.type(line)
