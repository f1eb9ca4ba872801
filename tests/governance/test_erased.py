"""An adapter that learnt from a text which was let go since is known by it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from governance.erased import erased_since, warning
from moderation.models import Adapter
from runs import retention
from runs.models import Result, Run
from tests.api.conftest import Program
from tests.governance.promoting import ALIAS, Make, compared
from tests.governance.test_evaluation_pages import visit
from tests.review.conftest import Cast

pytestmark = pytest.mark.django_db
TEXTS = ["You are kind.", "What a day.", "Good."]
Runs = Callable[..., Run]


def let_go(run: Run) -> None:
    list(retention.let_texts_go(before=timezone.now() + timedelta(days=1), actor="test"))
    assert set(Result.objects.filter(run=run).values_list("texts", flat=True)) == {"LET_GO"}


def test_a_text_let_go_since_is_told_of(done_run: Runs, make_adapter: Make) -> None:
    run = done_run(TEXTS)
    answer = Result.objects.get(run=run, position=0).answer or ""
    two, one, none = (
        make_adapter(name, "toxic", texts=texts)
        for name, texts in (("two", [TEXTS[0], answer, "Elsewhere"]), ("one", [TEXTS[2]]), ("none", ["Elsewhere"]))
    )
    assert (erased_since(two), warning(two)) == (0, "")
    let_go(run)
    assert erased_since(two) == 2
    assert warning(two).startswith("It learnt from 2 texts that were let go since")
    assert warning(one).startswith("It learnt from a text that was let go since")
    assert warning(none) == ""


def test_of_an_adapter_whose_training_is_not_on_record_nothing_is_known(db: None) -> None:
    assert warning(Adapter.objects.create(name="foreign", digest="0", folder="/", base_model="x", created_by="x")) == ""


def test_what_was_never_kept_is_not_let_go(done_run: Runs, make_adapter: Make, settings: Any) -> None:
    settings.SAFETY_STORE_TEXT = "none"
    done_run(TEXTS)
    assert erased_since(make_adapter("mine", "toxic", texts=TEXTS)) == 0


def test_they_are_looked_up_in_the_index_however_many_there_are(done_run: Runs, make_adapter: Make) -> None:
    let_go(done_run(TEXTS))
    many = make_adapter("mine", "toxic", texts=[*TEXTS, *(f"text {number}" for number in range(1200))])
    with CaptureQueriesContext(connection) as asked:
        assert erased_since(many) == 3
    assert len(asked) == 7
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN QUERY PLAN " + asked[1]["sql"])
            assert any("result_input_digest" in str(row) for row in cursor.fetchall())


def test_every_door_says_so(done_run: Runs, make_adapter: Make, cast: Cast) -> None:
    mine, other = make_adapter("mine", "toxic rude", texts=TEXTS), make_adapter("other", "rude")
    let_go(done_run(TEXTS))
    page = visit(cast, "lena").get(f"/admin/moderation/adapter/{mine.pk}/").content.decode()
    assert "It learnt from 3 texts that were let go since" in page
    lena = Program(cast.lena, "read")
    assert [lena.get(f"/api/v1/adapters/{each.pk}/").json()["let_go"] for each in (mine, other)] == [3, 0]
    pair = [str(evaluation.pk) for evaluation in compared(mine)]
    call_command(
        "promote_adapter", "mine", "--alias", ALIAS, "--evaluations", *pair, "--dry-run", stdout=(out := StringIO())
    )
    assert "It learnt from 3 texts that were let go since" in out.getvalue()
