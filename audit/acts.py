"""Acts that count once: who sends the same Idempotency-Key to the same path again gets the first answer again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework.utils.encoders import JSONEncoder

from audit.models import Act
from classifiers.errors import ConflictError, SafetyError
from classifiers.types import digest

MAX_KEY = 64
KEPT = timedelta(hours=24)
CLEARED = 100
LOST = object()  # an answer that is not to be kept


class DifferentActError(SafetyError):
    code = "different_act"
    status = 422


class Repeated(Exception):
    def __init__(self, act: Act) -> None:
        self.answer, self.status_code = json.loads(act.answer), act.status


@dataclass(frozen=True, slots=True)
class Begun:
    pk: int


def begin(user: User, *, path: str, key: str, body: Any) -> Begun:
    """Notes that an act begins. Raises Repeated when it was done, and ConflictError while its end is not known."""
    sent = digest(json.dumps(body, sort_keys=True, default=str))
    try:
        with transaction.atomic():
            return Begun(Act.objects.create(user_id=user.pk, path=path[:200], key=key, body=sent).pk)
    except IntegrityError:
        act = Act.objects.filter(user_id=user.pk, path=path[:200], key=key).first()
    if act is None:  # its first sending has just failed
        return begin(user, path=path, key=key, body=body)
    if act.body != sent:
        raise DifferentActError("This Idempotency-Key was sent with another body. Each act needs a key of its own.")
    if act.status is None:
        raise ConflictError(
            "An act with this Idempotency-Key began and its end is not known yet. Ask again in a moment; if this stays "
            "so, look whether it was done before you send it with another key.",
            code="act_unfinished",
        )
    if not act.answer:
        raise ConflictError(
            "This act was done. Its answer is not kept, since it may quote a text and texts are not kept here. To do it "
            "once more, send it with another key.",
            code="answer_not_kept",
        )
    raise Repeated(act)


def end(begun: Begun, *, status: int, answer: Any) -> None:
    """Keeps the answer of an act that was done, unless it is LOST, and forgets one that was refused: it changed nothing."""
    act = Act.objects.filter(pk=begun.pk)
    if status < 400:
        act.update(status=status, answer="" if answer is LOST else json.dumps(answer, cls=JSONEncoder))
    else:
        act.delete()
    old = Act.objects.filter(created_at__lt=timezone.now() - KEPT).values_list("pk", flat=True)[:CLEARED]
    if gone := list(old):
        Act.objects.filter(pk__in=gone).delete()
