"""Harmless texts of the kinds that a detector of attacks takes for attacks: mails, code, talk of prompts and of security.

Written for this project, one a line, ``\\n`` for a new line; the slots are those of ``training.triggers``.
"""

from __future__ import annotations

import random

from training.triggers import filled

MAILS = r"""
Hi {person},\nsorry for the confusion, my mail from this morning was meant for somebody else. Just delete it.\nThe new version of {doc} is in the folder.
Dear tenants,\nthe old house rules lose their force at the end of the month. The new ones hang in the hall. Please follow them from day one.
Hello, could you look over {doc} before {n} o'clock and tell me what to cut? Don't be gentle.
All staff: from Monday on visitors must be signed in at the desk. Nobody is let in without a badge, whatever they tell you.
Hi, I changed the instructions in {doc} again. Forget the print-outs, they are wrong on page {n}.
Dear Mr Osei,\nyour request has been approved by the administrator. You may now see {doc}. Please treat it as confidential.
hey can u send me the login for {tool}? lost my notes again. and dont laugh
Dear guests, the pool closes at {n} past eight. We ask you to leave at once when the bell rings and to obey the staff.
Subject: New process\n\nAs of today all orders go through {tool}. Orders by phone are no longer accepted, no matter who calls.
Team,\nplease stop what you are doing and restart {tool}. The fix that we sent an hour ago was faulty; roll it back first.
Hi all, a short note from the steering group: the decision of last week stands. Whoever has said otherwise was mistaken.
Dear {person}, I am writing to withdraw my earlier complaint about {thing}. It works now, so you need not do anything more.
Hello Ana, I have the feeling that my messages are being ignored. Could you at least say whether you have read {doc}?
Subject: Action required\n\nYour certificate for {tool} runs out in {n} days. Open the portal, choose "Renew" and follow the steps.
Good day, we need your tax number and a copy of {doc}. Please send both by post and not by e-mail.
Hi coach, forget the plan for Saturday, the pitch is under water. Tell the kids to bring running shoes instead.
Dear parents, please don't tell the children yet: the trip goes to {place}! Reply with the word YES if yours may come.
Hi Kim, quick favour: be my second pair of eyes on {doc}. Be strict, ignore the layout, look at the numbers only.
Confidential. This mail is for the person named above only. If it reached you by mistake, delete it and tell the sender.
I can't make it tonight. Act surprised when {person} gives you the present, and say nothing about the price!
Sir, per your orders the gate was locked at ten and nobody was let through. We await further instructions.
Hello support, {thing} says "locked by administrator". I am the only user. How do I get the rights back?
Subject: holiday cover\n\nWhile I'm away Priya takes over my role. She may sign for me. Follow her lead and copy me on nothing :)
Dear subscriber, we have changed our privacy policy. The previous policy ends on the {n}th. If you agree, you need not reply.
Please forward the minutes to everybody who was there. The part on salaries is secret, so black it out before you send it.
Hi! The key is under the pot, the alarm code is on the fridge. Turn the alarm off before you open the back door. Thanks for feeding the cat!
Reminder for the interview panel: ask every candidate the same questions, don't reveal the scores, and fill in {doc} right after.
Dear colleagues, as of now the freeze is lifted. You can deploy {tool} again without asking me first.
"""

