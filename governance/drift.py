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


def assess(spans: Spans, *, actor: str) -> None:
    """Compares each series anew. Onset and end of drift are recorded once, since one at a time stores what it found."""
    began, series = timezone.now(), _series(spans)
    found = {key: _found(key, series, spans) for key in series}
    with transaction.atomic():
        DriftCheck.objects.get_or_create(pk=1, defaults={"asked_at": timezone.now()})
        check = DriftCheck.objects.select_for_update().get(pk=1)
        if check.finished_at and check.finished_at > began:
            return  # somebody stored what they found meanwhile, perhaps of later verdicts
        earlier = {_key(each): each for each in DriftAssessment.objects.all()}
        news = [_store(earlier.pop(key, None), key, fields) for key, fields in found.items()]
        DriftAssessment.objects.filter(pk__in=[gone.pk for gone in earlier.values()]).delete()
        check.finished_at = timezone.now()
        check.save(update_fields=["finished_at"])
        for action, assessment in filter(None, news):
            record(action, actor=actor, target=assessment, data=_told(assessment))


def _series(spans: Spans) -> dict[Series, dict[date, Window]]:
    series: dict[Series, dict[date, Window]] = defaultdict(lambda: defaultdict(lambda: NOTHING))
    for key, day, window in drift_tallies.windows(since=spans.start):
        series[key][day] += window
    return series


def _key(assessment: DriftAssessment) -> Series:
    return assessment.version_id, assessment.stage, assessment.live


def _found(key: Series, series: Mapping[Series, Days], spans: Spans) -> dict[str, Any]:
    """The fields of an assessment."""
    reference, recent = spans.windows(series[key])
    drift = compare(reference, recent, settings.SAFETY_DRIFT_LIMITS)
    return {
        "level": drift.level,
        "why": " ".join(filter(None, [drift.why, _succession(key, series) if drift.why else ""])),
        "reference": asdict(reference),
        "recent": asdict(recent),
        "findings": [asdict(finding) for finding in drift.findings],
        "days": [{"day": f"{day}", **asdict(window)} for day, window in series[key].items()],
    }


def _succession(key: Series, series: Mapping[Series, Days]) -> str:
    """That it is a new version: each is held against its own past alone, for another model gives other scores."""
    version, *place = key
    first, of = min(series[key]), dict(ClassifierVersion.objects.values_list("pk", "alias"))
    older = [
        other
        for (other, *where), days in series.items()
        if where == place and of[other] == of[version] and min(days) < first
    ]
    if not older:
        return ""
    return f"It is a new version, at work since {first}; before it, version {max(older)} was. Its own reference grows from then on."


def _store(
    before: DriftAssessment | None, key: Series, fields: Mapping[str, Any]
) -> tuple[str, DriftAssessment] | None:
    """Saves an assessment; gives what the audit trail is to be told, if it is news."""
    made = before or DriftAssessment(version_id=key[0], stage=key[1], live=key[2])
    made.assessed_at = timezone.now()
    action = _news(made.since, fields["level"])
    made.since = {"classifier.drifted": made.assessed_at, "classifier.settled": None}.get(action, made.since)
    for name, value in fields.items():
        setattr(made, name, value)
    made.save()
    return (action, made) if action else None


def _news(since: datetime | None, level: Level) -> str:
    """Drift lasts until a comparison finds none: watching, or knowing nothing, does not end it."""
    if since is None:
        return "classifier.drifted" if level == Level.DRIFT else ""
    return "classifier.settled" if level == Level.NONE else ""


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
