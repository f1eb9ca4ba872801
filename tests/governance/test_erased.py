"""An adapter that learnt from a text which was let go since is known by it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from classifiers.types import digest
from governance.erased import erased_since, warning
from governance.models import TrainingRun
from runs import retention
from runs.models import Result, Run

pytestmark = pytest.mark.django_db
TEXTS = ["You are kind.", "What a day.", "Good."]


def training(*texts: str) -> TrainingRun:
    return TrainingRun(texts=[digest(text) for text in texts])


def let_go(run: Run) -> None:
    list(retention.let_texts_go(before=timezone.now() + timedelta(days=1), actor="test"))
    assert set(Result.objects.filter(run=run).values_list("texts", flat=True)) == {"LET_GO"}


def test_a_text_let_go_since_is_told_of(done_run: Callable[..., Run]) -> None:
    run = done_run(TEXTS)
    answer = Result.objects.get(run=run, position=0).answer
    learnt = training("You are kind.", answer or "", "Elsewhere")
    assert (erased_since(learnt), warning(learnt)) == (0, "")
    let_go(run)
    assert erased_since(learnt) == 2
    assert warning(learnt).startswith("It learnt from 2 texts that were let go since")
    assert "a text that was" in warning(training("Good."))
    assert warning(training("Elsewhere")) == ""


def test_what_was_never_kept_is_not_let_go(done_run: Callable[..., Run], settings: object) -> None:
    settings.SAFETY_STORE_TEXT = "none"  # type: ignore[attr-defined]
    done_run(TEXTS)
    assert erased_since(training(*TEXTS)) == 0


def test_it_is_looked_up_in_the_index_however_many_there_are(done_run: Callable[..., Run]) -> None:
    let_go(done_run(TEXTS))
    many = training(*TEXTS, *(f"text {number}" for number in range(1200)))
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert erased_since(many) == 3
    assert len(asked) == 6
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN QUERY PLAN " + asked[0]["sql"])
            assert any("result_input_digest" in str(row) for row in cursor.fetchall())
