"""Adapters take each other's place behind an alias: compared on the same texts, let in by gates, put there by people.

Nobody passes a gate that is not met. What holds is the newest row of an alias (moderation.adapters.promoted); rolling back
appends a row with what held before, so that the history tells all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import transaction

from audit.services import record
from classifiers.curves import RESAMPLES
from classifiers.errors import ConflictError, InputError, NotFoundError
from classifiers.labelled import Labelled
from classifiers.text import json_safe, unstorable
from classifiers.types import Stage, Subject
from fairness import gates
from fairness.gates import Gate, Rivals
from fairness.probes import CATEGORY, probes
from governance import jobs
from governance.models import Evaluation, EvaluationJob, TrainingRun
from governance.reviewed import reviewed_rows
from governance.services import Data, Wish
from moderation.adapters import AT, promoted, takes_adapters
from moderation.models import Adapter, Promotion
from moderation.services import aliases
from training.data import LEARN, marks, merged

MAX_NOTE = 1000
# Of more texts fewer resamples are drawn: gates decide on what was measured, and intervals are to be read.
MANY, FEW = 5_000, 200
UNDOES = "rolls_back"  # in the evidence of a row that undoes another: its number


@dataclass(frozen=True)
class Case:
    """Whether an adapter may take the place of what an alias loads: both evaluations, side by side, and the gates."""

    alias: str
    adapter: Adapter
    old: Evaluation
    new: Evaluation
    rivals: Rivals
    gates: Sequence[Gate]

    @property
    def may(self) -> bool:
        return all(gate.met for gate in self.gates)

    @property
    def out_of_date(self) -> str:
        """Why its evidence does not count any more, since the alias loads something else now than ``old`` is of."""
        newest = Promotion.objects.filter(alias=self.alias).select_related("adapter").order_by("-pk").first()
        if newest is None:
            return ""
        if newest.adapter == self.adapter:
            return f"{self.alias} loads the adapter {self.adapter.name} already."
        since = self.old.job.created_at if self.old.job else self.old.created_at
        judged = self.old.version.adapter_digest if self.old.version else ""
        if since >= newest.created_at and judged == (newest.adapter.digest if newest.adapter else judged):
            return ""
        changed = f"{newest.created_by} changed what {self.alias} loads"
        return f"Since evaluation {self.old.pk}, {changed}. Compare with that anew."

    @property
    def evidence(self) -> dict[str, Any]:
        """What stays of it in the promotion."""
        told = {"old": self.old.pk, "new": self.new.pk, "gates": [asdict(gate) for gate in self.gates]}
        more = {"margins": asdict(settings.SAFETY_PROMOTION), "rivals": json_safe(self.rivals.as_json())}
        return {**told, **more}


# Comparing


def ask(adapter: Adapter, *, alias: str, data: Data | None = None, actor: str) -> EvaluationJob:
    """Has what the alias loads now and the adapter judge the same texts, in the background.

    Raises what ``texts`` and ``check_alias`` do.
    """
    check_alias(alias, adapter)
    wish = Wish(f"{adapter.name} for {alias}")
    return jobs.ask(texts(adapter, alias, data), wish, aliases=[alias, f"{alias}{AT}{adapter.name}"], actor=actor)


def texts(adapter: Adapter, alias: str, data: Data | None) -> Data:
    """Labelled texts, those that people decided on unless others are given, and probes for groups of people.

    Texts that either adapter learnt from are left out. InputError when none is left.
    """
    data = data or _reviewed()
    held = promoted(alias)
    learnt = _learnt([adapter, *([held] if held else [])])
    kept = [row for row in data.rows if learnt.isdisjoint(marks(row.subject.text))]
    if not kept:
        raise InputError("No text is left that neither adapter learnt from. Compare them on others.")
    asked = [Labelled(Subject(text, Stage.INPUT), False, CATEGORY) for text in probes()]
    left = f", without {len(data.rows) - len(kept)} that were learnt from" if len(kept) < len(data.rows) else ""
    return Data(f"{data.name}{left}"[:200], data.columns, [*kept, *asked])


def _reviewed() -> Data:
    """What people decided on, without what was chosen to be learnt from: that would flatter or shame whoever is measured."""
    rows = merged(row for row in reviewed_rows() if row.use != LEARN)
    labelled = [Labelled(Subject(row.text, Stage.INPUT), row.toxic) for row in rows]
    return Data("what people decided on this site", {}, labelled)


def _learnt(adapters: Iterable[Adapter]) -> set[str]:
    """The marks (training.data) of all texts that they learnt from."""
    known = TrainingRun.objects.filter(adapter__in=list(adapters)).values_list("texts", flat=True)
    return {each for texts in known for each in texts}


def _is_on_record(adapter: Adapter) -> bool:
    """Whether it is known what was learnt from by each adapter that one went on from, down to the first."""
    training = TrainingRun.objects.filter(adapter=adapter).first()
    while training and (start := training.recipe.get("start_digest")):
        training = TrainingRun.objects.filter(adapter__digest=start).first()
    return training is not None


def case(old: Evaluation, new: Evaluation) -> Case:
    """What two evaluations say. InputError unless they are of an alias, and of it with a recorded adapter, on the same
    texts under the same policy."""
    if old.data_digest != new.data_digest or old.policy_version_id != new.policy_version_id:
        raise InputError(
            f"Evaluations {old.pk} and {new.pk} are on different data, or under different policies. Compare both anew."
        )
    alias = old.alias
    adapter = Adapter.objects.filter(digest=new.version.adapter_digest).first() if new.version else None
    if adapter is None or new.alias != f"{alias}{AT}{adapter.name}":
        raise InputError(
            f"Evaluation {new.pk} is not of {alias} with an adapter that is on record here. Compare the adapter anew."
        )
    rivals = _rivals(old, new)
    found = gates.gates(rivals, settings.SAFETY_PROMOTION, learnt=new.learnt, whole=_is_on_record(adapter))
    return Case(alias, adapter, old, new, rivals, found)


def _rivals(old: Evaluation, new: Evaluation) -> Rivals:
    """Looked up where it was worked out before: evaluations never change."""
    name = f"rivals-{old.pk}-{new.pk}-{old.created_at.timestamp()}-{new.created_at.timestamp()}"
    found: Rivals | None = cache.get(name)
    if found is None:
        resamples = RESAMPLES if old.n <= MANY else FEW
        found = gates.compare(old.scores.said, new.scores.said, resamples=resamples)
        cache.set(name, found)
    return found


def promotable() -> list[str]:
    """The aliases that adapters can be promoted for."""
    return [alias for alias in sorted(aliases("classifier")) if takes_adapters(alias)]


def check_alias(alias: str, adapter: Adapter) -> None:
    """InputError when the alias takes no adapters, ConflictError when it loads this one already."""
    if alias not in promotable():
        raise InputError(f"{alias[:100]!r} is no classifier that takes adapters. Choose one that does, such as gemma.")
    if promoted(alias) == adapter:
        raise ConflictError(f"{alias} loads the adapter {adapter.name} already.")


# Promoting


def promote(old: Evaluation, new: Evaluation, *, note: str, actor: str) -> Promotion:
    """Puts the adapter of ``new`` behind the alias of ``old``, whose evaluations must meet every gate.

    InputError with what is not met; ConflictError when the alias loads something else than what ``old`` is of.
    """
    note = _checked(note)
    if not note:
        raise InputError("Say in the note why this adapter is promoted.")
    found = case(old, new)
    if not found.may:
        raise InputError(" ".join(["It may not be promoted.", *(gate.says for gate in found.gates if not gate.met)]))
    with transaction.atomic():
        _lock()
        if why := found.out_of_date:
            raise ConflictError(why)
        made = _put(found.alias, found.adapter, evidence=found.evidence, note=note, actor=actor)
        record("adapter.promoted", actor=actor, target=made, data={
            "alias": found.alias, "adapter": found.adapter.name, "digest": found.adapter.digest, "note": note,
            "evaluations": [old.pk, new.pk], "gates": [gate.says for gate in found.gates],
        })  # fmt: skip
    return made


def roll_back(promotion: Promotion, *, note: str = "", actor: str) -> Promotion:
    """Has the alias load what it loaded before this promotion. ConflictError when it does not hold any more."""
    note = _checked(note)
    with transaction.atomic():
        _lock()
        holding = standing(promotion.alias)
        if not holding or holding[-1].pk != promotion.pk:
            raise ConflictError(f"This promotion does not hold any more. Look at what {promotion.alias} loads now.")
        before = holding[-2].adapter if len(holding) > 1 else None
        made = _put(promotion.alias, before, evidence={UNDOES: promotion.pk}, note=note, actor=actor)
        told = {"alias": promotion.alias, "from": str(promotion.adapter), "to": str(before or "no adapter")}
        record("adapter.rolled_back", actor=actor, target=made, data={**told, "note": note})
    return made


def standing(alias: str) -> list[Promotion]:
    """The promotions that nobody rolled back, each made over the one before; the last one holds."""
    stack: list[Promotion] = []
    for row in Promotion.objects.filter(alias=alias).select_related("adapter").order_by("pk"):
        if UNDOES in row.evidence:
            stack.pop()
        else:
            stack.append(row)
    return stack


def find_promotion(pk: int) -> Promotion:
    promotion = Promotion.objects.select_related("adapter").filter(pk=pk).first()
    if promotion is None:
        raise NotFoundError(f"There is no promotion {pk}.")
    return promotion


def _lock() -> None:
    """Whoever else changes what an alias loads waits until this transaction ends. An alias may have no row yet to lock; the
    oldest adapter is always there."""
    list(Adapter.objects.select_for_update(no_key=True).order_by("pk").only("pk")[:1])


def _put(alias: str, adapter: Adapter | None, *, evidence: Mapping[str, Any], note: str, actor: str) -> Promotion:
    return Promotion.objects.create(alias=alias, adapter=adapter, evidence=evidence, note=note, created_by=actor)


def _checked(note: str) -> str:
    if len(note) > MAX_NOTE:
        raise InputError(f"A note has at most {MAX_NOTE} characters.")
    if why := unstorable(note, name="The note"):
        raise InputError(why)
    return note.strip()
