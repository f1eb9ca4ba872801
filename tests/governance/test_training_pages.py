"""The pages of adapters and trainings: asked for, followed, read, and closed to those who may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django_q.models import OrmQ

from governance import training_jobs
from governance.models import TrainingJob
from moderation.models import Adapter, Promotion
from tests.classifiers import tiny_models
from tests.governance.test_evaluation_pages import visit
from tests.review.conftest import Cast

pytestmark = pytest.mark.django_db
LIST, NEW, JOB = (
    "/admin/moderation/adapter/",
    "/admin/governance/trainingjob/new/",
    "/admin/governance/trainingjob/{}/",
)
FILE = b"text,label\n" + b"".join(
    f"{'you are an idiot' if i % 3 else 'nice weather'} {i},{int(i % 3 > 0)}\n".encode() for i in range(90)
)


@pytest.fixture
def lena(cast: Cast) -> Client:
    return visit(cast, "lena")


def send(client: Client, *, file: bytes | None = FILE, **fields: Any) -> Any:
    given = {"name": "mine", "alias": "gemma", "learn_from": "file", **fields}
    if file is not None:
        given["file"] = SimpleUploadedFile("ours.csv", file)
    return client.post(NEW, given)


def told(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_one_is_asked_for_and_followed(lena: Client) -> None:
    answer = send(lena, epochs="2", rank="4")
    job = TrainingJob.objects.get()
    assert answer.url == JOB.format(job.pk)
    assert (job.name, job.dataset, job.created_by) == ("mine", "ours.csv", "user:lena")
    assert (job.recipe["epochs"], job.recipe["rank"], job.recipe["batch"]) == (2.0, 4, 32)
    assert OrmQ.objects.count() == 1
    page = told(lena, answer.url)
    assert 'hx-trigger="every 2s"' in page
    assert f"0 of {job.total} steps" in page
    losses = [{"step": n, "loss": 1 / n, "tuning_loss": 0.5 if n == 2 else None} for n in (1, 2)]
    TrainingJob.objects.update(state="RUNNING", done=2, total=10, seconds=60, losses=losses)
    page = told(lena, f"{answer.url}state/")
    assert "about 4\xa0minutes" in page
    assert "0.5000" in page
    assert "the last on the tuning texts is 0.500" in page
    assert f'href="{JOB.format(job.pk)}">mine for gemma' in told(lena, LIST)


def test_it_is_stopped(lena: Client) -> None:
    address = send(lena).url
    assert 'id="cancel"' in told(lena, address)
    assert lena.post(f"{address}cancel/").status_code == 302
    page = told(lena, address)
    assert "Stopped" in page
    assert 'id="cancel"' not in page


def test_a_failure_is_told_on_the_list_and_the_page(lena: Client) -> None:
    send(lena)
    job = TrainingJob.objects.get()
    TrainingJob.objects.update(state="FAILED", error="The model <b>is</b> not there.")
    for address in (LIST, JOB.format(job.pk)):
        assert "The model &lt;b&gt;is&lt;/b&gt; not there." in told(lena, address)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"file": None}, "Choose a file, or have it learn"),
        ({"name": "my adapter"}, "as in gemma@mine"),
        ({"learn_from": "reviews"}, "People have decided on no text yet"),
        ({"file": b"text,label\nyou,1\n"}, "both labels"),
        ({"rank": "65"}, "less than or equal to 64"),
        ({"base_model": "/etc"}, "a model of the hub"),
        ({"alias": "fake"}, "Select a valid choice"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_begun(lena: Client, fields: dict[str, Any], says: str) -> None:
    answer = send(lena, **fields)
    assert answer.status_code == 400
    assert says in answer.content.decode()
    assert not TrainingJob.objects.exists()


def test_who_may_only_look_trains_and_stops_nothing(cast: Cast, lena: Client) -> None:
    address = send(lena).url
    axel = visit(cast, "axel")
    assert 'id="new"' not in told(axel, LIST)
    assert 'id="cancel"' not in told(axel, address)
    assert send(axel, name="other").status_code == axel.post(f"{address}cancel/").status_code == 403
    assert TrainingJob.objects.get().state == "WAITING"
    ruth = visit(cast, "ruth")
    assert ruth.get(LIST).status_code == ruth.get(address).status_code == 403


def test_an_adapter_is_read_with_all_that_its_card_says(lena: Client, tmp_path: Path, settings: Any) -> None:
    pytest.importorskip("torch")
    base = tiny_models.causal(tmp_path / "base", "gemma3")
    settings.SAFETY_ADAPTERS = tmp_path / "adapters"
    settings.SAFETY_CLASSIFIERS["gemma"]["OPTIONS"] |= {"base_model": str(base), "device": "cpu", "threads": 1}
    send(lena, rank="2", batch="8", epochs="2", look_every="3")
    training_jobs.work(TrainingJob.objects.get())
    made = Adapter.objects.get()
    Promotion.objects.create(alias="gemma", adapter=made, created_by="test")
    page = told(lena, LIST)
    assert f'id="adapter-{made.pk}"' in page
    assert "nothing: it judges" not in (page := told(lena, f"{LIST}{made.pk}/"))
    run = made.training
    wanted = (
        "gemma@mine",
        made.digest,
        run.data["held"]["digest"],
        made.folder,
        "ROC-AUC",
        "Reliability",
        "more likely than not",
    )
    for word in (*wanted, f"/evaluation/{run.evaluation_id}/", "learning_rate", "user:lena", "on the tuning texts"):
        assert word in page, word
    assert page.count("<polyline") == 3
    assert f'href="{NEW}?start=mine"' in page
    assert 'value="mine" selected' in told(lena, f"{NEW}?start=mine")


def test_it_starts_from_what_the_classifier_judges_with_unless_told_otherwise(lena: Client, settings: Any) -> None:
    assert 'value="" selected' in told(lena, NEW)
    settings.SAFETY_CLASSIFIERS["gemma"]["OPTIONS"] |= {"base_model": "embedded"}
    assert 'value="embedded" selected' in told(lena, NEW)
    made = Adapter.objects.create(name="ours", digest="d", folder="/x", base_model="embedded", created_by="test")
    Promotion.objects.create(alias="gemma", adapter=made, created_by="test")
    assert 'value="ours" selected' in told(lena, NEW)


def test_an_adapter_without_a_training_on_record_is_shown(lena: Client) -> None:
    made = Adapter.objects.create(name="x", digest="d", folder="/x", base_model="b", card="<i>", created_by="test")
    assert "is not on record" in told(lena, f"{LIST}{made.pk}/")
    assert "judges only where it is named" in told(lena, f"{LIST}{made.pk}/")
    assert told(lena, LIST)
    assert lena.get(f"{LIST}99/").status_code == 404
