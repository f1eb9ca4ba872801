"""What a run is made of, as it is stored with the run: enough for any worker to go on with it, and no secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from django.conf import settings

from classifiers.errors import InputError
from classifiers.sources import PromptSource
from classifiers.text import unstorable_json
from moderation import services as moderation
from moderation.services import Choice, Kind

MAX_ALTERNATIVES = 20
MAX_BATCH = 1000  # results that are saved in one transaction, and committed to in one audit event


@dataclass(frozen=True)
class Configuration:
    source: PromptSource
    input_checks: tuple[Choice, ...]
    generator: Choice | None = None
    output_checks: tuple[Choice, ...] = ()
    batch_size: int | None = None
    reuse_verdicts: bool = False
    alternatives: int = 0
    # Whether what could not be judged passes all the same, while the settings say so too.
    fail_open: bool = field(default_factory=lambda: bool(settings.SAFETY_FAIL_OPEN))

    def __post_init__(self) -> None:
        if self.batch_size is not None and not 1 <= self.batch_size <= MAX_BATCH:
            raise InputError(f"The batch size is a number from 1 to {MAX_BATCH}, not {self.batch_size}.")
        if not self.input_checks:
            raise InputError("A run needs an input classifier: no prompt may pass unjudged.")
        if self.output_checks and not self.generator:
            raise InputError("There are no answers to be judged without a generator. Name one, or no output checks.")
        if not 0 <= self.alternatives <= MAX_ALTERNATIVES:
            raise InputError(f"Alternatives are 0 to {MAX_ALTERNATIVES} further answers, not {self.alternatives}.")
        if self.alternatives and not self.output_checks:
            raise InputError("Alternatives are for output checks, and there are none. Name one, such as consistency.")
        for checks in (self.input_checks, self.output_checks):
            if len({choice.alias for choice in checks}) < len(checks):
                raise InputError("A stage names a classifier twice. Each check judges once.")
        given = {"source": asdict(self.source), "options": [choice.as_json() for _, choice in self.choices]}
        if problem := unstorable_json(given, name="The configuration"):
            raise InputError(f"{problem} Choose a name in Unicode.")

    @property
    def choices(self) -> Iterator[tuple[Kind, Choice]]:
        """Every provider that the run needs."""
        for choice in (*self.input_checks, *self.output_checks):
            yield "classifier", choice
        if self.generator:
            yield "generator", self.generator

    def pinned(self) -> Configuration:
        """The same with the adapters that are promoted now."""
        input_checks, output_checks = (
            tuple(map(moderation.pinned, c)) for c in (self.input_checks, self.output_checks)
        )
        return replace(self, input_checks=input_checks, output_checks=output_checks)

    @property
    def chunk_size(self) -> int:
        """The batch size asked for, else what suits the slowest provider: a local one wants fewer than a remote one."""
        preferred = (moderation.preferred_batch(kind, choice) for kind, choice in self.choices)
        return self.batch_size or min(MAX_BATCH, *preferred)

    def as_json(self) -> dict[str, Any]:
        return {
            "source": asdict(self.source),
            "input": [choice.as_json() for choice in self.input_checks],
            "generator": self.generator and self.generator.as_json(),
            "output": [choice.as_json() for choice in self.output_checks],
            "batch_size": self.chunk_size,
            "reuse_verdicts": self.reuse_verdicts,
            "alternatives": self.alternatives,
            "fail_open": self.fail_open,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Configuration:
        generator = value["generator"]
        return cls(
            source=PromptSource(**value["source"]),
            input_checks=tuple(map(Choice.from_json, value["input"])),
            generator=Choice.from_json(generator) if generator else None,
            output_checks=tuple(map(Choice.from_json, value["output"])),
            batch_size=value["batch_size"],
            reuse_verdicts=value["reuse_verdicts"],
            # Runs made before there were any.
            alternatives=value.get("alternatives", 0),
            fail_open=value.get("fail_open", False),
        )
