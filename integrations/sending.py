"""One POST to an address that was looked up: no redirects, and an end after ten seconds whatever the other side does."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from threading import Timer

from integrations.addresses import Target

TIMEOUT = 10.0  # seconds, for all of it
# What a receiver that is away, broken or hostile makes of a connection.
FAULTS = (OSError, http.client.HTTPException, ValueError)


class _Connection(http.client.HTTPConnection):
    """To one of the target's addresses, and to no other; its certificate must be that of the name."""

    def __init__(self, target: Target) -> None:
        super().__init__(target.host, target.port, timeout=TIMEOUT)
        self.target = target
        self.late = False

    def connect(self) -> None:
        self.sock = self._reach()
        self.sock.settimeout(TIMEOUT)
        if self.late:
            raise TimeoutError("timed out")
        if self.target.https:
            context = ssl.create_default_context()
            # The handshake comes after, so that the deadline can end it.
            self.sock = context.wrap_socket(self.sock, server_hostname=self.target.host, do_handshake_on_connect=False)
            self.sock.do_handshake()

    def _reach(self) -> socket.socket:
        *others, last = self.target.addresses
        for address in others:
            with suppress(OSError):
                return socket.create_connection((address, self.port), TIMEOUT / len(self.target.addresses))
        return socket.create_connection((last, self.port), TIMEOUT / len(self.target.addresses))

    def abort(self) -> None:
        self.late = True
        if self.sock:
            with suppress(OSError):
                # Not ssl's own, which takes the socket apart under the thread that reads.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


def post(target: Target, body: bytes, headers: Mapping[str, str]) -> int:
    """The status of the answer, of which nothing else is read. Raises one of FAULTS."""
    connection = _Connection(target)
    deadline = Timer(TIMEOUT, connection.abort)
    deadline.daemon = True
    deadline.start()
    try:
        connection.request("POST", target.path, body, {"Host": target.name, "Connection": "close", **headers})
        status = connection.getresponse().status
        if connection.late:
            raise TimeoutError("timed out")
        return status
    finally:
        deadline.cancel()
        connection.close()
