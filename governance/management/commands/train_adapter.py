"""Trains a LoRA adapter with which a Gemma tells toxic from safe as your labels do, measures it, and records both.

Any labelled file or data set will do, and so do the decisions of your reviewers (--reviews). Texts are parted by what they say: most are learnt from, a tenth tells when to
stop, a tenth measures. FOLDER takes the training's checkpoint and losses, and the adapter in FOLDER/adapter with its card.
Killed at any moment, the same command goes on from the last checkpoint, to the same losses.

Many GPUs: accelerate launch manage.py train_adapter ... The same recipe, data and versions on one CPU give the same adapter.

Examples:

python manage.py train_adapter adapters/mine --dataset-id comments.csv --text-column comment_text --label-column toxic

python manage.py train_adapter adapters/ours --reviews --from-adapter embedded

python manage.py train_adapter adapters/embedded --embedded ../shared/data
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from tqdm import tqdm

from audit.management.base import SafetyCommand
from classifiers.errors import InputError, NotFoundError
from classifiers.labelled import Columns
from classifiers.sources import PromptSource
from governance import adapters
from governance.adapters import Plan
from governance.reviewed import parted, reviewed_rows
from moderation.adapters import adapter_folder
from training import data, embedded
from training.adapters import Step
from training.cards import shown
from training.data import Row
from training.recipes import Recipe, from_reviews, going_on

HYPER = ("base_model", "rank", "alpha", "from_layer", "learning_rate", "epochs", "batch", "accumulation", "max_tokens",
         "smoothing", "dropout", "patience", "most_steps", "seed", "threads", "device", "dtype", "quantization")  # fmt: skip

UNSET = {"threads": "torch's own choice", "most_steps": "the schedule's"}


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the training and its adapter lie")
        parser.add_argument("--name", default="", help="of the adapter (default: the folder's)")
        parser.add_argument("--alias", default="gemma", help="the classifier that it is measured with (default gemma)")
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--dataset-id", metavar="ID_OR_FILE", help="labelled texts: a file, or a data set of the hub")
        what.add_argument(
            "--embedded", type=Path, metavar="DATA", help="the mix and recipe of the embedded adapter, from this folder"
        )
        what.add_argument(
            "--reviews", action="store_true", help="what people decided on this site, weighted by how far they agree"
        )
        group = parser.add_argument_group("how texts and labels stand in the file")
        group.add_argument("--split", default="train", help="which part of a data set (default %(default)s)")
        group.add_argument("--text-column", metavar="NAME", help="found by itself for the usual names")
        group.add_argument("--label-column", default="", metavar="NAME", help="found by itself for the usual names")
        group.add_argument("--toxic", action="append", default=[], metavar="VALUE", help="a label that means toxic")
        group.add_argument("--safe", action="append", default=[], metavar="VALUE", help="a label that means safe")
        group.add_argument("--toxic-from", type=float, metavar="X", help="labels are numbers, toxic from this one on")
        _recipe_arguments(parser)

    def run(self, *, folder: Path, **options: Any) -> str | None:
        rows = _rows(**options)
        plan = Plan(
            options["name"] or folder.name, _recipe(len(rows["train"]), **options), rows, str(_dataset(**options)), folder,
            command=" ".join(["python", "manage.py", *sys.argv[1:]]), alias=options["alias"],
            sources=embedded.sources(options["embedded"]) if options["embedded"] else (),
        )  # fmt: skip
        for step in self._shown(adapters.training(plan)):
            if step.tuning_loss is not None:
                tqdm.write(f"step {step.number}: loss {step.loss:.4f}, on the tuning texts {step.tuning_loss:.4f}")
        if int(os.environ.get("RANK", "0")):  # of several processes, the first one records
            return None
        made = adapters.finish(plan, actor=self.actor)
        auc = shown(made.evaluation.figures["roc_auc"])
        return (
            f"{made.adapter} is in {made.adapter.folder}: ROC-AUC {auc} on "
            f"{made.evaluation.n} held texts (evaluation {made.evaluation.pk}).\n"
            f"Use it with --gemma-base-model {made.adapter.base_model} --gemma-adapter-path {made.adapter.folder}"
        )

    def _shown(self, steps: Iterator[Step]) -> Iterator[Step]:
        """With a bar that shows the loss and the time left, where there is a terminal."""
        with tqdm(unit="step", disable=None) as bar:
            for step in steps:
                bar.total, bar.n = step.of, step.number
                bar.set_postfix(loss=f"{step.loss:.4f}")
                yield step


def _recipe_arguments(parser: CommandParser) -> None:
    group = parser.add_argument_group("the recipe")
    group.add_argument(
        "--from-adapter",
        metavar="NAME_OR_FOLDER",
        help="go on from this adapter (embedded: that of the embedded model), with its base model, rank and layers",
    )
    kinds: dict[str, type] = {name: type(getattr(Recipe(), name)) for name in HYPER} | {
        "threads": int,
        "most_steps": int,
    }
    for name in HYPER:
        default = UNSET.get(name) or getattr(Recipe(), name)
        group.add_argument(
            f"--{name.replace('_', '-')}",
            type=kinds[name],
            metavar="X",
            help=f"default {default}, or that of --embedded or --reviews",
        )


def _recipe(texts: int, **options: Any) -> Recipe:
    given = {name: options[name] for name in HYPER if options[name] is not None}
    recipe = embedded.RECIPE if options["embedded"] else from_reviews(texts) if options["reviews"] else Recipe()
    if options["from_adapter"]:
        recipe = going_on(recipe, _folder(options["from_adapter"]))
    return replace(recipe, **given)


def _folder(adapter: str) -> Path:
    try:
        return adapter_folder(adapter)
    except NotFoundError:
        return Path(adapter).resolve()


def _dataset(**options: Any) -> str:
    if options["reviews"]:
        return "what people decided on this site"
    return "the mix of training/embedded.py" if options["embedded"] else options["dataset_id"]


def _rows(**options: Any) -> dict[str, list[Row]]:
    if options["embedded"]:
        if not options["embedded"].is_dir():
            raise InputError(f"There is no folder {options['embedded']}. Name the one that holds the data sets.")
        return embedded.mix(options["embedded"])
    return (
        parted(data.merged(reviewed_rows())) if options["reviews"] else data.split(data.merged(_from_file(**options)))
    )


def _from_file(**options: Any) -> list[Row]:
    source = PromptSource(options["dataset_id"], split=options["split"], text_column=options["text_column"], limit=0)
    columns = Columns(
        label=options["label_column"], toxic=tuple(options["toxic"]), safe=tuple(options["safe"]),
        toxic_from=options["toxic_from"],
    )  # fmt: skip
    return data.from_file(source, columns)
