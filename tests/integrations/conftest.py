"""The cast, and programs that act for them."""

from tests.api.conftest import cast, make_queue, unthrottled  # noqa: F401  fixtures
