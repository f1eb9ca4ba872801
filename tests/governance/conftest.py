from tests.governance.promoting import make_adapter  # noqa: F401  a fixture
from tests.review.conftest import cast, make_queue  # noqa: F401  fixtures
