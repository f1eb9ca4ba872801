"""Queues that choose: the results from which a check would learn most (training.selection), and a random share beside them.

The chosen ones are the hard ones, so that a figure over them makes the check look worse than it is. The random share is
drawn from all that the filter finds, whatever is reviewed or waits elsewhere by then, and is what a check is measured by.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from classifiers.errors import InputError
from classifiers.policy import Rules
from classifiers.types import Label, Stage
from moderation.models import PolicyVersion
from moderation.policies import rules_of
from review.models import Queue, QueueItem, text_of
from runs.models import Result, Verdict
from runs.querysets import ResultQuerySet
from training import selection

# Of more results than these, so many at random are looked at: each costs a few rows of verdicts.
MOST = 20_000
VOTES = (Label.TOXIC.value, Label.SAFE.value)
READ = ("stage", "check_name", "label", "score", "categories", "thresholds", "flagged", "own_flagged")


@dataclass(frozen=True, slots=True)
class Drawn:
    """The numbers of the results of a queue, of so many ``found``. Of the ``random`` ones the ``settled`` are judged, or wait, elsewhere."""

    found: int
    random: list[int]
    settled: list[int]
    chosen: list[int]


@dataclass(frozen=True, slots=True)
class Lesson:
    """How much is to be learnt from a result, in bits, and at which stage."""

    bits: float
    stage: Stage


def kept(found: ResultQuerySet) -> ResultQuerySet:
    """Those whose texts are there: nobody can judge, or learn from, a text that was not kept."""
    return found.filter(Q(texts=None) | Q(texts=Result.Texts.REDACTED))


def shares(queue: Queue, found: int) -> tuple[int, int]:
    """How many of so many results are drawn at random, and how many are chosen at most."""
    size = min(queue.size, found)
    drawn = round(size * queue.random_percent / 100)
    return drawn, size - drawn


def draw(queue: Queue, found: ResultQuerySet) -> Drawn:
    """What a queue is filled with, of what its filter finds. InputError when there is nothing that its check could learn from."""
    texts = kept(found).order_by()
    number = texts.count()
    drawn, most = shares(queue, number)
    random = list(texts.order_by("?").values_list("pk", flat=True)[:drawn])
    among = Result.objects.filter(pk__in=random)
    settled = among.filter(Exists(_waiting()) | _judged(queue)).values_list("pk", flat=True)
    free = texts.filter(~Exists(_waiting()), reviewed_at=None).exclude(pk__in=random)
    return Drawn(number, random, list(settled), _choose(queue, free, most, near=among) if most else [])


def _waiting() -> QuerySet[QueueItem]:
    """In a running queue."""
    return QueueItem.objects.filter(result=OuterRef("pk"), queue__closed_at=None)


def _judged(queue: Queue) -> Q:
    """That people have said something of all that the queue asks."""
    said = Q(reviewed_at__isnull=False)
    if Stage.INPUT in queue.asked:
        said &= Q(human_input_label__isnull=False)
    if Stage.OUTPUT in queue.asked:
        said &= Q(human_output_label__isnull=False) | Q(answer=None)
    return said


def _choose(queue: Queue, free: ResultQuerySet, most: int, *, near: ResultQuerySet) -> list[int]:
    lessons = _lessons(queue, free)
    if not lessons:
        raise InputError(
            f"There is nothing to choose from for the check {queue.learner!r}: every result that the filter finds is "
            "reviewed already, waits in a queue, or has no score of this check. Choose another check or a wider filter."
        )
    numbers = list(lessons)
    best = [numbers[place] for place in selection.shortlist([lessons[pk].bits for pk in numbers], most)]
    texts = _texts(best, {pk: lessons[pk].stage for pk in best})
    drawn = list(near.values_list("pk", flat=True))
    beside = _texts(drawn, dict.fromkeys(drawn, queue.asked[0]))
    bits = [lessons[pk].bits for pk in best]
    taken = selection.chosen(bits, selection.vectors(texts), most, near=selection.vectors(beside))
    return [best[place] for place in taken]


def _texts(numbers: Sequence[int], stages: Mapping[int, Stage]) -> list[str]:
    """The text of each, in order, at its stage."""
    found = Result.objects.only("prompt", "answer").in_bulk(list(numbers))
    return [text_of(found[pk], stages[pk]) or "" for pk in numbers]


def _lessons(queue: Queue, free: ResultQuerySet) -> dict[int, Lesson]:
    """What is to be learnt from each result, by its number: at the stage where that is more."""
    said: defaultdict[tuple[int, str], list[Any]] = defaultdict(list)
    for verdict in _verdicts(queue, free):
        said[verdict.result_id, verdict.stage].append(verdict)
    rules = _rules()
    lessons: dict[int, Lesson] = {}
    for (pk, stage), verdicts in said.items():
        own = next((v for v in verdicts if v.check_name == queue.learner and v.score is not None), None)
        if own:
            votes = [v.label == Label.TOXIC for v in verdicts if v.label in VOTES]
            bits = _unsure(own, rules.get(own.policy, Rules())) + selection.disagreement(votes)
            if pk not in lessons or bits > lessons[pk].bits:
                lessons[pk] = Lesson(bits, Stage(stage))
    return lessons


def _verdicts(queue: Queue, free: ResultQuerySet) -> Iterable[Any]:
    """Of the check that is to learn and those it is compared with, each with the number of its run's ``policy`` version."""
    some = free.order_by("?").values("pk")[:MOST]
    said = Verdict.objects.filter(result__in=some, stage__in=queue.asked, check_name__in=queue.checks).order_by()
    return said.only("result_id", *READ).annotate(policy=F("result__run__policy_version")).iterator()


def _rules() -> dict[int, Rules]:
    return {version.pk: rules_of(version) for version in PolicyVersion.objects.all()}


def _unsure(verdict: Verdict, rules: Rules) -> float:
    """How near the check was to another label: by the category that is nearest to its threshold."""
    thresholds = verdict.thresholds_under(rules)
    known = [(score, thresholds[name]) for name, score in verdict.categories.items() if name in thresholds]
    return max(selection.uncertainty(score, threshold) for score, threshold in known or [(verdict.score or 0.0, 0.5)])
