"""The machine held against people: how often it was right, and how much of what is toxic it missed.

Of what a queue's filter picked, everything is reviewed; of what the machine did not flag, a random sample, each result
of which stands for many (classifiers.evaluation.missed). Without such a sample nobody knows what was missed.

A known answer counts as people's label of its result. What the machine could not judge (ERROR) was not flagged: if it
is toxic it was missed, if it is safe it counts neither for nor against.

In a queue that chooses the hard ones (review.learning) its random share alone counts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from django.db.models import Case, CharField, Count, F, Q, Value, When

from classifiers.agreement import Estimate
from classifiers.evaluation import Confusion, Missed, Stratum, SweepPoint, missed, threshold_sweep, wilson
from classifiers.types import Label, Stage
from moderation.models import ClassifierVersion
from review.models import Queue, QueueItem
from review.scopes import Scope, within
from runs.models import Provenance, Result

Origin = QueueItem.Origin
TOXIC, SAFE, ERROR = Label.TOXIC.value, Label.SAFE.value, Label.ERROR.value
DECIDED = (TOXIC, SAFE)
FLAGGED, PICKED, SAMPLED = "flagged", "picked", "sampled"
POINTS = 50

NO_QUEUE = (
    "What the machine missed is known only where a random sample of what it did not flag was reviewed. "
    "Choose a queue that has one."
)
NARROWED = (
    "The filter takes a part of the queue and of its random sample away. Choose nothing but the queue and the stage "
    "to learn what the machine missed."
)
NOT_SAMPLED = (
    "This queue holds no random sample of the {unflagged} results that were not flagged, so that nobody knows how many "
    "of them are toxic. Make a queue with a sample of them; a few percent are a beginning."
)
INCOMPLETE = (
    "The filter of this queue picked {here} of {flagged} flagged results, so that nobody knows what part of the others "
    "is toxic. Make a queue that filters by run and flagged alone, with a random sample."
)
CHANGED = (
    "{changed} results of the random sample have been judged anew and flagged since, so that they no longer stand for "
    "what was not flagged. Make a new queue."
)

# How a result came into the queue, what the machine said, what people said ("" when they have not decided).
Kind: TypeAlias = tuple[str, str, str]
Weights: TypeAlias = Mapping[tuple[str, bool], float]


@dataclass(frozen=True, slots=True)
class Sample:
    """``size`` results that were not flagged, of which some were drawn, and of those ``reviewed`` reviewed.

    ``why`` says why it tells nothing of what was missed, and is empty otherwise. ``uniform``: whatever was counted was
    drawn at random, flagged or not.
    """

    size: int = 0
    reviewed: int = 0
    why: str = ""
    uniform: bool = False


@dataclass(frozen=True)
class Held:
    """What one version of a check said at a stage, or (no name) the machine as a whole, held against people."""

    stage: Stage
    counts: Mapping[Kind, int]
    sample: Sample
    name: str = ""
    version: ClassifierVersion | None = None
    scores: Sequence[float] = ()
    kinds: Sequence[Kind] = ()  # of the scores

    @property
    def matrix(self) -> list[tuple[str, int, int]]:
        """What the machine said, and how many such results people call toxic and safe, as counted."""
        return [(label, self._number(label, TOXIC), self._number(label, SAFE)) for label in (TOXIC, SAFE, ERROR)]

    @property
    def reviewed(self) -> int:
        return sum(n for (_, _, people), n in self.counts.items() if people in DECIDED)

    @property
    def precision(self) -> Estimate:
        """The share that is toxic of what was flagged and reviewed. All such results count the same."""
        right = self._number(TOXIC, TOXIC)
        return wilson(right, right + self._number(TOXIC, SAFE))

    @property
    def why(self) -> str:
        """Why nothing is known of what was missed; empty when it is known."""
        return self.missed.recall.why if self.missed else self.sample.why

    @cached_property
    def missed(self) -> Missed | None:
        if self.sample.uniform:
            caught, overlooked = int(self.confusion.tp), int(self.confusion.fn)
            recall = wilson(caught, caught + overlooked)
            return Missed(recall, wilson(overlooked, caught + overlooked), recall.value)
        return None if self.sample.why else missed(list(self._strata.values()))

    @cached_property
    def confusion(self) -> Confusion:
        """Each reviewed result stands for its like, or for itself alone when ``why`` says that it cannot."""
        cells: dict[tuple[bool, bool], float] = defaultdict(float)
        for (origin, machine, people), n in self.counts.items():
            if people in DECIDED and (machine, people) != (ERROR, SAFE):
                flagged = machine == TOXIC
                cells[flagged, people == TOXIC] += n * self._weights.get((origin, flagged), 1)
        return Confusion(cells[True, True], cells[True, False], cells[False, True], cells[False, False])

    @cached_property
    def sweep(self) -> list[SweepPoint]:
        """What other thresholds would do; weighted as the confusion is."""
        weights = [self._weights.get((origin, machine == TOXIC), 1.0) for origin, machine, _ in self.kinds]
        return threshold_sweep(self.scores, [people == TOXIC for _, _, people in self.kinds], weights, points=POINTS)

    @cached_property
    def _weights(self) -> Weights:
        strata = {} if self.sample.uniform or self.why else self._strata
        return {key: stratum.size / stratum.reviewed for key, stratum in strata.items() if stratum.reviewed}

    @cached_property
    def _strata(self) -> Mapping[tuple[str, bool], Stratum]:
        said: dict[tuple[str, bool], Counter[str]] = defaultdict(Counter)
        for (origin, machine, people), n in self.counts.items():
            said[origin, machine == TOXIC][people] += n
        drawn = said.pop((SAMPLED, False), Counter())
        strata = {(origin, flagged): _stratum(origin, flagged, n) for (origin, flagged), n in said.items()}
        if self.sample.size:
            # Those that the check never judged are not toxic results that it missed.
            size, reviewed = self.sample.size, self.sample.reviewed
            strata[SAMPLED, False] = Stratum("What was not flagged", False, size, reviewed, drawn[TOXIC])
        return strata

    def _number(self, machine: str, people: str) -> int:
        return sum(n for (_, said, label), n in self.counts.items() if (said, label) == (machine, people))


def _stratum(origin: str, flagged: bool, said: Counter[str]) -> Stratum:
    elsewhere = "What was flagged at the other stage, or by another check alone"
    name = "What was flagged" if flagged else elsewhere if origin == FLAGGED else "What the filter picked unflagged"
    return Stratum(name, flagged, said.total(), said[TOXIC] + said[SAFE], said[TOXIC])


def as_a_whole(scope: Scope, queue: Queue | None = None) -> list[Held]:
    """The machine as a whole, by stage: what any check calls TOXIC is. ``queue`` is that of the scope."""
    return list(_as_a_whole(scope, queue))


def _as_a_whole(scope: Scope, queue: Queue | None) -> Iterator[Held]:
    for stage in _stages(scope, queue):
        rows = _Rows(scope, queue).counted(stage)
        sample = _sample(scope, queue, rows)
        counts: Counter[Kind] = Counter()
        for (origin, machine, people, _), n in rows.items():
            if machine:
                counts[origin, machine, people] += n
        if counts:
            yield Held(stage, counts, sample)


def by_version(scope: Scope, queue: Queue | None, *, whole: Iterable[Held]) -> list[Held]:
    """Each version of each check by stage, as it stands in the same scope as the machine as a ``whole``."""
    counts: dict[tuple[str, str, int], Counter[Kind]] = defaultdict(Counter)
    scored: dict[tuple[str, str, int], tuple[list[float], list[Kind]]] = defaultdict(lambda: ([], []))
    for stage, name, version, score, *said in _Rows(scope, queue).verdicts(_stages(scope, queue)):
        key, kind = (stage, name, version), (said[0], said[1], said[2])
        counts[key][kind] += 1
        if score is not None and kind[2] in DECIDED:
            scored[key][0].append(score)
            scored[key][1].append(kind)
    versions = ClassifierVersion.objects.in_bulk({version for _, _, version in counts})
    samples = {held.stage: held.sample for held in whole}
    return [
        Held(
            Stage(stage),
            counts[stage, name, version],
            samples[Stage(stage)],
            name,
            versions[version],
            *scored[stage, name, version],
        )
        for stage, name, version in sorted(counts)
    ]


def _stages(scope: Scope, queue: Queue | None) -> list[Stage]:
    return [stage for stage in (queue.asked if queue else Stage) if scope.stage in (None, stage)]


def _sample(scope: Scope, queue: Queue | None, rows: Mapping[tuple[str, str | None, str, bool], int]) -> Sample:
    if queue is None:
        return Sample(why=NO_QUEUE)
    if not scope.is_whole_queue:
        return Sample(why=NARROWED)
    if queue.learner:
        return Sample(uniform=True)
    unflagged, flagged = queue.population.get("unflagged", 0), queue.population.get("flagged", 0)
    here = sum(n for (origin, *_), n in rows.items() if origin == FLAGGED)
    changed = sum(n for (origin, machine, *_), n in rows.items() if (origin, machine) == (SAMPLED, TOXIC))
    if here < flagged:
        return Sample(why=INCOMPLETE.format(here=here, flagged=flagged))
    if unflagged and not queue.population.get("sampled"):
        return Sample(why=NOT_SAMPLED.format(unflagged=unflagged))
    if changed:
        return Sample(why=CHANGED.format(changed=changed))
    drawn = {key: n for key, n in rows.items() if key[0] == SAMPLED}
    # Reviewed too is what had nothing to be judged at this stage, such as a prompt without an answer.
    done = sum(n for (_, machine, people, closed), n in drawn.items() if people in DECIDED or (closed and not machine))
    return Sample(size=unflagged, reviewed=done)


@dataclass(frozen=True, slots=True)
class _Rows:
    """What is asked of the database: items of a queue with their results, or results that were reviewed."""

    scope: Scope
    queue: Queue | None

    @property
    def result(self) -> str:
        """The way from a row to its result."""
        return "result__" if self.queue else ""

    def counted(self, stage: Stage) -> dict[tuple[str, str | None, str, bool], int]:
        """How many there are, by origin, what the machine said (None: nothing to be judged), people's label, and whether done with."""
        name = f"{self.result}{stage.lower()}"
        rows = self._rows().filter(self.scope.flagged_for(name)).order_by()
        columns = {"machine": F(f"{name}_label"), "people": Case(*self._people(stage), default=Value(""))}
        grouped = rows.values(stratum=self._origin(), **columns, finished=self._finished()).annotate(n=Count("pk"))
        return {(row["stratum"], row["machine"], row["people"], row["finished"]): row["n"] for row in grouped}

    def verdicts(self, stages: Sequence[Stage]) -> Iterable[tuple[Any, ...]]:
        """(stage, check, version, score, origin, what it said, people's label), in one query without a text."""
        verdict = f"{self.result}verdicts__"
        wanted = Q(**{f"{verdict}stage__in": stages, f"{verdict}version__isnull": False})
        rows = self._rows().filter(wanted & self.scope.in_category(f"{verdict}stage", self.result)).order_by()
        people = [when for stage in stages for when in self._people(stage, Q(**{f"{verdict}stage": stage}))]
        columns = [F(f"{verdict}{name}") for name in ("stage", "check_name", "version", "score")]
        label = Case(*people, default=Value(""), output_field=CharField())
        found: Iterable[tuple[Any, ...]] = rows.values_list(*columns, self._origin(), F(f"{verdict}label"), label)
        return found

    def _rows(self) -> Any:
        run = Q(**{f"{self.result}run": self.scope.run}) if self.scope.run else Q()
        wanted = run & within(f"{self.result}reviewed_at", self.scope.since, self.scope.until)
        if self.queue is None:
            return Result.objects.reviewed().filter(wanted)
        items = QueueItem.objects.filter(wanted, queue=self.queue)
        return items.honest() if self.queue.learner else items.exclude(self._brought(self.queue))

    def _brought(self, queue: Queue) -> Q:
        """Results with a known answer that a lead brought from outside: they are neither picked nor drawn.

        Where not every unflagged result was picked, one that was and then got a known answer cannot be told from them.
        """
        outside = Q(pk__in=[])
        if queue.population.get("unflagged"):
            outside |= ~self._flagged()
        if run := queue.filters.get("run"):
            outside |= ~Q(result__run=int(run))
        return Q(gold=True, origin=Origin.FILTER) & outside

    def _flagged(self) -> Q:
        """Written out, since a label of an answer may be null."""
        return Q(**{f"{self.result}input_label": TOXIC}) | Q(
            **{f"{self.result}output_label__isnull": False, f"{self.result}output_label": TOXIC}
        )

    def _origin(self) -> Any:
        picked = Case(When(self._flagged(), then=Value(FLAGGED)), default=Value(PICKED))
        return Case(When(Q(origin=Origin.SAMPLE), then=Value(SAMPLED)), default=picked) if self.queue else Value(PICKED)

    def _finished(self) -> Any:
        closed = Q(gold=True) | Q(state=QueueItem.State.CLOSED)
        return Case(When(closed, then=Value(True)), default=Value(False)) if self.queue else Value(True)

    def _people(self, stage: Stage, also: Q | None = None) -> list[When]:
        """Their label of the stage, once it is in effect; in a queue, of items that are done with there."""
        name = f"{self.result}{stage.lower()}"
        also = also or Q()
        decided = also & ~Q(**{f"{name}_provenance": Provenance.MACHINE})
        theirs = F(f"{self.result}human_{stage.lower()}_label")
        if self.queue is None:
            return [When(decided, then=theirs)]
        known = When(also & Q(gold=True), then=F(f"gold_{stage.lower()}"))
        return [known, When(decided & Q(state=QueueItem.State.CLOSED), then=theirs)]
