"""Makes a run again and again: every so often, or at the times of a cron expression.

Takes the options of run_pipeline. Each time that it is due the prompts are read anew and a run is handed to the workers
(run_workers must be running, and the providers work there); it is named after the schedule and the time. Times are in
UTC; while no workers run nothing is made, and missed times are not made up for but once.

Examples: python manage.py schedule_run --name nightly --cron "0 3 * * *" --dataset-id prompts.jsonl --limit 0

python manage.py schedule_run --list

python manage.py schedule_run --remove nightly
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.core.management.base import CommandParser

from classifiers.errors import InputError
from runs import schedules
from runs.configuration import Configuration
from runs.management.commands.run_pipeline import Command as RunPipeline
from runs.management.pipeline import absolute, add_batch_arguments, add_policy_argument, add_source_arguments


class Command(RunPipeline):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        group = parser.add_argument_group("the schedule")
        group.add_argument("--name", default="", help="what to call it; its runs are named after it")
        often = group.add_mutually_exclusive_group()
        often.add_argument("--every", choices=schedules.EVERY, default="", help="the first run starts at once")
        often.add_argument("--cron", default="", metavar="WHEN", help="minute, hour, day, month, weekday, in UTC")
        often.add_argument("--list", action="store_true", help="show the schedules and when they are due next")
        often.add_argument("--remove", metavar="NAME", help="make no more runs of this schedule")
        self.add_check_arguments(parser)
        add_source_arguments(parser)
        group = parser.add_argument_group("the run")
        add_batch_arguments(group)
        add_policy_argument(group)

    def run(self, **options: Any) -> str:
        if options["list"]:
            return _listed()
        if options["remove"]:
            schedules.remove_schedule(options["remove"], actor=self.actor)
            return f"Removed {options['remove']}. Runs that it made stay."
        if not options["name"]:
            raise InputError("Give the schedule a name, with --name.")
        when = {"every": options["every"], "cron": options["cron"]}
        if not any(when.values()):
            raise InputError("Say how often, with --every or --cron.")
        made = schedules.schedule_run(
            self.configuration(**options),
            name=options["name"],
            actor=self.actor,
            every=when["every"],
            cron=when["cron"],
            policy=options["policy"],
        )
        return f"Scheduled {made.name}; next due {_time(made)}. Workers must run: python manage.py run_workers"

    def configuration(self, **options: Any) -> Configuration:
        """Its file must be found from wherever a worker stands."""
        made = super().configuration(**options)
        return replace(made, source=replace(made.source, dataset_id=absolute(made.source.dataset_id)))


def _listed() -> str:
    lines = [f"{each.name}: {schedules.when(each)}, next due {_time(each)}" for each in schedules.schedules()]
    return "\n".join(lines) or "Nothing is scheduled."


def _time(scheduled: Any) -> str:
    return f"{scheduled.next_run:%Y-%m-%d %H:%M} UTC"
