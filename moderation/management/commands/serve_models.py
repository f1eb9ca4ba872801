"""Holds local classifiers and answer generators in one process and serves them to all others, until it is stopped.

Web processes and workers then load no model: they reach these as they reach any server that speaks OpenAI's protocol, and
what they ask for at the same time is judged together. Without aliases it serves gemma, local and those guardrails that
have a model. Which one stands behind an alias is chosen here, by these options or in the settings that this process reads; an
adapter (gemma@mine) is loaded when it is first asked for.

It asks for no key: bind it to an address that only your own machines reach. Ctrl-C or SIGTERM lets it finish what it has
in hand, for half a minute.

Example: python manage.py serve_models gemma local --gemma-base-model embedded
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn
from urllib.parse import urlsplit

from django.core.management.base import CommandParser
from django.db import connection

from audit.management.base import SafetyCommand
from classifiers import holding
from classifiers.endpoint import Endpoint
from classifiers.errors import InputError, NotFoundError
from classifiers.protocols import ClassifierProvider
from classifiers.serving import ModelServer
from classifiers.types import ModelInfo
from moderation import adapters, services
from moderation.services import SETTINGS, Choice, Kind, aliases

DEFAULT = ("gemma", "local", "pii", "injection", "consistency", "refusal")
CLIENTS: dict[Kind, str] = {"classifier": "OpenAIModeration", "generator": "OpenAIChat"}


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("aliases", nargs="*", metavar="ALIAS", help=f"what to serve (default {' '.join(DEFAULT)})")
        parser.add_argument(
            "--bind", default="127.0.0.1:8100", metavar="HOST:PORT", help="where to listen (default %(default)s)"
        )
        group = parser.add_argument_group("which models, where not those in settings")
        group.add_argument("--gemma-base-model", metavar="MODEL", help="a hub id, a folder, a GGUF file, or embedded")
        group.add_argument(
            "--gemma-adapter-path",
            metavar="FOLDER",
            help="a LoRA adapter trained on that model, or none (default: embedded has its own)",
        )
        group.add_argument("--local-answer-model", metavar="MODEL", help="of the local generator; the same forms")

    def run(self, *, bind: str, **options: Any) -> None:
        chosen = list(_choices(options["aliases"] or DEFAULT, _model_options(**options)))
        server = ModelServer(*_address(bind))  # first: loading takes minutes, and the address may be taken
        try:
            for kind, choice in chosen:
                self.stdout.write(f"Loading the {kind} {choice.alias} …")
                self.stdout.flush()
                _add(server, kind, choice)
        except KeyboardInterrupt:
            self._leave("Stopped.", 130)
        server.held.on_demand = _adapted
        with server:
            self.stdout.write(_instructions(server.url, chosen))
            self.stdout.flush()
            _wait_for_order_to_stop()
        if server.stuck:
            self._leave(f"Stopped. Given up after {holding.GRACE:g} s at work: {', '.join(server.stuck)}.", 1)
        self.stdout.write("Stopped.")

    def _leave(self, sentence: str, code: int) -> NoReturn:
        """Ends the process at once: its own end would have it aborted by a thread that is busy in native code."""
        self.stderr.write(sentence)
        for stream in (self.stdout, self.stderr):
            stream.flush()
        os._exit(code)


def _model_options(**options: Any) -> dict[str, dict[str, str]]:
    """By alias, those that were given."""
    known = {
        "gemma": {"base_model": options["gemma_base_model"], "adapter_path": options["gemma_adapter_path"]},
        "local": {"model": options["local_answer_model"]},
    }
    return {alias: {name: value for name, value in named.items() if value} for alias, named in known.items()}


def _choices(wanted: Sequence[str], options: dict[str, dict[str, str]]) -> Iterator[tuple[Kind, Choice]]:
    """What stands behind the aliases, each as a classifier, a generator, or both. InputError when it cannot be served."""
    if unused := [alias for alias, given in options.items() if given and alias not in wanted]:
        raise InputError(f"There is a model given for {unused[0]}, which is not served: {', '.join(wanted)} is.")
    known = sorted({alias for kind in SETTINGS for alias in aliases(kind)})
    for alias in dict.fromkeys(wanted):
        if alias not in known:
            raise InputError(f"There is no alias {alias!r} in settings. Known: {', '.join(known)}.")
        for kind in SETTINGS:
            if alias in aliases(kind):
                choice = Choice(alias)
                _refuse_remote(kind, choice)
                # What is promoted is asked for by name, as gemma@mine.
                yield kind, Choice(alias, options.get(alias, {}), adapter="" if kind == "classifier" else None)


def _refuse_remote(kind: Kind, choice: Choice) -> None:
    provider = services.classifier(choice) if kind == "classifier" else services.generator(choice)
    endpoint = getattr(provider, "endpoint", None)
    if isinstance(endpoint, Endpoint):
        raise InputError(
            f"{choice.alias} is not a local model but a client of {endpoint.base_url}, so there is nothing to serve. "
            "Name a local one; or, if AI_SAFETY_MONITOR_MODEL_SERVER is set here, unset it: it is for the clients."
        )


def _address(bind: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{bind}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None:
        raise InputError(f"--bind {bind} is no address; it should look like 127.0.0.1:8100.")
    return host, port


def _add(server: ModelServer, kind: Kind, choice: Choice) -> None:
    services.make_ready(kind, choice)
    info = services.info_of(kind, choice)
    if kind == "classifier":
        server.held.add_classifier(choice.alias, services.classifier(choice), info)
    else:
        server.held.add_generator(choice.alias, services.generator(choice), info)


def _adapted(alias: str) -> tuple[ClassifierProvider, ModelInfo] | None:
    """A classifier with an adapter, as gemma@mine, that this process loads when it is asked for."""
    try:
        name, _, adapter = alias.partition(adapters.AT)
        if not adapter or not adapters.can_train(name):
            return None
        found = adapters.find_adapter(adapter)
    except NotFoundError:
        return None
    finally:
        connection.close()  # of the thread that answers this client
    return services.own_classifier(name, base_model=found.base_model, adapter_path=found.folder)


def _instructions(url: str, served: Sequence[tuple[Kind, Choice]]) -> str:
    lines = [
        f"Ready: {', '.join(dict.fromkeys(choice.alias for _, choice in served))} at {url}",
        "Where the site and the workers run:",
        f"    export AI_SAFETY_MONITOR_MODEL_SERVER={url}",
        "or, in settings:",
    ]
    for kind, choice in served:
        options = {"model": choice.alias, "base_url": url, "timeout": 600.0}
        entry = {"BACKEND": f"classifiers.providers.openai.{CLIENTS[kind]}", "OPTIONS": options}
        lines.append(f'    {SETTINGS[kind]}["{choice.alias}"] = {entry}')
    return "\n".join([*lines, "Stop it with Ctrl-C or SIGTERM."])


def _wait_for_order_to_stop() -> None:
    ordered = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ordered.set())
    ordered.wait()
