"""Whatever comes in whatever order, a message is sent until somebody has it, never twice at a time, and never for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from classifiers.errors import ConflictError
from integrations import deliveries, sending, webhooks
from integrations.models import Delivery, Webhook
from tests.review.conftest import Cast

MOST = len(deliveries.DELAYS) + 1
ACTS = (
    *(
        "message",
        "hand_out",
        "lose_tasks",
        "work",
        "work_twice",
        "die",
        "redeliver",
        "redeliver_all",
        "pause",
        "resume",
    ),
    *("wait_seconds", "wait_minutes", "wait_days"),
)
ANSWERS = (200, 204, 302, 410, 500, None)


class Killed(BaseException):
    """What a worker that is killed leaves behind: nothing at all."""


class World:
    """Webhooks, their messages, workers with tasks in hand, a network and a clock that stands until it is moved."""

    def __init__(self, hook: Webhook, cast: Cast) -> None:
        self.hook, self.cast = hook, cast
        self.now: datetime = timezone.now()
        self.tasks: list[tuple[int, int]] = []
        self.answers: Iterator[int | None] = iter(())
        self.posts: list[str] = []
        self.dies, self.deaths = False, 0
        # By message: posts since it was begun (anew), and whether somebody has it.
        self.sent: dict[str, int] = {}
        self.had: set[str] = set()

    def post(self, _target: Any, body: bytes, headers: dict[str, str]) -> int:
        name = headers["webhook-id"]
        assert name not in self.had, "sent again though somebody has it"
        self.sent[name] += 1
        assert self.sent[name] <= MOST + self.deaths, "sent more often than it may be"
        assert not any(self.deliver(*task) for task in self.tasks if self.is_of(task, name)), "sent twice at a time"
        if self.dies:
            self.deaths += 1
            raise Killed
        answer = next(self.answers, 204)
        if answer is None:
            raise TimeoutError("timed out")
        if 200 <= answer < 300:
            self.had.add(name)
        return answer

    def is_of(self, task: tuple[int, int], name: str) -> bool:
        return Delivery.objects.filter(pk=task[0], message_id=name).exists()

    def deliver(self, pk: int, attempts: int) -> bool:
        with suppress(Killed):
            return deliveries.deliver(pk, attempts)
        return True

    # What happens

    def message(self) -> None:
        with suppress(ConflictError):
            made = webhooks.send_test(self.hook, by=self.cast.anna)
            self.sent[made.message_id] = 0

    def hand_out(self) -> None:
        self.tasks += deliveries.hand_out(wait=timedelta(seconds=60))

    def lose_tasks(self) -> None:
        self.tasks.clear()

    def work(self) -> None:
        if self.tasks:
            self.deliver(*self.tasks.pop(0))

    def work_twice(self) -> None:
        if self.tasks:
            self.deliver(*self.tasks[0])
            assert not self.deliver(*self.tasks[0])

    def die(self) -> None:
        self.dies = True
        self.work()
        self.dies = False

    def redeliver(self) -> None:
        for one in Delivery.objects.all():
            failed = one.state == "FAILED"
            with suppress(ConflictError):
                deliveries.redeliver(one, by=self.cast.anna)
                assert failed
                self.sent[one.message_id] = 0

    def redeliver_all(self) -> None:
        failed = list(Delivery.objects.failed())
        assert deliveries.redeliver_failed(self.hook, by=self.cast.anna) == len(failed)
        self.sent.update({one.message_id: 0 for one in failed})

    def pause(self, active: bool = False) -> None:
        hook = Webhook.objects.get()
        webhooks.update_webhook(hook, {"active": active}, version=hook.version, by=self.cast.anna)
        self.hook = Webhook.objects.get()

    def resume(self) -> None:
        self.pause(active=True)

    def wait(self, **by: float) -> None:
        self.now += timedelta(**by)

    def wait_seconds(self) -> None:
        self.wait(seconds=10)

    def wait_minutes(self) -> None:
        self.wait(minutes=10)

    def wait_days(self) -> None:
        self.wait(days=2)

    def check(self) -> None:
        for one in Delivery.objects.all():
            assert (one.state == "WAITING") == (one.due_at is not None) == (one.finished_at is None)
            assert (one.state == "DELIVERED") == (one.message_id in self.had)


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    acts=st.lists(st.sampled_from(ACTS), max_size=30),
    answers=st.lists(st.sampled_from(ANSWERS), max_size=30),
)
def test_no_order_of_events_breaks_a_delivery(
    make_webhook: Callable[..., Webhook], cast: Cast, acts: list[str], answers: list[int | None]
) -> None:
    Webhook.objects.all().delete()
    world = World(make_webhook(), cast)
    world.answers = iter(answers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.utils.timezone.now", lambda: world.now)
        patch.setattr(sending, "post", world.post)
        for act in ("message", *acts):
            getattr(world, act)()
            world.hook.refresh_from_db()
            world.check()
        # In the end, with a network that is well, everything arrives.
        world.answers = iter(())
        world.resume()
        world.redeliver_all()
        for _ in range(3):
            world.wait_days()
            world.hand_out()
            while world.tasks:
                world.work()
        world.check()
    assert not Delivery.objects.exclude(state="DELIVERED").exists()
