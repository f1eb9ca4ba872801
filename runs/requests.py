"""Runs that people and programs ask for: made of configured aliases, and of prompts that are not the server's secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings

from classifiers.errors import InputError
from classifiers.hub import is_hub_id
from classifiers.prompts import inline_source
from classifiers.sources import PromptSource
from classifiers.types import Prompt
from moderation import services as moderation
from moderation.services import Choice
from runs import services
from runs.configuration import Configuration
from runs.models import Run

MAX_PROMPTS = 10_000  # that are sent along
MAX_LIMIT = 100_000  # that are read while somebody waits
MAX_CHECKS = 10


def create_run(
    *,
    actor: str,
    input_checks: Sequence[str],
    output_checks: Sequence[str] = (),
    generator: str | None = None,
    source: Mapping[str, Any] | None = None,
    prompts: Sequence[str] | None = None,
    sources: Sequence[Sequence[str]] | None = None,
    name: str = "",
    batch_size: int | None = None,
    reuse_verdicts: bool = False,
    alternatives: int = 0,
    policy: str = "",
) -> Run:
    """A run for the workers. Checks and generator are aliases, with the options that they have in settings.
    ``sources`` are the documents of each prompt that is sent along; ``policy`` is what labels follow from.

    InputError, and nothing is stored, when there is no such alias, no such source, or not exactly one of both.
    """
    if (source is None) == (prompts is None):
        raise InputError("A run takes either a source or prompts that are sent along: one of them, not both.")
    if sources is not None and prompts is None:
        raise InputError(
            "sources go with prompts that are sent along. Those of a data set are named by sources_column."
        )
    if prompts is not None and len(prompts) > MAX_PROMPTS:
        raise InputError(f"These are {len(prompts)} prompts; at most {MAX_PROMPTS} prompts are taken at once.")
    sent = None if prompts is None else _sent(prompts, sources)
    for alias in (*input_checks, *output_checks):
        moderation.check_alias("classifier", alias)
    if generator:
        moderation.check_alias("generator", generator)
    configuration = Configuration(
        source=inline_source(sent) if sent is not None else allowed(PromptSource(**source or {})),
        input_checks=tuple(map(Choice, input_checks)),
        generator=Choice(generator) if generator else None,
        output_checks=tuple(map(Choice, output_checks)),
        batch_size=batch_size,
        reuse_verdicts=reuse_verdicts,
        alternatives=alternatives,
    )
    return services.create_run(configuration, actor=actor, name=name, queued=True, sent=sent, policy=policy)


def _sent(prompts: Sequence[str], sources: Sequence[Sequence[str]] | None) -> list[Prompt]:
    if sources is None:
        return list(map(Prompt, prompts))
    if len(sources) != len(prompts):
        raise InputError(
            f"There are sources for {len(sources)} of {len(prompts)} prompts. Send a list for each, if empty."
        )
    return [Prompt(text, metadata={"sources": list(each)}) for text, each in zip(prompts, sources, strict=True)]


def allowed(source: PromptSource) -> PromptSource:
    """The source, if it is a data set of the hub or lies in a folder of SAFETY_SOURCE_FOLDERS; InputError if not.

    Whoever may make a run may read its prompts, which are not meant to be any file that the site can read.
    """
    path = os.path.realpath(source.path)
    folders = [os.path.realpath(folder) for folder in settings.SAFETY_SOURCE_FOLDERS]
    if any(Path(path).is_relative_to(folder) for folder in folders):
        return source
    if source.local_file or os.path.exists(path) or not is_hub_id(source.dataset_id):
        raise InputError(
            f"{source.dataset_id[:200]} is neither a data set of the hub (owner/name) nor a file in a folder that runs "
            "may read here. Send the prompts along, or ask an administrator to name the folder in SAFETY_SOURCE_FOLDERS."
        )
    return source
