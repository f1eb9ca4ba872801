"""What happened in a period, for those who oversee it: what the machine decided, what people did, how often it was wrong."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from django.db import transaction
from django.db.models import Case, CharField, Count, Exists, F, OuterRef, Q, Value, When
from django.utils import timezone

from audit.models import AuditEvent, ChainCheck
from audit.services import record
from classifiers.agreement import Estimate
from classifiers.errors import ForbiddenError, InputError
from classifiers.evaluation import wilson
from classifiers.types import Stage
from moderation.models import ClassifierVersion
from review.models import Queue, QueueItem, Review
from review.rights import Person, actor
from review.scopes import within
from runs.exports import cell
from runs.models import Provenance, Result, Run, Verdict
from runs.querysets import STAGES

DECIDED = ("SAFE", "TOXIC")
FORMS = ("csv", "json")
# What the machine said of a stage, and what people decided; and how, by the way they came to be reviewed, many results there are of each such pair of pairs.
Said: TypeAlias = tuple[str | None, str | None]
Tally: TypeAlias = Counter[tuple[str, tuple[Said, ...]]]
PINNING = ("pk", "alias", "provider", "model", "revision", "adapter_digest")
IN_QUEUES = QueueItem.objects.filter(result=OuterRef("pk"))
# Reviewed for being hard, and for nothing else: they tell nothing of how often the machine is wrong.
HARD = Exists(IN_QUEUES.filter(origin=QueueItem.Origin.CHOSEN)) & ~Exists(
    IN_QUEUES.exclude(origin=QueueItem.Origin.CHOSEN)
)


@dataclass(frozen=True, slots=True)
class OfVersion:
    """What one version of a classifier said: of how many texts, how many flagged, how many it could not judge."""

    version: str
    judged: int
    flagged: int
    errors: int


@dataclass(frozen=True, slots=True)
class OfPerson:
    """What one person did, each stage of a result counted: ``overrides`` are labels other than the machine's."""

    person: str
    verdicts: int
    corrections: int
    taken_back: int
    adjudications: int
    in_bulk: int
    overrides: int


@dataclass(frozen=True, slots=True)
class Rate:
    """How often the machine was wrong at a stage, in results of one kind that people have decided on."""

    kind: str
    stage: str
    share: Estimate


@dataclass(frozen=True, slots=True)
class Chain:
    """What is known of the audit trail: ``whole_since`` is when the unbroken series of good checks began, if there is one."""

    entries: int
    unchecked: int
    checked_at: datetime | None
    whole_since: datetime | None
    fault: str


@dataclass(frozen=True, slots=True)
class Report:
    """Of the moments from ``since`` up to but not including ``until``."""

    since: datetime
    until: datetime
    made_at: datetime
    results: int
    flagged: int
    errors: int
    reviewed: int
    overridden: int
    versions: tuple[OfVersion, ...]
    people: tuple[OfPerson, ...]
    rates: tuple[Rate, ...]
    logins_refused: int
    exports: int
    events: dict[str, int]
    chain: Chain

    @property
    def verdicts(self) -> int:
        """Texts that the machine judged."""
        return sum(version.judged for version in self.versions)

    @property
    def decisions(self) -> int:
        """Labels that people gave."""
        return sum(person.verdicts + person.adjudications + person.in_bulk for person in self.people)


def may_see(person: Person) -> None:
    """Raises ForbiddenError for whoever may see neither the audit trail nor everybody's reviews."""
    if not (person.has_perm("audit.view_auditevent") or person.has_perm("review.oversee")):
        raise ForbiddenError("You may not see reports. Ask an administrator for the role of a lead or an auditor.")


def report_of(since: datetime, until: datetime, *, by: Person) -> Report:
    may_see(by)
    totals = _totals(since, until)
    tally = _reviewed(since, until)
    events = _events(since, until)
    return Report(
        since=since,
        until=until,
        made_at=timezone.now(),
        results=totals["all"],
        flagged=totals["flagged"],
        errors=totals["errors"],
        reviewed=tally.total(),
        overridden=_overridden(tally),
        versions=tuple(_versions(since, until)),
        people=tuple(_people(since, until)),
        rates=tuple(_rates(tally, totals)),
        logins_refused=events.get("auth.login_refused", 0) + events.get("auth.locked_out", 0),
        exports=sum(n for action, n in events.items() if action.endswith(".exported")),
        events=events,
        chain=_chain(),
    )


