"""Which role each person has: `<home>/access.toml`.

    default = "viewer"
    admins = ["anna@example.org"]
    editors = ["ben@example.org"]
    viewers = []

Without the file, the one user of a studio on their own machine is admin; where people sign in, everybody is viewer but
for the names in `GRPO_STUDIO_ADMINS`. Capital letters make no difference in a name.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, field_validator, model_validator

from core.access.actors import ROLES, Actor, Role, Source, same_name
from core.access.audit import record
from core.access.permissions import allow
from core.config import validation_sentence
from core.errors import ConfigError
from core.locks import locked
from core.paths import Home, storage_error, write_bytes
from core.settings_base import Settings

ADMINS_VARIABLE = "GRPO_STUDIO_ADMINS"
"""Names of admins, separated by commas: how the first one of a shared studio gets in."""

_FILE = "access.toml"
_BEFORE = "access.before.toml"
_LONGEST_NAME = 254
_LOCK_SECONDS = 10.0
_BUSY = "Somebody else is just changing who may do what, so nothing was changed. Try again in a moment."


class Policy(Settings):
    """Who has which role.

    Attributes:
        default: the role of everybody who is not named; None where the way they signed in decides.
        admins, editors, viewers: names.
    """

    default: Role | None = None
    admins: tuple[str, ...] = Field(default=())
    editors: tuple[str, ...] = Field(default=())
    viewers: tuple[str, ...] = Field(default=())

    @field_validator("admins", "editors", "viewers")
    @classmethod
    def _can_be_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
                raise ValueError(f"a name must be 1 to {_LONGEST_NAME} characters that can be seen")
        return names

    @model_validator(mode="after")
    def _one_role_each(self) -> Self:
        named = [same_name(name) for role in ROLES for name in self.names(role)]
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]} stands there twice; give each person one role")
        return self

    def names(self, role: Role) -> tuple[str, ...]:
        """Who is named with this role."""
        return {"admin": self.admins, "editor": self.editors, "viewer": self.viewers}[role]

    def role_of(self, name: str) -> Role | None:
        """The role that somebody is named with; None when they are not named."""
        return next((role for role in ROLES if same_name(name) in map(same_name, self.names(role))), None)

    def without(self, name: str) -> Policy:
        """The same, with somebody not named."""
        kept = {f"{role}s": tuple(n for n in self.names(role) if same_name(n) != same_name(name)) for role in ROLES}
        return self.model_copy(update=kept)


def policy_file(home: Home) -> Path:
    """Where it is written who has which role."""
    return home.root / _FILE


def read_policy(home: Home) -> Policy:
    """What the file says; nobody is named where there is none.

    Raises:
        ConfigError: it is damaged; the message says where.
    """
    file = policy_file(home)
    try:
        return Policy.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Policy()
    except ValidationError as error:
        raise _broken(file, validation_sentence(error)) from error
    except (OSError, ValueError) as error:
        raise _broken(file, f"It cannot be read ({error}).") from error


def policy_problem(home: Home) -> str:
    """Why nobody is more than viewer, in plain sentences; empty where the file is whole or missing."""
    try:
        read_policy(home)
    except ConfigError as error:
        return str(error)
    return ""


def role_of(home: Home, name: str, source: Source) -> Role:
    """The role of somebody who is known to be `name`, by `source`; viewer for everybody where the file is broken."""
    try:
        return _role_by(read_policy(home), name, source)
    except ConfigError:
        return "viewer"


def _role_by(policy: Policy, name: str, source: Source) -> Role:
    if same_name(name) in first_admins():
        return "admin"
    unnamed: Role = policy.default or ("admin" if source in ("local", "command line") else "viewer")
    return policy.role_of(name) or unnamed


def first_admins() -> frozenset[str]:
    """The admins that the environment names, as `core.access.actors.same_name` writes them."""
    return frozenset(same_name(name) for name in os.environ.get(ADMINS_VARIABLE, "").split(",") if name.strip())


def grant(home: Home, name: str, role: Role) -> Policy:
    """Give somebody a role, in the place of the one they had; returns what holds now.

    The file is written anew, so remarks in it go; it is kept as it was under another name beside it.

    Raises:
        AccessDenied: whoever acts now is no admin.
        ConfigError: the name cannot be used, the environment makes them an admin, whoever acts now would be none any
            more, or the file is broken.
        StorageError: the file cannot be written.
    """
    actor = allow("access.change")
    if role != "admin":
        _refuse_without_effect(name)
    changed = _change(home, name, role, actor)
    record(home, "access.change", name, role=role)
    return changed


def revoke(home: Home, name: str) -> Policy:
    """Take somebody's role away, so that they are as everybody who is not named; raises as `grant` does.

    Raises:
        ConfigError: they are not named, too.
    """
    actor = allow("access.change")
    _refuse_without_effect(name)
    changed = _change(home, name, None, actor)
    record(home, "access.change", name, role="default")
    return changed


def _refuse_without_effect(name: str) -> None:
    if same_name(name) in first_admins():
        raise ConfigError(
            f"{name!r} is an admin by {ADMINS_VARIABLE}, whatever this list says, so nothing was changed. Whoever runs "
            "the studio can take the name out there."
        )


def _refuse_lockout(policy: Policy, actor: Actor) -> None:
    """Somebody who takes their own last right away could not take that back here.

    The command line's user and a job keep theirs whatever the file says.
    """
    if actor.source in ("command line", "job") or _role_by(policy, actor.name, actor.source) == "admin":
        return
    raise ConfigError(
        "You would be no admin any more and could not take that back, so nothing was changed. Let another admin do it."
    )


def _change(home: Home, name: str, role: Role | None, actor: Actor) -> Policy:
    file = policy_file(home)
    try:
        with locked(home.root / ".access.lock", _LOCK_SECONDS, _BUSY):
            policy = read_policy(home)
            if role is None and policy.role_of(name) is None:
                raise ConfigError(f"{name!r} has no role of their own, so none was taken away. Check the name.")
            changed = _checked(policy.without(name), name.strip(), role)
            _refuse_lockout(changed, actor)
            if file.is_file():
                write_bytes(file.with_name(_BEFORE), file.read_bytes())
            write_bytes(file, _as_toml(changed).encode())
    except OSError as error:
        raise storage_error(error, file) or error from error
    return changed


def _checked(policy: Policy, name: str, role: Role | None) -> Policy:
    values = policy.model_dump()
    if role is not None:
        values[f"{role}s"] = (*policy.names(role), name)
    try:
        return Policy.model_validate(values)
    except ValidationError as error:
        raise ConfigError(validation_sentence(error)) from error


def _as_toml(policy: Policy) -> str:
    """A string of characters that can be seen is written in TOML as in JSON."""
    default = [f"default = {json.dumps(policy.default)}"] if policy.default else []
    return "\n".join([*default, *(f"{role}s = {_listed(policy.names(role))}" for role in reversed(ROLES))]) + "\n"


def _listed(names: Sequence[str]) -> str:
    return json.dumps(names, ensure_ascii=False)


def _broken(file: Path, why: str) -> ConfigError:
    return ConfigError(f"{file} is broken, so nobody is more than viewer until it is mended. {why}")
