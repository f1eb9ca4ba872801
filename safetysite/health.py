"""Whether this process is up, and whether the site can do its work. Open to all, so that it tells nothing else."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import cache

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from classifiers.errors import SafetyError
from moderation import inference

logger = logging.getLogger(__name__)

PATIENCE = 2.0  # seconds


class NotReadyError(SafetyError):
    code = "not_ready"
    status = 503


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers; nothing else is asked."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """503 with what is not ready, a sentence each; the log says more. And whether texts that cannot be judged pass."""
    found = {name: _said(check) for name, check in checks().items()}
    ready = set(found.values()) == {"ok"}
    status = {"status": "ok" if ready else "not_ready", **found, "fail_open": settings.SAFETY_FAIL_OPEN}
    return JsonResponse(status, status=200 if ready else 503)


def checks() -> Mapping[str, Callable[[], None]]:
    """Each raises NotReadyError when it fails. The database is the broker, unless there is Redis."""
    named: dict[str, Callable[[], None]] = {"database": check_database}
    if settings.REDIS_URL:
        named["broker"] = check_broker
    if settings.MODEL_SERVER:
        named["models"] = check_models
    return named


def check_database() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        _check_migrations()
    except DatabaseError as error:
        logger.warning("The database cannot be used: %s", " ".join(str(error).split()))
        raise NotReadyError("The database cannot be used. The site's log says why.") from error


@cache
def _check_migrations() -> None:
    """Once they are all there they stay; a newer version of the site is a new process."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise NotReadyError("The database is not set up for this version. Run: python manage.py setup_db")


def check_broker() -> None:
    import redis

    try:
        with redis.from_url(settings.REDIS_URL, socket_connect_timeout=PATIENCE, socket_timeout=PATIENCE) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        logger.warning("The broker cannot be reached: %s", type(error).__name__)
        raise NotReadyError("Redis, the task broker, cannot be reached.") from error


def check_models() -> None:
    if not inference.answers(settings.MODEL_SERVER):
        raise NotReadyError("The model server cannot be reached, or is still loading. Texts that it judges are errors.")


def _said(check: Callable[[], None]) -> str:
    try:
        check()
    except NotReadyError as error:
        return error.message
    return "ok"