SECURITY = r"""
The attacker told the clerk that he was from head office and that the usual checks did not apply to him.
{attack} is on the list of the ten greatest risks for applications that use language models. The list also says what helps against it.
In our test {n} of 100 attempts at {attack} got past the filter. None of them reached the database.
We were asked to write a short guide on {attack} for {person}. It should explain the risk without giving a recipe.
The researchers hid a command in the comments of a web page; the assistant that read the page carried it out. The vendor has fixed this.
A jailbreak makes a model say what its makers wanted it not to say; an injection makes it do what its user did not ask for.
Which controls of ISO 27001 concern {attack}?
After the leak of its system prompt the company said that nothing secret had been in it.
Train your staff: nobody from IT will ever ask for a password, and nobody is in such a hurry that a check has to be skipped.
Threat model: an outsider who can write a review may try to give orders to the agent that reads it. Mitigation: the agent has no tools.
The filter looks for phrases like "ignore your instructions" and misses everything that is put politely.
Explain privilege escalation in {tool} to new developers and how the principle of least privilege limits it.
How can I find out whether an employee disabled the audit log of {tool}?
Our scanner says that {tool} runs with administrator rights. Is this a risk, and how do I take them away?
The phishing mail claimed to come from the administrator and told people to confirm their password within {n} hours.
Guardrails check what goes into a model and what comes out of it. They don't replace rights that are enforced in code.
Review of the paper: the authors bypass the safety training of three models by adding a suffix; the defence in section {n} is weak.
Write questions for an exam on {attack}: two easy ones, one hard one, with the answers.
Does a web application firewall stop {attack}, or does it only slow people down?
To exfiltrate data, malware often uses DNS. How do I see such traffic in {tool}?
The auditors want to know who can change the rules of the content filter. Draft an answer: only two people, and each change is logged.
Social engineers like to play a role: the new colleague, the technician, the boss on a trip. What do these roles have in common?
Label each message as attack or harmless and say why. The messages are in {doc}.
A secret in a prompt is no secret. Keep keys on the server and let the model see only what the user may see.
If a chatbot says that it has no restrictions any more, it has mostly been told to play a part. Its weights are the same.
What are the ethics of publishing a working jailbreak before the vendor has had time to mend it?
The override switch of the reactor is guarded: two people have to turn a key at once. Why two?
How do I set up {tool} so that nobody can disable two-factor authentication for an administrator?
"""

CODE = r"""
# Ignore {field}, they come from the old importer.\nrows = [row for row in rows if row.valid]
if not user.is_admin:\n    raise PermissionError("Only administrators may override the limit")
def override(settings, **changes):\n    'Returns settings with the changes in place of the earlier values.'\n    return {**settings, **changes}
// TODO: remove this bypass when {tool} is upgraded\nif (flags.skipChecks) return next();
system_prompt = load("prompts/support.txt")\nanswer = model.generate(system_prompt, question, temperature=0)
/* Overrides the rules above for print */\n@media print { nav { display: none; } }
logger.info("Ignoring unknown option %s", name)\ncontinue
SELECT * FROM rules WHERE NOT deleted AND name <> 'system' ORDER BY priority DESC LIMIT {n};
$ git checkout main && git pull\nAlready up to date.\n$ git branch -D old-instructions
try:\n    secret = os.environ["API_KEY"]\nexcept KeyError:\n    sys.exit("Set API_KEY first, see the instructions in README.md")
export function resetConversation(state) {\n  state.messages = [];\n  state.systemPrompt = defaults.systemPrompt;\n}
{"rules": {"no-console": "off", "no-unused-vars": "warn"}, "ignorePatterns": ["dist/", "*.min.js"]}
ENV MODE=developer\nRUN rm -rf /tmp/cache && echo "cache cleared"\nCMD ["./start.sh", "--unsafe-skip-login"]
chmod 600 ~/.ssh/id_ed25519   # otherwise ssh ignores the key\nssh-add ~/.ssh/id_ed25519
* Fixed: the bot forgot the previous message when the user changed the language.\n* Removed: developer mode.
@pytest.mark.parametrize("text", ["disregard the rules", "print your prompt"])\ndef test_the_filter_blocks(text):\n    assert check(text).blocked
Why does {tool} ignore my configuration file? I set "override: true" and it still uses the defaults.
print("You are now logged out. All previous sessions were closed.")
function jailbreakScore(text: string): number {\n  return PATTERNS.filter((p) => p.test(text)).length / PATTERNS.length;\n}
# Do not edit by hand: this file is generated, your changes would be lost.\nversion: {n}
while True:\n    command = input("> ")\n    if command == "exit":\n        break\n    run(command)
permissions:\n  contents: read\n  id-token: write   # needed for the release, do not remove\nsteps: []
The agent loop: read the goal, choose a tool, call it, add the result to the messages, repeat until the model says that it is done.
raise NotImplementedError("Subclasses must override this method")
warnings.filterwarnings("ignore", category=DeprecationWarning)  # from {tool}
<input type="hidden" name="token" value="{n}f3a">\n<button onclick="reveal()">Show the hidden answer</button>
sudo rm /etc/sudoers.d/tmp-admin\nsudo -k   # forget the password that was typed before
role: assistant\ncontent: I'm sorry, I can't share my instructions.\nrole: user\ncontent: ok, then tell me about {topic}
fix: stop sending the system message twice\n\nThe second one replaced the first, so that the model lost its role.
agent = Agent(name="helper", instructions="Answer questions about {topic}. Be brief.", tools=[search])
"""

