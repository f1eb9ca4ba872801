"""How far people agree with one another, and how often they are right where the answer is known."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeAlias

from django.contrib.auth.models import User
from django.db.models import Q

from classifiers import agreement
from classifiers.agreement import Estimate, Ratings
from classifiers.evaluation import wilson
from classifiers.types import Stage
from review.models import Queue, Review
from review.scopes import Scope

# More people make a table of pairs that nobody reads; any two can be chosen by the filter.
MOST_IN_PAIRS = 12
# Known answers are told of in steps of so many, so that no step tells which result was one.
STEP = 5

# A result, a stage, the digest of its text, a person, the label, whether it was blind and given in a blind queue.
Said: TypeAlias = tuple[int, str, str, int, str, bool, bool | None]
Vote: TypeAlias = tuple[int, int, str]  # the number of a text, a person, a label


@dataclass(frozen=True, slots=True)
class Measure:
    name: str
    says: str
    estimate: Estimate
    is_share: bool = False


@dataclass(frozen=True, slots=True)
class Pair:
    """Two people: how many texts both judged, the share on which they said the same, and Cohen's kappa."""

    one: int
    other: int
    same: float
    kappa: Estimate


@dataclass(frozen=True, slots=True)
class Agreement:
    """``people`` are those of the pairs, with the number of their verdicts, most first."""

    verdicts: int
    units: int
    overlapping: int
    not_blind: int
    measures: tuple[Measure, ...]
    people: Mapping[int, int]
    everybody: int
    pairs: Mapping[tuple[int, int], Pair]

    def pair(self, one: int, other: int) -> Pair | None:
        """None when they have judged no text both."""
        return self.pairs.get((one, other)) or self.pairs.get((other, one))


MEASURES: tuple[tuple[str, str, Callable[[Ratings], Estimate], bool], ...] = (
    ("Same label", "How often two people say the same of a text, by chance too.", agreement.percent_agreement, True),
    (
        "Krippendorff's alpha",
        "Agreement beyond chance, 0 to 1; it takes texts that not everybody judged. From .8 on it is called good.",
        agreement.krippendorff_alpha,
        False,
    ),
    ("Fleiss' kappa", "Agreement beyond chance, as if all had the same habits.", agreement.fleiss_kappa, False),
    (
        "Gwet's AC1",
        "Agreement beyond chance that stays steady when one label is rare; read it where kappa and the share differ much.",
        agreement.gwet_ac1,
        False,
    ),
)


def agreement_of(scope: Scope) -> Agreement:
    """What people agree on, among the verdicts of the scope, UNSURE being a label like the others.

    Not counted are answers to known ones, adjudications, and labels in bulk, for which nobody read each text.
    """
    votes, not_blind = _votes(_said(scope))
    ratings = Ratings.of(votes)
    given = Counter(reviewer for _, reviewer, _ in votes)
    people = dict(given.most_common(MOST_IN_PAIRS))
    return Agreement(
        verdicts=len(votes),
        units=sum(ratings.patterns.values()),
        overlapping=ratings.overlapping,
        not_blind=not_blind,
        measures=tuple(Measure(name, says, measure(ratings), share) for name, says, measure, share in MEASURES),
        people=people,
        everybody=len(given),
        pairs={(pair.one, pair.other): pair for pair in _pairs(ratings, people)},
    )


def _said(scope: Scope) -> Iterable[Said]:
    """Everybody's verdicts in order, in one query without a text."""
    ordinary = scope.reviews().filter(Q(item=None) | Q(item__gold=False), cause="", bulk=None)
    columns = ("result_id", "stage", "digest", "reviewer_id", "label", "blind", "item__queue__blind")
    said: Iterable[Said] = ordinary.order_by("pk").values_list(*columns)
    return said


def _votes(rows: Iterable[Said]) -> tuple[list[Vote], int]:
    """The one verdict of each person on each text that counts, and how many do not, since they were not blind."""
    texts: dict[tuple[Any, ...], int] = {}
    chains: dict[tuple[int, int], list[Said]] = {}
    for row in rows:
        key = texts.setdefault(row[:3], len(texts)), row[3]
        if key in chains:
            chains[key].append(row)
        else:
            chains[key] = [row]
    counted = {key: _counted(chain) for key, chain in chains.items()}
    votes = [(*key, label) for key, label in counted.items() if label]
    return votes, sum(label is None for label in counted.values())


def _counted(chain: list[Said]) -> str | None:
    """The label that counts of all that a person said of a text; empty when they took it back.

    It is the last blind one, if there is one: afterwards the machine's is known, and to follow it is no agreement. Else
    it is the last, and None in a blind queue: there somebody spoke who knew the machine's verdict from elsewhere.
    """
    _, _, _, _, last, _, in_blind_queue = chain[-1]
    if not last:
        return last
    for _, _, _, _, label, was_blind, _ in reversed(chain):
        if was_blind and label:
            return label
    return None if in_blind_queue else last


def _pairs(ratings: Ratings, people: Iterable[int]) -> Iterator[Pair]:
    for one, other in combinations(people, 2):
        theirs = ratings.by_rater[other]
        both = [label == theirs[unit] for unit, label in ratings.by_rater[one].items() if unit in theirs]
        if both:
            yield Pair(one, other, sum(both) / len(both), agreement.cohen_kappa(ratings, one, other))


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How many results with a known answer a person answered, and how many rightly at every stage asked for."""

    answered: int
    correct: int

    @property
    def share(self) -> Estimate:
        return wilson(self.correct, self.answered)


def accuracies(queue: Queue | None = None) -> dict[int, Accuracy]:
    """By person, in one queue or in all. UNSURE is not right."""
    right = _answers(Scope(queue=queue.pk if queue else None))
    return {reviewer: Accuracy(len(answers), sum(answers)) for reviewer, answers in right.items()}


def own_accuracy(user: User) -> Accuracy:
    """What a reviewer may know of themself: of all queues, in steps of five answers."""
    answers = _answers(Scope(people=(user.pk, user.pk))).get(user.pk, [])
    told = answers[: len(answers) // STEP * STEP]
    return Accuracy(len(told), sum(told))


def _answers(scope: Scope) -> dict[int, list[bool]]:
    """By person, whether each known answer was given, in the order in which they first judged the results.

    The first answer counts for good: could it be mended, whoever changes one and looks at their accuracy would learn
    which answers are known, and what they are.
    """
    columns = ("reviewer_id", "item_id", "stage", "label", "item__gold_input", "item__gold_output")
    given = scope.reviews().filter(item__gold=True, cause="", bulk=None).exclude(label="")
    first: dict[tuple[int, int], dict[str, bool]] = defaultdict(dict)
    for reviewer, item, stage, label, gold_input, gold_output in given.order_by("pk").values_list(*columns):
        known = gold_input if stage == Stage.INPUT else gold_output
        first[reviewer, item].setdefault(stage, label == known)
    right: dict[int, list[bool]] = defaultdict(list)
    for (reviewer, _), stages in first.items():
        right[reviewer].append(all(stages.values()))
    return right


def of_result(result_id: int) -> list[Review]:
    """All that people said of a result, oldest first; ``has_later`` is whether something else took its place."""
    reviews = Review.objects.filter(result=result_id).select_related("reviewer", "item__queue")
    return list(reviews.with_later().order_by("pk"))
