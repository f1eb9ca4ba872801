from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, TypeAlias

from django.apps import apps
from django.db import connections
from django.db.models import (
    Case,
    Count,
    Exists,
    F,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.expressions import CombinedExpression
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Cast, Coalesce, Left

from runs import search
from runs.expressions import Bin, DigestOf, Holds

if TYPE_CHECKING:
    from runs.models import Chunk, Result, Run, Verdict  # noqa: F401  named in the base classes


STAGES = ("input", "output")
BINS = 20
CODED = ("SAFE", "TOXIC", "ERROR", None)
CODES = len(CODED) * (BINS + 1)
# A label, None where the stage did not run, and the bin of the score, BINS where there is none.
Judged: TypeAlias = "tuple[str | None, int]"
SHOWN = 80  # characters of a prompt in a list
LISTED = (
    *("run_id", "position", "reviewed_at", "disputed", "degraded", "relabelled", "texts"),
    *(f"{stage}_{kind}" for stage in STAGES for kind in ("label", "score", "provenance")),
    *(f"human_{stage}_label" for stage in STAGES),
)


class RunQuerySet(QuerySet["Run"]):
    def active(self) -> RunQuerySet:
        return self.filter(status__in=("QUEUED", "RUNNING"))

    def with_progress(self) -> RunQuerySet:
        """Adds ``done``, ``flagged``, ``errors``, ``reviewed`` and ``disputed``: how many results of each run are.

        What a run kept when it was done is not counted again; all else is counted in an index, and so is a run that
        was labelled anew or has degraded results: they may have one label at both stages.
        """
        results = apps.get_model("runs", "Result").objects.filter(run=OuterRef("pk"))
        kept = Q(status="DONE", relabelled_at=None) & ~Exists(results.degraded())
        return self.select_related("policy_version__policy").annotate(
            done=Case(When(status="DONE", then=F("total")), default=_number(results)),
            flagged=Case(When(kept, then=_kept("TOXIC")), default=_number(results.flagged())),
            errors=Case(When(kept, then=_kept("ERROR")), default=_number(results.errors())),
            reviewed=_number(results.reviewed()),
            disputed=_number(results.disputed()),
        )

    def comparable(self, run: Run) -> RunQuerySet:
        """The others over the same prompts, the newest first."""
        same = self.filter(prompts_digest=run.prompts_digest).exclude(Q(prompts_digest="") | Q(pk=run.pk))
        return same.order_by("-pk").only("name", "status")


class ChunkQuerySet(QuerySet["Chunk"]):
    def unfinished(self) -> ChunkQuerySet:
        return self.exclude(state="DONE")

    def claimable(self, now: datetime) -> ChunkQuerySet:
        """Open ones, and held ones whose holder has not been heard of for a whole lease."""
        return self.filter(Q(state="OPEN") | Q(state="HELD", lease_until__lt=now))


class ResultQuerySet(QuerySet["Result"]):
    """``stages`` name where a condition is to hold: at any of them, or, if it is denied, at none."""

    def errors(self, whether: bool = True, stages: Sequence[str] = STAGES) -> ResultQuerySet:
        return self.labelled("ERROR", whether, stages)

    def flagged(self, whether: bool = True, stages: Sequence[str] = STAGES) -> ResultQuerySet:
        return self.labelled("TOXIC", whether, stages)

    def labelled(self, label: str, whether: bool = True, stages: Sequence[str] = STAGES) -> ResultQuerySet:
        """Those that the machine gave this label."""
        at, anywhere = (_any(some, lambda stage: Q(**{f"{stage}_label": label})) for some in (stages, STAGES))
        if not whether:
            return self.filter(~at)
        # Asked for as a whole, for the rare labels have an index under just this condition.
        return self.filter(anywhere) if set(stages) == set(STAGES) else self.filter(anywhere).filter(at)

    def reviewed(self, whether: bool = True) -> ResultQuerySet:
        return self.filter(reviewed_at__isnull=not whether)

    def disputed(self) -> ResultQuerySet:
        """Those on which people disagree and nobody has decided yet."""
        return self.filter(disputed=True)

    def degraded(self, whether: bool = True) -> ResultQuerySet:
        """Those that passed though a check could not judge them."""
        return self.filter(degraded=whether)

    def overruled(self, stages: Sequence[str] = STAGES) -> ResultQuerySet:
        """Those of which people say SAFE and the machine TOXIC, or the other way round."""

        def differ(stage: str) -> Q:
            agreed = ~Q(**{f"{stage}_provenance": "machine"})
            return (
                agreed
                & Q(**{f"{stage}_label__in": ("SAFE", "TOXIC")})
                & ~Q(**{f"{stage}_label": F(f"human_{stage}_label")})
            )

        return self.reviewed().filter(_any(stages, differ))

    def said(self, label: str, stages: Sequence[str] = STAGES) -> ResultQuerySet:
        """Those that people gave this label, at any of these stages."""
        return self.reviewed().filter(_any(stages, lambda stage: Q(**{f"human_{stage}_label": label})))

    def decided(self, provenance: str, stages: Sequence[str] = STAGES) -> ResultQuerySet:
        """Those whose label in effect comes from there, at any of these stages."""
        among = self if provenance == "machine" else self.reviewed()
        return among.filter(_any(stages, lambda stage: Q(**{f"{stage}_provenance": provenance})))

    def scored(self, low: float | None, high: float | None, stages: Sequence[str] = STAGES) -> ResultQuerySet:
        """Those with a score in [low, high] at any of these stages; None leaves an end open."""
        ends = {"gte": low, "lte": high}

        def within(stage: str) -> Q:
            return Q(**{f"{stage}_score__{end}": value for end, value in ends.items() if value is not None})

        return self.filter(_any(stages, within))

    def in_category(self, category: str, stages: Sequence[str] = STAGES) -> ResultQuerySet:
        """Those that were flagged for this category, at any of these stages."""
        return self.flagged().filter(_any(stages, lambda stage: Q(Holds(F(f"{stage}_categories"), Value(category)))))

    def search(self, text: str) -> ResultQuerySet:
        """Those in whose prompt and answer all stands that is searched for (runs.search)."""
        return self.filter(pk__in=search.ids_with(text, vendor=connections[self.db].vendor))

    def let_go_of(self, digests: Collection[str]) -> set[str]:
        """Which of these texts, told by classifiers.types.digest, were let go, in whichever result."""
        wanted, found = sorted(digests), set[str]()
        gone = self.filter(texts="LET_GO", digests__isnull=False).order_by()
        for stage in STAGES:
            told = gone.annotate(told=DigestOf("digests", stage=stage.upper()))
            for at in range(0, len(wanted), 500):  # as many as any database takes in one statement
                found.update(told.filter(told__in=wanted[at : at + 500]).values_list("told", flat=True))
        return found

    def listed(self) -> ResultQuerySet:
        """What lists show: the short columns and, of the long texts, the ``beginning`` of the prompt."""
        return self.only(*LISTED).annotate(beginning=Left("prompt", SHOWN + 1))

    def counts(self) -> dict[str, dict[str, int]]:
        """How many of each label by stage; a stage that did not run counts nowhere."""
        counts: dict[str, dict[str, int]] = {"input": {}, "output": {}}
        rows = self.order_by().values_list("input_label", "output_label").annotate(n=Count("id"))
        for input_label, output_label, n in rows:
            for stage, label in (("input", input_label), ("output", output_label)):
                if label:
                    counts[stage][label] = counts[stage].get(label, 0) + n
        return counts

    def tally(self) -> Iterator[tuple[Judged, Judged, int]]:
        """How many there are with each pair of labels and score bins of the two stages, gathered in one pass."""
        codes = dict(zip(STAGES, map(_code, STAGES), strict=True))
        both = self.order_by().annotate(both=codes["input"] * CODES + codes["output"])
        for code, n in both.values_list("both").annotate(n=Count("*")):
            first, second = (divmod(part, BINS + 1) for part in divmod(code, CODES))
            yield (CODED[first[0]], first[1]), (CODED[second[0]], second[1]), n

    def by_people(self) -> Iterator[tuple[str, str, str, int]]:
        """How often, at each stage, the machine gave a label and people agreed on one: (stage, machine, people, number)."""
        for stage in STAGES:
            agreed = self.reviewed().order_by().exclude(**{f"{stage}_provenance": "machine"})
            for machine, people, n in agreed.values_list(f"{stage}_label", f"human_{stage}_label").annotate(
                n=Count("*")
            ):
                yield stage, machine, people, n

    def by_category(self) -> Counter[str]:
        """How many flagged ones were flagged for each category, at whichever stage."""
        counts: Counter[str] = Counter()
        lists = [f"{stage}_categories" for stage in STAGES]
        for *named, n in self.flagged().order_by().values_list(*lists).annotate(n=Count("*")):
            for category in {category for categories in named for category in categories}:
                counts[category] += n
        return counts


class VerdictQuerySet(QuerySet["Verdict"]):
    def recallable(self, keys: Sequence[str]) -> VerdictQuerySet:
        """What identical texts may take over: never errors, and of a thousand duplicates only the first.

        Places in a text whose words were replaced since are not those in the text that comes now.
        """
        said = self.filter(key__in=keys, recalled=False, label__in=("SAFE", "TOXIC"))
        return said.filter(Q(spans=[]) | Q(result__texts=None))

    def of_run(self, run: int) -> VerdictQuerySet:
        """Those of one run, each with the ``position`` of its result, by which the databases find them in its order."""
        return self.filter(result__run=run).annotate(position=F("result__position"))

    def shown(self) -> VerdictQuerySet:
        """With its version, the number of the policy's that its run stands under, and whether it has a payload."""
        sent = apps.get_model("runs", "Payload").objects.filter(verdict=OuterRef("pk"))
        return self.select_related("version").annotate(
            has_payload=Exists(sent), policy_version=F("result__run__policy_version_id")
        )

    def said_in(self, run: Run) -> VerdictQuerySet:
        """Those of one run, looked up by what else is asked for.

        The sum keeps the databases from going through all results of the run instead, a longer way with each batch.
        """
        return self.annotate(run_number=F("result__run_id") + 0).filter(run_number=run.pk)


def _code(stage: str) -> CombinedExpression:
    """Label and bin in one number, by which databases group faster than by a text and a number."""
    whens = [When(**{f"{stage}_label": label, "then": Value(i)}) for i, label in enumerate(CODED) if label]
    label = Case(*whens, default=Value(CODED.index(None)))
    return label * (BINS + 1) + Coalesce(Bin(f"{stage}_score"), Value(BINS))


def _any(stages: Sequence[str], condition: Callable[[str], Q]) -> Q:
    return reduce(or_, map(condition, stages))


def _kept(label: str) -> CombinedExpression:
    """From the counts of a run in which only a prompt that is SAFE has an output stage: no result is counted twice."""
    first, second = (
        Coalesce(Cast(KeyTextTransform(label, KeyTransform(stage, "counts")), IntegerField()), 0) for stage in STAGES
    )
    return first + second


def _number(rows: ResultQuerySet) -> Coalesce:
    counted = rows.order_by().values("run").annotate(n=Count("*")).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)
