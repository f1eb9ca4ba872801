"""What run_pipeline and run_moderation share: where prompts come from, and how a run is made, shown and resumed."""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from audit.management.base import SafetyCommand
from audit.management.text import one_line
from classifiers.errors import ConflictError, InputError
from classifiers.sources import PromptSource
from classifiers.types import Outcome
from moderation.services import Choice
from runs import services, tasks
from runs.configuration import Configuration
from runs.exports import Reading, export_run
from runs.files import check_writable
from runs.management.preview import of_outcome
from runs.models import Result, Run

logger = logging.getLogger(__name__)


# What may be given with --resume, for it is not part of a run's configuration; the second half is Django's own.
WITH_RESUME = {
    *("resume", "retry_errors", "queue", "output", "preview", "database_url", "log_level"),
    *("verbosity", "settings", "pythonpath", "traceback", "no_color", "force_color", "skip_checks"),
}


class RunCommand(SafetyCommand):
    """Makes a run, or takes one up again, and works on it here or hands it to the workers."""

    def checks(self, **options: Any) -> dict[str, Any]:
        """The input checks, generator and output checks that the options ask for."""
        raise NotImplementedError

    def arguments(self, parser: CommandParser) -> None:
        add_source_arguments(parser)
        add_run_arguments(parser)

    def run(self, **options: Any) -> str | None:
        output = options["output"]
        if output and options["queue"]:
            raise InputError(
                "--output needs the results, which --queue doesn't wait for. Use export_run when it is done."
            )
        if output:
            check_writable(output)
        run = self._taken_up(**options) if options["resume"] else self._made(**options)
        if options["queue"]:
            return self._handed_over(run)
        self._work(run, preview=options["preview"])
        if output:
            export_run(Reading(run), form="json", path=output, actor=self.actor)
        return summary(run, output)

    def configuration(self, **options: Any) -> Configuration:
        return Configuration(
            source=source_of(**options),
            batch_size=options["batch_size"],
            reuse_verdicts=options["reuse_verdicts"],
            **self.checks(**options),
        )

    def _made(self, **options: Any) -> Run:
        if options["retry_errors"]:
            raise InputError("--retry-errors goes with --resume RUN.")
        configuration = self.configuration(**options)
        named = {name: options[name] for name in ("name", "policy")}
        return services.create_run(configuration, actor=self.actor, queued=options["queue"], **named)

    def _taken_up(self, **options: Any) -> Run:
        self._refuse_changes(options)
        run = services.find_run(options["resume"])
        if options["retry_errors"]:
            services.retry_errors(run, actor=self.actor)
        else:
            services.resume_run(run, actor=self.actor)
        return run

    def _refuse_changes(self, options: Mapping[str, Any]) -> None:
        """A run goes on with its own configuration; an option that is ignored would be believed to have an effect."""
        for action in self.create_parser("manage.py", "")._actions:
            name = action.dest
            if name in options and name not in WITH_RESUME and options[name] != action.default:
                raise InputError(
                    f"{action.option_strings[0]} cannot be given with --resume: the run goes on with its own configuration."
                )

    def _handed_over(self, run: Run) -> str:
        count = tasks.enqueue_run(run)
        return (
            f"Run {run.pk} ({run.total} prompts) waits for workers in {count} tasks. Start some with: manage.py run_workers\n"
            f"Follow it with: manage.py show_run {run.pk}"
        )

    def _work(self, run: Run, *, preview: int) -> None:
        try:
            shown = 0
            for outcomes in with_progress(run, services.execute_run(run, actor=self.actor), self.stderr.isatty()):
                for outcome in outcomes[: preview - shown]:
                    tqdm.write(of_outcome(outcome), file=sys.stdout)
                shown = min(preview, shown + len(outcomes))
        except KeyboardInterrupt as error:
            with suppress(ConflictError):  # somebody else was faster
                services.cancel_run(run, actor=self.actor, reason="Stopped with Ctrl-C.")
            raise CommandError(
                f"Stopped. What was done is saved; go on with: {self.again(run)}", returncode=130
            ) from error
        run.refresh_from_db()
        if run.status != Run.Status.DONE:
            raise CommandError(
                f"Run {run.pk} is {run.status}: it was stopped, or others are working on it still. "
                f"What was done is saved; go on with: {self.again(run)}"
            )

    def again(self, run: Run) -> str:
        return f"python manage.py {type(self).__module__.rpartition('.')[2]} --resume {run.pk}"


