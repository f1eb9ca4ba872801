"""The tests' settings with a route to the stub of benchmarks.proxy."""

import os

from tests.settings import *  # noqa: F403
from tests.settings import SAFETY_GENERATORS, SAFETY_ROUTES

SAFETY_GENERATORS = {
    **SAFETY_GENERATORS,
    "stub": {
        "BACKEND": "classifiers.providers.openai.OpenAIChat",
        "OPTIONS": {"model": "stub", "base_url": os.environ["BENCHMARK_UPSTREAM"]},
    },
}
SAFETY_ROUTES = {**SAFETY_ROUTES, "stub": {"GENERATOR": "stub", "INPUT": ["fake"], "OUTPUT": ["fake"]}}
