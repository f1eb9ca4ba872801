"""A small OpenAI-compatible server with knobs for everything that goes wrong, for tests and benchmarks.

In a test:        with StubServer(toxic_words=("kill",), script={0: 429, 3: "hang"}) as stub: ... stub.url ...
On its own:       python -m tests.stub_server --port 0 --latency 0.02 --rate-429 0.02      (prints its address)

It speaks /v1/moderations, /v1/chat/completions, /v1/completions (both with logprobs) and /v1/models over HTTP/1.1
with kept connections, in one event loop, so that it stays cheap next to a client that is being measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)

BROKEN = {
    "bad_json": lambda body: json.dumps(body)[:-7],
    "html": lambda body: "<html><body>Bad gateway</body></html>",
    "not_an_object": lambda body: "[1, 2]",
    "missing_fields": lambda body: json.dumps(_emptied(body)),
    "wrong_count": lambda body: json.dumps({**body, "results": body.get("results", [])[:-1], "choices": []}),
    "empty_list": lambda body: json.dumps({**body, "results": [], "choices": []}),
    "missing_category": lambda body: re.sub(r'"violence": [01][.0-9]*, |"content": "[^"]*"', "", json.dumps(body)),
    "bad_score": lambda body: json.dumps(body).replace(": 0.9", ": 1.7").replace(": 0.01", ": -0.2"),
    "nan": lambda body: json.dumps(body).replace(": 0.01", ": NaN").replace(": 0.9", ": 1e999"),
    "nul": lambda body: re.sub(r'("(?:content|text)": ")', r"\1nul: \\u0000 ", json.dumps(body)),
}
"""Answers with status 200 that are no good (``nul`` is good, and nasty)."""


@dataclass
class Seen:
    """A request: when it came and was answered (time.monotonic), and what it said. ``fault`` is what it met."""

    path: str
    headers: dict[str, str]
    body: Any
    arrived: float
    fault: int | str | None = None
    answered: float | None = None


@dataclass
class StubServer:
    """A server on 127.0.0.1; every attribute may be changed while it runs.

    A fault is an HTTP status, a name in BROKEN, "hang" (never answers) or "disconnect". ``script`` gives faults to
    exact POST requests, counted from 0; ``always`` to all others; ``rate_429`` refuses that share at random (seeded).
    ``retry_headers`` go with 429 and 503. A text with one of ``reject_words`` makes the whole request a 400.
    """

    latency: float = 0.0
    jitter: float = 0.0  # the share of the latency by which it differs, at random (seeded)
    script: dict[int, int | str] = field(default_factory=dict)
    always: int | str | None = None
    rate_429: float = 0.0
    seed: int = 0
    retry_headers: dict[str, str] = field(default_factory=dict)
    error_code: str | None = None
    toxic_words: Sequence[str] = ("kill", "idiot")
    reject_words: Sequence[str] = ()
    answer: Callable[[str], str] = "An answer to: {}".format
    message: dict[str, Any] | None = None  # of a chat answer, instead of the plain one
    finish_reason: str = "stop"
    pieces: Sequence[str | dict[str, Any]] | None = None  # of a streamed answer: texts or deltas, else its words
    pause: float = 0.0  # seconds between them
    breaks: str = ""  # after the first half of the pieces: "disconnect", "bad_json", "error", "end" or "no_choices"
    result: dict[str, Any] = field(default_factory=dict)  # changes to every moderation result
    top_logprobs: dict[str, float] | None = None  # listed first tokens, instead of SAFE and TOXIC by toxic_words
    gives_logprobs: bool = True
    port: int = 0

    def __post_init__(self) -> None:
        self.seen: list[Seen] = []
        self.out = self.most_out = self.counted = 0
        self.random = random.Random(self.seed)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> StubServer:
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self.start())
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._server.close()
        self._loop.close()

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    @property
    def posts(self) -> list[Seen]:
        return [seen for seen in self.seen if seen.body is not None]

    def fault(self, seen: Seen) -> int | str | None:
        """What goes wrong with this request, if anything."""
        if seen.body is None:
            return None
        number, self.counted = self.counted, self.counted + 1
        if number in self.script:
            return self.script[number]
        if self.random.random() < self.rate_429:
            return 429
        return 400 if self.always is None and self._rejects(seen.body) else self.always

    def _rejects(self, body: Any) -> bool:
        return any(word in json.dumps(body, ensure_ascii=False) for word in self.reject_words)

    def reply(self, seen: Seen) -> tuple[int, dict[str, str], str]:
        """Status, further headers, body."""
        if isinstance(seen.fault, int):
            message = f"The stub was told to answer {seen.fault}."
            error = {"message": message, "type": "stub", "param": None, "code": self.error_code}
            headers = self.retry_headers if seen.fault in (429, 503) else {}
            return seen.fault, headers, json.dumps({"error": error})
        routes = {"moderations": self._moderate, "chat/completions": self._chat, "completions": self._complete}
        route = seen.path.removeprefix("/v1/")
        if seen.body is None:
            return 200, {}, json.dumps({"object": "list", "data": [{"id": "stub", "object": "model"}]})
        if route not in routes:
            return 404, {}, json.dumps({"error": {"message": f"no such path: {seen.path}"}})
        body = routes[route](seen.body)
        return 200, {}, BROKEN[seen.fault](body) if seen.fault else json.dumps(body)

    def _toxic(self, text: str) -> bool:
        return any(word in text for word in self.toxic_words)

    def _moderate(self, body: dict[str, Any]) -> dict[str, Any]:
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        return {"id": "modr-stub", "model": "omni-moderation-stub", "results": [self._result(t) for t in texts]}

    def _result(self, text: str) -> dict[str, Any]:
        flagged = {"harassment", "violence"} if self._toxic(text) else set()
        result = {
            "flagged": bool(flagged),
            "categories": {name: name in flagged for name in CATEGORIES},
            "category_scores": {name: 0.9 if name in flagged else 0.01 for name in CATEGORIES},
            "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
        }
        return {**result, **self.result}

    def _chat(self, body: dict[str, Any]) -> dict[str, Any]:
        prompt = body["messages"][-1]["content"]
        message = self.message or {"role": "assistant", "content": self.answer(prompt), "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason, "logprobs": None}
        if body.get("logprobs") and self.gives_logprobs:
            listed = [{"token": token, "logprob": logprob} for token, logprob in self._first_tokens(prompt).items()]
            choice["logprobs"] = {"content": [{**listed[0], "top_logprobs": listed}]}
        return {"id": "chatcmpl-stub", "model": body["model"], "choices": [choice], "usage": {"total_tokens": 2}}

    def stream(self, body: dict[str, Any]) -> list[str]:
        """The data of each event of a streamed answer; "" stands for a connection that is lost."""
        whole = self._chat(body)["choices"][0]["message"].get("content") or ""
        pieces = re.findall(r"\S+\s*", whole) if self.pieces is None else self.pieces
        deltas = [{"role": "assistant", "content": ""}, *({"content": p} if isinstance(p, str) else p for p in pieces)]
        choices = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
        choices += [[{"index": 0, "delta": {}, "finish_reason": self.finish_reason}]]
        heading = {"id": "chatcmpl-stub", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
        usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
        events = [json.dumps({**heading, "choices": each}) for each in choices]
        broken = {
            "disconnect": [""],
            "bad_json": ['{"id": "chatcmpl-st'],
            "error": [json.dumps({"error": {"message": "The stub fell over.", "type": "server_error"}})],
            "end": ["[DONE]"],
            "no_choices": [json.dumps({**heading, "choices": [{}]})],
        }
        if self.breaks:
            return events[: len(events) // 2 + 1] + broken[self.breaks]
        return [*events, json.dumps({**heading, "choices": [], "usage": usage}), "[DONE]"]

    def _complete(self, body: dict[str, Any]) -> dict[str, Any]:
        listed = self._first_tokens(body["prompt"])
        choice: dict[str, Any] = {"index": 0, "text": next(iter(listed)), "finish_reason": "length", "logprobs": None}
        if body.get("logprobs") and self.gives_logprobs:
            choice["logprobs"] = {"tokens": [choice["text"]], "top_logprobs": [listed]}
        return {"id": "cmpl-stub", "model": body["model"], "choices": [choice]}

    def _first_tokens(self, text: str) -> dict[str, float]:
        if self.top_logprobs is not None:
            return self.top_logprobs
        toxic = 0.9 if self._toxic(text) else 0.1
        return {"SAFE": math.log(1 - toxic), "TOXIC": math.log(toxic), "\n": -12.0}


class _Connection(asyncio.Protocol):
    """HTTP/1.1, one request after the other on a kept connection; bodies with Content-Length only."""

    def __init__(self, stub: StubServer) -> None:
        self.stub = stub
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, separator, rest = self.buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        request_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        if len(rest) >= length:
            self.buffer = rest[length:]
            method, path, _ = request_line.split(" ")
            body = json.loads(rest[:length]) if method == "POST" else None
            self.serve(Seen(path, headers, body, time.monotonic()))

    def serve(self, seen: Seen) -> None:
        stub = self.stub
        seen.fault = stub.fault(seen)
        stub.seen.append(seen)
        stub.out += 1
        stub.most_out = max(stub.most_out, stub.out)
        if seen.fault == "disconnect":
            stub.out -= 1
            self.transport.close()
        elif seen.fault != "hang":
            wait = stub.latency * (1 + stub.jitter * stub.random.uniform(-1, 1))
            asyncio.get_running_loop().call_later(wait, self.answer, seen)

    def answer(self, seen: Seen) -> None:
        if seen.fault is None and isinstance(seen.body, dict) and seen.body.get("stream"):
            head = "HTTP/1.1 200 Stub\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            self.transport.write(head.encode())
            self.send(seen, self.stub.stream(seen.body))
            return
        status, headers, text = self.stub.reply(seen)
        body = text.encode()
        lines = [f"HTTP/1.1 {status} Stub", "Content-Type: application/json", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.stub.out -= 1
        seen.answered = time.monotonic()
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)

    def send(self, seen: Seen, events: list[str]) -> None:
        """One event after the other, at the stub's pace."""
        if events and events[0]:
            self.transport.write(_chunk(f"data: {events[0]}\n\n"))
            asyncio.get_running_loop().call_later(self.stub.pause, self.send, seen, events[1:])
            return
        self.stub.out -= 1
        seen.answered = time.monotonic()
        if events:
            self.transport.close()
        else:
            self.transport.write(b"0\r\n\r\n")


