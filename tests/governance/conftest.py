from tests.review.conftest import cast  # noqa: F401  a fixture
