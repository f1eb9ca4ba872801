"""How many requests programs and people make, and how long their answers take, for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
REQUESTS = Counter("safety_http_requests", "Requests answered", ["method", "route", "status"])
SECONDS = Histogram("safety_http_seconds", "Seconds until the answer began", ["method", "route"])


def answered(method: str, route: str, status: int, seconds: float) -> None:
    """``route`` is the pattern of the address, never the address: there must not be one series for each result."""
    method = method if method in METHODS else "other"
    REQUESTS.labels(method, route, status).inc()
    SECONDS.labels(method, route).observe(seconds)