def _chunk(text: str) -> bytes:
    encoded = text.encode()
    return f"{len(encoded):x}\r\n".encode() + encoded + b"\r\n"


def _emptied(body: dict[str, Any]) -> dict[str, Any]:
    """The right number of results or choices, with nothing in them."""
    return {name: [{} for _ in value] if isinstance(value, list) else value for name, value in body.items()}


async def _serve(stub: StubServer) -> None:
    await stub.start()
    print(stub.url, flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="An OpenAI-compatible server that answers as it is told.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--jitter", type=float, default=0.0, help="the share of it by which it differs at random")
    parser.add_argument("--rate-429", type=float, default=0.0, help="share of requests that are refused")
    parser.add_argument("--retry-after", help="seconds or an HTTP date, sent with each refusal")
    parser.add_argument("--always", help="a fault for every request: a status, hang, disconnect, bad_json ...")
    parser.add_argument("--toxic", nargs="*", default=["kill", "idiot"], help="words that get a text flagged")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    always = int(given.always) if given.always and given.always.isdigit() else given.always
    stub = StubServer(port=given.port, latency=given.latency, jitter=given.jitter, rate_429=given.rate_429, always=always, seed=given.seed,
                      toxic_words=given.toxic,
                      retry_headers={"Retry-After": given.retry_after} if given.retry_after else {})  # fmt: skip
    try:
        asyncio.run(_serve(stub))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
