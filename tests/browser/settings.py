"""The tests' settings for a site that lives through several tests, each with an emptied database."""

from collections.abc import Callable
from typing import Any

from tests.settings import *  # noqa: F403
from tests.settings import MIDDLEWARE


def forget(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Content types get new keys when the database is emptied; the process must not remember the old ones."""

    def middleware(request: Any) -> Any:
        from django.contrib.contenttypes.models import ContentType

        ContentType.objects.clear_cache()
        return get_response(request)

    return middleware


MIDDLEWARE = ["tests.browser.settings.forget", *MIDDLEWARE]
