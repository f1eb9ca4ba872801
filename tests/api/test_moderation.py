"""What is configured, over REST: who can judge and answer here, and by what they go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from moderation.categories import CATEGORIES
from moderation.models import ClassifierVersion
from runs.models import Run
from tests.api.conftest import Program
from tests.review.conftest import Cast

API = "/api/v1/"
SECRET = "sk-very-secret"


@pytest.fixture
def configured(settings: Any) -> None:
    settings.SAFETY_CLASSIFIERS = {
        "fine": {"BACKEND": "classifiers.providers.fake.FakeClassifier", "OPTIONS": {}},
        "broken": {"BACKEND": "classifiers.providers.fake.FakeClassifier", "OPTIONS": {"broken": "Give it a key."}},
        "wrong": {"BACKEND": "nothing.there", "OPTIONS": {"threshold": 0.4}},
        "remote": {
            "BACKEND": "classifiers.providers.openai.OpenAIModeration",
            "OPTIONS": {
                "api_key": SECRET,
                "base_url": f"http://me:{SECRET}@localhost:1/v1",
                "thresholds": {"hate": 0.3},
            },
        },
    }


def test_the_configured_classifiers_are_listed_without_their_secrets(cast: Cast, configured: None) -> None:
    answer = Program(cast.axel).get(f"{API}classifiers/")
    assert SECRET not in answer.content.decode()
    found = {row["alias"]: row for row in answer.json()["results"]}
    assert list(found) == ["broken", "fine", "remote", "wrong"]
    assert found["remote"]["provider"] == "classifiers.providers.openai.OpenAIModeration"
    assert found["remote"]["options"]["base_url"] == "http://localhost:1/v1"
    assert {row["ready"] for row in found.values()} == {None}


def test_whether_they_can_work_here_is_looked_at_when_asked_for(cast: Cast, configured: None) -> None:
    found = Program(cast.axel).get(f"{API}classifiers/", check="true").json()["results"]
    assert {row["alias"]: row["ready"] for row in found} == {
        "broken": False,
        "fine": True,
        "remote": False,
        "wrong": False,
    }
    said = {row["alias"]: " ".join(row["problems"]) for row in found}
    assert (said["broken"], said["fine"]) == ("Give it a key.", "")
    assert "Check BACKEND" in said["wrong"]


def test_one_is_found_by_its_alias(cast: Cast, configured: None) -> None:
    axel = Program(cast.axel)
    assert axel.get(f"{API}classifiers/broken/", check="true").json()["problems"] == ["Give it a key."]
    assert axel.get(f"{API}generators/fake/").json()["alias"] == "fake"
    for path in ("classifiers/nobody/", "generators/broken/", "classifiers/%00/"):
        assert axel.get(f"{API}{path}").status_code == 404
    assert axel.get(f"{API}classifiers/", check="perhaps").status_code == 400


def test_whoever_reviews_may_know_the_categories(cast: Cast) -> None:
    found = Program(cast.ruth).get(f"{API}categories/").json()
    assert found == {"next": None, "previous": None, "results": [{"name": name} for name in CATEGORIES]}


def test_versions_are_read(cast: Cast, done_run: Callable[..., Run], django_assert_max_num_queries: Any) -> None:
    done_run(["one"], generator=None)
    axel, version = Program(cast.axel), ClassifierVersion.objects.get()
    with django_assert_max_num_queries(7):
        (row,) = axel.get(f"{API}classifier-versions/", alias="fake").json()["results"]
    assert axel.get(f"{API}classifier-versions/{version.pk}/").json() == row
    assert (row["alias"], row["fingerprint"]) == ("fake", version.fingerprint)
    assert axel.get(f"{API}classifier-versions/", alias="nobody").json()["results"] == []


@pytest.mark.parametrize("path", ["classifiers/", "generators/fake/", "classifier-versions/"])
def test_who_may_not_see_the_record_is_refused(cast: Cast, path: str) -> None:
    for who in ("ruth", "prog", "nora"):
        assert Program(cast[who]).get(f"{API}{path}").status_code == 403
    assert Program(cast.axel, "run").get(f"{API}{path}").json()["code"] == "scope_missing"


def test_lists_cost_few_queries(cast: Cast, configured: None, django_assert_max_num_queries: Any) -> None:
    axel = Program(cast.axel)
    for path in ("classifiers/", "generators/", "taxonomies/", "categories/"):
        with django_assert_max_num_queries(6):
            assert axel.get(f"{API}{path}").status_code == 200
