"""What an adapter learns from: texts with their labels, from files or from what people decided, split without leaks.

A text comes once, whatever its case and spaces. Texts that belong together (the same text under two prompts, the two halves
of a contrast, the answers to one prompt) stay in one part, so that no part knows another's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from classifiers.errors import InputError
from classifiers.labelled import Columns, read_labelled
from classifiers.sources import PromptSource
from classifiers.types import digest

SHARES = {"train": 0.8, "tune": 0.1, "held": 0.1}
LEARN, MEASURE = "learn", "measure"


@dataclass(frozen=True, slots=True)
class Row:
    """A text and what it is. ``weight`` is how much it counts, such as the agreement of its reviewers, above 0.

    ``group`` is what keeps rows in one part: a prompt's key, a contrast's number; the text itself without one. ``use`` is what
    it may be used for, LEARN or MEASURE, where it was picked for that; empty for either.
    """

    text: str
    toxic: bool
    weight: float = 1.0
    group: str = ""
    use: str = ""

    @property
    def key(self) -> str:
        """The same for texts that differ in case and spaces alone."""
        return digest(" ".join(self.text.casefold().split()))


def marks(text: str) -> set[str]:
    """Digests by which a text is known again: as it stands, and whatever its case and spaces."""
    return {digest(text), Row(text, False).key}


def from_file(source: PromptSource, columns: Columns, *, weight: float = 1.0) -> list[Row]:
    """The labelled texts of a source; answers to one prompt are a group. InputError where a label is not understood."""
    rows = read_labelled(source, columns)
    return [Row(row.subject.text, row.toxic, weight, row.subject.prompt or "") for row in rows]


def merged(rows: Iterable[Row]) -> list[Row]:
    """Each text once, in order of first sight, with the label that weighs more and the weight it has more.

    Texts whose labels weigh the same are left out: nobody knows what they are. A text that was once picked to measure is for
    that, else one that was picked to be learnt from is for that. InputError for a weight that is not above 0.
    """
    first: dict[str, Row] = {}
    votes: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if not 0 < row.weight < float("inf"):
            raise InputError(f"The weight {row.weight} of a text cannot be: it must be a number above 0.")
        first.setdefault(row.key, row)
        votes[row.key].append(row)
    decided = (_decided(first[key], votes[key]) for key in first)
    return [row for row in decided if row]


def split(rows: Sequence[Row], shares: Mapping[str, float] = SHARES, *, seed: int = 0) -> dict[str, list[Row]]:
    """Parts of the given shares, by name, each in the order of ``rows``. InputError when the shares do not add up to 1.

    A part is drawn from the digest of what belongs together, so that neither order nor further rows move a text. The first is
    the one that is learnt from: what is for learning alone lies there, with what belongs to it, and what is for measuring alone
    is drawn among the others.
    """
    if abs(sum(shares.values()) - 1) > 1e-9 or min(shares.values()) < 0:
        raise InputError("The shares of the parts must not be negative and must add up to 1.")
    parts: dict[str, list[Row]] = {name: [] for name in shares}
    together = _together(rows)
    uses: defaultdict[str, set[str]] = defaultdict(set)
    for row, name in zip(rows, together, strict=True):
        uses[name].add(row.use)
    for row, name in zip(rows, together, strict=True):
        parts[_drawn(digest(str(seed), name), _shares_for(uses[name], shares))].append(row)
    return parts


def _shares_for(uses: Collection[str], shares: Mapping[str, float]) -> Mapping[str, float]:
    first, *others = shares
    if LEARN in uses:
        return {first: 1.0}
    if MEASURE in uses:
        left = sum(shares[name] for name in others)
        return {name: shares[name] / left for name in others}
    return shares


def digest_of(rows: Iterable[Row]) -> str:
    """32 hex digits of texts, labels and weights, whatever their order."""
    return digest(*sorted(digest(row.text, f"{row.toxic:d} {row.weight!r} {row.group}") for row in rows))


def balanced(rows: Sequence[Row]) -> dict[bool, float]:
    """What to multiply weights by so that both labels weigh the same and all together as before.

    InputError when one of the labels is missing, for then nothing can be learnt.
    """
    weights = {label: sum(row.weight for row in rows if row.toxic is label) for label in (False, True)}
    if not all(weights.values()):
        raise InputError("Training needs texts of both labels, safe and toxic ones. Add some of the other.")
    return {label: sum(weights.values()) / (2 * weight) for label, weight in weights.items()}


def _decided(row: Row, votes: Sequence[Row]) -> Row | None:
    if len(votes) == 1:
        return row
    weights = {label: sum(vote.weight for vote in votes if vote.toxic is label) for label in (False, True)}
    use = max((vote.use for vote in votes), key=("", LEARN, MEASURE).index)
    more = weights[True] - weights[False]
    agreed = not (weights[True] and weights[False])
    weight = max(vote.weight for vote in votes) if agreed else abs(more)
    return replace(row, toxic=more > 0, weight=weight, use=use) if more else None


def _together(rows: Sequence[Row]) -> list[str]:
    """For each row the name of all that it belongs with: the least key among them."""
    above: dict[str, str] = {}

    def root(name: str) -> str:
        while above.setdefault(name, name) != name:
            above[name] = name = above[above[name]]
        return name

    for row in rows:
        one, other = sorted((root(row.key), root(digest("group", row.group) if row.group else row.key)))
        above[other] = one
    return [root(row.key) for row in rows]


def _drawn(name: str, shares: Mapping[str, float]) -> str:
    place = int(name[:13], 16) / 16**13
    for part, share in shares.items():
        place -= share
        if place < 0:
            return part
    return next(part for part in reversed(list(shares)) if shares[part])
