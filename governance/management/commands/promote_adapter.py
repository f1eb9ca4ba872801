"""Puts an adapter in the place of what a classifier loads, if it shows on labelled texts that it may.

Both judge the same texts: what people decided on this site, a labelled file, or those of two evaluations. Texts that either
learnt from are left out, and harmless sentences are added that differ in the group of people that they name. Every gate must
hold, and its margin stands in settings; --dry-run only tells. roll_back_adapter undoes it.

Examples:

python manage.py promote_adapter mine --reviews --note "It knows our rules about jokes."

python manage.py promote_adapter mine --dataset-id ours.csv --dry-run

python manage.py promote_adapter mine --evaluations 12 13 --note "Compared in the console."
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from audit.management.base import SafetyCommand
from audit.management.text import table
from classifiers.agreement import Estimate
from classifiers.errors import InputError
from classifiers.labelled import Columns
from classifiers.sources import PromptSource
from governance import promotion
from governance.erased import warning
from governance.models import Evaluation
from governance.promotion import Case
from governance.services import Data, Wish, evaluate_classifier, find_evaluation
from governance.words import BESIDE, GATES
from moderation.adapters import AT, find_adapter
from moderation.models import Adapter
from moderation.policies import chosen
from moderation.services import Choice


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="ADAPTER", help="by its name")
        parser.add_argument("--alias", default="gemma", help="the classifier that is to load it (default gemma)")
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--reviews", action="store_true", help="on what people decided on this site")
        what.add_argument(
            "--dataset-id", metavar="ID_OR_FILE", help="on labelled texts: a file, or a data set of the hub"
        )
        what.add_argument(
            "--evaluations", nargs=2, type=int, metavar=("OLD", "NEW"), help="two that are made, by their numbers"
        )
        parser.add_argument("--split", default="train", help="which part of a data set (default %(default)s)")
        parser.add_argument("--text-column", metavar="NAME", help="found by itself for the usual names")
        parser.add_argument("--label-column", default="", metavar="NAME", help="found by itself for the usual names")
        parser.add_argument("--category-column", default="", metavar="NAME", help="counts apart for each category")
        parser.add_argument("--note", default="", help="why it is promoted; needed unless with --dry-run")
        parser.add_argument("--dry-run", action="store_true", help="only tell whether it may be")

    def run(self, *, name: str, alias: str, note: str, dry_run: bool, **options: Any) -> str:
        if not (note or dry_run):
            raise InputError("Say with --note why this adapter is promoted, or look first with --dry-run.")
        adapter = find_adapter(name)
        case = promotion.case(*self._pair(adapter, alias, **options))
        if (case.alias, case.adapter) != (alias, adapter):
            raise InputError(f"These evaluations are of {case.adapter} for {case.alias}, not of {name} for {alias}.")
        self.stdout.write(_as_text(case))
        if told := warning(adapter):
            self.stdout.write(told)
        if dry_run:
            return "It may be promoted." if case.may else "It may not be promoted."
        made = promotion.promote(case.old, case.new, note=note, actor=self.actor)
        return f"{alias} loads {name} from now on (promotion {made.pk})."

    def _pair(self, adapter: Adapter, alias: str, **options: Any) -> tuple[Evaluation, Evaluation]:
        if options["evaluations"]:
            old, new = map(find_evaluation, options["evaluations"])
            return old, new
        promotion.check_alias(alias, adapter)
        data = promotion.texts(adapter, alias, None if options["reviews"] else _file(**options))
        wish, policy = Wish(f"{adapter.name} for {alias}"), chosen("")
        old, new = (
            evaluate_classifier(Choice(each), data, wish, policy=policy, actor=self.actor)
            for each in (alias, f"{alias}{AT}{adapter.name}")
        )
        return old, new


def _file(**options: Any) -> Data:
    source = PromptSource(options["dataset_id"], split=options["split"], text_column=options["text_column"], limit=0)
    return Data.read(source, Columns(label=options["label_column"], category=options["category_column"]))


def _as_text(case: Case) -> str:
    rivals = case.rivals
    rows = [
        [title, *(_figure(each) for each in (figure.old, figure.new, figure.change))]
        for name, title in BESIDE.items()
        if (figure := rivals.figures[name])
    ]
    groups = [
        [each.new.name, str(each.new.rate.n), _figure(each.old.rate), _figure(each.new.rate)] for each in rivals.groups
    ]
    return "\n".join(
        [
            f"Evaluations {case.old.pk} and {case.new.pk}: {rivals.n} texts that both judged, {rivals.toxic} of them toxic.",
            "",
            table(["", "now", f"with {case.adapter}", "difference"], rows),
            f"\nAlone right {rivals.only_old} to {rivals.only_new}, McNemar p {rivals.mcnemar_p:.3g}",
            "",
            table(["false positives where named", "texts", "now", f"with {case.adapter}"], groups),
            "",
            *(f"{'yes' if gate.met else 'NO ':3} {GATES[gate.name]}: {gate.says}" for gate in case.gates),
        ]
    )


def _figure(estimate: Estimate) -> str:
    if estimate.value is None:
        return "undefined"
    if estimate.low is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
