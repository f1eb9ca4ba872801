from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.functional import SimpleLazyObject

from classifiers.errors import InputError, SafetyError, openai_error
from safetysite.logs import REQUEST_ID, request_id
from safetysite.traffic import answered

access = logging.getLogger("safetysite.access")

GetResponse = Callable[[HttpRequest], HttpResponse]

# What stands under these addresses is for programs: errors are JSON.
PROGRAMS = ("/api/", "/v1/", "/healthz", "/readyz", "/metrics")
NOT_USED = ("camera", "microphone", "geolocation", "payment", "usb", "display-capture", "browsing-topics")
PERMISSIONS_POLICY = ", ".join(f"{feature}=()" for feature in NOT_USED)

# What the sentence of a status is called on its page.
TITLES = {
    400: "This cannot be done",
    401: "Log in first",
    403: "You may not do this",
    404: "This does not exist",
    409: "Somebody was faster",
    429: "Too many attempts",
    503: "Not available now",
}


def observed(get_response: GetResponse) -> GetResponse:
    """Each answer bears the request's id, is counted, and has a line in the log: no text, no token, no query."""

    def middleware(request: HttpRequest) -> HttpResponse:
        # Left in place afterwards: what a streamed answer logs is the request's too, and the next one sets its own.
        REQUEST_ID.set(request_id(request.headers.get("X-Request-ID", "")))
        started = time.perf_counter()
        response = get_response(request)
        response.headers["X-Request-ID"] = REQUEST_ID.get()
        if not request.path.startswith(f"/{settings.STATIC_URL.strip('/')}/"):
            _note(request, response.status_code, time.perf_counter() - started)
        return response

    return middleware


def _note(request: HttpRequest, status: int, seconds: float) -> None:
    route = f"/{request.resolver_match.route}" if request.resolver_match else "none"
    answered(request.method or "", route, status, seconds)
    user = request.__dict__.get("user")
    if isinstance(user, SimpleLazyObject):  # who is not known yet is not asked for now
        user = getattr(request, "_cached_user", None)
    token = getattr(request, "auth", None)
    who = {"user": getattr(user, "pk", None), "token": getattr(token, "pk", None)}
    facts = {"method": request.method, "route": route, "status": status, "seconds": round(seconds, 4), **who}
    said = "".join(f" {name} {pk}" for name, pk in who.items() if pk is not None)
    access.info("%s %s %d in %.3f s%s", request.method, route, status, seconds, said, extra=facts)


def permissions_policy(get_response: GetResponse) -> GetResponse:
    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers["Permissions-Policy"] = PERMISSIONS_POLICY
        return response

    return middleware


def for_programs(get_response: GetResponse) -> GetResponse:
    """Gives programs their own addresses, and refuses a body that is too large before anything reads it."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(PROGRAMS):
            return get_response(request)
        request.urlconf = "safetysite.urls_api"
        length = request.META.get("CONTENT_LENGTH") or "0"
        if "HTTP_TRANSFER_ENCODING" in request.META:
            return refusal(request, LengthRequiredError("Send the body in one piece, with its Content-Length."))
        if not length.isdecimal() or int(length) > settings.SAFETY_API_BODY:
            limit = settings.SAFETY_API_BODY // 2**20
            return refusal(request, TooLargeError(f"The body is larger than {limit} MB. Send it in parts."))
        return get_response(request)

    return middleware


def refusal(request: HttpRequest, error: SafetyError) -> JsonResponse:
    """An error in the shape of the protocol that the address speaks."""
    if request.path.startswith("/v1/"):
        body: object = {"error": openai_error(error)}
    else:
        body = {"code": error.code, "detail": error.message}
    return JsonResponse(body, status=error.status)


class TooLargeError(InputError):
    code = "too_large"
    status = 413


class LengthRequiredError(InputError):
    code = "length_required"
    status = 411


class SafetyErrors:
    """A SafetyError that a page raises becomes a page with its sentence and its status."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, SafetyError):
            return None
        if request.path.startswith(PROGRAMS):
            return refusal(request, exception)
        return error_page(request, exception.message, status=exception.status)


def error_page(request: HttpRequest, sentence: str, *, status: int) -> HttpResponse:
    """What happened and what to do, in the site's look; htmx takes the part with the id "error" and shows it as a notice."""
    context = {"title": TITLES.get(status, "Something went wrong"), "sentence": sentence}
    return render(request, "error.html", context, status=status)
