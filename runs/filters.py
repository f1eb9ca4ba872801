"""The grammar in which results are chosen: for the console, REST and review queues alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from django import forms
from django.core.exceptions import ValidationError
from django_filters import CharFilter, ChoiceFilter, FilterSet
from django_filters.filters import Filter

from classifiers.errors import InputError
from classifiers.text import unstorable
from classifiers.types import Label
from runs import search
from runs.models import HUMAN_LABELS, Provenance, Result
from runs.querysets import STAGES, ResultQuerySet

Narrowing: TypeAlias = Callable[[ResultQuerySet, Any, Sequence[str]], ResultQuerySet]
MAX_TEXT = 200
MAX_SHOWN = 60
MAX_ID = 2**63 - 1
WHETHER = [("true", "yes"), ("false", "no")]
MACHINE_LABELS = [(label.value, label.value.capitalize()) for label in Label]
DISAGREEMENTS = [("people", "people with one another"), ("machine", "people with the machine")]


def choice(label: str, choices: Any) -> ChoiceFilter:
    known = ", ".join(str(value) for value, _ in choices)
    return ChoiceFilter(
        label=label, choices=choices, empty_label="any", error_messages={"invalid_choice": f"It is one of: {known}."}
    )


class Whole(Filter):
    field_class = forms.IntegerField


class Score(Filter):
    field_class = forms.FloatField


def number(label: str, kind: type[Filter], low: float, high: float, says: str) -> Filter:
    errors = dict.fromkeys(("invalid", "min_value", "max_value"), says)
    return kind(label=label, min_value=low, max_value=high, error_messages=errors)


class SearchField(forms.CharField):
    """Refuses what no search can be."""

    def validate(self, value: str) -> None:
        super().validate(value)
        try:
            search.parse(value or "any")
        except InputError as error:
            raise ValidationError(error.message) from error


class Search(Filter):
    field_class = SearchField


class ResultFilter(FilterSet):
    """All conditions hold at once. With ``stage``, those that could hold at either stage hold at that one."""

    q = Search(label="Words in prompt or answer")
    run = number("Run", Whole, 1, MAX_ID, "It is the number of a run.")
    flagged = choice("Flagged", WHETHER)
    errors = choice("With errors", WHETHER)  # type: ignore[assignment]  # django-filter takes it out of the class
    stage = choice("Stage", [("input", "input"), ("output", "output")])
    input_label = choice("Prompt judged", MACHINE_LABELS)
    output_label = choice("Answer judged", MACHINE_LABELS)
    min_score = number("Score from", Score, 0, 1, "It is a number from 0 to 1.")
    max_score = number("Score to", Score, 0, 1, "It is a number from 0 to 1.")
    category = CharFilter(label="Category", max_length=MAX_TEXT)
    reviewed = choice("Reviewed", WHETHER)
    human = choice("People say", HUMAN_LABELS)
    disagreement = choice("Disagreement", DISAGREEMENTS)
    provenance = choice("Label comes from", Provenance.choices)
    degraded = choice("Passed unjudged", WHETHER)

    @property
    def given(self) -> dict[str, Any]:
        """What was asked for; call it on one that is valid."""
        return {name: value for name, value in self.form.cleaned_data.items() if value not in (None, "")}

    @property
    def words(self) -> str:
        """What was asked for as a person reads it: "run 3, flagged, category hate"."""
        given = self.given
        words = [said(given[name]) for name, said in WORDS.items() if name in given]
        if band := [
            f"{word} {given[end]:g}" for word, end in (("from", "min_score"), ("to", "max_score")) if end in given
        ]:
            words.append(f"score {' '.join(band)}")
        return ", ".join(words) or "all results"

    def filter_queryset(self, queryset: Any) -> ResultQuerySet:
        results: ResultQuerySet = queryset
        given = self.given
        stages = (given["stage"],) if "stage" in given else STAGES
        for name, value in given.items():
            if narrow := NARROWINGS.get(name):
                results = narrow(results, value, stages)
        if given.keys() & {"min_score", "max_score"}:
            results = results.scored(given.get("min_score"), given.get("max_score"), stages)
        return results


NARROWINGS: Mapping[str, Narrowing] = {
    "q": lambda results, value, stages: results.search(value),
    "run": lambda results, value, stages: results.filter(run=value),
    "flagged": lambda results, value, stages: results.flagged(value == "true", stages),
    "errors": lambda results, value, stages: results.errors(value == "true", stages),
    "degraded": lambda results, value, stages: results.degraded(value == "true"),
    "stage": lambda results, value, stages: results.filter(**{f"{value}_label__isnull": False}),
    "input_label": lambda results, value, stages: results.labelled(value, stages=("input",)),
    "output_label": lambda results, value, stages: results.labelled(value, stages=("output",)),
    "category": lambda results, value, stages: results.in_category(value, stages),
    "reviewed": lambda results, value, stages: results.reviewed(value == "true"),
    "human": lambda results, value, stages: results.said(value, stages),
    "disagreement": lambda results, value, stages: (
        results.disputed() if value == "people" else results.overruled(stages)
    ),
    "provenance": lambda results, value, stages: results.decided(value, stages),
}


def parsed(filters: Mapping[str, str]) -> ResultFilter:
    """The filters, checked. InputError when one is unknown or has a value that it cannot have."""
    known = ResultFilter.base_filters
    if unknown := sorted(filters.keys() - known.keys()):
        raise InputError(f"There is no filter {_shown(unknown[0])}. There are: {', '.join(known)}.")
    for name, value in filters.items():
        if sentence := unstorable(value, name=f"The filter {name}"):
            raise InputError(sentence)
    chosen = ResultFilter(dict(filters.items()), Result.objects.all())
    for name, errors in chosen.form.errors.items():
        raise InputError(f"The filter {name} cannot be {_shown(filters[name])}. {errors[0]}")
    return chosen


def results(filters: Mapping[str, str]) -> ResultQuerySet:
    """The results that the filters choose, in no order; all of them when there is none. InputError as in ``parsed``."""
    return cast(ResultQuerySet, parsed(filters).qs)


def in_words(filters: Mapping[str, str]) -> str:
    """The filters as a person reads them. InputError as in ``parsed``."""
    return parsed(filters).words


WORDS: Mapping[str, Callable[[Any], str]] = {
    "run": lambda value: f"run {value}",
    "flagged": lambda value: "flagged" if value == "true" else "not flagged",
    "errors": lambda value: "with errors" if value == "true" else "without errors",
    "degraded": lambda value: "passed unjudged" if value == "true" else "not passed unjudged",
    "stage": lambda value: f"at the {value} stage",
    "input_label": lambda value: f"prompt judged {value}",
    "output_label": lambda value: f"answer judged {value}",
    "category": lambda value: f"category {value}",
    "reviewed": lambda value: "reviewed" if value == "true" else "not reviewed",
    "human": lambda value: f"people say {value}",
    "disagreement": lambda value: "people disagree" if value == "people" else "people overrule the machine",
    "provenance": lambda value: f"label from {value}",
    "q": lambda value: f"words {value}",
}


def _shown(value: str) -> str:
    return f'"{value}"' if len(value) <= MAX_SHOWN else f'"{value[:MAX_SHOWN]}…"'
