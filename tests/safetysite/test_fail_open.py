"""That the site fails open is to be seen wherever one looks, and only then."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.test import Client
from django.urls import get_resolver

from safetysite.figures import Record
from tests.runs.commands import said
from tests.safetysite.test_headers import paths

pytestmark = pytest.mark.django_db
BANNER = "The site fails open."


@pytest.fixture(params=[True, False], ids=["open", "closed"])
def fail_open(request: pytest.FixtureRequest, settings: Any) -> bool:
    settings.SAFETY_FAIL_OPEN = request.param
    return bool(request.param)


@pytest.fixture
def visitor() -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("root"))
    return client


def test_on_every_page(fail_open: bool, visitor: Client) -> None:
    answers = {path: visitor.get(path) for path in paths(get_resolver()) if "logout" not in path}
    pages = {path: answer.content.decode() for path, answer in answers.items() if answer.status_code in (200, 403, 404)}
    whole = {path: page for path, page in pages.items() if "<html" in page}
    assert len(whole) > 40
    assert [path for path, page in whole.items() if (BANNER in page) is not fail_open] == []


def test_not_before_the_login(settings: Any) -> None:
    settings.SAFETY_FAIL_OPEN = True
    page = Client().get("/admin/login/")
    assert (page.status_code, BANNER in page.content.decode()) == (200, False)


def test_to_probes_and_scrapes(fail_open: bool) -> None:
    assert Client().get("/readyz").json()["fail_open"] is fail_open
    found = {family.name: family.samples for family in Record().collect()}
    assert [sample.value for sample in found["safety_fail_open"]] == [fail_open]


def test_on_the_terminal(fail_open: bool) -> None:
    assert json.loads(said("check_providers", "fake", "--json"))["fail_open"] is fail_open
    assert ("let texts pass" in said("check_providers", "fake")) is fail_open
    assert ("runs.W009" in {message.id for message in run_checks()}) is fail_open
