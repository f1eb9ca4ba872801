from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from classifiers.errors import SafetyError

GetResponse = Callable[[HttpRequest], HttpResponse]

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


def permissions_policy(get_response: GetResponse) -> GetResponse:
    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers["Permissions-Policy"] = PERMISSIONS_POLICY
        return response

    return middleware


class SafetyErrors:
    """A SafetyError that a page raises becomes a page with its sentence and its status."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, SafetyError):
            return None
        return error_page(request, exception.message, status=exception.status)


def error_page(request: HttpRequest, sentence: str, *, status: int) -> HttpResponse:
    """What happened and what to do, in the site's look; htmx takes the part with the id "error" and shows it as a notice."""
    context = {"title": TITLES.get(status, "Something went wrong"), "sentence": sentence}
    return render(request, "error.html", context, status=status)
