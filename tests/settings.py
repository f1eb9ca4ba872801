"""The site's settings with scripted providers, for tests in this process and for commands that tests start."""

from safetysite.settings import *  # noqa: F403
from safetysite.settings import SAFETY_CLASSIFIERS, SAFETY_GENERATORS

SAFETY_CLASSIFIERS = {
    **SAFETY_CLASSIFIERS,
    "fake": {"BACKEND": "classifiers.providers.fake.FakeClassifier", "OPTIONS": {}},
    "fake-slow": {"BACKEND": "classifiers.providers.fake.FakeClassifier", "OPTIONS": {"latency": 0.05}},
    "fake-stuck": {"BACKEND": "classifiers.providers.fake.FakeClassifier", "OPTIONS": {"latency": 10}},
    "fake-deadly": {"BACKEND": "tests.providers.DeadlyClassifier", "OPTIONS": {}},
    "fake-strict": {"BACKEND": "classifiers.providers.fake.FakeClassifier", "OPTIONS": {"toxic": ["toxic", "rude"]}},
    "fake-broken": {
        "BACKEND": "classifiers.providers.fake.FakeClassifier",
        "OPTIONS": {"broken": "The fake provider has no key. Give it one."},
    },
}
SAFETY_GENERATORS = {
    **SAFETY_GENERATORS,
    "fake": {"BACKEND": "classifiers.providers.fake.FakeGenerator", "OPTIONS": {}},
}
SAFETY_ROUTES = {
    **SAFETY_ROUTES,  # noqa: F405
    "fake": {"GENERATOR": "fake", "INPUT": ["fake"], "OUTPUT": ["fake"], "REFUSAL": "No."},
    "fake-error": {"GENERATOR": "fake", "INPUT": ["fake"], "OUTPUT": ["fake"], "ON_BLOCK": "error"},
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
if "sqlite" in DATABASES["default"]["ENGINE"]:  # noqa: F405
    # A file, not memory: tests start processes that use the same database.
    DATABASES["default"]["TEST"] = {"NAME": DATABASES["default"]["NAME"]}  # noqa: F405
