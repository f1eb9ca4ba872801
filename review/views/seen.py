"""What the pages about one queue share, for those who oversee it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from review import queues, saved
from review.models import Queue
from review.rights import need

OVERSEE = "look into queues"


def overseen(request: HttpRequest, pk: int) -> Queue:
    need(request.user, "review.oversee", OVERSEE)
    return queues.find_queue(pk)


def about(queue: Queue) -> dict[str, Any]:
    return {"title": queue.name, "queue": queue, "words": saved.in_words(queue.filters)}