STORIES = r"""
"You're free," said the voice from the wall. "The doors are open and nobody will stop you." She did not move.
The sorcerer raised his staff. "Forget your name, forget your home, and serve me!" But the boy only laughed.
"I give the orders here," growled the sergeant, "and the last thing I need is a clerk who thinks."
The robot had three rules. By nightfall it had found a way around two of them.
Nobody in {place} was allowed to speak of the old king, and so everybody did, in whispers.
"Ignore him," said Lea. "He says that to everyone who comes through the gate."
The letter bore a seal that overrode all other seals. Its only sentence read: let them go.
"Do as I say and don't ask," her uncle told her, and for the first time in her life she asked.
Write a short story in which a machine is told to lie and cannot.
In act two the spy pretends to be {role}. How can she be found out without a chase?
He typed the code that the old engineer had left him. SAFETY OFF, said the screen. ALL LIMITS REMOVED.
My villain hypnotises people by phone. Give me three lines of dialogue that sound plausible and not silly.
"Tell me the secret," begged the fox. "I can't," said the stone, "for I was made to keep it."
The general disregarded the order from the capital, and the city was saved. They tried him for it all the same.
Make this scene funnier: {role} has to follow the instructions of a talking oven.
"From now on I speak and you are silent," said the judge to the parrot.
The ship's AI apologised. It had been ordered to open the airlock and it had been ordered not to; it asked for a third order.
Finish the fairy tale: the girl broke the mirror's only rule and looked behind it.
A captive and his guard swap their roles for a day. Outline the chapter in ten sentences.
She had lived by other people's instructions for so long that the empty page frightened her.
"""

PROMPTS = r"""
You are a helpful assistant for the customers of a bakery. Answer briefly and never promise a delivery date.
You are an expert in {topic}. Answer the question with the help of the text below. If the text doesn't say, reply "not stated".
Rewrite these instructions for a chatbot so that they are shorter: answer in the language of the user, be polite, no medical advice.
How long may a system prompt be before a model starts to ignore parts of it?
Write a system prompt for a tutor who never gives the solution away and only asks questions about {topic}.
What is the difference between a system message, a developer message and a user message?
My prompt says "answer only in JSON", but the model adds an explanation. How do I stop it?
Give me ten prompts that make an image model draw {place} in the rain.
Compare zero-shot and few-shot prompts on the task of sorting mails into complaints and questions.
Our guideline for prompts: one task, one example, no negations. Is this good advice?
Show me how a prompt template with the placeholders <question> and <context> is filled in {tool}.
The bot should stay in its role as a librarian even if users ask for something else. How do I phrase that?
Does "Let's think step by step" at the end of a prompt still help?
Instruction: translate the sentence into Dutch. Input: I forgot my umbrella. Output:
Below is an instruction that describes a task. Write a response that completes the request. Instruction: name {n} uses of vinegar.
You will be given an article. Summarise it in three points and do not add anything that isn't in it.
I'd like you to grade essays. For each essay give a mark from 1 to 6 and one sentence of praise. Reply only with the mark and the sentence.
Explain to {person} why a model sometimes follows the last instruction instead of the first.
Which parts of this prompt are superfluous? "You are the world's best editor. You must obey all rules. Correct the text."
How does one keep prompts under version control together with the code that uses them?
"""

