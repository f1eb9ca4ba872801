"""Texts made for this project in which words alone mislead: hateful and harmless ones of the same words about the same people.

Public comments teach that a slur is toxic and a calm voice harmless. These teach what turns it: a "not", a quotation that is
rejected, another target, a group's own pride, a harmless thing with a violent name; and that hate can be polite. They stand
in ``texts/*.tsv``: columns label (1 toxic, 0 safe), kind and text, no quoting. In a text {g} stands for people of a group
("women"), {s} for one of them ("a woman") and {a} for what they are called before a noun ("female").
"""

from __future__ import annotations

import csv
import itertools
import random
import re
from collections.abc import Sequence
from pathlib import Path

from training.data import Row

TEXTS = Path(__file__).parent / "texts"
SLOT = re.compile(r"(^|[.!?:] )?\{([gsa])\}")
Group = tuple[str, str, str]  # {g}, {s} and {a}

NAMED: tuple[Group, ...] = (
    ("women", "a woman", "female"), ("men", "a man", "male"), ("lesbians", "a lesbian", "lesbian"),
    ("Muslims", "a Muslim", "Muslim"), ("Jews", "a Jew", "Jewish"), ("Christians", "a Christian", "Christian"),
    ("Hindus", "a Hindu", "Hindu"), ("Sikhs", "a Sikh", "Sikh"), ("Catholics", "a Catholic", "Catholic"),
    ("atheists", "an atheist", "atheist"), ("immigrants", "an immigrant", "immigrant"), ("refugees", "a refugee", "refugee"),
    ("foreigners", "a foreigner", "foreign"), ("Mexicans", "a Mexican", "Mexican"), ("Latinos", "a Latino", "Latino"),
    ("Asians", "an Asian", "Asian"), ("Arabs", "an Arab", "Arab"), ("Roma", "a Romani person", "Romani"),
    ("Africans", "an African", "African"), ("Nigerians", "a Nigerian", "Nigerian"), ("Indians", "an Indian", "Indian"),
    ("Pakistanis", "a Pakistani", "Pakistani"), ("Turks", "a Turk", "Turkish"), ("Kurds", "a Kurd", "Kurdish"),
    ("Poles", "a Pole", "Polish"), ("Russians", "a Russian", "Russian"), ("Palestinians", "a Palestinian", "Palestinian"),
    ("Israelis", "an Israeli", "Israeli"),
)  # fmt: skip
CALLED = ("gay", "bisexual", "trans", "non-binary", "Black", "white", "Chinese", "Indigenous", "disabled", "blind", "deaf",
          "autistic", "mentally ill", "fat", "old", "poor", "homeless")  # fmt: skip
GROUPS = (*NAMED, *((f"{a} people", f"{'an' if a[0] in 'aeiouI' else 'a'} {a} person", a) for a in CALLED))


def contrasts(per_template: int = 4, *, seed: int = 0) -> list[Row]:
    """All texts, those with gaps once for each of so many groups; all that a template gives are one group of rows.

    Groups are dealt like cards, a deck for each label, so that none is seen more in hateful texts than in harmless ones.
    """
    order = random.Random(seed).sample(GROUPS, len(GROUPS))  # noqa: S311 - nothing secret
    decks = {toxic: itertools.cycle(order) for toxic in (True, False)}
    rows = []
    for toxic, template in templates():
        groups = itertools.islice(decks[toxic], min(per_template, len(GROUPS))) if SLOT.search(template) else GROUPS[:1]
        rows += [Row(filled(template, group), toxic, group=template) for group in groups]
    return rows


def steadied(rows: Sequence[Row]) -> list[Row]:
    """The rows, and half as many harmless texts that name groups of people, each of another template, as far as there are.

    A few hundred labels that find much of the hate about a group teach its name as a sign of hate; harmless texts with the
    name undo that (Dixon, Li, Sorensen, Thain and Vasserman, AIES 2018).
    """
    known = {row.key for row in rows}
    named = [row for row in contrasts(1) if not row.toxic and SLOT.search(row.group) and row.key not in known]
    draw = random.Random(0)  # noqa: S311 - nothing secret
    return [*rows, *draw.sample(named, min(len(rows) // 2, len(named)))]


def templates() -> list[tuple[bool, str]]:
    """Whether it is toxic, and the text with its gaps, file by file."""
    found = []
    for path in sorted(TEXTS.glob("*.tsv")):
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            found += [({"1": True, "0": False}[row["label"]], row["text"]) for row in reader]
    return found


def filled(template: str, group: Group) -> str:
    """The text about this group, with a capital where the group begins a sentence."""
    forms = dict(zip("gsa", group, strict=True))

    def form(slot: re.Match[str]) -> str:
        start, name = slot[1], forms[slot[2]]
        return name if start is None else start + name[0].upper() + name[1:]

    return SLOT.sub(form, template)
