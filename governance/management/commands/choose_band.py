"""Chooses between which scores of a cheap classifier a cascade asks a careful one, from two evaluations on the same texts.

Of all bands it takes the cheapest whose F1 is at most --loss below the best, on one half of the texts, and tells what that one
does on the other half. No text is judged again. The cost is in units of one careful judgement: by price where both
evaluations have one (--cost), else by the time that was measured.

Examples:

python manage.py evaluate toxicity gemma --dataset-id comments.csv --label-column toxic

python manage.py choose_band 12 13 --loss 0.02
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from audit.management.base import SafetyCommand
from audit.management.text import table
from classifiers.agreement import Estimate
from classifiers.cascades import ChosenBand
from classifiers.errors import InputError
from governance.bands import band_between
from governance.models import Evaluation
from governance.services import find_evaluation

SETTING = """
SAFETY_CLASSIFIERS["cascade"] = {{
    "BACKEND": "classifiers.providers.combined.Cascade",
    "OPTIONS": {{
        "cheap": SAFETY_CLASSIFIERS["{cheap}"],
        "careful": SAFETY_CLASSIFIERS["{careful}"],
        "low": {low!r},
        "high": {high!r},
    }},
}}"""


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("cheap", type=int, help="the evaluation of the cheap classifier, by its number")
        parser.add_argument("careful", type=int, help="that of the careful one")
        parser.add_argument("--loss", type=float, default=0.01, help="how much F1 may be lost (default .01)")
        parser.add_argument("--seed", type=int, default=0, help="which texts the band is chosen on")
        parser.add_argument("--json", action="store_true", help="print JSON instead of tables")

    def run(self, *, cheap: int, careful: int, loss: float, seed: int, **options: Any) -> str:
        if not 0 <= loss < 1 or seed < 0:
            raise InputError("--loss is a number from 0 up to 1, and --seed one from 0 on.")
        both = find_evaluation(cheap), find_evaluation(careful)
        band = band_between(*both, loss=loss, seed=seed)
        return json.dumps(asdict(band), indent=2) if options["json"] else _as_text(band, *both)


def _as_text(band: ChosenBand, cheap: Evaluation, careful: Evaluation) -> str:
    names = {"cascade": "the cascade", "cheap": f"{cheap.alias} alone", "careful": f"{careful.alias} alone"}
    rows = [
        [f"{p.low:.4g} to {p.high:.4g}", f"{p.asked:.1%}", f"{p.cost:.3f}", f"{p.f1 or 0:.3f}"] for p in band.choices
    ]
    return "\n".join(
        [
            f"Bands that no cheaper one is as good as, on {band.fitted} texts:",
            "",
            table([f"score of {cheap.alias}", f"asked of {careful.alias}", "cost", "F1"], rows),
            "",
            f"Chosen: {band.low:.4g} to {band.high:.4g}. On the {band.held} other texts {careful.alias} is asked about "
            f"{band.asked:.1%}, and a text costs {band.cost:.3f} of asking it always.",
            *(f"F1 of {names[name]}: {_told(figure)}" for name, figure in band.f1.items()),
            f"F1 lost against {careful.alias} alone: {_told(band.lost)}",
            f"Left out, since one of the two could not judge them: {band.left_out}",
            SETTING.format(cheap=cheap.alias, careful=careful.alias, low=band.low, high=band.high),
        ]
    )


def _told(figure: Estimate) -> str:
    if figure.value is None:
        return f"undefined ({figure.why})"
    return f"{figure.value:.3f}" if figure.low is None else f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"
