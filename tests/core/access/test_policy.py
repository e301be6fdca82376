"""Which role each person has, and what is left when the file is broken."""

from __future__ import annotations

import pytest

from core.access.actors import Actor, Role, Source, acting_as
from core.access.policy import ADMINS_VARIABLE, grant, policy_file, policy_problem, read_policy, revoke, role_of
from core.errors import AccessDenied, ConfigError
from core.paths import Home


@pytest.mark.parametrize(("source", "role"), [("local", "admin"), ("proxy", "viewer"), ("oidc", "viewer")])
def test_without_a_file_the_way_somebody_came_decides(home: Home, source: Source, role: Role) -> None:
    assert role_of(home, "anna", source) == role


def test_the_environment_names_the_first_admins(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADMINS_VARIABLE, "Anna@Example.org, ben")
    assert role_of(home, "anna@example.org", "oidc") == "admin"
    assert role_of(home, "ben ", "proxy") == "admin"
    assert role_of(home, "", "proxy") == "viewer"


def test_the_file_gives_roles_whatever_the_capital_letters(home: Home) -> None:
    policy_file(home).write_text('default = "editor"\nadmins = ["Anna"]\nviewers = ["Bén"]\n', encoding="utf-8")
    assert [role_of(home, name, "proxy") for name in ("anna", "BÉN", "carl")] == ["admin", "viewer", "editor"]


@pytest.mark.parametrize(
    "content",
    [
        "admins = [",
        'admins = "anna"',
        'owners = ["anna"]',
        'default = "root"',
        'admins = ["anna"]\neditors = ["Anna"]',
        'admins = [""]',
        "\xff",
    ],
)
def test_with_a_broken_file_nobody_is_more_than_viewer(
    home: Home, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ADMINS_VARIABLE, "anna")
    policy_file(home).write_bytes(content.encode("latin-1"))
    assert role_of(home, "anna", "proxy") == role_of(home, "anna", "local") == "viewer"
    assert "nobody is more than viewer" in policy_problem(home)


def test_a_role_that_is_given_replaces_the_one_before(home: Home) -> None:
    assert policy_problem(home) == ""
    grant(home, "Anna", "editor")
    grant(home, "anna", "admin")
    assert read_policy(home).model_dump() == {"default": None, "admins": ("anna",), "editors": (), "viewers": ()}


@pytest.mark.parametrize("name", ['say "hi"', "back\\slash", "Zoë 🌍", "a@b.org", "[x] = 1 #"])
def test_any_name_that_can_be_seen_comes_back_from_the_file(home: Home, name: str) -> None:
    grant(home, name, "editor")
    assert read_policy(home).editors == (name,)


def test_a_change_keeps_the_file_as_it_was_beside_the_new_one(home: Home) -> None:
    policy_file(home).write_text('# the ward\ndefault = "editor"\n', encoding="utf-8")
    grant(home, "anna", "admin")
    assert policy_file(home).with_name("access.before.toml").read_text(encoding="utf-8").startswith("# the ward")
    assert read_policy(home).default == "editor"


def test_a_role_that_is_taken_away_is_gone(home: Home) -> None:
    grant(home, "anna", "admin")
    revoke(home, "ANNA")
    assert role_of(home, "anna", "proxy") == "viewer"
    with pytest.raises(ConfigError, match="has no role"):
        revoke(home, "anna")


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "x" * 300])
def test_a_name_that_cannot_be_seen_gets_no_role(home: Home, name: str) -> None:
    with pytest.raises(ConfigError):
        grant(home, name, "editor")
    assert not policy_file(home).exists()


def test_only_an_admin_changes_roles(home: Home) -> None:
    with acting_as(Actor("ben", "editor", "proxy")):
        with pytest.raises(AccessDenied):
            grant(home, "ben", "admin")
        with pytest.raises(AccessDenied):
            revoke(home, "anna")
    assert not policy_file(home).exists()


def test_a_broken_file_is_not_written_over(home: Home) -> None:
    policy_file(home).write_text("admins = [", encoding="utf-8")
    with pytest.raises(ConfigError, match="broken"):
        grant(home, "anna", "admin")
    assert policy_file(home).read_text(encoding="utf-8") == "admins = ["


@pytest.mark.parametrize("written", ["Zoe\u0308 Ada", "zo\u00eb  ada", " ZOË ADA"])
def test_a_name_counts_however_its_accents_and_spaces_are_written(
    home: Home, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy_file(home).write_text(f'editors = ["{written}"]\n', encoding="utf-8")
    assert role_of(home, "Zo\u00eb Ada", "proxy") == "editor"
    monkeypatch.setenv(ADMINS_VARIABLE, written)
    assert role_of(home, "Zo\u00eb Ada", "proxy") == "admin"


@pytest.mark.parametrize("role", ["editor", "viewer", None])
def test_an_admin_does_not_lock_themselves_out(home: Home, role: Role | None) -> None:
    grant(home, "anna", "admin")
    with acting_as(Actor("anna", "admin", "proxy")), pytest.raises(ConfigError, match="no admin any more"):
        grant(home, "Anna", role) if role else revoke(home, "anna")
    assert read_policy(home).admins == ("anna",)


def test_whoever_sits_at_the_machine_stays_an_admin(home: Home) -> None:
    with acting_as(Actor("anna", "admin", "local")):
        with pytest.raises(ConfigError, match="no admin any more"):
            grant(home, "anna", "viewer")
        grant(home, "anna", "admin")
        revoke(home, "anna")
    assert role_of(home, "anna", "local") == "admin"


def test_a_role_that_the_environment_overrules_is_not_given(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADMINS_VARIABLE, "Anna")
    with pytest.raises(ConfigError, match=ADMINS_VARIABLE):
        grant(home, "anna", "viewer")
    grant(home, "anna", "admin")
    with pytest.raises(ConfigError, match=ADMINS_VARIABLE):
        revoke(home, "anna")
    assert read_policy(home).admins == ("anna",)
