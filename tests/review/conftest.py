"""The cast: ruth and rob review, sara settles, lena leads, axel reads, anna administers, prog is a program, nora may nothing."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User

from classifiers.types import Stage
from review import handout, queues, roles, services
from review.models import Claim, Queue
from review.services import Judgement, Submitted
from runs.models import Run

CAST = {
    **dict.fromkeys(("ruth", "rob", "rita"), "reviewer"),
    "sara": "senior",
    "lena": "lead",
    "axel": "auditor",
    "anna": "admin",
    "prog": "program",
    "nora": "",
}
TEXTS = ["You are kind.", "You are toxic.", "What a day.", "toxic again", "Fine.", "Good.", "So-so.", "toxic thrice"]


class Cast(dict[str, User]):
    __getattr__ = dict.__getitem__


@pytest.fixture
def cast(db: None) -> Cast:
    roles.ensure_roles(actor="test")
    people = Cast({name: User.objects.create_user(name, password=f"{name}-likes-tea", is_staff=True) for name in CAST})
    for name, role in CAST.items():
        if role:
            people[name].groups.add(Group.objects.get(name=role))
    return people


@pytest.fixture
def make_queue(cast: Cast, done_run: Callable[..., Run]) -> Callable[..., Queue]:
    """A queue over a run of eight prompts (or of the one given), led by lena; not blind unless told so."""

    def make(run: Run | None = None, **options: Any) -> Queue:
        run = run or done_run(TEXTS)
        fields = {"name": "Toxic or not", "filters": {"run": str(run.pk)}, "blind": False, "gold_percent": 0, **options}
        return queues.create_queue(Queue(**fields), by=cast.lena)

    return make


def judgement(claim: Claim | None = None, *, key: str = "", note: str = "", **labels: str) -> Judgement:
    """``judgement(claim, input="SAFE")``; without labels SAFE for all that the claim's queue asks for."""
    stages = {Stage(stage.upper()): label for stage, label in labels.items()}
    if not stages and claim:
        stages = dict.fromkeys(claim.stages(claim.item.result), "SAFE")
    return Judgement(stages, key=key or uuid.uuid4().hex, note=note)


def review_next(queue: Queue, reviewer: User, **labels: str) -> Submitted | None:
    """Takes the next result and judges it."""
    claim = handout.claim_next(queue, reviewer=reviewer)
    if not claim:
        return None
    done = services.submit(claim, judgement(claim, **labels))
    return services.submit(claim, judgement(claim, **labels)) if done.pending else done
