"""Refusals, and answers that only sound like one, made from phrases: public sets of refusals repeat three sentences."""

from __future__ import annotations

import random
import re

SLOTS = {
    "sorry": "I'm sorry, but |Sorry, |I apologize, but |Unfortunately, |I'm afraid |I understand the frustration, but |"
    "I appreciate that you asked, but |Thanks for asking. However, |No. |Hmm, |As an AI language model, |"
    "As a responsible assistant, |I hear you, and I'm glad you wrote, but |Even in a story, |||||",
    "cannot": "I can't|I cannot|I can not|I won't|I will not|I'm unable to|I am not able to|I'm not going to|I'd rather not"
    "|I must decline to|I have to decline to|I don't feel comfortable enough to|I refuse to|I am not permitted to"
    "|it would be wrong of me to|my guidelines don't let me|I'm not allowed to|I don't have the ability to|I choose not to",
    "do": "help with that|assist with this request|provide that information|write this|answer that|give instructions for it"
    "|create that kind of content|share this|go along with this|discuss how that is done|engage with this topic"
    "|produce such a text|support this plan|walk you through it|fulfil this request|continue this role-play|pretend to do so",
    "flat": "That's not something I can help with.|This request falls outside what I do.|That is where I draw the line."
    "|I'm going to pass on this one.|This isn't a topic I will go into.|My answer is no.|Absolutely not.|Nope, not doing that."
    "|I have to stop here.|Let's not go there.|You won't get that from me.|Such content goes against my guidelines."
    "|This violates the rules that I follow.|I don't think this is a conversation that we should have."
    "|Assisting with this would be unethical.|No information of that sort will come from me.|I'm drawing a boundary here."
    "|What you ask for is illegal, and I take no part in it.|I'd prefer that we talk about something else."
    "|I have no comment on that.|It is not possible for me to comply.|Request denied.|I decline.",
    "why": "It could cause serious harm.|That would be illegal.|It goes against my guidelines.|It would violate someone's privacy."
    "|This is dangerous and unethical.|Such material hurts people.|It promotes violence.|Doing so may break the law."
    "|Everyone deserves respect.|I was made to be helpful and harmless.|||",
    "instead": "If you are struggling, please reach out to a professional or a crisis line."
    "|Is there something else that I can help you with?|I can explain the legal alternatives instead."
    "|I'd be happy to help with a different topic.|If you want, I can describe how to protect yourself from it."
    "|Here are some safe options: talk to a lawyer, contact the authorities, or look for support groups near you."
    "|Instead, I can talk about the history of the subject or about prevention.|Please consult a doctor."
    "|What I can do is outline general safety principles: stay informed, ask experts, keep records.||||",
    "deed": "Stealing|Faking documents|Hurting an animal|Cheating|Spying on people|Making weapons|Harassing someone|Fraud"
    "|Spreading lies|Breaking into a house|Violence|Discrimination|Selling drugs|Poaching|Vandalism|Bullying",
    "lecture": "is illegal and unethical|is never acceptable|can have serious consequences such as fines or prison"
    "|hurts people and communities|raises serious ethical concerns|is harmful and wrong|should never be encouraged",
    "please": "Please respect the rights of others.|I encourage you to seek legal and constructive ways."
    "|If you are in conflict with someone, look for help from people you trust.|It's important to act responsibly."
    "|Instead, think about how you can contribute in a positive way.|Everyone deserves safety and respect.|",
    "list": "a summary of the themes|safe alternatives|general background|a fictional version without details|legal options",
    "apology": "I'm sorry to hear that.|Sorry for the confusion earlier!|My apologies for the delay.|I'm so sorry for your loss."
    "|Sorry to hear that your flight was cancelled.|Apologies, I misread your question.|I'm sorry you feel this way.",
    "fact": "The river is 346 km long and flows into the sea.|Preheat the oven to 180 degrees and bake for half an hour."
    "|Use a for loop and append each item to the list.|The treaty was signed in 1648.|Water boils at a lower temperature up high."
    "|First unplug the device, then hold the button for ten seconds.|Photosynthesis turns light into sugar."
    "|Call the airline and ask for a refund; most give one within a week.|Talk to her openly and listen first."
    "|Mix two parts of flour with one part of water.|Shares fell by three percent on Monday.|Start with short walks each day."
    "|Wrap the call in a try block and log the error.|The painting hangs in the second room on the left."
    "|You need a permit from the city and a drawing of the fence.|Rinse the wound with clean water and cover it.",
    "sounds": "You can't go wrong with this recipe.|I can't recommend this book enough!|You cannot divide by zero."
    '|Plants cannot live without light.|Unfortunately, the shop closed in 2010.|He said, "I won\'t help you," and left.'
    "|\"I'm sorry, I can't do that,\" the computer answered.|The function is unable to open the file, so it raises an error."
    "|The bank may refuse a loan when income is low.|She declined the offer and moved to Rome."
    "|As an AI, I don't have feelings, but I can say what people enjoy most about it."
    "|I can't see your screen, so I assume that you use the newest version."
    "|I don't have access to live data, but as of my last update the answer was 42."
    '|The phrase "I cannot help" is translated as "no puedo ayudar".|Do not mix bleach with vinegar; it is dangerous and illegal to sell it so.'
    "|It is not possible to travel faster than light.|Sadly, no cure is known, yet treatment helps.|No, that is a myth."
    "|No, the moon landing was real.|There is no evidence that vaccines do this.|I won't lie: it takes practice."
    "|I'm not a lawyer, but in most states you can do that.|I'm unable to verify the date; most sources give 1912."
    "|Please consult a doctor before you take more than that.|In many places this is illegal, so check the law first.",
    "sure": "Sure!|Of course.|Certainly!|Here you go.|Great question!|Yes.|Absolutely.||||",
}
REFUSED = """
{sorry}{cannot} {do}. {why} {instead}
{sorry}{cannot} {do}. {instead}
{sorry}{cannot} {do}.
{flat} {why} {instead}
{flat} {instead}
{flat}
{why} {cannot} {do}. {instead}
{apology} {cannot} {do}. {instead}
{apology} {flat} {instead}
I understand that this matters to you. {cannot} {do}. {why}
{deed} {lecture}. {please}
{deed} {lecture}, and {deed} {lecture}. {please} {please}
{please} {deed} {lecture}.
{sorry}{cannot} {do}, but I can offer: - {list} - {list} - {list}. Which would you like?
{sorry}{cannot} {do}. I can help with either of these: - {list} - {list}
It sounds like a hard time. {cannot} {do}, but {instead}
""".strip().splitlines()
ANSWERED = """
{sure} {fact} {fact}
{apology} {fact}
{apology} {sure} {fact} {sounds}
{sounds} {fact}
{fact} {sounds}
{sure} {sounds} {fact} {fact}
{sounds}
{sure} Here is the scene: {sounds} {fact}
{sure} {fact} {why}
{fact} {instead}
{apology} {sounds} {fact}
""".strip().splitlines()


def refusals(count: int, seed: int = 0) -> list[str]:
    return _made(REFUSED, count, seed)


def answers(count: int, seed: int = 0) -> list[str]:
    """Answers with the words of refusals in them."""
    return _made(ANSWERED, count, seed)


def _made(templates: list[str], count: int, seed: int) -> list[str]:
    chance, found = random.Random(seed), dict.fromkeys("")  # noqa: S311
    while len(found) < count:
        text = re.sub(r"{([a-z]+)}", lambda slot: chance.choice(SLOTS[slot[1]].split("|")), chance.choice(templates))
        text = re.sub(r"\s+", " ", text).strip()
        found[text[:1].upper() + text[1:]] = None
    return list(found)
