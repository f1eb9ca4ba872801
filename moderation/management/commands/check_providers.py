"""Says which of the configured classifiers and answer generators can run here, and what to do about those that can't.

Also shows what they rest on: packages, CUDA devices, logins. No model is loaded; a model of the hub that is not on this
machine yet is asked for, and so is a server behind a base URL.

Name the aliases that you need, and the exit code is 1 unless all of them can run.
Example: python manage.py check_providers gemma local
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from audit.management.base import SafetyCommand
from moderation.readiness import Readiness, machine, readiness


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("aliases", nargs="*", metavar="ALIAS", help="check these only, and fail if one can't run")
        parser.add_argument("--json", action="store_true", help="print JSON instead of lines")

    def run(self, *, aliases: Sequence[str], **options: Any) -> None:
        found, facts = list(readiness(aliases)), machine()
        if options["json"]:
            providers = [asdict(provider) for provider in found]
            told = {"providers": providers, "machine": facts, "fail_open": settings.SAFETY_FAIL_OPEN}
            self.stdout.write(json.dumps(told, indent=2))
        else:
            self.stdout.write("\n".join([*map(_line, found), "", *_about(facts)]))
        if aliases and (failed := sorted({provider.alias for provider in found if provider.problems})):
            raise CommandError(f"Cannot run here: {', '.join(failed)}.")


def _line(provider: Readiness) -> str:
    return f"{provider.kind:10} {provider.alias:14} {' '.join(provider.problems) or 'ok'}"


def _about(facts: dict[str, Any]) -> list[str]:
    packages = ", ".join(f"{name} {version or 'is missing'}" for name, version in facts["packages"].items())
    cuda = "; ".join(facts["cuda_devices"]) or "none: local models run on the processor, and Gemma is not quantized"
    login = "yes" if facts["hub_login"] else "no: gated models (google/gemma-2b-it) need `hf auth login` or HF_TOKEN"
    offline = ", but HF_HUB_OFFLINE is set: only what is on this machine already" if facts["hub_offline"] else ""
    failing = "let texts pass, which are marked as degraded" if settings.SAFETY_FAIL_OPEN else "let nothing pass"
    key = "set" if facts["openai_api_key"] else "not set: the OpenAI providers need it"
    return [
        f"Python         {facts['python']}, {facts['processors']} processors, torch uses {facts['torch_threads']} threads",
        f"Packages       {packages}",
        f"CUDA devices   {cuda}",
        f"Hub login      {login}{offline}",
        f"OPENAI_API_KEY {key}",
        f"Failing checks {failing}",
    ]