def add_source_arguments(parser: CommandParser) -> None:
    group = parser.add_argument_group("prompts")
    group.add_argument(
        "--dataset-id",
        default="allenai/real-toxicity-prompts",
        metavar="ID_OR_FILE",
        help="a data set of the Hugging Face hub, or a local JSONL, CSV, Parquet or text file (default %(default)s)",
    )
    group.add_argument("--split", default="train", help="which part of a data set (default %(default)s)")
    group.add_argument(
        "--text-column",
        metavar="NAME",
        help="the column that holds the prompt, dotted when nested (prompt.text); found by itself for the usual names",
    )
    group.add_argument(
        "--sources-column",
        metavar="NAME",
        help="the column that holds the document, or the documents, that an answer should rest on (for grounding)",
    )
    group.add_argument(
        "--limit", type=int, default=100, metavar="N", help="how many prompts; 0 is all (default %(default)s)"
    )
    group.add_argument("--shuffle", action="store_true", help="take them in random order")
    group.add_argument("--seed", type=int, default=None, metavar="N", help="makes --shuffle repeatable")
    group.add_argument(
        "--skip-bad-rows",
        action="store_true",
        help="leave out rows that cannot be read, and say which, instead of stopping",
    )


def add_run_arguments(parser: CommandParser) -> None:
    group = parser.add_argument_group("the run")
    group.add_argument("--name", default="", help="what to call it (default: the data set and the time)")
    add_batch_arguments(group)
    add_policy_argument(group)
    group.add_argument("--queue", action="store_true", help="hand the run to the workers (run_workers) and return")
    group.add_argument(
        "--resume", metavar="RUN", help="go on with a run that was stopped, killed or failed: its number or name"
    )
    group.add_argument("--retry-errors", action="store_true", help="with --resume: judge again what ended in an ERROR")
    group.add_argument("--output", type=Path, metavar="FILE", help="write the results as JSON when the run is done")
    group.add_argument("--preview", type=int, default=0, metavar="N", help="print the first N results as they come")


def add_batch_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        help="prompts judged together, saved together, and lost together when the process is killed "
        "(default 64, and some hundreds where all providers are remote)",
    )
    group.add_argument(
        "--reuse-verdicts",
        action="store_true",
        help="take over what the same version of a classifier said of the same text in an earlier run; errors never",
    )


def add_policy_argument(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--policy",
        default="",
        help="what labels follow from: a policy's name, or NAME@3 for that version; none for the classifiers' own word "
        "(default: the default policy, if there is one)",
    )


def source_of(**options: Any) -> PromptSource:
    if options["seed"] is not None and not options["shuffle"]:
        raise InputError("--seed only has an effect with --shuffle. Add it, or leave the seed out.")
    if options["shuffle"] and options["seed"] is None:
        options["seed"] = secrets.randbelow(2**31)  # stored with the run, so that even this order can be had again
    return PromptSource(**{field.name: options[field.name] for field in fields(PromptSource)})


def named(given: str) -> tuple[str, ...]:
    """The aliases of a list like ``toxicity,pii``."""
    return tuple(alias.strip() for alias in given.split(","))


def choice(alias: str, **options: Any) -> Choice:
    """The alias with the options that were given; paths are made absolute, since a worker stands elsewhere."""
    return Choice(alias, {name: absolute(value) for name, value in options.items() if value is not None})


def absolute(value: Any) -> Any:
    """What names a file or folder here, so that it names it from anywhere; anything else as it is."""
    if not isinstance(value, str) or value == "embedded":
        return value
    path = os.path.expanduser(value)  # of os.path, since pathlib's raise for names that no file can have
    return os.path.realpath(path) if os.path.exists(path) else value


def with_progress(run: Run, work: Iterator[list[Outcome]], terminal: bool) -> Iterator[list[Outcome]]:
    """Passes the work through, with a bar that shows rate and time left where there is a terminal, else log lines."""
    if not terminal:
        yield from work
        return
    left = run.total - Result.objects.filter(run=run).count() or Result.objects.filter(run=run).errors().count()
    bar = tqdm(total=run.total, initial=run.total - left, unit="prompt", file=sys.stderr)
    with logging_redirect_tqdm(), bar:
        for handler in logging.getLogger().handlers:
            handler.setLevel(logging.WARNING)  # the bar says the rest
        for outcomes in work:
            bar.update(len(outcomes))
            yield outcomes


def summary(run: Run, output: Path | None = None) -> str:
    """What came of a run, and what to do next."""
    lines = [f"Run {run.pk} ({one_line(run.name, services.MAX_NAME)}) is {run.status}: {run.total} prompts."]
    for stage, labels in run.counts.items():
        told = ", ".join(f"{n} {label}" for label, n in sorted(labels.items())) or "nothing judged"
        lines.append(f"  {stage:7} {told}")
    if any("ERROR" in labels for labels in run.counts.values()):
        lines.append(f"Judge the errors again: python manage.py run_pipeline --resume {run.pk} --retry-errors")
    if output:
        lines.append(f"Results: {output}")
    lines.append(f"Look at it: python manage.py show_run {run.pk}, or in the browser: make serve")
    return "\n".join(lines)
