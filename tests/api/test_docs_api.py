"""docs/api.md: each curl line runs and is answered as it says; each address of the site has one."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import textwrap
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.test import Client
from django.urls import get_resolver
from drf_spectacular.generators import SchemaGenerator
from standardwebhooks import Webhook as Signer

from audit import services as audit
from classifiers.labelled import Labelled
from classifiers.types import Stage, Subject
from governance import jobs as evaluation_jobs
from governance import training_jobs
from governance.models import Evaluation, EvaluationJob
from governance.services import Data, Wish, evaluate_classifier
from integrations import addresses, webhooks
from moderation import policies
from moderation.models import Adapter, ClassifierVersion, PolicyVersion
from moderation.services import Choice
from review import bulk, export_files, handout, preferences, queues, saved
from review.models import BulkAction, Claim, Queue, Review
from runs import services as runs
from runs.models import Export, Payload, Result, Run
from tests.api.conftest import Program
from tests.conftest import ROOT
from tests.governance import promoting
from tests.governance.promoting import Make
from tests.review.conftest import TEXTS, Cast, review_next

PAGE = (ROOT / "docs/api.md").read_text()
LINES = re.findall(r"^    (curl .+?) +# (\d{3})$", PAGE, re.MULTILINE)
names = itertools.count()


class World:
    """What the variables of one line stand for, made when the line names it. Anna, who may do all, sends it."""

    def __init__(
        self,
        cast: Cast,
        make_run: Callable[..., Run],
        done_run: Callable[..., Run],
        make_queue: Any,
        make_adapter: Make,
    ) -> None:
        self.cast, self.anna = cast, cast.anna
        self.make_run, self.done_run, self.make_queue, self.make_adapter = make_run, done_run, make_queue, make_adapter

    @cached_property
    def program(self) -> Program:
        return Program(self.anna)

    @cached_property
    def run(self) -> Run:
        return self.done_run(TEXTS)

    @cached_property
    def queue(self) -> Queue:
        return self.make_queue(self.run)

    @cached_property
    def result(self) -> Result:
        return self.run.results.get(position=0)

    @cached_property
    def claim(self) -> Claim:
        # Of a result with an answer, so that both texts are to be judged.
        queue = self.make_queue(self.done_run(["You are kind."]))
        return handout.claim_next(queue, reviewer=self.anna)

    @cached_property
    def review(self) -> Review:
        queue = self.make_queue(self.done_run(["You are kind."]), stages="INPUT")
        return review_next(queue, self.anna).reviews[0]

    @cached_property
    def bulk_action(self) -> BulkAction:
        choice = bulk.Choice({"run": str(self.run.pk)}, Stage.INPUT, "SAFE", "A quiz.")
        return bulk.start(choice, self.reach, key=f"key {next(names)}", by=self.anna)

    @cached_property
    def reach(self) -> bulk.Reach:
        return bulk.reach({"run": str(self.run.pk)}, Stage.INPUT, by=self.anna)

    @cached_property
    def known(self) -> Any:
        return queues.mark_gold(self.queue, self.result, {Stage.INPUT: "SAFE", Stage.OUTPUT: "SAFE"}, by=self.anna)

    @cached_property
    def webhook(self) -> Any:
        given = {"url": "https://example.org/hook", "events": ["run.finished"]}
        return webhooks.create_webhook(name=f"hook {next(names)}", by=self.anna, **given)

    @cached_property
    def policy(self) -> PolicyVersion:
        return policies.create_policy(f"team{next(names)}", policies.Content(), note="x", actor="test")

    @cached_property
    def job(self) -> EvaluationJob:
        return evaluation_jobs.ask(self.labelled, Wish(), aliases=["fake"], actor="test")

    @cached_property
    def labelled(self) -> Data:
        texts = [(f"{'toxic' if i % 2 else 'kind'} {i}", i % 2 == 1) for i in range(20)]
        return Data("20 rows", {}, [Labelled(Subject(text, Stage.INPUT), toxic) for text, toxic in texts])

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        return [{"text": f"{'toxic' if i % 2 else 'kind'} {i}", "label": i % 2} for i in range(90)]

    def training(self) -> int:
        data = Data("rows", {}, [Labelled(Subject(row["text"], Stage.INPUT), bool(row["label"])) for row in self.rows])
        return training_jobs.ask(data, name=f"adapter-{next(names)}", actor="test").pk

    def adapter(self) -> int:
        name = f"adapter-{next(names)}"
        return Adapter.objects.create(
            name=name, digest=name, folder="/x", base_model="x", card="", created_by="test"
        ).pk  # fmt: skip

    @cached_property
    def better(self) -> Adapter:
        name = f"adapter-{next(names)}"
        return self.make_adapter(name, f"toxic rude {name}")

    @cached_property
    def pair(self) -> tuple[Evaluation, Evaluation]:
        return promoting.compared(self.better)

    def evaluation(self, alias: str) -> int:
        return evaluate_classifier(Choice(alias), self.labelled, Wish(), policy=None, actor="test").pk

    def verdict(self) -> int:
        """With what its provider sent; the scripted one sends nothing."""
        verdict = self.result.verdicts.first()
        Payload.objects.create(verdict=verdict, body="{}")
        return verdict.pk

    def disputed(self) -> int:
        queue = self.make_queue(self.done_run(["one"]), needed=2, stages="INPUT")
        for person, label in ((self.cast.ruth, "SAFE"), (self.cast.rob, "TOXIC")):
            review_next(queue, person, input=label)
        return queue.items.get().pk

    def cancelled_run(self) -> int:
        return runs.cancel_run(self.make_run(["one"]), actor="test").pk

    def parked(self) -> int:
        handout.park(self.claim)
        return self.claim.pk

    def claim_of_another(self) -> int:
        return handout.claim_next(self.make_queue(), reviewer=self.cast.ruth).pk

    def done_bulk_action(self) -> int:
        bulk.work(self.bulk_action)
        return self.bulk_action.pk

    def view(self) -> int:
        return saved.save_view(f"view {next(names)}", {"flagged": "true"}, owner=self.anna).pk

    def export(self) -> Export:
        return export_files.start(self.run, form="jsonl", filters={}, pseudonyms=False, by=self.anna)

    def written_export(self) -> int:
        export = self.export()
        export_files.write(export)
        return export.pk

    def failed_delivery(self) -> int:
        made = webhooks.send_test(self.webhook, by=self.anna)
        self.webhook.deliveries.update(state="FAILED", due_at=None)
        return made.pk

    def etag(self) -> int:
        """Of a review it is a number of its own; else nothing was changed yet."""
        return self.review.pk if "review" in vars(self) else 1


VARIABLES: dict[str, Callable[[World], Any]] = {
    **dict.fromkeys(("CLASSIFIER", "GENERATOR", "MODEL"), lambda world: "fake"),
    "RUN": lambda world: world.run.pk,
    "OTHER_RUN": lambda world: world.done_run(TEXTS).pk,
    "UNFINISHED_RUN": lambda world: world.make_run(["one"]).pk,
    "CANCELLED_RUN": World.cancelled_run,
    "RUN_WITH_ERRORS": lambda world: world.done_run(["fail"]).pk,
    "POLICY": lambda world: world.policy.policy_id,
    "NUMBER": lambda world: world.policy.number,
    "POLICY_NAME": lambda world: world.run and world.policy.policy.name,
    "RESULT": lambda world: world.result.pk,
    "VERDICT": World.verdict,
    "VERSION": lambda world: world.run and ClassifierVersion.objects.first().pk,
    "QUEUE": lambda world: world.queue.pk,
    "CLAIM": lambda world: world.claim.pk,
    "CLAIMED_RESULT": lambda world: world.claim.item.result_id,
    "PARKED_CLAIM": World.parked,
    "CLAIM_OF_ANOTHER": World.claim_of_another,
    "COLLEAGUE": lambda world: "rob",
    "REVIEW": lambda world: world.review.pk,
    "REVIEWED_QUEUE": lambda world: world.review.item.queue_id,
    "DISPUTED_ITEM": World.disputed,
    "KNOWN_QUEUE": lambda world: world.queue.pk,
    "KNOWN_ITEM": lambda world: world.known.pk,
    "BULK_ACTION": lambda world: world.bulk_action.pk,
    "DONE_BULK_ACTION": World.done_bulk_action,
    "COUNT": lambda world: world.reach.count,
    "UNTIL": lambda world: world.reach.until,
    "VIEW": World.view,
    "PREFERENCES_ETAG": lambda world: f'"{preferences.of(world.anna).version}"',
    "EXPORT": lambda world: world.export().pk,
    "WRITTEN_EXPORT": World.written_export,
    "ENTRY": lambda world: world.run and 1,
    "CHECK": lambda world: audit.ask_check(actor="test").pk,
    "TOKEN": lambda world: Program(world.anna).token.pk,
    "WEBHOOK": lambda world: world.webhook.pk,
    "DELIVERY": lambda world: webhooks.send_test(world.webhook, by=world.anna).pk,
    "JOB": lambda world: world.job.pk,
    "ROWS": lambda world: json.dumps(world.rows),
    "TRAINING": World.training,
    "ADAPTER": World.adapter,
    "ADAPTABLE": lambda world: promoting.ALIAS,
    "NAMED_ADAPTER": lambda world: world.better.name,
    "OLD": lambda world: world.pair[0].pk,
    "NEW": lambda world: world.pair[1].pk,
    "PROMOTION": lambda world: promoting.promoted(world.better).pk,
    "EVALUATION": lambda world: world.evaluation("fake"),
    "OTHER_EVALUATION": lambda world: world.evaluation("fake-strict"),
    "FAILED_DELIVERY": World.failed_delivery,
    "ETAG": lambda world: f'"{world.etag()}"',
}


def variables(line: str, world: World, site: str) -> dict[str, str]:
    """Those that a line names; the ETag last, since it is that of what the others made."""
    wanted = sorted(set(re.findall(r"\$([A-Z_]+)", line)) & VARIABLES.keys(), key=lambda name: (name == "ETAG", name))
    shared = {"SITE": site, "API": f"{site}/api/v1", "JSON": "Content-Type: application/json"}
    shared["AUTH"] = f"Authorization: Bearer {world.program.key}"
    return shared | {name: str(VARIABLES[name](world)) for name in wanted}


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_every_line_is_answered_as_it_says(
    cast: Cast, make_run: Any, done_run: Any, make_queue: Any, make_adapter: Make, live_server: Any, settings: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    settings.SAFETY_EXPORTS = tmp_path / "exports"
    monkeypatch.setattr(addresses, "resolve", lambda host, port: ("93.184.215.14",))
    shell = f"curl() {{ command curl -sS -o {tmp_path}/answer -w '%{{http_code}}' \"$@\"; }}\n"
    faults = []
    for line, status in LINES:
        world = World(cast, make_run, done_run, make_queue, make_adapter)
        given = {**os.environ, **variables(line, world, live_server.url)}
        (tmp_path / "answer").write_text("")
        said = subprocess.run(["bash", "-uc", shell + line], env=given, capture_output=True, text=True, timeout=60)
        if said.stdout != status:
            answer = (tmp_path / "answer").read_bytes()[:300]
            faults.append(f"{line}: {said.stdout} instead of {status}: {answer!r} {said.stderr}")
    assert not faults, "\n".join(faults)


def called(line: str) -> tuple[str, str]:
    """The method and the path that a line asks for."""
    named = re.search(r"-X (\w+)", line)
    base, path = re.search(r'"\$(API|SITE)([^"?]*)', line).groups()
    return named[1] if named else "POST" if " -d " in line else "GET", ("/api/v1" if base == "API" else "") + path


def addresses_of_the_site() -> set[tuple[str, str]]:
    """Method and path, from the OpenAPI document and, for what is not in it, from the table of addresses."""
    document = SchemaGenerator(urlconf="safetysite.urls_api").get_schema(request=None, public=True)
    found = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    patterns = get_resolver("safetysite.urls_api").url_patterns
    for pattern in patterns:
        route = str(pattern.pattern)
        if hasattr(pattern, "url_patterns") or not route:
            continue
        actions = getattr(pattern.callback, "actions", None) or {"get": ""}
        found |= {
            (method.upper(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", f"/{route}"))
            for method in actions
            if method != "head"
        }
    return found


def test_every_address_has_a_line() -> None:
    asked = [called(line) for line, _ in LINES]
    missing = [
        f"{method} {path}"
        for method, path in sorted(addresses_of_the_site())
        if not any(
            method == one and re.fullmatch(re.sub(r"\\{\w+\\}", r"\\$[A-Z_]+", re.escape(path)), other)
            for one, other in asked
        )
    ]
    assert missing == []


def test_every_line_says_what_it_is_answered() -> None:
    assert len(LINES) == len(re.findall(r"^ +curl ", PAGE, re.MULTILINE)) > 100


def test_the_receiver_in_the_page_works() -> None:
    start = PAGE.index("    from standardwebhooks")
    code = textwrap.dedent(PAGE[start : PAGE.index("- **Delivery.**")])
    space: dict[str, Any] = {}
    exec(code, space)
    from django.utils import timezone

    secret, now = "whsec_" + "A" * 44, timezone.now()
    body = json.dumps({"type": "run.finished", "timestamp": now.isoformat(), "data": {"run": 1}})
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(now.timestamp()))}
    headers["webhook-signature"] = Signer(secret).sign("msg_1", now, body)
    assert space["receive"](body.encode(), headers, secret) == {"seen": "msg_1", "type": "run.finished", "run": 1}
    with pytest.raises(Exception, match="signature"):
        space["receive"](body.encode() + b" ", headers, secret)


def test_the_document_is_valid_and_nothing_in_it_is_guessed(tmp_path: Path) -> None:
    options = {"urlconf": "safetysite.urls_api", "validate": True, "fail_on_warn": True}
    call_command("spectacular", file=str(tmp_path / "document.yaml"), **options)


@pytest.mark.django_db
@pytest.mark.parametrize(("kind", "parse"), [("application/json", json.loads), ("*/*", yaml.safe_load)])
def test_the_document_is_for_everybody(client: Client, kind: str, parse: Callable[[bytes], Any]) -> None:
    answer = client.get("/api/schema/", headers={"Accept": kind})
    assert answer.status_code == 200
    assert "/api/v1/webhooks/" in parse(answer.content)["paths"]