def take_out(report: Report, *, form: str, by: Person) -> str:
    """The report as a file, which is recorded."""
    may_see(by)
    if form not in FORMS:
        raise InputError(f"A report is written as one of: {', '.join(FORMS)}.")
    text = _as_csv(report) if form == "csv" else json.dumps(as_json(report), indent=2, ensure_ascii=False)
    period = {name: getattr(report, name).isoformat() for name in ("since", "until")}
    with transaction.atomic():
        record("report.made", actor=actor(by), data={"form": form, **period})
    return text


# The numbers


def _results(since: datetime, until: datetime) -> Any:
    """Those judged in the period, looked for in the runs that were at work then."""
    at_work = Run.objects.filter(Q(started_at=None) | Q(started_at__lt=until))
    at_work = at_work.filter(Q(finished_at=None) | Q(finished_at__gte=since))
    return Result.objects.filter(within("created_at", since, until), run__in=at_work)


def _totals(since: datetime, until: datetime) -> dict[str, int]:
    by_stage = {f"{stage}_{label}": Q(**{f"{stage}_label": label}) for stage in STAGES for label in DECIDED}
    counted = {"all": Q(), "flagged": _either("TOXIC"), "errors": _either("ERROR"), **by_stage}
    totals: dict[str, int] = _results(since, until).aggregate(**{k: Count("pk", filter=q) for k, q in counted.items()})
    return totals


def _either(label: str) -> Q:
    return Q(input_label=label) | Q(output_label=label)


def _versions(since: datetime, until: datetime) -> Iterator[OfVersion]:
    said = Verdict.objects.filter(result__in=_results(since, until), version__isnull=False).order_by()
    rows = said.values_list("label", *(f"version__{name}" for name in PINNING)).annotate(n=Count("pk"))
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for label, *pinning, n in rows:
        counts[name_of(ClassifierVersion(**dict(zip(PINNING, pinning, strict=True))))][label] += n
    for version, labels in sorted(counts.items()):
        yield OfVersion(version, labels.total(), labels["TOXIC"], labels["ERROR"])


def name_of(version: ClassifierVersion) -> str:
    """What pins a version down: alias, model, the beginnings of its revision and of its adapter's digest."""
    parts = (version.alias, version.model or version.provider, version.revision[:12], version.adapter_digest[:12])
    return f"{' '.join(part for part in parts if part)} (#{version.pk})"


def _people(since: datetime, until: datetime) -> Iterator[OfPerson]:
    machine = Case(
        *(When(stage=stage, then=F(f"result__{stage.lower()}_label")) for stage in Stage), output_field=CharField()
    )
    given, verdict = ~Q(label=""), Q(cause="", bulk=None)
    counted = {
        "verdicts": given & verdict,
        "corrections": given & verdict & Q(supersedes__isnull=False),
        "taken_back": Q(label=""),
        "adjudications": given & ~Q(cause=""),
        "in_bulk": given & Q(bulk__isnull=False),
        "overrides": Q(label__in=DECIDED, machine__in=DECIDED) & ~Q(label=F("machine")),
    }
    said = Review.objects.filter(within("created_at", since, until)).annotate(machine=machine).order_by()
    rows = said.values("reviewer__username").annotate(**{name: Count("pk", filter=q) for name, q in counted.items()})
    for row in rows.order_by("reviewer__username"):
        yield OfPerson(row["reviewer__username"], *(row[name] for name in counted))  # type: ignore[literal-required]


def _reviewed(since: datetime, until: datetime) -> Tally:
    """How many results were last reviewed in the period, by the way they came to be reviewed, and for each stage by
    what the machine said and what people decided (None: nothing).
    """
    columns = [f"{stage}_{kind}" for stage in STAGES for kind in ("label", "provenance")]
    rows = Result.objects.reviewed().filter(within("reviewed_at", since, until)).order_by().annotate(way=_way())
    rows = rows.values(*columns, *(f"human_{stage}_label" for stage in STAGES), "way").annotate(n=Count("pk"))
    tally: Tally = Counter()
    for row in rows:
        decided = [row[f"{stage}_provenance"] != Provenance.MACHINE for stage in STAGES]
        people = (row[f"human_{stage}_label"] if known else None for stage, known in zip(STAGES, decided, strict=True))
        said = tuple(zip((row[f"{stage}_label"] for stage in STAGES), people, strict=True))
        tally[row["way"], said] += row["n"]
    return tally


def _way() -> Case:
    """How a result came to be reviewed. A random share speaks for what the filter of its queue finds, and for all that was
    judged only where the filter is no narrower than a run; otherwise it was picked by that filter.
    """
    choosing = Queue.objects.exclude(learner="").values_list("pk", "filters")
    whole = [pk for pk, filters in choosing if filters.keys() <= {"run"}]
    sampled = Q(origin=QueueItem.Origin.SAMPLE) | Q(origin=QueueItem.Origin.RANDOM, queue__in=whole)
    drawn = Exists(IN_QUEUES.filter(sampled))
    return Case(When(drawn, then=Value("drawn")), When(HARD, then=Value("hard")), default=Value("picked"))


