"""Calls a command in this process and gives what it said."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command


def said(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def refused(*arguments: str) -> str:
    """The sentence of a command that ends with exit code 1."""
    with pytest.raises(CommandError) as raised:
        said(*arguments)
    assert raised.value.returncode == 1
    return str(raised.value)
