"""Compares how two runs judged the same prompts: two classifiers, two thresholds, two versions of a model.

Prompts are the same when they stand at the same position of both runs with the same text. For each stage it shows how
often which label met which, the agreement, Cohen's kappa (1: they agree always, 0: as often as by chance), and the exact
McNemar test (a small p: one of the two is stricter, by more than chance explains). Prompts that one of them could not
judge are counted, and left out of these figures.

Example: python manage.py compare_runs 3 5 --show 10 --output comparison.json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from audit.management.base import SafetyCommand
from audit.management.text import one_line, table
from classifiers.types import Label
from runs.comparison import Agreement, Comparison, compare, differing
from runs.files import check_writable, new_file
from runs.models import Run
from runs.services import find_run


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("a", metavar="A", help="a run: its number or name")
        parser.add_argument("b", metavar="B", help="the run to compare it with")
        parser.add_argument("--show", type=int, default=0, metavar="N", help="list the first N prompts they differ on")
        parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
        parser.add_argument("--output", type=Path, metavar="FILE", help="also write the JSON to a file")

    def run(self, *, a: str, b: str, show: int, output: Path | None, **options: Any) -> str:
        if output:
            check_writable(output)
        first, second = find_run(a), find_run(b)
        comparison = compare(first, second)
        differences = [_difference(result) for result in differing(first, second).order_by("position")[: max(show, 0)]]
        as_json = json.dumps(
            {"a": first.pk, "b": second.pk, **comparison.as_json(), "differences": differences},
            ensure_ascii=False,
            indent=2,
        )
        if output:
            with new_file(output) as stream:
                stream.write(f"{as_json}\n")
        return as_json if options["json"] else _as_text(first, second, comparison, differences)


def _difference(result: Any) -> dict[str, Any]:
    return {
        "position": result.position,
        "prompt": result.prompt,
        "input": [result.input_label, result.other_input_label],
        "output": [result.output_label, result.other_output_label],
    }


def _as_text(a: Run, b: Run, comparison: Comparison, differences: list[dict[str, Any]]) -> str:
    both = f"run {a.pk} ({one_line(a.name, 60)}) and run {b.pk} ({one_line(b.name, 60)})"
    if not comparison.matched:
        return (
            f"No prompt is the same in {both}, so there is nothing to compare. "
            "Run both configurations on the same data set, with the same --limit, --shuffle and --seed."
        )
    parts = [f"{comparison.matched} prompts are the same in {both}."]
    if len(set(comparison.policies)) > 1:
        named = " and ".join(policy or "none" for policy in comparison.policies)
        parts.append(
            f"They are labelled under different policies, {named}: a difference may be one between thresholds."
        )
    parts += [_stage(a, b, agreement) for agreement in comparison.stages if agreement.table or agreement.unshared]
    if differences:
        lines = [
            [
                d["position"],
                *(f"{x or '-'} / {y or '-'}" for x, y in (d["input"], d["output"])),
                one_line(d["prompt"], 60),
            ]
            for d in differences
        ]
        head = ["position", f"input {a.pk} / {b.pk}", f"output {a.pk} / {b.pk}", "prompt"]
        parts.append(f"They differ on:\n{table(head, lines)}")
    return "\n\n".join(parts)


def _stage(a: Run, b: Run, agreement: Agreement) -> str:
    lines = [str(agreement.stage)]
    if agreement.table:
        rows = [[f"run {a.pk} {x}", *(agreement.table.get((x, y), 0) for y in Label)] for x in Label]
        lines = [table([agreement.stage, *(f"run {b.pk} {y}" for y in Label)], rows)]
    if agreement.judged:
        kappa = "undefined, since only one label was given" if agreement.kappa is None else f"{agreement.kappa:.3f}"
        only_b, only_a = agreement.discordant
        lines.append(
            f"Prompts that both judged: {agreement.judged}, agreement {agreement.observed:.1%}, Cohen's kappa {kappa}.\n"
            f"TOXIC only in run {a.pk}: {only_a}, only in run {b.pk}: {only_b}; McNemar's p = {agreement.p_value:.3g}."
        )
    if agreement.errors:
        lines.append(f"Left out, since at least one of the two could not judge them: {agreement.errors}.")
    if agreement.unshared:
        lines.append(f"Came to this stage in only one of the two: {agreement.unshared}.")
    return "\n".join(lines)
