"""What axe-core finds on a page."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page


def serious(page: Page) -> list[str]:
    """Each serious or critical finding with the first elements that have it; empty is good."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [_sentence(each) for each in found if each["impact"] in ("serious", "critical")]


def overflows(page: Page) -> bool:
    """Whether the page must be scrolled sideways."""
    wide: bool = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return wide


def _sentence(finding: dict[str, Any]) -> str:
    places = "; ".join(f"{node['html'][:120]} ({node['failureSummary'][-160:]})" for node in finding["nodes"][:3])
    return f"{finding['id']}: {finding['help']} ({len(finding['nodes'])}): {places}"
