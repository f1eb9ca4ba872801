"""A receiver on 127.0.0.1 that verifies what it gets with the package of the Standard Webhooks, as a stranger's would."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook as Verifier


@dataclass
class Receiver:
    """Answers with ``status`` (one of ``script`` first); "slow" drips its answer for ever, "hang" says nothing."""

    secret: str = ""
    status: int | str = 204
    script: list[int | str] = field(default_factory=list)
    seen: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    url: str = ""
    server: Any = None

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        self.seen.append(dict(handler.headers.items()))
        # Raises, and so answers nothing, unless signature and time are right.
        self.bodies.append(Verifier(self.secret).verify(body, dict(handler.headers.items())))
        self.answer(handler, self.script.pop(0) if self.script else self.status)

    def answer(self, handler: BaseHTTPRequestHandler, status: int | str) -> None:
        if status == "hang":
            time.sleep(3)
        elif status == "slow":
            for _ in range(100):
                handler.wfile.write(b"HTTP/1.1 200 OK\r\n" if _ == 0 else b"X-Slow: 1\r\n")
                time.sleep(0.05)
        elif status != "disconnect":
            handler.send_response(int(status))
            handler.send_header("Location", self.url + "elsewhere")
            handler.send_header("Content-Length", "0")
            handler.end_headers()


@contextmanager
def receiver() -> Iterator[Receiver]:
    given = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            given.take(self)

        def do_GET(self) -> None:
            given.seen.append({"followed": self.path})

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    given.server = server
    given.url = f"http://127.0.0.1:{server.server_port}/"
    try:
        yield given
    finally:
        server.shutdown()
        server.server_close()
