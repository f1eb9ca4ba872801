"""The settings of a site before which schemathesis stands: scripted providers only, since no other can work here."""

from tests.browser.settings import *  # noqa: F403
from tests.settings import REST_FRAMEWORK, SAFETY_CLASSIFIERS, SAFETY_GENERATORS, SAFETY_ROUTES

SAFETY_CLASSIFIERS = dict.fromkeys(("fake", "gemma"), SAFETY_CLASSIFIERS["fake"])
SAFETY_GENERATORS = {"fake": SAFETY_GENERATORS["fake"]}
SAFETY_ROUTES = {"fake": SAFETY_ROUTES["fake"]}
REST_FRAMEWORK = {**REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": {"api": None}}
