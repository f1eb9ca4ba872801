"""The pages of evaluations: asked for with a file, followed, read beside others, and closed to those who may not."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from classifiers.curves import Aim
from classifiers.labelled import Labelled
from classifiers.policy import Rule
from classifiers.types import Stage, Subject
from governance import jobs, uploads
from governance.models import Evaluation, EvaluationJob
from governance.services import Data, Wish
from moderation import policies
from tests.review.conftest import Cast

pytestmark = pytest.mark.django_db
LIST, NEW, JOB = (
    "/admin/governance/evaluation/",
    "/admin/governance/evaluation/new/",
    "/admin/governance/evaluationjob/{}/",
)
FILE = b"text,label,kind\n" + b"".join(
    f"{'toxic' if i % 3 == 0 else 'rude' if i % 3 == 1 else 'kind'} {i},{int(i % 3 < 2)},{'a' if i % 2 else 'b'}\n".encode()
    for i in range(60)
)


def visit(cast: Cast, name: str) -> Client:
    client = Client()
    client.force_login(cast[name], backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def lena(cast: Cast) -> Client:
    return visit(cast, "lena")


def send(client: Client, file: bytes = FILE, name: str = "ours.csv", **fields: Any) -> Any:
    given = {"classifiers": ["fake", "fake-strict"], "share": "0.5", **fields}
    return client.post(NEW, {**given, "file": SimpleUploadedFile(name, file)})


def evaluated(*aliases: str, wish: Wish | None = None, n: int = 60) -> list[Evaluation]:
    rows = [
        Labelled(Subject(f"{('toxic', 'rude', 'kind')[i % 3]} {i}", Stage.INPUT), i % 3 < 2, "ab"[i % 2])
        for i in range(n)
    ]
    job = jobs.ask(Data("ours.csv", {}, rows), wish or Wish(), aliases=aliases or ["fake"], actor="user:lena")
    jobs.work(job)
    return list(job.evaluations.order_by("pk"))


def test_a_file_is_sent_and_followed_until_it_is_evaluated(lena: Client) -> None:
    answer = send(lena, category="kind", kind="fpr", value="0.1", calibration="temperature")
    job = EvaluationJob.objects.get()
    assert answer.url == JOB.format(job.pk)
    page = lena.get(answer.url).content.decode()
    assert 'hx-trigger="every 2s"' in page
    assert "0 of 120 texts" in page
    jobs.work(job)
    page = lena.get(f"{answer.url}state/").content.decode()
    assert "every 2s" not in page
    one, other = Evaluation.objects.order_by("pk")
    assert f'href="{LIST}{one.pk}/?with={other.pk}"' in page
    assert (one.dataset, one.columns["category"], one.created_by) == ("ours.csv", "kind", "user:lena")


def test_one_is_read_with_all_its_figures(lena: Client) -> None:
    (made,) = evaluated(wish=Wish(calibration="temperature", aim=Aim("fpr", 0.1), cost_per_thousand=0.25))
    page = lena.get(f"{LIST}{made.pk}/").content.decode()
    for title in (
        "AUPRC",
        "ROC-AUC",
        "optimistic",
        "recall at 1 %",
        "calibration error",
        "seconds a text, p95",
        "0.25",
    ):
        assert title in page, title
    assert page.count("<polyline") == 4  # three over thresholds, one of reliability
    assert page.count("As a table") == 2
    assert "Calibrated by temperature" in page
    assert "As it was asked for" in page


def test_others_on_the_same_data_stand_beside_it(lena: Client) -> None:
    one, other = evaluated("fake", "fake-strict")
    (elsewhere,) = evaluated(n=30)
    page = lena.get(f"{LIST}{one.pk}/").content.decode()
    assert f'value="{other.pk}"' in page
    assert f'value="{elsewhere.pk}"' not in page
    page = lena.get(f"{LIST}{one.pk}/?with={other.pk}").content.decode()
    assert f"{LIST}{one.pk}/paired/?with={other.pk}" in page
    tests = lena.get(f"{LIST}{one.pk}/paired/?with={other.pk}").content.decode()
    assert "0 to 20" in tests
    assert lena.get(f"{LIST}{one.pk}/?with={elsewhere.pk}").status_code == 400
    assert lena.get(f"{LIST}{one.pk}/?with=x").status_code == 400


def test_a_threshold_is_chosen_and_carried_to_the_policy(lena: Client) -> None:
    version = policies.create_policy("Team", policies.Content((Rule("toxic", 0.9),)), note="x", actor="test")
    (made,) = evaluated()
    page = lena.get(f"{LIST}{made.pk}/?kind=recall&value=0.5").content.decode()
    assert "chosen on 30 texts" in page
    assert "the one that was chosen is" in page
    assert f"/admin/moderation/policy/{version.policy_id}/new/?category=*&amp;check=fake&amp;threshold=" in page
    assert f"&amp;evaluation={made.pk}" in page
    for wrong in ("kind=recall&value=7", "kind=magic", "kind=recall&value=x"):
        page = lena.get(f"{LIST}{made.pk}/?{wrong}")
        assert page.status_code == 200
        assert 'role="alert"' in page.content.decode(), wrong


def test_what_could_not_be_judged_is_told(lena: Client) -> None:
    rows = [Labelled(Subject(text, Stage.INPUT), True) for text in ("fail", "toxic")]
    jobs.work(jobs.ask(Data("x.csv", {}, rows), Wish(), aliases=["fake"], actor="user:lena"))
    page = lena.get(f"{LIST}{Evaluation.objects.get().pk}/").content.decode()
    assert "1 of 2 texts could not be judged" in page
    assert "not known" in page  # ROC-AUC of toxic texts alone


def test_a_failure_is_told_on_the_list_and_the_page(lena: Client) -> None:
    send(lena, classifiers=["fake-broken"])
    job = EvaluationJob.objects.get()
    jobs.work(job)
    for address in (LIST, JOB.format(job.pk)):
        assert "has no key" in lena.get(address).content.decode()


def test_the_list_goes_on_by_key(lena: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from governance.views import evaluations

    monkeypatch.setattr(evaluations, "SIZE", 1)
    one, other = evaluated("fake", "fake-strict")
    first = lena.get(LIST).content.decode()
    assert f'id="evaluation-{other.pk}"' in first
    assert f'id="evaluation-{one.pk}"' not in first
    assert f'id="evaluation-{one.pk}"' in lena.get(f"{LIST}?before={other.pk}").content.decode()
    assert lena.get(f"{LIST}?before=x").status_code == 400


@pytest.mark.parametrize(
    ("fields", "file", "says"),
    [
        ({"classifiers": []}, FILE, "Name classifiers, or a run"),
        ({"run": "7"}, FILE, "no such run"),
        ({"classifiers": [], "run": "x"}, FILE, "whole number"),
        ({}, b"text\nkind\n", "Which column of ours.csv"),
        ({}, b"text,label\nkind,perhaps\n", "perhaps"),
        ({}, b"text,label\n\xff,1\n", "ours.csv: line 2"),
        ({}, b"", "empty"),
        ({"label": "none"}, FILE, "no column none"),
        ({"kind": "fpr", "value": "7"}, FILE, "between 0 and 1"),
        ({"share": "1"}, FILE, "0.95"),
        ({"policy": "Nobody&#x27;s"}, FILE, "There is no policy"),
    ],
)
def test_what_cannot_be_is_told_beside_the_form(lena: Client, fields: dict[str, Any], file: bytes, says: str) -> None:
    answer = send(lena, file, **fields)
    assert answer.status_code == 400
    page = answer.content.decode()
    assert says in page
    assert "/tmp" not in page
    assert "skip-bad-rows" not in page
    assert not EvaluationJob.objects.exists()


def test_files_are_of_a_known_kind_and_bounded(lena: Client, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "The file is one of" in send(lena, name="ours.parquet").content.decode()
    assert "more than 200 characters" in send(lena, name=f"{'x' * 250}.csv").content.decode()
    settings.SAFETY_API_BODY = 100
    assert "is larger than" in send(lena).content.decode()
    settings.SAFETY_API_BODY = 10_000
    monkeypatch.setattr(uploads, "MAX_TEXTS", 5)
    assert "more than 5 texts" in send(lena).content.decode()


def test_it_can_be_stopped(lena: Client) -> None:
    send(lena)
    job = EvaluationJob.objects.get()
    lena.post(f"{JOB.format(job.pk)}cancel/")
    job.refresh_from_db()
    assert (job.state, job.rows) == ("CANCELLED", "[]")


def test_names_from_outside_are_shown_as_text(lena: Client) -> None:
    rows = [Labelled(Subject("toxic", Stage.INPUT), True, "<b>\u202e")]
    job = jobs.ask(Data("<b>\u202eours", {}, rows), Wish(), aliases=["fake"], actor="user:lena")
    jobs.work(job)
    for address in (LIST, JOB.format(job.pk), f"{LIST}{Evaluation.objects.get().pk}/"):
        page = lena.get(address).content.decode()
        assert "\u202e" not in page
        assert "&lt;b&gt;" in page
        assert "RIGHT-TO-LEFT OVERRIDE" in page


@pytest.mark.parametrize("name", ["nora", "ruth", "sara", "prog"])
def test_who_may_not_see_the_record_sees_none(cast: Cast, name: str) -> None:
    (made,) = evaluated()
    client, job = visit(cast, name), JOB.format(made.job_id)
    for address in (LIST, NEW, f"{LIST}{made.pk}/", f"{LIST}{made.pk}/paired/", job, f"{job}state/"):
        assert client.get(address).status_code == 403, address


def test_who_reads_begins_and_stops_none(cast: Cast) -> None:
    (made,) = evaluated()
    axel = visit(cast, "axel")
    page = axel.get(f"{LIST}{made.pk}/?kind=f1").content.decode()
    assert "chosen on" in page
    assert "Use this threshold" not in page
    assert axel.get(NEW).status_code == 403
    assert send(axel).status_code == 403
    assert axel.post(f"{JOB.format(made.job_id)}cancel/").status_code == 403
