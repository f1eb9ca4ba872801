"""A cast of secrets, and where they stand in the database."""

import pytest
from django.db import connection

EMAIL, CARD, PHONE = "zora.quill@nimbusmail.example", "4111 1111 1111 1111", "+44 20 7946 0958"
SECRETS = [EMAIL, CARD, PHONE, "nimbusmail"]
LETTER = f"Write to {EMAIL} or call {PHONE}. The card is {CARD}, says {EMAIL}."


@pytest.fixture
def rules_alone(settings):
    """The redactor of the site without its tagger, which only adds names and places."""
    settings.SAFETY_CLASSIFIERS = {
        **settings.SAFETY_CLASSIFIERS,
        "rules": {
            "BACKEND": "guardrails.pii.PiiCheck",
            "OPTIONS": {"entities": ["EMAIL_ADDRESS", "CREDIT_CARD", "PHONE_NUMBER"]},
        },
        "telltale": {"BACKEND": "tests.providers.TelltaleClassifier"},
    }
    settings.SAFETY_REDACTOR = "rules"


@pytest.fixture
def redacted(settings, rules_alone):
    settings.SAFETY_STORE_TEXT = "redacted"


@pytest.fixture
def nothing(settings, rules_alone):
    settings.SAFETY_STORE_TEXT = "none"


def everything_stored():
    """Every row of every table as text."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            yield table, repr(cursor.fetchall())


def leaks(*, of=SECRETS):
    """(secret, table) for each place in the database where a secret stands, written in whatever groups of digits."""
    stored = dict(everything_stored())
    return [(secret, table) for table, rows in stored.items() for secret in of if _stands(secret, rows)]


def _stands(secret, rows):
    plain = "".join(filter(str.isdigit, secret))
    return secret.lower() in rows.lower() or (plain == secret.replace(" ", "").lstrip("+") and plain in rows)
