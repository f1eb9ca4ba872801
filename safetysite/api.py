"""Where the resources of the REST API hang, and how a refusal reads: ``{"code", "detail"}``, and by field what is wrong."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.routers import Route, SimpleRouter

from audit import api as audit
from audit.rest import MalformedError
from classifiers.errors import InputError, NotFoundError, SafetyError
from governance.api import drift, evaluations, promotions, trainings
from integrations import api as integrations
from moderation.api import policies, providers
from review import api as review
from runs.api import moderations, relabelling, results, runs
from safetysite.middleware import refusal

# What is wrong with a text that is one, and with the name of what is not there: no schema can say that beforehand.
OF_CONTENT = {"blank", "null_characters_not_allowed", "surrogate_characters_not_allowed", "does_not_exist", "empty"}


class Router(SimpleRouter):
    """What is there once is changed at an address without a number, by an action ``change``."""

    routes = [
        Route(
            url="{prefix}{trailing_slash}",
            mapping={"get": "list", "post": "create", "patch": "change"},
            name="{basename}-list",
            detail=False,
            initkwargs={"suffix": "List"},
        ),
        *SimpleRouter.routes[1:],
    ]


router = Router(use_regex_path=False)
router.register("classifiers", providers.ClassifierResource, basename="classifier")
router.register("generators", providers.GeneratorResource, basename="generator")
router.register("categories", providers.CategoryResource, basename="category")
router.register("taxonomies", providers.TaxonomyResource, basename="taxonomy")
router.register("policies", policies.PolicyResource, basename="policy")
router.register("classifier-versions", providers.ClassifierVersionResource, basename="classifier-version")
router.register("runs", runs.RunResource, basename="run")
router.register("runs/<int:run>/relabelling", relabelling.RelabellingResource, basename="relabelling")
router.register("results", results.ResultResource, basename="result")
router.register("evaluations", evaluations.EvaluationResource, basename="evaluation")
router.register("evaluation-jobs", evaluations.EvaluationJobResource, basename="evaluation-job")
router.register("trainings", trainings.TrainingResource, basename="training")
router.register("adapters", trainings.AdapterResource, basename="adapter")
router.register("promotions", promotions.PromotionResource, basename="promotion")
router.register("drift", drift.DriftResource, basename="drift")
router.register("moderations", moderations.ModerationResource, basename="moderation")
router.register("verdicts", results.VerdictResource, basename="verdict")
router.register("audit-events", audit.AuditEventResource, basename="audit-event")
router.register("audit-checks", audit.AuditCheckResource, basename="audit-check")
router.register("tokens", integrations.TokenResource, basename="token")
router.register("webhooks", integrations.WebhookResource, basename="webhook")
router.register("deliveries", integrations.DeliveryResource, basename="delivery")
for prefix, resource, name in review.ROUTES:
    router.register(prefix, resource, basename=name)


def problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler. None for what is a fault of ours: Django answers 500 and logs it."""
    if isinstance(error, SafetyError):
        return _of_ours(error, asked_for_version="HTTP_IF_MATCH" in context["request"].META)
    if isinstance(error, Http404):
        error = exceptions.NotFound("There is nothing at this address.")
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if not isinstance(error, exceptions.APIException):
        return None
    headers = {"Retry-After": f"{wait:.0f}"} if (wait := getattr(error, "wait", None)) else {}
    if name := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = name
    impossible = isinstance(error, exceptions.ValidationError) and _codes(error.get_codes()) <= OF_CONTENT
    code = status.HTTP_422_UNPROCESSABLE_ENTITY if impossible else error.status_code
    return Response(_said(error), status=code, headers=headers)


def _codes(codes: Any) -> set[str]:
    """All codes of a validation error, however deep they stand."""
    if isinstance(codes, dict | list):
        inner = codes.values() if isinstance(codes, dict) else codes
        return set[str]().union(*map(_codes, inner))
    return {codes}


def _of_ours(error: SafetyError, *, asked_for_version: bool) -> Response:
    # Whoever sent the version that they saw is told by the status of HTTP that it is not the present one.
    stale = error.code == "stale" and asked_for_version
    headers = {"WWW-Authenticate": "Bearer"} if error.status == status.HTTP_401_UNAUTHORIZED else {}
    if wait := getattr(error, "retry_after", None):
        headers["Retry-After"] = f"{wait:.0f}"
    said = {"code": error.code, "detail": error.message}
    return Response(said, status=status.HTTP_412_PRECONDITION_FAILED if stale else _status(error), headers=headers)


def _status(error: SafetyError) -> int:
    """What has the form that the schema gives and still cannot be done is 422, so that 400 always means the form."""
    impossible = isinstance(error, InputError) and not isinstance(error, MalformedError) and error.status == 400
    return status.HTTP_422_UNPROCESSABLE_ENTITY if impossible else error.status


def _said(error: exceptions.APIException) -> dict[str, Any]:
    if not isinstance(error, exceptions.ValidationError):
        return {"code": error.default_code, "detail": str(error.detail)}
    fields = _flat(error.detail)
    name, sentences = next(iter(fields.items()))
    wrong = [{"field": field, "detail": sentence} for field, said in fields.items() for sentence in said]
    return {"code": "invalid", "detail": f"{name}: {sentences[0]}", "wrong": wrong}


def _flat(detail: Any, path: str = "") -> dict[str, list[str]]:
    """What is wrong, by the path of the field: ``input.0.text``."""
    if isinstance(detail, dict):
        inner = detail.items()
    elif isinstance(detail, list) and any(isinstance(each, dict | list) for each in detail):
        inner = ((str(index), each) for index, each in enumerate(detail) if each)
    else:
        return {path or "body": [str(each) for each in (detail if isinstance(detail, list) else [detail])]}
    flat: dict[str, list[str]] = {}
    for name, each in inner:
        flat |= _flat(each, f"{path}.{name}" if path else str(name))
    return flat


@csrf_exempt
def not_found(request: HttpRequest) -> JsonResponse:
    """Whatever stands under an address for programs and is none."""
    return refusal(request, NotFoundError(f"There is nothing at {request.path[:200]}."))


def failed(request: HttpRequest) -> JsonResponse:
    """A fault of ours; it is in the log."""
    return refusal(request, SafetyError("Something went wrong here. It is in the site's log; try again later."))
