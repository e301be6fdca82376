"""On whose behalf this code runs: a person with a role.

A page acts for whoever is signed in, a command line for the operating system's user, a job for whoever started it.
Context variables carry the person, so that two sessions in one process never meet; see `bound` for threads.
"""

from __future__ import annotations

import functools
import getpass
import os
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, ParamSpec, TypeVar

from core.errors import AccessDenied

Role = Literal["viewer", "editor", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "editor", "admin")
"""From the least to the most; each may do what those before it may."""

Source = Literal["local", "proxy", "oidc", "command line", "job"]
"""How it is known who somebody is."""

ACTOR_VARIABLE = "GRPO_STUDIO_ACTOR"
ROLE_VARIABLE = "GRPO_STUDIO_ACTOR_ROLE"
"""What tells a job's process who started it; nobody but the studio sets these."""

_Given = ParamSpec("_Given")
_Returned = TypeVar("_Returned")


@dataclass(frozen=True)
class Actor:
    """Somebody who does something.

    Attributes:
        name: what they are known by: a user name, or an e-mail address.
        role: what they may do.
        source: how it is known who they are.
    """

    name: str
    role: Role
    source: Source


Identify = Callable[[], Actor | None]
"""Says who is asking just now, or None when it is not known."""

_acting: ContextVar[Actor | None] = ContextVar("acting", default=None)
_identify: Identify | None = None


@contextmanager
def acting_as(actor: Actor) -> Iterator[None]:
    """Do what stands in a `with` block on behalf of `actor`; threads that it starts need `bound`."""
    token = _acting.set(actor)
    try:
        yield
    finally:
        _acting.reset(token)


def bound(function: Callable[_Given, _Returned]) -> Callable[_Given, _Returned]:
    """`function`, which acts for whoever acts now wherever it is called: a thread begins with nobody.

    Raises:
        AccessDenied: nobody acts now, and somebody has to.
    """
    actor = current_actor()

    @functools.wraps(function)
    def call(*given: _Given.args, **named: _Given.kwargs) -> _Returned:
        with acting_as(actor):
            return function(*given, **named)

    return call


def identify_with(identify: Identify | None) -> None:
    """From now on access is required in this process: whoever is not named by `acting_as` is asked for.

    Args:
        identify: says who is asking in this thread, as in a page's callbacks and fragments. None takes the rule back:
            the process acts for the user who started it again.
    """
    global _identify
    _identify = identify


def access_required() -> bool:
    """Whether nobody may do anything here without having said who they are."""
    return _identify is not None


def current_actor() -> Actor:
    """Who acts now.

    That is whoever `acting_as` names; else, where access is required, whoever is identified; else, in a job's process,
    who started it; else the operating system's user, who may do everything.

    Raises:
        AccessDenied: access is required and it is not known who asks.
    """
    actor = _acting.get() or (_identify() if _identify is not None else started_by() or system_user())
    if actor is None:
        raise AccessDenied("It is not known who you are, so nothing is done for you. Sign in, then try again.")
    return actor


def started_by() -> Actor | None:
    """Who started the job whose process this is; None in any other process."""
    name, role = os.environ.get(ACTOR_VARIABLE), os.environ.get(ROLE_VARIABLE)
    return Actor(name, role, "job") if name and role in ROLES else None


def job_environment(actor: Actor) -> Mapping[str, str]:
    """What the environment of a job's process holds, so that it acts for `actor`."""
    return {ACTOR_VARIABLE: actor.name, ROLE_VARIABLE: actor.role}


def system_user() -> Actor:
    """The operating system's user, who may do everything in a process of their own."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        name = f"user {os.getuid()}"
    return Actor(name, "admin", "command line")


def same_name(name: str) -> str:
    """A person's name in the one spelling in which two are compared: capital letters, needless space, and how accents
    are composed make no difference.

    >>> same_name(" Dr.  Ada ") == same_name("dr. ADA"), same_name("Zoe\u0308") == same_name("zo\u00eb")
    (True, True)
    """
    return " ".join(unicodedata.normalize("NFC", name).split()).casefold()
