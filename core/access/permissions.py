"""What each role may do: one table, asked by the functions that do it and by the pages that offer it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from core.access.actors import ROLES, Actor, Role, current_actor, same_name
from core.errors import AccessDenied

Action = Literal[
    "compare.ask",
    "vote.cast",
    "compare.add",
    "compare.stop",
    "vote.open",
    "data.prepare",
    "reward.weigh",
    "board.save",
    "preset.save",
    "train.preflight",
    "train.start",
    "train.stop",
    "train.pause",
    "train.weights",
    "run.label",
    "run.import",
    "evaluation.create",
    "export.create",
    "file.download",
    "vote.end",
    "run.export",
    "reward.code",
    "run.delete",
    "comparison.delete",
    "evaluation.delete",
    "export.delete",
    "board.delete",
    "preset.delete",
    "export.push",
    "audit.read",
    "access.change",
]


@dataclass(frozen=True)
class Permission:
    """What an action needs.

    Attributes:
        role: the least role that may do it.
        words: what it is, after "may": `start a training run`.
    """

    role: Role
    words: str


PERMISSIONS: Mapping[Action, Permission] = {
    "compare.ask": Permission("viewer", "ask models and compare their answers"),
    "vote.cast": Permission("viewer", "vote on answers"),
    "compare.add": Permission("editor", "ask a model that this studio has not trained and does not list"),
    "compare.stop": Permission("editor", "stop what somebody else has started to compare models"),
    "vote.open": Permission("editor", "open a vote on what somebody else has compared"),
    "data.prepare": Permission("editor", "import and prepare data"),
    "reward.weigh": Permission("editor", "measure, try and fit rewards"),
    "board.save": Permission("editor", "save a board of completions"),
    "preset.save": Permission("editor", "save a reward preset"),
    "train.preflight": Permission("editor", "try a run before it starts"),
    "train.start": Permission("editor", "start, resume or queue a training run"),
    "train.stop": Permission("editor", "stop a training run or take it out of the queue"),
    "train.pause": Permission("editor", "pause a training run or let it continue"),
    "train.weights": Permission("editor", "change the reward weights of a training run"),
    "run.label": Permission("editor", "name, tag or archive a run"),
    "run.import": Permission("editor", "import a run"),
    "evaluation.create": Permission("editor", "evaluate answers"),
    "export.create": Permission("editor", "export a model"),
    "file.download": Permission("editor", "download files"),
    "vote.end": Permission("editor", "end a vote that somebody else has opened"),
    "run.export": Permission("editor", "pack a run into a zip file"),
    "reward.code": Permission("admin", "write, import or change the code of a custom reward"),
    "run.delete": Permission("admin", "delete a run"),
    "comparison.delete": Permission("admin", "delete a comparison"),
    "evaluation.delete": Permission("admin", "delete an evaluation"),
    "export.delete": Permission("admin", "delete an export"),
    "board.delete": Permission("admin", "delete a board"),
    "preset.delete": Permission("admin", "delete a reward preset"),
    "export.push": Permission("admin", "publish a model on the Hub"),
    "audit.read": Permission("admin", "read and verify the audit log"),
    "access.change": Permission("admin", "change who may do what"),
}
"""Every action, with the least role that may do it. Looking needs no permission."""


def allow(action: Action, owner: Actor | None = None) -> Actor:
    """Go on only if whoever acts now may do `action`; returns who that is.

    What a job does was allowed when it was started, so a job may do everything.

    Args:
        owner: who has made what it is done to, and may do it whatever their role is.

    Raises:
        AccessDenied: they may not, or it is not known who they are.
    """
    actor = current_actor()
    own = owner is not None and (owner.name, owner.source) == (actor.name, actor.source)
    if not own and not permitted(actor, action):
        raise AccessDenied(refusal(actor, action))
    return actor


def allow_vote(rater: str) -> Actor:
    """Go on only if whoever acts now may vote as `rater`: who has signed in votes under their own name alone.

    Raises:
        AccessDenied: they may not, or it is not known who they are.
    """
    actor = allow("vote.cast")
    if actor.source in ("proxy", "oidc") and same_name(actor.name) != same_name(rater):
        raise AccessDenied(
            f"You are signed in as {actor.name}, so you cannot vote as {rater}. Vote under your own name."
        )
    return actor


def may(action: Action, owner: Actor | None = None) -> bool:
    """Whether whoever acts now may do `action`; `owner` as in `allow`."""
    return not why_not(action, owner)


def why_not(action: Action, owner: Actor | None = None) -> str:
    """Why whoever acts now may not do `action`, for the help text of a button; empty when they may."""
    try:
        allow(action, owner)
    except AccessDenied as error:
        return str(error)
    return ""


def permitted(actor: Actor, action: Action) -> bool:
    """Whether `actor` may do `action`."""
    return actor.source == "job" or ROLES.index(actor.role) >= ROLES.index(PERMISSIONS[action].role)


def refusal(actor: Actor, action: Action) -> str:
    """What is said to somebody who may not do something.

    >>> refusal(Actor("maria", "viewer", "proxy"), "run.delete").partition(" Ask ")[0]
    'You are maria, with the role viewer. Only somebody with the role admin may delete a run.'
    """
    permission = PERMISSIONS[action]
    least = permission.role if permission.role == ROLES[-1] else f"{permission.role} or {ROLES[-1]}"
    return (
        f"You are {actor.name}, with the role {actor.role}. Only somebody with the role {least} may "
        f"{permission.words}. Ask an admin of this studio to give you that role."
    )
