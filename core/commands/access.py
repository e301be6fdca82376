"""The verbs about people: `audit` shows and verifies the log of who did what, `access` says and changes who may."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from core.access.actors import ROLES, Role
from core.access.audit import Verified, log_file, read_log, verify, waiting
from core.access.audit_record import Record
from core.access.policy import Policy, first_admins, grant, policy_file, read_policy, revoke
from core.commands.verbs import add_verb
from core.errors import ConfigError, StorageError
from core.paths import Home
from core.text import one_line

_SHOWN = 50


def add_access_verbs(verbs: Any) -> None:
    """Add the verbs to what `add_subparsers` returned."""
    log = add_verb(verbs, "audit", show_audit, "Show the log of who did what, or verify that nobody has changed it.")
    log.add_argument("--verify", action="store_true", help="check every record; exit code 2 when one is not as written")
    log.add_argument("--last", type=int, default=_SHOWN, metavar="N", help=f"so many records (default: {_SHOWN})")
    who = add_verb(verbs, "access", show_access, "Show who has which role, or change it.")
    who.add_argument("--grant", nargs=2, metavar=("NAME", "ROLE"), help=f"give a person a role: {', '.join(ROLES)}")
    who.add_argument("--revoke", metavar="NAME", help="take a person's role away")


def show_audit(options: argparse.Namespace, home: Home) -> Any:
    """The newest records of the log, or whether it is whole."""
    if options.verify:
        return _verify(options, home)
    if options.last < 1:
        raise ConfigError(f"--last is {options.last}: ask for 1 record or more.")
    records = read_log(home, options.last)
    late = waiting(home)
    if late:
        print(
            f"{late} record(s) wait to be written into the log; the next thing that is done does so.", file=sys.stderr
        )
    if not options.json:
        print(*map(_line, records), sep="\n") if records else print(f"Nothing has been logged in {home.root} yet.")
    return [entry.model_dump(mode="json") for entry in records]


def show_access(options: argparse.Namespace, home: Home) -> Any:
    """Who has which role, after the changes that were asked for."""
    if options.grant:
        name, role = options.grant
        grant(home, name, _role(role))
    if options.revoke:
        revoke(home, options.revoke)
    policy = read_policy(home)
    if not options.json:
        print(*_described(policy, home), sep="\n")
    return {"file": str(policy_file(home)), **policy.model_dump(mode="json"), "first_admins": sorted(first_admins())}


def _verify(options: argparse.Namespace, home: Home) -> Any:
    """Say whether the log is whole.

    Raises:
        StorageError: it is not.
    """
    found = verify(home)
    if not found.whole:
        raise StorageError(
            f"The audit log is not as it was written. Line {found.line}: {found.reason} The {found.records} record(s) "
            f"before are in order. Keep {log_file(home).parent} as evidence; a new log begins once it is moved away."
        )
    if not options.json:
        print(_whole(found))
    return asdict(found)


def _whole(found: Verified) -> str:
    if not found.records:
        return "The audit log is empty."
    mended = f" A crash cut off half a record before line {', '.join(map(str, found.mended))}." if found.mended else ""
    return (
        f"The audit log is whole: {found.records} record(s), the last with the hash\n{found.hash}\nKeep both elsewhere "
        f"to prove later that nothing up to here was changed.{mended}"
    )


def _line(entry: Record) -> str:
    when = datetime.fromtimestamp(entry.time, UTC).strftime("%Y-%m-%d %H:%M:%S")
    details = ", ".join(f"{name}={value}" for name, value in entry.details.items())
    who = f"{one_line(entry.actor, 40)} ({entry.role}, {entry.source})"
    what = f"{entry.action:18}  {one_line(entry.subject)}  {one_line(details)}".rstrip()
    return f"{entry.number:6d}  {when}  {who:40}  {what}"


def _described(policy: Policy, home: Home) -> list[str]:
    lines = [f"{role:7} {one_line(', '.join(policy.names(role)), 1000) or '–'}" for role in reversed(ROLES)]
    if first_admins():
        lines.append(f"admin   {one_line(', '.join(sorted(first_admins())), 1000)} (from GRPO_STUDIO_ADMINS)")
    others = policy.default or "viewer, but for the user of a studio on their own machine, who is admin"
    return [
        *lines,
        f"others  {others}",
        f"file    {policy_file(home)}{'' if policy_file(home).is_file() else ' (none yet)'}",
    ]


def _role(text: str) -> Role:
    found = next((role for role in ROLES if role == text), None)
    if found is None:
        raise ConfigError(f"The role is {text!r}: choose one of {', '.join(ROLES)}.")
    return found
