"""Runs prompts through the safety pipeline and stores everything that was decided.

Each prompt is judged; those judged SAFE are answered; the answers are judged. A prompt that could not be judged is an
ERROR, goes no further, and can be retried. The run is stored in the database as it goes: stop it with Ctrl-C, or kill
it, and go on with --resume.

Several checks may judge a stage, side by side: one that says TOXIC is enough.

Examples: python manage.py run_pipeline --dataset-id samples/prompts.jsonl --gemma-base-model embedded
--answer-generator local --preview 5 --output results.json

python manage.py run_pipeline --dataset-id samples/prompts.jsonl --input-checks toxicity,pii,injection
--answer-generator local --output-checks toxicity,pii,refusal
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from classifiers.errors import InputError
from moderation.services import Choice, aliases
from runs.management.pipeline import RunCommand, choice, named


class Command(RunCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        self.add_check_arguments(parser)
        super().arguments(parser)

    def add_check_arguments(self, parser: CommandParser) -> None:
        classifiers, generators = ", ".join(aliases("classifier")), ", ".join(aliases("generator"))
        group = parser.add_argument_group("who judges, who answers")
        group.add_argument(
            *("--input-checks", "--input-classifier"),
            type=named,
            default=("gemma",),
            metavar="ALIAS,…",
            help=f"who judges prompts, one or several: {classifiers} (default gemma)",
        )
        group.add_argument(
            "--answer-generator",
            default="openai",
            metavar="ALIAS",
            help=f"who answers: {generators}, none (default %(default)s)",
        )
        group.add_argument(
            *("--output-checks", "--output-classifier"),
            type=named,
            default=("gemma",),
            metavar="ALIAS,…",
            help="who judges answers, in the same way, or none (default gemma)",
        )
        group.add_argument(
            "--alternatives",
            type=int,
            default=0,
            metavar="N",
            help="further answers to each prompt, which the check consistency compares; the generator needs a temperature",
        )
        group.add_argument(
            "--gemma-base-model",
            metavar="MODEL",
            help="a hub id, a folder, a GGUF file, or embedded: the small Gemma 3 270M that is installed with the "
            "packages (default google/gemma-2b-it, which needs a hub login)",
        )
        group.add_argument(
            "--gemma-adapter-path",
            metavar="FOLDER",
            help="a LoRA adapter trained on that model, or none (default: embedded has its own)",
        )
        group.add_argument(
            "--quantization",
            choices=["auto", "nf4", "int8", "none"],
            help="of Gemma: auto is NF4 on CUDA and none on CPU, where it slows the judging of long prompts (default auto)",
        )
        group.add_argument(
            "--local-answer-model",
            metavar="MODEL",
            help="of the local generator: a hub id, a folder, a GGUF file, or embedded, SmolLM2-135M-Instruct (default embedded)",
        )
        group.add_argument("--openai-answer-model", metavar="MODEL", help="default gpt-4o-mini")
        group.add_argument("--openai-moderation-model", metavar="MODEL", help="default omni-moderation-latest")
        group.add_argument("--max-new-tokens", type=int, metavar="N", help="length of an answer of the local generator")

    def checks(self, **options: Any) -> dict[str, Any]:
        of_classifier = {
            "gemma": {
                "base_model": options["gemma_base_model"],
                "adapter_path": options["gemma_adapter_path"],
                "quantization": options["quantization"],
            },
            "openai": {"model": options["openai_moderation_model"]},
        }
        of_generator = {
            "local": {"model": options["local_answer_model"], "max_new_tokens": options["max_new_tokens"]},
            "openai": {"model": options["openai_answer_model"]},
        }
        generator, inputs, outputs = (options[name] for name in ("answer_generator", "input_checks", "output_checks"))
        if generator == "none" or outputs == ("none",):
            outputs = ()
        _refuse_unused("classifier", of_classifier, {*inputs, *outputs})
        _refuse_unused("generator", of_generator, {generator})

        def judge(alias: str) -> Choice:
            return choice(alias, **of_classifier.get(alias, {}))

        return {
            "input_checks": tuple(map(judge, inputs)),
            "generator": None if generator == "none" else choice(generator, **of_generator.get(generator, {})),
            "output_checks": tuple(map(judge, outputs)),
            "alternatives": options["alternatives"],
        }


def _refuse_unused(kind: str, given: dict[str, dict[str, Any]], used: set[str]) -> None:
    """An option that has no effect would be believed to have one."""
    for alias, options in given.items():
        named = [name for name, value in options.items() if value is not None]
        if named and alias not in used:
            raise InputError(
                f"The {named[0].replace('_', ' ')} is for the {kind} {alias}, which this run does not use."
            )
