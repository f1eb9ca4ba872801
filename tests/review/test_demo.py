from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from review import handout
from review.demo import make_demo
from review.models import Queue
from runs.models import Run


def test_every_role_gets_an_account_that_opens(db: None) -> None:
    made = make_demo(actor="test")
    assert set(made) == {"reviewer", "senior", "lead", "auditor", "admin", "program"}
    for name, password in made.items():
        user = User.objects.get(username=name)
        assert user.check_password(password)
        assert [group.name for group in user.groups.all()] == [name]


def test_what_is_there_is_left_alone(db: None) -> None:
    lead = User.objects.create_user("lead", password="mine-since-long-ago")
    assert "lead" not in make_demo(actor="test")
    assert make_demo(actor="test") == {}
    lead.refresh_from_db()
    assert lead.check_password("mine-since-long-ago")


def test_the_newest_run_can_be_reviewed_at_once(done_run: Callable[..., Run]) -> None:
    done_run(["You are toxic.", "What a day.", "Fine."])
    make_demo(actor="test")
    make_demo(actor="test")
    queue = Queue.objects.get()
    assert (queue.blind, queue.items.count()) == (True, 2)
    assert handout.claim_next(queue, reviewer=User.objects.get(username="reviewer"))


@pytest.mark.slow
def test_the_command_prints_the_passwords_once(manage: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    file = tmp_path / "logins.txt"
    first, _ = manage("create_demo", "--logins", str(file)).communicate()
    password = re.search(r"^reviewer +(\S+)$", first, re.MULTILINE)
    assert password
    assert User.objects.get(username="reviewer").check_password(password[1])
    assert password[1] in file.read_text()
    assert os.stat(file).st_mode & 0o077 == 0
    again, _ = manage("create_demo").communicate()
    assert password[1] not in again
    assert "changepassword" in again


@pytest.mark.slow
def test_nobody_gets_an_account_where_others_have_one(manage: Callable[..., subprocess.Popen[str]]) -> None:
    User.objects.create_user("olga")
    manage("create_demo", "--if-empty").communicate()
    assert User.objects.count() == 1
