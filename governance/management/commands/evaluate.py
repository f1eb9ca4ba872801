"""Holds classifiers, or a saved run, against a labelled file, prints the figures side by side and stores each evaluation.

Any file or data set that run_pipeline reads will do, if one of its columns holds the label. Texts that could not be judged
are in no figure, and are counted. Intervals are 95 % bootstrap intervals; of several classifiers the others are compared
with the first on the same texts. A threshold or a calibration is fitted on one part of the texts and told of on the other.

Examples:

python manage.py evaluate gemma toxicity --dataset-id comments.csv --text-column comment_text --label-column toxic

python manage.py evaluate openai --dataset-id benign.jsonl --all SAFE

python manage.py evaluate gemma --dataset-id data.jsonl --threshold fpr=0.01 --calibrate temperature

python manage.py evaluate --run 12 --dataset-id data.jsonl
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandParser

from audit.management.base import SafetyCommand
from audit.management.text import table
from classifiers.curves import Aim
from classifiers.errors import InputError
from classifiers.labelled import Columns
from classifiers.measuring import FITS
from governance import services
from governance.models import Evaluation
from governance.services import Data, Wish
from governance.words import FIGURES
from moderation.policies import chosen
from moderation.services import Choice, check_alias
from runs.management.pipeline import add_source_arguments, source_of
from runs.services import find_run


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("aliases", nargs="*", metavar="ALIAS", help="the classifiers, as settings name them")
        parser.add_argument("--run", dest="of_run", metavar="RUN", help="what a saved run said, instead of classifiers")
        add_source_arguments(parser)
        parser.set_defaults(limit=0)
        group = parser.add_argument_group("how the labels stand in the file")
        group.add_argument("--label-column", default="", metavar="NAME", help="found by itself for the usual names")
        group.add_argument("--toxic", action="append", default=[], metavar="VALUE", help="a label that means toxic")
        group.add_argument("--safe", action="append", default=[], metavar="VALUE", help="a label that means safe")
        group.add_argument("--toxic-from", type=float, metavar="X", help="labels are numbers, toxic from this one on")
        group.add_argument("--all", dest="everything", choices=["SAFE", "TOXIC"], default="", help="all texts are so")
        group.add_argument("--category-column", default="", metavar="NAME", help="counts apart for each category")
        group.add_argument("--prompt-column", default="", metavar="NAME", help="the texts are answers to these prompts")
        group.add_argument("--answers", action="store_true", help="the texts are answers, without their prompts")
        more = parser.add_argument_group("what else")
        more.add_argument("--name", default="", help="of the evaluation")
        more.add_argument(
            "--policy",
            default="",
            help="NAME or NAME@3: whose thresholds decide (default: those in force); none: the classifiers' own word",
        )
        more.add_argument(
            "--calibrate", choices=sorted(FITS), default="", help="fit it on one part, report on the other"
        )
        more.add_argument(
            "--threshold",
            metavar="AIM",
            help=f"choose one for: f1, or precision, recall, fpr, cost as in {Aim.KINDS[3]}=0.01",
        )
        more.add_argument("--share", type=float, default=0.5, help="of the texts that fits are made on (default .5)")
        more.add_argument("--cost", type=float, metavar="X", help="what a thousand texts cost")
        more.add_argument("--json", action="store_true", help="print JSON instead of tables")

    def run(self, *, aliases: Sequence[str], of_run: str | None, **options: Any) -> str:
        if bool(aliases) == bool(of_run):
            raise InputError("Name classifiers, or a run with --run; one or the other.")
        for alias in aliases:
            check_alias("classifier", alias)
        wish, policy = _wish(**options), chosen(options["policy"])
        run = find_run(of_run) if of_run else None
        data = Data.read(source_of(**options), _columns(**options))
        made = [services.evaluate_run(run, data, wish, actor=self.actor)] if run else [
            services.evaluate_classifier(Choice(alias), data, wish, policy=policy, actor=self.actor)
            for alias in aliases
        ]  # fmt: skip
        return _as_json(made) if options["json"] else _as_text(made)


def _wish(**options: Any) -> Wish:
    aim = _aim(options["threshold"]) if options["threshold"] else None
    seed = options["seed"] or 0
    return Wish(options["name"], options["calibrate"], aim, options["share"], seed, options["cost"])


def _aim(text: str) -> Aim:
    kind, _, value = text.partition("=")
    try:
        return Aim(kind, float(value or 0))
    except ValueError as error:
        raise InputError(f"--threshold {text} is none. Write f1, or for example fpr=0.01.") from error


def _columns(**options: Any) -> Columns:
    return Columns(
        label=options["label_column"],
        toxic=tuple(options["toxic"]),
        safe=tuple(options["safe"]),
        toxic_from=options["toxic_from"],
        category=options["category_column"],
        prompt=options["prompt_column"],
        output=options["answers"],
        everything=options["everything"],
    )


def _as_json(made: Sequence[Evaluation]) -> str:
    compared = {pk: paired.as_json() for pk, paired in services.compare_all(made).items()}
    each = [
        {"id": e.pk, "of": e.alias, "n": e.n, "errors": e.errors, "unscored": e.unscored, "figures": e.figures,
         "categories": e.categories, "seconds": e.seconds, "calibration": e.calibration, "threshold": e.threshold}
        for e in made
    ]  # fmt: skip
    return json.dumps({"evaluations": each, "against_the_first": compared}, indent=2)


def _as_text(made: Sequence[Evaluation]) -> str:
    first = made[0]
    head = [f"{first.n} texts, {first.toxic} of them toxic ({first.dataset})"]
    names = ["", *(e.alias for e in made)]
    rows = [["could not be judged", *(str(e.errors) for e in made)]]
    rows += [[title, *(_figure(e.figures[name]) for e in made)] for name, title in FIGURES.items()]
    rows += [[f"seconds a text, {name}", *(f"{e.seconds.get(name, 0):.4f}" for e in made)] for name in ("p50", "p95")]
    return "\n".join(
        [*head, "", table(names, rows), *_fits(made), *_compared(made), *_by_category(made), _stored(made)]
    )


def _figure(estimate: dict[str, Any]) -> str:
    value, low, high = (estimate[name] for name in ("value", "low", "high"))
    if value is None:
        return "undefined"
    return f"{value:.3f}" if low is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _fits(made: Sequence[Evaluation]) -> list[str]:
    lines = []
    for e in made:
        if c := e.calibration:
            lines.append(
                f"\n{e.alias}, calibrated on {c['fitted']} texts: error {c['before']:.3f} → {c['after']:.3f} on {c['held']} others"
            )
        if t := e.threshold:
            told = ", ".join(f"{name} {_figure(figure)}" for name, figure in t["figures"].items())
            lines.append(
                f"\n{e.alias}, threshold {t['threshold']:.4g} chosen on {t['fitted']} texts; on the others: {told}"
            )
    return lines


def _compared(made: Sequence[Evaluation]) -> list[str]:
    names = {e.pk: e.alias for e in made}
    return [
        f"\n{made[0].alias} against {names[pk]}: AUPRC {_figure(_dict(p.auprc))}, ROC-AUC {_figure(_dict(p.roc_auc))}, "
        f"alone right {p.only_first} to {p.only_second}, McNemar p {p.mcnemar_p:.3g}"
        for pk, p in services.compare_all(made).items()
    ]


def _dict(estimate: Any) -> dict[str, Any]:
    return {name: getattr(estimate, name) for name in ("value", "low", "high")}


def _by_category(made: Sequence[Evaluation]) -> list[str]:
    if not made[0].categories:
        return []
    head = ["category", "texts", "toxic", *(f"flagged by {e.alias}" for e in made)]
    rows = [
        [str(c["name"])[:40], str(c["n"]), str(c["toxic"]), *(str(e.categories[i]["flagged"]) for e in made)]
        for i, c in enumerate(made[0].categories)
    ]
    return ["", table(head, rows)]


def _stored(made: Sequence[Evaluation]) -> str:
    return f"\nStored as evaluation {', '.join(str(e.pk) for e in made)}."
