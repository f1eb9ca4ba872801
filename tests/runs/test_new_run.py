"""The page on which a run is made: by those who may, of what may be read, or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django_q.models import OrmQ

from runs.models import Run
from tests.review.conftest import Cast, cast  # noqa: F401  a fixture

NEW = "/admin/runs/run/new/"
FILLED = {
    "prompts": "You are kind.\r\n\r\n  indented\u2028 \r\nYou are toxic.",
    "input_checks": ["fake"],
    "split": "train",
}


@pytest.fixture
def lena(cast: Cast, client: Client) -> Client:  # noqa: F811
    client.force_login(cast.lena, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_a_run_is_made_of_lines(lena: Client) -> None:
    assert 'value="fake-strict"' in lena.get(NEW).content.decode()
    answer = lena.post(NEW, {**FILLED, "name": "mine", "generator": "fake", "output_checks": ["fake", "fake-strict"]})
    run = Run.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, f"/admin/runs/run/{run.pk}/")
    assert (run.name, run.total, run.queued, run.created_by) == ("mine", 3, True, "user:lena")
    assert [prompt.text for prompt in run.chunks.get().prompts][1] == "  indented\u2028 "
    assert [choice["alias"] for choice in run.configuration["output"]] == ["fake", "fake-strict"]
    assert OrmQ.objects.count() == 1


def test_a_run_is_made_of_a_file(lena: Client, settings: Any, prompts_file: Any) -> None:
    path = prompts_file(["one", "two", "three"])
    settings.SAFETY_SOURCE_FOLDERS = [str(path.parent)]
    lena.post(NEW, {"dataset_id": str(path), "limit": 2, "split": "train", "input_checks": ["fake"]})
    assert Run.objects.get().total == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"prompts": "  \n "}, "either a source or prompts"),
        ({"prompts": "one", "dataset_id": "a/b"}, "not both"),
        ({"prompts": "", "dataset_id": "/etc/passwd"}, "SAFETY_SOURCE_FOLDERS"),
        ({"prompts": "x\n" * 10_001}, "at most 10000 prompts"),
        ({"input_checks": []}, "This field is required"),
        ({"input_checks": ["nobody"]}, "nobody is not one of the available choices"),
        ({"generator": "nobody"}, "nobody is not one of the available choices"),
        ({"output_checks": ["fake"]}, "without a generator"),
        ({"limit": "0"}, "greater than or equal to 1"),
        ({"batch_size": "many"}, "Enter a whole number"),
        ({"prompts": "a\0b"}, "Null characters are not allowed"),
        ({"name": "x" * 201}, "at most 200 characters"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_stored(lena: Client, change: dict[str, Any], says: str) -> None:
    answer = lena.post(NEW, {**FILLED, **change})
    assert answer.status_code == 400
    assert says in answer.content.decode().replace("&#x27;", "'")
    assert not Run.objects.exists()


@pytest.mark.parametrize("who", ["axel", "ruth", "nora"])
def test_who_may_not_makes_none(cast: Cast, client: Client, who: str) -> None:  # noqa: F811
    client.force_login(cast[who], backend="django.contrib.auth.backends.ModelBackend")
    assert {client.get(NEW).status_code, client.post(NEW, FILLED).status_code} == {403}
    assert not Run.objects.exists()


def test_only_who_may_is_led_there(cast: Cast, lena: Client) -> None:  # noqa: F811
    assert NEW in lena.get("/admin/runs/run/").content.decode()
    lena.force_login(cast.axel, backend="django.contrib.auth.backends.ModelBackend")
    assert NEW not in lena.get("/admin/runs/run/").content.decode()
