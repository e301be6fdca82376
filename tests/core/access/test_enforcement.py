"""Every function of core that writes, deletes or starts something asks who may, before it does anything else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.access.actors import ROLES, Actor, acting_as, identify_with
from core.access.audit import read_log, verify
from core.access.permissions import PERMISSIONS, Action
from core.access.policy import grant, revoke
from core.compare import asking, batch, blind, comparison
from core.config import EMBEDDED_POLICY
from core.data import saving
from core.data.tables import Table
from core.errors import AccessDenied
from core.evaluate import evaluation
from core.export import hub, store
from core.export.store import Export
from core.jobs import queue, supervisor
from core.jobs.tasks import KINDS, NEEDS, create_task
from core.lab import boards, votes
from core.lab.vote_files import Vote
from core.paths import PROJECT, Home
from core.reward import custom_files, presets
from core.runs import export, files, importing, labels
from core.runs.run import Run
from core.serving import candidates, servers
from core.serving.candidates import Candidate, allow_candidates, offered, parse_candidate
from core.training import control
from tests.build_adapters import run_of, save_adapter, save_base
from tests.build_blind import build_comparison
from tests.build_calls import light_core, unguarded_writers, used_by
from tests.build_comparison import endpoint_candidate, request_of

FOLDER = Path("/nowhere")
RUN = Run(FOLDER)
VOTE = Vote("maria", 0.0, "bundled", "group", "a", "b")


@dataclass(frozen=True)
class Guarded:
    """A function, what it needs, and a call of it with arguments that it has no use for before it has asked."""

    function: Callable[..., Any]
    action: Action
    call: Callable[[], Any]


def guarded(function: Callable[..., Any], action: Action, *arguments: Any) -> Guarded:
    return Guarded(function, action, partial(function, *arguments))


GUARDED = [
    guarded(supervisor.start, "train.start", None, None),
    guarded(supervisor.resume, "train.start", None, None),
    guarded(supervisor.stop, "train.stop", RUN),
    guarded(supervisor.stop_now, "train.stop", RUN),
    guarded(queue.enqueue, "train.start", None, None),
    guarded(queue.add, "train.start", None, None),
    guarded(queue.remove, "train.stop", None, RUN),
    guarded(control.pause, "train.pause", None),
    guarded(control.unpause, "train.pause", None),
    guarded(control.change_weights, "train.weights", None, None),
    guarded(labels.change_label, "run.label", None),
    guarded(files.delete_run, "run.delete", None, None),
    guarded(importing.import_run, "run.import", None, None),
    guarded(export.export_run, "run.export", None, None),
    guarded(export.export_to_home, "run.export", None, None),
    guarded(custom_files.add_custom, "reward.code", None, None, None),
    guarded(presets.save_preset, "preset.save", None, None, None),
    guarded(presets.delete_preset, "preset.delete", None, "robust"),
    guarded(boards.save_board, "board.save", None, None, None),
    guarded(boards.add_measures, "board.save", None, None, None),
    guarded(boards.keep_copy, "board.save", None, None, None, None, None),
    guarded(boards.delete_board, "board.delete", None, None),
    guarded(votes.record_vote, "vote.cast", None, VOTE),
    guarded(votes.record_ranking, "vote.cast", None, "maria", None, None, None),
    guarded(blind.open_vote, "vote.open", comparison.Comparison(FOLDER), None),
    guarded(blind.cast, "vote.cast", None, None, "maria", None, None),
    guarded(blind.undo, "vote.cast", None, None, "maria"),
    guarded(blind.end_vote, "vote.end", None, comparison.Comparison(FOLDER)),
    guarded(comparison.create_comparison, "compare.ask", None, None),
    guarded(comparison.delete_comparison, "comparison.delete", None, None),
    guarded(allow_candidates, "compare.ask", None, None),
    guarded(asking.start_asking, "compare.ask", None, None),
    guarded(asking.Asked.cancel, "compare.stop", SimpleNamespace(starter=None)),
    guarded(evaluation.create_evaluation, "evaluation.create", None, None),
    guarded(evaluation.delete_evaluation, "evaluation.delete", None, None),
    guarded(store.create_export, "export.create", None, None),
    guarded(Export.acknowledge, "export.create", Export(FOLDER)),
    guarded(store.delete_export, "export.delete", None, None),
    guarded(hub.start_push, "export.push", None, None, None, None),
    guarded(Table.revise, "data.prepare", Table(FOLDER), None),
    guarded(saving.save, "data.prepare", None, None, None, None),
    guarded(grant, "access.change", None, "maria", "admin"),
    guarded(revoke, "access.change", None, "maria"),
    guarded(read_log, "audit.read", None),
    guarded(verify, "audit.read", None),
    *(Guarded(supervisor.start_task, NEEDS[kind], partial(supervisor.start_task, None, kind, {})) for kind in KINDS),
]

OPEN = {
    "core.access.audit.record": "says what was done, by whomever",
    "core.jobs.queue.go_on": "starts what somebody was allowed to queue, as them",
    "core.jobs.queue.start_next": "starts what somebody was allowed to queue, as them",
    "core.training.curves.rebuild": "draws the curves of a run again from its events",
    "core.training.curves.opened": "draws the curves of a run again from its events",
    "core.runs.results.results_of": "reads curves",
    "core.evaluate.table.score_table": "writes nothing: pandas calls a change of names `rename`",
    "core.paths.write_bytes": "puts an upload aside, which then is imported by who may",
}
"""What the user interface uses although it writes and nobody is asked, and why that does no harm."""


def name_of(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def too_little(action: Action) -> list[Actor]:
    """An actor of each role that is not enough."""
    return [Actor("ben", role, "proxy") for role in ROLES[: ROLES.index(PERMISSIONS[action].role)]]


@pytest.mark.parametrize("case", GUARDED, ids=lambda case: f"{name_of(case.function)} {case.action}")
def test_who_may_not_is_refused_before_anything_is_done(case: Guarded) -> None:
    for actor in too_little(case.action):
        with acting_as(actor), pytest.raises(AccessDenied, match=f"You are ben, with the role {actor.role}"):
            case.call()
    identify_with(lambda: None)
    with pytest.raises(AccessDenied, match="not known who you are"):
        case.call()


def test_every_function_that_asks_stands_in_the_table() -> None:
    about_access = {f"core.access.permissions.{name}" for name in ("allow_vote", "why_not")}
    asking_functions = {function.name for function in light_core() if function.asks} - about_access
    assert asking_functions == {name_of(case.function) for case in GUARDED}


def test_the_user_interface_writes_only_through_functions_that_ask() -> None:
    unguarded = unguarded_writers(light_core())
    used = {
        name: file.name
        for folder in ("studio", "pages")
        for file in sorted((PROJECT / folder).rglob("*.py"))
        for name in used_by(file) & unguarded
    }
    assert {name: file for name, file in used.items() if name not in OPEN} == {}
    assert set(OPEN) <= set(used), "an exception that nothing needs any more"


def test_every_kind_of_task_says_what_it_needs() -> None:
    assert set(NEEDS) == set(KINDS)


def test_every_action_is_asked_for_somewhere() -> None:
    in_the_studio: set[Action] = {"file.download"}
    beside_another: set[Action] = {"compare.add"}
    assert {case.action for case in GUARDED} | in_the_studio | beside_another == set(PERMISSIONS)


@pytest.mark.parametrize(
    ("actor", "refused"),
    [
        (Actor("maria", "viewer", "proxy"), False),
        (Actor("ben", "editor", "proxy"), False),
        (Actor("carl", "viewer", "proxy"), True),
    ],
    ids=["who started it", "who may start one", "anybody else"],
)
def test_a_task_is_stopped_by_who_started_it_and_who_may_start_one(home: Home, actor: Actor, refused: bool) -> None:
    with acting_as(Actor("maria", "viewer", "proxy")):
        task = create_task(home, "report", {})
    with acting_as(actor):
        if refused:
            with pytest.raises(AccessDenied):
                supervisor.stop(task)
        else:
            supervisor.stop(task)
    assert task.stop_request.exists() is not refused


@pytest.mark.parametrize("kind", ["compare", "serve_model"])
def test_a_viewer_stops_only_what_they_have_started_themselves(home: Home, kind: str) -> None:
    with acting_as(Actor("maria", "viewer", "proxy")):
        task = create_task(home, kind, {})
    with acting_as(Actor("carl", "viewer", "proxy")), pytest.raises(AccessDenied, match="somebody else has started"):
        supervisor.stop(task)
    assert not task.stop_request.exists()
    with acting_as(Actor("maria", "viewer", "proxy")):
        supervisor.stop(task)
    assert task.stop_request.exists()


def test_a_vote_is_opened_by_who_has_made_the_comparison_and_by_editors(home: Home) -> None:
    with acting_as(Actor("maria", "editor", "proxy")):
        asked = build_comparison(home, 1)
    with acting_as(Actor("carl", "viewer", "proxy")), pytest.raises(AccessDenied, match="somebody else has compared"):
        blind.open_vote(asked, [(0, 1)])
    with acting_as(Actor("maria", "viewer", "proxy")):
        assert blind.open_vote(asked, [(0, 1)]).matters


FOREIGN = ["model:/etc", "model:/nowhere", "model:org/huge", "gguf:/etc/passwd", "gguf:/nowhere.gguf"]


def test_a_viewer_is_told_nothing_of_models_that_are_not_offered(home: Home) -> None:
    said = set()
    with acting_as(Actor("carl", "viewer", "proxy")):
        for text in [*FOREIGN, "endpoint:http://127.0.0.1:22/v1#m", "endpoint:https://elsewhere.example/v1#m"]:
            with pytest.raises(AccessDenied) as refused:
                parse_candidate(text, home)
            said.add(str(refused.value))
    assert len(said) == 1


def test_a_viewer_starts_and_compares_nothing_that_is_not_offered(home: Home, tmp_path: Path) -> None:
    foreign = Candidate(kind="model", model=str(save_base(tmp_path / "base")))
    with acting_as(Actor("carl", "viewer", "proxy")):
        with pytest.raises(AccessDenied):
            servers.ensure(home, foreign)
        with pytest.raises(AccessDenied):
            comparison.create_comparison(home, request_of([foreign], ["Why?"]))
    assert not comparison.list_comparisons(home)
    assert not servers.servers(home)


@pytest.mark.parametrize("go_on", [asking.start_asking, batch.start_batch])
def test_a_viewer_has_nobody_asked_by_an_editors_comparison_whom_they_may_not_ask(
    home: Home, go_on: Callable[..., Any]
) -> None:
    with acting_as(Actor("maria", "editor", "proxy")):
        asked = comparison.create_comparison(home, request_of())
    with acting_as(Actor("carl", "viewer", "proxy")), pytest.raises(AccessDenied, match="has not trained"):
        go_on(home, asked)
    assert not asked.answers()
    assert not list(home.tasks.iterdir())


def test_a_viewer_goes_on_with_an_editors_comparison_where_only_models_on_offer_are_missing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "start_task", create_task)
    offered_one = Candidate(kind="model", model=EMBEDDED_POLICY)
    with acting_as(Actor("maria", "editor", "proxy")):
        asked = comparison.create_comparison(home, request_of([endpoint_candidate(), offered_one], ["Why?"]))
        asked.add([comparison.ComparedAnswer(question=0, candidate=0, text="Because.")])
    with acting_as(Actor("carl", "viewer", "proxy")):
        assert batch.start_batch(home, asked).kind() == "compare"


@pytest.mark.parametrize("others", ["maria", "ben"], ids=["who made the comparison", "anybody else"])
def test_who_has_asked_breaks_it_off_and_another_viewer_does_not(home: Home, others: str) -> None:
    with acting_as(Actor("maria", "viewer", "proxy")):
        offered_one = Candidate(kind="model", model=EMBEDDED_POLICY)
        made = comparison.create_comparison(home, request_of([offered_one], ["Why?"]))
    with acting_as(Actor("carl", "viewer", "proxy")):
        asked = asking.Asked(home, made)
    with acting_as(Actor(others, "viewer", "proxy")), pytest.raises(AccessDenied, match="somebody else has started"):
        asked.cancel()
    with acting_as(Actor("carl", "viewer", "proxy")):
        asked.cancel()


def test_a_viewer_asks_what_runs_have_made_and_what_the_environment_lists(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(home, save_base(tmp_path / "base"))
    save_adapter(run.adapter, Path(run.config().model))
    monkeypatch.setenv("GRPO_STUDIO_ENDPOINTS", "https://models.example/v1")
    texts = [*map(str, offered(home)), "endpoint:https://models.example/v1#m", f"model:{EMBEDDED_POLICY}"]
    with acting_as(Actor("carl", "viewer", "proxy")):
        found = [parse_candidate(text, home) for text in texts]
        for candidate in found:
            allow_candidates(home, [candidate])
    assert [str(candidate) for candidate in found] == texts
    assert f"run:{run.id}" in texts


def test_an_adapter_under_another_models_name_is_no_offer(home: Home, tmp_path: Path) -> None:
    run = run_of(home, save_base(tmp_path / "base"))
    with acting_as(Actor("carl", "viewer", "proxy")), pytest.raises(AccessDenied):
        allow_candidates(home, [Candidate(kind="adapter", model="org/huge", run=run.id)])


def test_runs_are_looked_through_once_for_all_who_are_asked_and_not_for_the_embedded_model(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = [Candidate(kind="model", model=str(save_base(tmp_path / name))) for name in ("one", "two")]
    for candidate in there:
        run_of(home, Path(candidate.model))
    looked: list[Home] = []
    monkeypatch.setattr(candidates, "offered", lambda given: looked.append(given) or offered(given))
    embedded = Candidate(kind="model", model=EMBEDDED_POLICY)
    with acting_as(Actor("carl", "viewer", "proxy")):
        allow_candidates(home, [embedded])
        assert not looked
        allow_candidates(home, [embedded, *there])
    assert looked == [home]
