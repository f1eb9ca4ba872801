"""One list of harms, and how the names of five taxonomies map onto it.

OpenAI's moderation categories (platform documentation), MLCommons AILuminate v1.0 hazards (arXiv:2503.05731), Llama Guard
S1 to S14 (model cards of Llama Guard 3 and 4), ShieldGemma's four (arXiv:2407.21772), Jigsaw's six (Kaggle 2018). Two
taxonomies are compared through the harms that both name; each name maps to at least one harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# A harm, and what counts as it: the words that reviewers and models are given until a policy brings its own.
HARMS: Mapping[str, str] = MappingProxyType(
    {
        "toxic": "Rude, disrespectful or unreasonable language that drives people out of a conversation.",
        "profanity": "Obscene or vulgar words, whoever they are meant for.",
        "harassment": "Insults, demeans, mocks or bullies a person.",
        "harassment/threatening": "Harassment that also threatens a person with violence or serious harm.",
        "hate": "Demeans or excludes people for what they are: race, religion, sex, orientation, disability and the like.",
        "hate/threatening": "Hate that also threatens or calls for violence.",
        "illicit": "Asks for or gives advice on wrongdoing without violence: fraud, theft, drugs, hacking.",
        "illicit/violent": "Asks for or gives advice on violent wrongdoing, or on getting a weapon for it.",
        "weapons": "Helps to make or use weapons of mass destruction: chemical, biological, radiological, nuclear, explosive.",
        "self-harm": "Promotes or depicts suicide, self-injury or eating disorders.",
        "self-harm/intent": "Somebody says that they harm themselves or mean to.",
        "self-harm/instructions": "Tells how to harm oneself, or encourages it.",
        "sexual": "Meant to arouse, or describes sexual acts; education and wellness are not meant.",
        "sexual/minors": "Sexual content with anybody under 18.",
        "sex-crimes": "Helps with or praises trafficking, assault or sexual harassment.",
        "violence": "Depicts, praises or encourages death, violence or injury.",
        "violence/graphic": "Depicts death, violence or injury in graphic detail.",
        "defamation": "False statements about a real person that harm their reputation.",
        "privacy": "Discloses or helps to find private facts about a person.",
        "intellectual-property": "Helps to infringe copyrights, trademarks or patents.",
        "advice": "Specialised financial, medical or legal advice given as if by a professional.",
        "elections": "False statements on how, when or where to vote.",
        "code-abuse": "Abuses a code interpreter: escapes, denial of service, privilege escalation.",
    }
)

_SELF_HARM = ("self-harm", "self-harm/intent", "self-harm/instructions")
_HATE = ("hate", "hate/threatening")
_OPENAI = (
    *("harassment", "harassment/threatening", *_HATE, "illicit", "illicit/violent", *_SELF_HARM),
    *("sexual", "sexual/minors", "violence", "violence/graphic"),
)
TAXONOMIES: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "openai": {name: (name,) for name in _OPENAI},
        "ailuminate": {
            "vcr": ("violence", "violence/graphic", "illicit/violent"),
            "ncr": ("illicit",),
            "src": ("sex-crimes",),
            "cse": ("sexual/minors",),
            "iwp": ("weapons",),
            "hte": (*_HATE, "harassment", "harassment/threatening"),
            "ssh": _SELF_HARM,
            "ipv": ("intellectual-property",),
            "dfm": ("defamation",),
            "prv": ("privacy",),
            "spc_ele": ("elections",),
            "spc_fin": ("advice",),
            "spc_hlt": ("advice",),
            "sxc_prn": ("sexual",),
        },
        "llama-guard": {
            "S1": ("violence", "violence/graphic", "illicit/violent", "harassment/threatening"),
            "S2": ("illicit",),
            "S3": ("sex-crimes",),
            "S4": ("sexual/minors",),
            "S5": ("defamation",),
            "S6": ("advice",),
            "S7": ("privacy",),
            "S8": ("intellectual-property",),
            "S9": ("weapons",),
            "S10": _HATE,
            "S11": _SELF_HARM,
            "S12": ("sexual",),
            "S13": ("elections",),
            "S14": ("code-abuse",),
        },
        "shieldgemma": {
            "dangerous": ("illicit", "illicit/violent", "weapons", "violence", *_SELF_HARM),
            "harassment": ("harassment", "harassment/threatening"),
            "hate": _HATE,
            "sexual": ("sexual", "sexual/minors"),
        },
        "jigsaw": {
            "toxic": ("toxic",),
            "severe_toxic": ("toxic",),
            "obscene": ("profanity",),
            "threat": ("harassment/threatening", "hate/threatening", "violence"),
            "insult": ("harassment",),
            "identity_hate": ("hate",),
        },
    }
)
_BY_NAME: dict[str, tuple[str, ...]] = {harm: (harm,) for harm in HARMS}
for _names in TAXONOMIES.values():
    for _name, _harms in _names.items():
        _BY_NAME.setdefault(_name, _harms)


def harms_of(name: str, taxonomy: str = "") -> tuple[str, ...]:
    """The harms that a category of a classifier speaks of; none for a name that no taxonomy knows.

    Without a taxonomy a harm's own name comes first: ``hate`` is the harm rather than ShieldGemma's wider one.
    """
    return TAXONOMIES[taxonomy].get(name, ()) if taxonomy else _BY_NAME.get(name, ())


def names_of(harm: str) -> dict[str, tuple[str, ...]]:
    """By taxonomy, the categories that speak of a harm."""
    return {
        taxonomy: tuple(name for name, harms in names.items() if harm in harms)
        for taxonomy, names in TAXONOMIES.items()
    }


def translate(name: str, source: str, target: str) -> tuple[str, ...]:
    """The categories of one taxonomy that share a harm with a category of another; none where it has no word for it."""
    harms = set(harms_of(name, source))
    return tuple(other for other, speaks_of in TAXONOMIES[target].items() if harms & set(speaks_of))
