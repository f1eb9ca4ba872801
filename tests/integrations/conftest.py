"""The cast, programs that act for them, and a receiver of webhooks that the settings allow."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from integrations import webhooks
from integrations.models import Webhook
from tests.api.conftest import cast, make_queue, unthrottled  # noqa: F401  fixtures
from tests.integrations.receiver import Receiver, receiver
from tests.review.conftest import Cast


@pytest.fixture
def there(settings: Any) -> Iterator[Receiver]:
    """A receiver of this machine."""
    settings.SAFETY_WEBHOOK_HOSTS = ["127.0.0.1"]
    with receiver() as given:
        yield given


@pytest.fixture
def make_webhook(there: Receiver, request: pytest.FixtureRequest) -> Callable[..., Webhook]:
    """``make_webhook("run.finished")``: of anna's, to the receiver; of all events unless some are named."""

    def make(*events: str, name: str = "hook", **options: Any) -> Webhook:
        people: Cast = request.getfixturevalue("cast")
        given = {"name": name, "url": there.url, "events": events or Webhook.Event.values, **options}
        made = webhooks.create_webhook(by=people.anna, **given)
        there.secret = made.secret
        return made

    return make
