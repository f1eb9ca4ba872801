"""How long the audit chain takes to verify, as a ratio to reading its rows, and how its page keeps up with its length.

    python -m benchmarks.audit [--entries 100000]

The entries are made by the service itself, a thousand a transaction, of the size that saving a chunk records.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.setup import prepare

FILTERS: tuple[dict[str, str], ...] = (
    {},
    {"action": "run.created"},
    {"actor": "user:7"},
    {"text": "nowhere"},
    {"before": "5000"},
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=100_000)
    entries = parser.parse_args().entries
    prepare()
    logging.disable(logging.INFO)
    from audit import services
    from audit.models import AuditEvent

    recording = seconds(lambda: record(entries))
    print(f"{entries} entries recorded in {recording:.1f} s, {entries / recording:.0f} a second")
    reading = seconds(lambda: sum(1 for _ in AuditEvent.objects.order_by("sequence").iterator(chunk_size=1000)))
    verifying = seconds(lambda: require_whole(services.verify()))
    print(f"verified in {verifying:.1f} s (at most 30 for 100,000), {verifying / reading:.2f} x reading the same rows")
    services.check_chain(actor="benchmark")
    for query in FILTERS:
        print(f"page {query or 'of all'}: median {page(query) * 1000:.0f} ms")


def record(entries: int) -> None:
    from django.db import transaction

    from audit import services

    results = [{"position": n, "commitment": f"{n:032x}"} for n in range(4)]
    for start in range(0, entries, 1000):
        with transaction.atomic():
            for number in range(start, min(start + 1000, entries)):
                action = "run.created" if number % 5000 == 0 else "run.chunk_saved"
                services.record(action, actor=f"user:{number % 40}", data={"chunk": number, "results": results})


def require_whole(verification: Any) -> None:
    assert verification.fault is None, verification.fault


def page(query: dict[str, str]) -> float:
    """Seconds that the site takes for the page of entries, without the network."""
    from django.contrib.auth.models import User
    from django.test import Client
    from django.urls import reverse

    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.get_or_create(username="admin", is_staff=True, is_superuser=True)[0])

    def look() -> None:
        assert client.get(reverse("admin:audit_auditevent_changelist"), query).status_code == 200

    return median(seconds(look) for _ in range(9))


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
