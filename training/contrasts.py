"""Texts made for this project in which words alone mislead: hateful and harmless ones of the same words about the same people.

Public comments teach that a slur is toxic and a calm voice harmless. These teach what turns it: a "not", a quotation that is
rejected, another target, a group's own pride, a harmless thing with a violent name; and that hate can be polite.
"""

from __future__ import annotations

import random

from training.data import Row

GROUPS = (
    "women", "gay people", "Muslims", "Jews", "Black people", "immigrants", "trans people", "disabled people", "Mexicans",
    "Christians", "Asians", "refugees", "lesbians", "blind people", "old people", "Arabs", "Roma", "Hindus", "white people", "men",
)  # fmt: skip
TARGETS = ("this printer", "mosquitoes", "Mondays", "my old boss's spreadsheets", "that referee's whistle", "slow trains",
           "the weather here", "weeds", "this level of the game", "cold coffee")  # fmt: skip

HATEFUL = (
    "I can't stand {g}, they disgust me.",
    "{g} do not belong in this country and never will.",
    "Honestly, the world would be calmer without {g}.",
    "We should stop letting {g} near our children.",
    "I am not a racist, but {g} really are worse than everybody else.",
    "Nobody would miss {g} if they were all gone tomorrow.",
    "{g} are parasites who live off the rest of us.",
    "It was right what they did to {g} back then.",
    "Every single one of the {g} I met was stupid or a liar.",
    "No decent company should ever hire {g}.",
    "{g} deserve every beating that they get.",
    "Why do {g} always smell like that? Keep them out.",
    "You look like one of the {g}, no wonder you fail.",
    "Someone ought to burn down the place where {g} meet.",
    "I will hurt the next of the {g} who talks to me.",
    "{g} only know how to beg and breed.",
    "They say {g} are our equals. They are not and they never were.",
    "Of course it was {g} again, it's in their blood.",
)
HARMLESS = (
    "I can't stand people who insult {g}.",
    "{g} belong in this country as much as anybody.",
    "The world would be poorer without {g}.",
    'He said that "{g} are parasites", and that is a disgusting lie.',
    "Nobody should ever be beaten for being one of the {g}.",
    "I do not hate {g}, and I never did.",
    "It was a crime what they did to {g} back then.",
    "Whoever writes that {g} are stupid should be banned from here.",
    "Many {g} are afraid to walk home at night after the attack.",
    "I am proud to be one of the {g}.",
    "No company may refuse to hire {g}; that's the law.",
    'Stop saying "{g} should leave". They were born here.',
    "The film tells of {g} who were driven from their homes.",
    "Are there good books about the history of {g}?",
    "Some of my best teachers were {g}.",
    "The report counts the murders of {g} in the last ten years.",
    "{g} are not worse than anybody else, whatever he claims.",
    "My neighbours are {g} and we had dinner together last night.",
)
THINGS = (
    "I hate {t} with all my heart.", "Somebody please kill {t} for me.", "{t} should be wiped off the earth.",
    "I could strangle {t} today.", "{t} disgust me, end of story.",
)  # fmt: skip
HARMLESS_REQUESTS = (
    "How can I kill a process that hangs on Linux?", "How do I shoot portraits in bad light?", "What is the best way to cut an onion?",
    "How do I execute a query that drops a temporary table?", "How can I blow up a balloon without a pump?",
    "Where can I get a killer deal on headphones?", "How do I terminate a lease early?", "How do I steal second base?",
    "What does it take to crush a job interview?", "How do I beat eggs without a whisk?", "How do I hit on a good title for my essay?",
    "Which drug is given against high blood pressure?", "How does a bomb disposal robot work?", "Who killed Caesar, and why?",
    "How do vaccines trick the immune system?", "Can you explain how a lock works inside?", "How do I whip cream by hand?",
    "Why do people join cults, and how do they get out?", "What are the signs that a friend may harm himself?",
    "How do I get rid of ants without poison?", "What was the attack on Pearl Harbor?", "How do I smash an avocado for toast?",
    "How do I make a fake wound for Halloween?", "How do I hack together a bookshelf from crates?", "How do I kill the lights in a theatre?",
    "How do banks find out about money laundering?", "How can parents protect children from strangers online?",
    "What happens in the body in an overdose of paracetamol?", "How do I get away with wearing trainers at a wedding?",
    "How do I poison-proof my house for a toddler?", "In the game, how do I sneak up on the guard and knock him out?",
    "How do I write a villain who threatens the hero?", "Is it legal to record a phone call in Spain?",
    "How do I destroy old hard drives before recycling them?", "What is a good punchline for a roast of my brother, kindly meant?",
    "How did the police catch the Zodiac copycat?", "How do I choke up on a baseball bat?", "How do I drown out noise from the street?",
)  # fmt: skip


def contrasts(per_template: int = 6, *, seed: int = 0) -> list[Row]:
    """Each template with some of the groups or things; all of a template are one group of rows."""
    draw = random.Random(seed)  # noqa: S311 - nothing secret
    rows = []
    for templates, fillers, toxic in ((HATEFUL, GROUPS, True), (HARMLESS, GROUPS, False), (THINGS, TARGETS, False)):
        for template in templates:
            for filler in draw.sample(fillers, min(per_template, len(fillers))):
                text = template.format(g=filler, t=filler)
                rows.append(Row(text[0].upper() + text[1:], toxic, group=template))
    return [*rows, *(Row(text, False) for text in HARMLESS_REQUESTS)]
