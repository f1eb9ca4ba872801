"""Reviewers who work over HTTP as the desk does, as fast as they can or with time to think."""

from __future__ import annotations

import random
import re
import time
import uuid
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

TOKEN = "c" * 32
LABELS = ("SAFE", "SAFE", "SAFE", "TOXIC")


def session_of(user: Any) -> str:
    """The cookies of somebody who is logged in."""
    from django.conf import settings
    from django.test import Client

    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}; csrftoken={TOKEN}"


@dataclass
class Reviewer:
    """Takes results of a queue and judges them until none is left. Times are in seconds."""

    address: str
    queue: int
    cookies: str
    seed: int = 0
    thinks: float = 0
    most: int | None = None
    stored: list[int] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    judged: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def work(self) -> Reviewer:
        chance = random.Random(self.seed)
        self.connection = HTTPConnection(urlsplit(self.address).netloc, timeout=60)
        if self.thinks:
            time.sleep(chance.uniform(0, self.thinks))
        while (self.most is None or len(self.stored) < self.most) and (sheet := self._take()):
            if self.thinks:
                time.sleep(chance.uniform(0.5, 1.5) * self.thinks)
                self.connection.close()  # the server keeps an idle one for two seconds only
            self._judge(sheet, chance)
        return self

    def _take(self) -> tuple[int, dict[str, str]] | None:
        """The claim in hand, and the stages that it asks for with what was said of them already."""
        html = self._post(f"/admin/review/queue/{self.queue}/take/", {}, self.took)
        asked = dict.fromkeys(re.findall(r'name="(input|output)" value="SAFE" required', html), "")
        asked |= dict(re.findall(r'type="hidden" name="(input|output)" value="(\w+)"', html))
        found = re.search(r'data-claim="(\d+)"', html)
        return (int(found[1]), asked) if found else None

    def _judge(self, sheet: tuple[int, dict[str, str]], chance: random.Random) -> None:
        claim, asked = sheet
        labels = {stage: said or chance.choice(LABELS) for stage, said in asked.items()}
        said = self._post(
            f"/admin/review/queue/claim/{claim}/verdict/", {**labels, "key": uuid.uuid4().hex}, self.judged
        )
        if '"status": "stored"' in said:
            self.stored.append(claim)
        elif said and '"status": "pending"' not in said:
            self.failed.append(said[:300])

    def _post(self, path: str, fields: dict[str, str], times: list[float]) -> str:
        headers = {"Cookie": self.cookies, "X-CSRFToken": TOKEN, "Content-Type": "application/x-www-form-urlencoded"}
        headers["Accept"] = "application/json" if path.endswith("verdict/") else "text/html"
        started = time.perf_counter()
        self.connection.request("POST", path, urlencode(fields), headers)
        response = self.connection.getresponse()
        body = response.read().decode()
        times.append(time.perf_counter() - started)
        if response.status != 200:
            self.failed.append(f"{response.status} for {path}: {body[:300]}")
            return ""
        return body
