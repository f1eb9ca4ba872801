"""/metrics for Prometheus: what the record holds, counted in the database, and what the processes of the site met.

Counts of requests and of providers are each process's own; where PROMETHEUS_MULTIPROC_DIR names a folder, those of all
processes that share it come together, whichever of them is asked.
"""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from audit.rest import Allowed, Need, Resource
from safetysite.figures import Record

RECORD = Record()


class MetricsResource(Resource):
    needs = {"retrieve": Need("read", ["runs.view_run"])}
    schema = None  # type: ignore[assignment]  # it is not JSON, so no part of the document

    def get_permissions(self) -> list[BasePermission]:
        return [] if settings.SAFETY_METRICS_OPEN else [Allowed()]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """A scraper may ask for text alone; refusals are JSON all the same."""
        return super().perform_content_negotiation(request, force=True)

    def retrieve(self, request: Request) -> HttpResponse:
        own: CollectorRegistry = REGISTRY
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            own = CollectorRegistry()
            MultiProcessCollector(own)  # type: ignore[no-untyped-call]
        record = CollectorRegistry()
        record.register(RECORD)
        return HttpResponse(generate_latest(record) + generate_latest(own), content_type=CONTENT_TYPE_LATEST)