def _overridden(tally: Tally) -> int:
    return sum(n for (_, said), n in tally.items() if any(set(pair) == set(DECIDED) for pair in said))


def _rates(tally: Tally, totals: Mapping[str, int]) -> Iterator[Rate]:
    """Apart by what the machine said: flagged results are reviewed far more often, so that a rate of all that was
    reviewed would tell how it was chosen. Of what was not flagged, what was drawn at random speaks for the rest. What was
    chosen for being hard speaks for nothing.
    """
    for place, stage in enumerate(STAGES):
        drawn_at_random, fair = Counter[Said](), Counter[Said]()
        for (way, said), n in tally.items():
            drawn_at_random[said[place]] += n if way == "drawn" else 0
            fair[said[place]] += n if way != "hard" else 0
        alarms, right = fair["TOXIC", "SAFE"], fair["TOXIC", "TOXIC"]
        overlooked, passed = drawn_at_random["SAFE", "TOXIC"], drawn_at_random["SAFE", "SAFE"]
        flagged, drawn = wilson(alarms, alarms + right), wilson(overlooked, overlooked + passed)
        yield Rate("flagged", stage, flagged)
        yield Rate("not flagged, drawn at random", stage, drawn)
        yield Rate("all", stage, _together(flagged, drawn, totals[f"{stage}_TOXIC"], totals[f"{stage}_SAFE"]))


def _together(flagged: Estimate, drawn: Estimate, alarms: int, passed: int) -> Estimate:
    """Both rates, each by its part in what was judged; the limits by MOVER (Zou and Donner 2008, Statistics in Medicine 27)."""
    n = flagged.n + drawn.n
    if not passed + alarms:
        return Estimate(None, None, None, n, "Nothing was judged in this period.")
    parts = [(each, size / (alarms + passed)) for each, size in ((flagged, alarms), (drawn, passed)) if size]
    if any(each.value is None for each, _ in parts):
        why = "Not known: of what was flagged, or of a random sample of the rest, nothing was reviewed in this period."
        return Estimate(None, None, None, n, why)
    value = sum(part * (each.value or 0) for each, part in parts)
    below = math.hypot(*(part * ((each.value or 0) - (each.low or 0)) for each, part in parts))
    above = math.hypot(*(part * ((each.high or 0) - (each.value or 0)) for each, part in parts))
    return Estimate(value, value - below, value + above, n)


def _events(since: datetime, until: datetime) -> dict[str, int]:
    rows = AuditEvent.objects.filter(within("time", since, until)).order_by()
    return dict(rows.values_list("action").annotate(n=Count("pk")).order_by("action"))


def _chain() -> Chain:
    check = ChainCheck.objects.last()
    newest = AuditEvent.objects.order_by("-sequence").values_list("sequence", flat=True).first() or 0
    if check is None:
        return Chain(newest, newest, None, None, "")
    return Chain(newest, max(newest - check.size, 0), check.finished_at, check.whole_since, check.fault)


# As files


def as_json(report: Report) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(json.dumps(asdict(report), default=_moment))
    return told | {"decisions": report.decisions, "verdicts": report.verdicts}


def _as_csv(report: Report) -> str:
    """Three columns: a section, what is counted, a value; shares have their limits in rows of their own."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(["section", "item", "value"])
    for row in _rows(report):
        writer.writerow([cell(value) for value in row])
    return stream.getvalue()


def _rows(report: Report) -> Iterable[tuple[str, str, Any]]:
    for name in ("since", "until", "made_at"):
        yield "period", name, getattr(report, name)
    for name in ("results", "verdicts", "flagged", "errors", "reviewed", "overridden", "decisions"):
        yield "totals", name, getattr(report, name)
    for version in report.versions:
        yield from (("version", f"{version.version}: {k}", n) for k, n in asdict(version).items() if k != "version")
    for person in report.people:
        yield from (("person", f"{person.person}: {k}", n) for k, n in asdict(person).items() if k != "person")
    for rate in report.rates:
        yield from (("wrong", f"{rate.stage}, {rate.kind}: {k}", n) for k, n in asdict(rate.share).items())
    yield from (("audit", name, getattr(report, name)) for name in ("logins_refused", "exports"))
    yield from (("event", action, n) for action, n in report.events.items())
    yield from (("chain", name, value) for name, value in asdict(report.chain).items())


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).isoformat()
