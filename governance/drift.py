"""Looks whether classifiers say something else than they used to, and keeps the newest finding of each."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeAlias

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from audit.services import record
from classifiers.drift import Level, Window, compare
from governance import drift_tallies
from governance.drift_tallies import NOTHING
from governance.models import DriftAssessment, DriftCheck
from moderation.models import ClassifierVersion

EVERY = timedelta(hours=1)
Series: TypeAlias = "tuple[int, str, bool]"  # a version, a stage, and whether programs asked
Days: TypeAlias = Mapping[date, Window]


@dataclass(frozen=True, slots=True)
class Spans:
    """The recent window ends today and lasts so many days; the reference are those before."""

    today: date
    recent: int
    reference: int

    @classmethod
    def until(cls, today: date) -> Spans:
        return cls(today, settings.SAFETY_DRIFT_RECENT_DAYS, settings.SAFETY_DRIFT_REFERENCE_DAYS)

    @property
    def split(self) -> date:
        return self.today - timedelta(days=self.recent - 1)

    @property
    def start(self) -> date:
        return self.split - timedelta(days=self.reference)

    def windows(self, days: Days) -> tuple[Window, Window]:
        """The reference and the recent one."""
        old = [window for day, window in days.items() if self.start <= day < self.split]
        new = [window for day, window in days.items() if self.split <= day <= self.today]
        return sum(old, NOTHING), sum(new, NOTHING)


def due() -> bool:
    """Whether drift should be looked for now; of several who ask at the same time, one is told so."""
    now = timezone.now()
    if DriftCheck.objects.filter(asked_at__gt=now - EVERY).exists():
        return False
    check, _ = DriftCheck.objects.get_or_create(pk=1, defaults={"asked_at": now - EVERY})
    return bool(DriftCheck.objects.filter(pk=1, asked_at=check.asked_at).update(asked_at=now))


def check_drift(*, actor: str, seconds: float | None = None) -> bool:
    """Counts what was said since the last time and compares; False when the time was over before all was counted."""
    until = None if seconds is None else time.monotonic() + seconds
    spans = Spans.until(timezone.now().date())
    for _ in drift_tallies.tally(since=spans.start):
        if until is not None and time.monotonic() > until:
            return False
    assess(spans, actor=actor)
    return True


@transaction.atomic
def assess(spans: Spans, *, actor: str) -> None:
    """Compares each series anew. Onset and end of drift are recorded once, since one does this at a time."""
    DriftCheck.objects.get_or_create(pk=1, defaults={"asked_at": timezone.now()})
    check = DriftCheck.objects.select_for_update().get(pk=1)
    series = _series(spans)
    earlier = {_key(each): each for each in DriftAssessment.objects.all()}
    made = [_assessed(key, days, spans, earlier.pop(key, None), series) for key, days in series.items()]
    DriftAssessment.objects.filter(pk__in=[gone.pk for gone in earlier.values()]).delete()
    for action, assessment in [(action, each) for each, action in made if action]:
        record(action, actor=actor, target=assessment, data=_told(assessment))
    check.finished_at = timezone.now()
    check.save(update_fields=["finished_at"])


def _series(spans: Spans) -> dict[Series, dict[date, Window]]:
    series: dict[Series, dict[date, Window]] = defaultdict(lambda: defaultdict(lambda: NOTHING))
    for key, day, window in drift_tallies.windows(since=spans.start):
        series[key][day] += window
    return series


def _key(assessment: DriftAssessment) -> Series:
    return assessment.version_id, assessment.stage, assessment.live


def _assessed(
    key: Series, days: Days, spans: Spans, before: DriftAssessment | None, series: Mapping[Series, Days]
) -> tuple[DriftAssessment, str]:
    """The assessment, saved, and what the audit trail is to be told, if it is news."""
    reference, recent = spans.windows(days)
    drift = compare(reference, recent, settings.SAFETY_DRIFT_LIMITS)
    made = before or DriftAssessment(version_id=key[0], stage=key[1], live=key[2])
    action = _news(made.since, drift.level)
    made.since = {"classifier.drifted": timezone.now(), "classifier.settled": None}.get(action, made.since)
    made.level, made.findings = drift.level, [asdict(finding) for finding in drift.findings]
    made.why = " ".join(filter(None, [drift.why, _succession(key, days, series) if drift.why else ""]))
    made.reference, made.recent = asdict(reference), asdict(recent)
    made.days = [{"day": f"{day}", **asdict(window)} for day, window in days.items()]
    made.assessed_at = timezone.now()
    made.save()
    return made, action


def _news(since: datetime | None, level: Level) -> str:
    """Drift lasts until a comparison finds none: watching, or knowing nothing, does not end it."""
    if since is None:
        return "classifier.drifted" if level == Level.DRIFT else ""
    return "classifier.settled" if level == Level.NONE else ""


def _succession(key: Series, days: Days, series: Mapping[Series, Days]) -> str:
    """That it is a new version: each is held against its own past alone, for another model gives other scores."""
    first, alias = min(days), ClassifierVersion.objects.get(pk=key[0]).alias
    same = ClassifierVersion.objects.filter(alias=alias).values_list("pk", flat=True)
    older = [other for other in same if other != key[0] and min(series.get((other, *key[1:]), days)) < first]
    if not older:
        return ""
    return f"It is a new version, at work since {first}; before it, version {max(older)} was. Its own reference grows from then on."


def _told(assessment: DriftAssessment) -> dict[str, Any]:
    """For the audit trail, and for webhooks."""
    return {
        "classifier": assessment.version.alias,
        "version": assessment.version_id,
        "stage": assessment.stage,
        "live": assessment.live,
        "level": assessment.level,
        "findings": [finding for finding in assessment.findings if finding["level"] in (Level.WATCH, Level.DRIFT)],
        "texts": {name: getattr(assessment, name)["judged"] for name in ("reference", "recent")},
    }
