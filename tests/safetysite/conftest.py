from tests.review.conftest import cast, make_queue  # noqa: F401  fixtures
