"""The pages of promotions: an adapter compared, promoted and rolled back, and closed to those who may not."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from governance import jobs, promotion
from governance.models import EvaluationJob
from moderation.models import Promotion
from tests.governance.promoting import ALIAS, WORDS, Make, compared, promoted
from tests.governance.test_evaluation_pages import visit
from tests.review.conftest import Cast

pytestmark = pytest.mark.django_db
LIST = "/admin/moderation/promotion/"
FILE = b"text,label,kind\n" + b"".join(
    f"{WORDS[i % 3]} {i},{int(i % 3 < 2)},{'ab'[i % 2]}\n".encode() for i in range(120)
)


@pytest.fixture
def lena(cast: Cast) -> Client:
    cache.clear()
    return visit(cast, "lena")


def send(client: Client, adapter: str, file: bytes = FILE, **fields: Any) -> Any:
    given = {"adapter": adapter, "alias": ALIAS, "category": "kind", **fields}
    return client.post(f"{LIST}new/", {**given, **({"file": SimpleUploadedFile("ours.csv", file)} if file else {})})


def page_of(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.content
    return " ".join(answer.content.decode().split())


def test_an_adapter_is_compared_promoted_and_rolled_back(lena: Client, make_adapter: Make) -> None:
    mine = make_adapter("mine", "toxic rude")
    assert f'value="{mine.name}" selected' in page_of(lena, f"{LIST}new/?adapter=mine")
    answer = send(lena, "mine")
    job = EvaluationJob.objects.get()
    assert answer.url == f"/admin/governance/evaluationjob/{job.pk}/"
    jobs.work(job)
    old, new = job.evaluations.order_by("pk")
    pair = f"old={old.pk}&new={new.pk}"
    assert f'href="{LIST}comparison/?{pair}"' in page_of(lena, f"{answer.url}state/").replace("&amp;", "&")
    page = page_of(lena, f"{LIST}comparison/?{pair}")
    assert page.count(">Yes</span>") == 6
    for words in ("McNemar", "Muslims", "largest less smallest", "identity probe", 'id="promote"', "ours.csv"):
        assert words in page, words
    answer = lena.post(f"{LIST}promote/", {"old": old.pk, "new": new.pk, "note": "It finds <b>rude</b> ones."})
    assert answer.url == LIST
    made = Promotion.objects.get()
    assert (made.adapter, made.created_by) == (mine, "user:lena")
    page = page_of(lena, LIST)
    assert f'id="roll-back-{made.pk}"' in page
    assert "It finds &lt;b&gt;rude&lt;/b&gt; ones." in page
    evidence = page_of(lena, f"{LIST}{made.pk}/")
    assert evidence.count(">Yes</span>") == 6
    assert "McNemar" in evidence
    assert "loads the adapter mine already" in page_of(lena, f"{LIST}comparison/?{pair}")
    assert lena.post(f"{LIST}{made.pk}/rollback/", {"note": ""}).url == LIST
    assert f'id="roll-back-{made.pk}"' not in page_of(lena, LIST)
    back = Promotion.objects.latest("pk")
    assert f'href="{LIST}{made.pk}/"' in page_of(lena, f"{LIST}{back.pk}/")
    assert lena.post(f"{LIST}{made.pk}/rollback/").status_code == 409


def test_a_gate_that_is_not_met_leaves_no_button(lena: Client, make_adapter: Make) -> None:
    old, new = compared(make_adapter("worse", "nothing"))
    page = page_of(lena, f"{LIST}comparison/?old={old.pk}&new={new.pk}")
    assert ">No</span>" in page
    assert 'id="promote"' not in page
    refused = lena.post(f"{LIST}promote/", {"old": old.pk, "new": new.pk, "note": "All the same."})
    assert refused.status_code == 400
    assert "It may not be promoted." in refused.content.decode()
    assert not Promotion.objects.exists()


@pytest.mark.parametrize(
    ("fields", "file", "says"),
    [
        ({}, b"", "decided on no text"),
        ({"alias": "fake"}, FILE, "Select a valid choice"),
        ({}, b"text,label\nkind,perhaps\n", "perhaps"),
        ({"category": "none"}, FILE, "no column none"),
    ],
)
def test_what_cannot_be_is_told_beside_the_form(
    lena: Client, make_adapter: Make, fields: dict[str, Any], file: bytes, says: str
) -> None:
    make_adapter("mine", "toxic rude")
    answer = send(lena, "mine", file, **fields)
    assert answer.status_code == 400
    assert says in answer.content.decode()
    assert "If there was a file, choose it again" in answer.content.decode()
    assert send(lena, "nobody").status_code == 400
    assert not EvaluationJob.objects.exists()


def test_what_is_no_pair_is_told(lena: Client, make_adapter: Make) -> None:
    old, _ = compared(make_adapter("mine", "toxic rude"))
    for query in ("", "?old=x&new=1", f"?old={old.pk}", f"?old={old.pk}&new={old.pk}"):
        assert lena.get(f"{LIST}comparison/{query}").status_code == 400, query
    assert lena.get(f"{LIST}comparison/?old={old.pk}&new=999").status_code == 404
    assert lena.get(f"{LIST}99/").status_code == 404


def test_the_list_goes_on_by_key(lena: Client, make_adapter: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from governance.views import promotions

    monkeypatch.setattr(promotions, "SIZE", 1)
    made = promoted(make_adapter("mine", "toxic rude"))
    back = promotion.roll_back(made, actor="user:lena")
    assert f'id="promotion-{made.pk}"' not in page_of(lena, LIST)
    assert f'id="promotion-{made.pk}"' in page_of(lena, f"{LIST}?before={back.pk}")


def test_who_reads_promotes_nothing(cast: Cast, make_adapter: Make) -> None:
    mine = make_adapter("mine", "toxic rude")
    old, new = compared(mine)
    axel = visit(cast, "axel")
    assert 'id="promote"' not in page_of(axel, f"{LIST}comparison/?old={old.pk}&new={new.pk}")
    assert axel.post(f"{LIST}promote/", {"old": old.pk, "new": new.pk, "note": "x"}).status_code == 403
    made = promotion.promote(old, new, note="x", actor="user:lena")
    assert "Roll back" not in page_of(axel, LIST)
    assert axel.post(f"{LIST}{made.pk}/rollback/").status_code == 403
    assert axel.get(f"{LIST}new/").status_code == 403
    assert Promotion.objects.count() == 1
    nora = visit(cast, "nora")
    for path in (LIST, f"{LIST}{made.pk}/", f"{LIST}comparison/?old={old.pk}&new={new.pk}", f"{LIST}new/"):
        assert nora.get(path).status_code == 403, path


def test_each_part_that_an_adapter_was_made_with_is_called_what_it_is(lena: Client, make_adapter: Make) -> None:
    mine = make_adapter("mine", "toxic rude")
    part = {"n": 3, "toxic": 1, "digest": "d"}
    mine.training.data = dict.fromkeys(("train", "tune", "calibrate", "held"), part)
    mine.training.save()
    page = page_of(lena, f"/admin/moderation/adapter/{mine.pk}/")
    assert page.count("held: never seen") == 1
    assert "to tell what scores mean" in page
