"""Which verdicts a figure is about: of a queue, a run, a stage, a category, two people, a time. All conditions hold at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from functools import reduce
from operator import or_
from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.db.models import Exists, F, OuterRef, Q, Value

from classifiers.errors import InputError
from classifiers.text import unstorable
from classifiers.types import Label, Stage
from review.models import Queue, Review
from review.querysets import ReviewQuerySet
from runs.expressions import Holds

MAX_ID = 2**63 - 1
MAX_CATEGORY = 100
Choices = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Scope:
    """``since`` is the first moment that counts, ``until`` the first that does not any more."""

    queue: int | None = None
    run: int | None = None
    stage: Stage | None = None
    category: str = ""
    people: tuple[int, int] | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_whole_queue(self) -> bool:
        """Whether it is all that a queue holds, at one stage or at both."""
        narrowed = {field.name for field in fields(self) if getattr(self, field.name)} - {"stage"}
        return narrowed == {"queue"}

    def reviews(self) -> ReviewQuerySet:
        """Everything that was said within it, what was corrected or taken back since too."""
        given = {"item__queue": self.queue, "result__run": self.run, "stage": self.stage, "reviewer__in": self.people}
        chosen = Review.objects.filter(**{name: value for name, value in given.items() if value})
        return chosen.filter(within("created_at", self.since, self.until) & self.in_category("stage", "result__"))

    def in_category(self, stage: str, result: str) -> Q:
        """That the machine flagged the result for the category at its stage; ``stage`` and ``result`` say where they are."""
        if not self.category:
            return Q()
        at = (Q(**{stage: each}) & self.flagged_for(f"{result}{each.lower()}") for each in Stage)
        return reduce(or_, at)

    def flagged_for(self, stage: str) -> Q:
        """The same of one stage, which is found there."""
        holds = Q(Holds(F(f"{stage}_categories"), Value(self.category)))
        return Q(**{f"{stage}_label": Label.TOXIC}) & holds if self.category else Q()


def within(field: str, since: datetime | None, until: datetime | None) -> Q:
    """That a moment lies in the period; None leaves an end open."""
    ends = {f"{field}__gte": since, f"{field}__lt": until}
    return Q(**{name: moment for name, moment in ends.items() if moment})


def midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)


def reviewers() -> dict[int, str]:
    """The names of all who have reviewed anything."""
    reviewed = User.objects.filter(Exists(Review.objects.filter(reviewer=OuterRef("pk"))))
    return dict(reviewed.order_by("username").values_list("pk", "username"))


class PeriodForm(forms.Form):
    """Whole days in UTC, the last one included."""

    since = forms.DateField(label="From (UTC)", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label="To, included", required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if given.get("since") and given.get("until") and given["since"] > given["until"]:
            raise forms.ValidationError("The period ends before it begins. Swap the two days.")
        return given

    def period(self) -> tuple[datetime | None, datetime | None]:
        since, until = self.cleaned_data["since"], self.cleaned_data["until"]
        # The last day that there is has none after it.
        after = midnight(until + timedelta(days=1)) if until and until < date.max else None
        return since and midnight(since), after


class ScopeForm(PeriodForm):
    """The filters of the figures. ``queue`` is asked for only where several are offered."""

    run = forms.IntegerField(required=False, min_value=1, max_value=MAX_ID)
    stage = forms.ChoiceField(required=False, choices=[("", "both"), *((s.value, s.value.lower()) for s in Stage)])
    category = forms.CharField(
        label="Flagged for category", required=False, max_length=MAX_CATEGORY, help_text="As the machine names it."
    )
    one = forms.TypedChoiceField(label="Two people: one", required=False, coerce=int, empty_value=None)
    other = forms.TypedChoiceField(label="and the other", required=False, coerce=int, empty_value=None)
    field_order = ["queue", "run", "stage", "category", "one", "other", "since", "until"]

    def __init__(self, data: Mapping[str, str], *, people: Mapping[int, str], queues: Choices | None = None) -> None:
        super().__init__(data)
        if queues is not None:
            choices = [("", "any"), *queues]
            self.fields["queue"] = forms.TypedChoiceField(required=False, coerce=int, empty_value=None, choices=choices)
        anybody = [("", "anybody"), *((str(pk), name) for pk, name in people.items())]
        for name in ("one", "other"):
            self.fields[name].choices = anybody  # type: ignore[attr-defined]
        self.order_fields(self.field_order)

    def clean_category(self) -> str:
        category: str = self.cleaned_data["category"]
        if why := unstorable(category, name="The category"):
            raise forms.ValidationError(why)
        return category

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        if bool(given.get("one")) != bool(given.get("other")) or (given.get("one") and given["one"] == given["other"]):
            raise forms.ValidationError("Choose two different people, or leave both open.")
        return given

    def scope(self, queue: Queue | None = None) -> Scope:
        """What was asked for. Raises InputError when it cannot be."""
        check(self)
        given = self.cleaned_data
        since, until = self.period()
        return Scope(
            queue=queue.pk if queue else given.get("queue"),
            run=given["run"],
            stage=Stage(given["stage"]) if given["stage"] else None,
            category=given["category"],
            people=(given["one"], given["other"]) if given["one"] else None,
            since=since,
            until=until,
        )


def check(form: forms.Form) -> None:
    """Raises InputError, with the first thing that is wrong, for a filter that isn't one."""
    if unknown := sorted(form.data.keys() - form.fields.keys()):
        raise InputError(f"There is no filter {unknown[0][:60]!r}. There are: {', '.join(form.fields)}.")
    for name, errors in form.errors.items():
        where = f"The filter {name} cannot be {str(form.data.get(name, ''))[:60]!r}. " if name in form.fields else ""
        raise InputError(f"{where}{errors[0]}")
