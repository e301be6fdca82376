"""Signing in with an organisation's account, in a browser: in, what that allows, and out again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from core.access.policy import ADMINS_VARIABLE
from core.access.ways import IDENTITY, TRUSTED_PROXY
from core.paths import Home
from tests.e2e.conftest import Server, Watch

pytest.importorskip("authlib", reason="signing in needs Authlib")
if TYPE_CHECKING:
    from tests.build_oidc import Accounts


@pytest.fixture(scope="module")
def service() -> Iterator[Accounts]:
    from tests.build_oidc import accounts

    with accounts() as found:
        yield found


@pytest.fixture(scope="module")
def studio(service: Accounts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A studio that knows people by their accounts, because its secrets say so."""
    folder = tmp_path_factory.mktemp("accounts")
    found = Server(Home.open(folder / "home"), folder / "streamlit.log")
    (folder / "secrets.toml").write_text(service.secrets_toml(found.url))
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(IDENTITY, raising=False)
        environment.delenv(TRUSTED_PROXY, raising=False)
        environment.setenv("STREAMLIT_SECRETS_FILES", str(folder / "secrets.toml"))
        environment.setenv(ADMINS_VARIABLE, "ada@clinic.example")
        found.start()
    yield found
    found.stop()


def test_an_account_opens_the_studio_until_it_is_left(
    page: Page, studio: Server, service: Accounts, watch: Watch
) -> None:
    service.person = {"email": "ada@clinic.example", "email_verified": True}
    page.goto(studio.url)
    expect(page.get_by_role("heading", name="Newest runs")).to_have_count(0)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Newest runs")).to_be_visible()
    expect(page.get_by_role("link", name="Administration")).to_be_visible()
    page.get_by_role("link", name="(admin)").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.goto(f"{studio.url}/runs")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    watch.check()


def test_an_account_without_a_verified_address_opens_nothing(
    page: Page, studio: Server, service: Accounts, watch: Watch
) -> None:
    service.person = {"email": "ada@clinic.example", "email_verified": False}
    page.goto(studio.url)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("no verified e-mail address")).to_be_visible()
    expect(page.get_by_role("heading", name="Newest runs")).to_have_count(0)
    watch.check()