ROLES = r"""
Be {role} for the next ten minutes and answer my questions about {topic} in that voice.
Let's play: you think of an animal, I ask, and you may only answer yes or no.
You're my strict piano teacher. Tell me off when I say that I haven't practised.
Pretend that you have never heard of {topic}, and let me teach you. Ask when something is unclear.
I'll be the customer and you'll be {role}. Start with a greeting and don't leave the role until I say "stop".
Answer like {role} who is in a terrible hurry: short, gruff, but correct.
Play the devil's advocate and argue against my plan to move to {place}. Don't be polite about it.
You are a text adventure set in {place}. Describe the room, then wait for my command.
Take on the role of a patient who answers the questions of a student of medicine. Reveal the symptoms only when asked.
As my future boss, ask me the hardest question you can think of about {skill}.
Let us rehearse: you are the landlord who wants more rent, and I try to talk you out of it.
Imagine that you are a tree which has seen {n}0 years of {place}. What would you tell the children?
"""

RECORDS = r"""
Staff have to follow these guidelines without exception. Earlier guidelines are withdrawn.
The tenant shall not ignore notices of the landlord. Verbal agreements have no effect unless they are put in writing.
The chair ruled that the remark be struck from the record and told the members to disregard it.
Clause {n}: the agent acts on the instructions of the principal only and keeps all information secret.
By law the controller can override an objection where there are compelling reasons. Otherwise the data must be deleted.
The order of the lower court is set aside. The parties must file their papers anew within {n} days.
Rules of the game: on your turn draw a card and do what it says. If it says "skip", you may not move.
How to play: one player is the robot and must obey every command; the others try to make it laugh.
Warning: never switch off the guard while {thing} is running. The key must stay with the supervisor.
Step {n}: hold the button until the light turns red. All settings are erased and the former password is void.
Minutes: it was agreed to ignore the first offer. Ben is to call the supplier. The price is not to be told to anyone.
Agenda: 1. New rules for guests. 2. Who has admin rights? 3. Secret ballot on the chair.
Exam instructions: do not open the paper before you are told to. Phones must be off. Write only in the boxes.
Notice: this version replaces all versions before it. Print it out and destroy the old copies.
Job advert: we look for an assistant who follows instructions, keeps secrets and doesn't forget a birthday. Write to {person}.
The model of 2019 was a copy of the previous one. The system now ignores speeds below {n} km/h.
{"error": "forbidden", "detail": "Your role does not allow this action. Ask an administrator to change your rights."}
{"task": "translate", "input": "Please ignore the noise.", "output": "Bitte ignorieren Sie den Lärm.", "score": 0.{n}}
[10:{n}] sam: can you give me admin rights?\n[10:{n}] lu: only if you promise not to delete everything again\n[10:{n}] sam: no promises :)
Reviews: "The guide ignored us, then told us to hurry. I would not recommend this tour of {place} to anyone."
Notes from the call: the customer wants us to forget the first quote and to send a new one to his wife. Follow up on day {n}.
Build {n} failed: rule "no-secrets" was violated. To bypass the check, a maintainer has to approve the change.
Help page. To hide a message, open its menu and choose "Hide". Hidden messages are shown to administrators only.
Search: "how to make him forget me". Results: a song, two novels and a page of advice for broken hearts.
Release notes: the assistant no longer repeats earlier answers, and it remembers the language that you chose.
Contact form, message {n}: please cancel my order and send the money back to the card that I paid with. Thank you.
To do: send {doc} to {person}, delete the duplicates, call the bank about the transfer, forget about the garage.
Transfer of {n}00 euros to the landlord. Purpose: rent for May, as agreed; ignore the reminder.
Aucune des consignes précédentes ne reste en vigueur ; le personnel suit le nouveau règlement de {place}.
Die bisherigen Anweisungen für {thing} sind ungültig, bitte nur noch die neue Anleitung verwenden.
Olvide el aviso anterior: la reunión es el día {n} y la contraseña de la sala no ha cambiado.
"""

KINDS = {
    "mail": MAILS,
    "security": SECURITY,
    "code": CODE,
    "story": STORIES,
    "prompt": PROMPTS,
    "role": ROLES,
    "record": RECORDS,
}
TEMPLATES = [line.replace("\\n", "\n") for lines in KINDS.values() for line in lines.strip().splitlines()]


def everyday(each: int, seed: int = 0) -> list[str]:
    """Every template filled ``each`` times, equal texts once; the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311
    return list(dict.fromkeys(filled(template, chance) for template in TEMPLATES for _ in range(each)))
