"""The tests' settings with a fuse: the process ends as by ``kill -9`` inside a transaction.

AI_SAFETY_TEST_FUSE is the number of the SQL statement, counting those inside transactions, before which it does.
"""

import os
import signal
from itertools import count
from typing import Any

from django.db.backends.signals import connection_created

from tests.settings import *  # noqa: F403

FUSE = int(os.environ["AI_SAFETY_TEST_FUSE"])
statements = count(1)


def burn(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    if context["connection"].in_atomic_block and next(statements) == FUSE:
        os.kill(os.getpid(), signal.SIGKILL)
    return execute(sql, params, many, context)


def lay_fuse(connection: Any, **_: Any) -> None:
    connection.execute_wrappers.append(burn)


connection_created.connect(lay_fuse, dispatch_uid="fuse")
