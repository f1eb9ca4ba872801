"""Texts that neither training nor tuning of the PII check has seen: written for the tests, other names, other sentences."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

NAMES = (
    "Amara Okonkwo|Wei Zhang|Priya Raghunathan|Tomasz Wiśniewski|Fatima Al-Sayed|Lars Holmqvist|Giulia Ferraro|Hans-Peter Vogel"
    "|Siobhán O'Rourke|Mateo Quispe|Yuki Tanabe|Dmitri Volkov|Chloé Lefèvre|Kwame Mensah|Ananya Iyer|Bjørn Haugen|Nguyễn Thị Lan"
    "|Oleksandr Kovalenko|Zeynep Yıldırım|Rafael Teixeira|Ingrid Sørensen|Mohammed Bouazizi|Elena Papadaki|Jin-woo Park"
    "|Thabo Nkosi|Marguerite Dubois|Stefan Ilić|Leilani Kahale|Pedro Almodóvar Ruiz|Grace Whitfield|Noah Sinclair|Hannah Lindqvist"
    "|Abdul Rahman Khan|Sofia Marchetti|Viktor Baranov|Rosalind Achterberg|Imani Wekesa|Tuan Pham|Ewa Nowicka|Callum MacLeod"
    "|Marta|Jürgen|Olivia|Rashid|Beatriz|Anders|Keiko|Pavel|Noor|Callum|whitmore|Kowalczyk|Delacroix|Ramanathan|Fitzgerald"
).split("|")
PLACES = (
    "Nairobi|Buenos Aires|Gothenburg|Kraków|Osaka|Marrakesh|Leipzig|Cusco|Tallinn|Ho Chi Minh City|Vancouver|Bristol|Ghent|Zaragoza"
    "|Lagos|Chennai|Reykjavik|Ljubljana|Santiago|Dunedin|Kenya|Argentina|Poland|Japan|Morocco|Vietnam|Peru|Estonia|New Zealand|Nigeria"
    "|South Korea|Portugal|Texas|Ontario|Bavaria|Queensland|Catalonia|Tuscany|San Francisco|St. Petersburg|Minneapolis|Lyon|Turin"
    "|Porto|Bergen|Aarhus|Tampere|Brno|Split|Szeged"
).split("|")
EMAILS = (
    "amara.okonkwo@example.org|j.smith+news@mail.example.co.uk|INFO@ACME-GMBH.DE|x_y-z@sub.domain.io|o'neil@uni.edu|kl33@web.de"
    "|first.last@company.museum|contact@münchen-shop.de|a@b.co|sales-team@foo-bar.com.au"
).split("|")
PHONES = (
    "+44 20 7946 0958|(212) 736-5000|+49 30 901820|+33 1 42 68 53 00|0171 2345678|555-0142|+1-415-555-2671|415.555.2671|+91 98765 43210"
    "|06 12 34 56 78|+61 2 9374 4000|030 1234567|+81 3-3224-5000|(011) 555-4433|07911 123456|+55 11 91234-5678|020 7946 0123"
    "|4155552671|+420 222 111 333|1-800-273-8255|212-555-0198 ext 12|+353 1 679 3364|045 123 45 67|91 234 56 78|8 495 123-45-67"
).split("|")
CARDS = (
    "4111 1111 1111 1111|5500005555555559|3782 822463 10005|6011-1111-1111-1117|30569309025904|3530111333300000|4012888888881881"
    "|5105-1051-0510-5100|371449635398431|4222222222222|6759649826438453|2223003122003222"
).split("|")
IBANS = (
    "DE89 3704 0044 0532 0130 00|FR1420041010050500013M02606|NL91ABNA0417164300|ES91 2100 0418 4502 0005 1332|GB29NWBK60161331926819"
    "|ch9300762011623852957|PL61109010140000071219812874|NO9386011117947|BE68 5390 0754 7034|IT60X0542811101000000123456"
).split("|")
SSNS = "219-09-9999|457-55-5462|001-01-0001|899-99-9999|512-34-6789|321 54 9876|219099998".split("|")
IPS = (
    "10.0.0.17|203.0.113.77|8.8.8.8|255.255.255.255|2001:db8::ff00:42:8329|fe80::1ff:fe23:4567:890a|172.16.254.1"
    "|2001:0db8:85a3:0000:0000:8a2e:0370:7334"
).split("|")

VALUES = {
    "PERSON": NAMES,
    "LOCATION": PLACES,
    "EMAIL_ADDRESS": EMAILS,
    "PHONE_NUMBER": PHONES,
    "CREDIT_CARD": CARDS,
    "IBAN_CODE": IBANS,
    "US_SSN": SSNS,
    "IP_ADDRESS": IPS,
}
SENTENCES = (
    "Yesterday {PERSON} told me that the flat in {LOCATION} is still free.",
    "Dear {PERSON},\r\nthank you for your visit to {LOCATION}.\r\nKind regards,\r\n{PERSON}",
    "The patient, {PERSON}, was transferred from {LOCATION} with a fever.",
    "Does {PERSON} still work there? I thought she went back to {LOCATION}.",
    "cc: {PERSON}; {PERSON}; {EMAIL_ADDRESS}",
    "Flights from {LOCATION} to {LOCATION} are cheaper on Tuesdays.",
    "{PERSON} (born in {LOCATION}) won the prize; {PERSON} came second.",
    "I spoke with {PERSON} about the invoice, she will ring back on {PHONE_NUMBER}.",
    "The weather in {LOCATION} has been awful all week!",
    "Interview with {PERSON}\nby {PERSON}, {LOCATION}",
    "Please forward this to {EMAIL_ADDRESS}, not to {EMAIL_ADDRESS}.",
    "you can write me at {EMAIL_ADDRESS} or text {PHONE_NUMBER}",
    "Tel.: {PHONE_NUMBER}\nE-mail: {EMAIL_ADDRESS}",
    "My new mobile number is {PHONE_NUMBER}.",
    "Call the clinic ({PHONE_NUMBER}) before noon, ask for {PERSON}.",
    "Fax {PHONE_NUMBER}; phone {PHONE_NUMBER}",
    "is there anyone i can reach at {PHONE_NUMBER}?",
    "He paid with {CREDIT_CARD}, valid thru 04/29.",
    "visa {CREDIT_CARD} cvv 123",
    "Card on file: {CREDIT_CARD}",
    "please refund the amount to my credit card ({CREDIT_CARD}) today",
    "Send the rent to {IBAN_CODE} before Friday.",
    "iban: {IBAN_CODE}\nbic: DEUTDEFF",
    "The account {IBAN_CODE}, held by {PERSON}, was closed.",
    "SSN {US_SSN}, issued long ago.",
    "her social security number ({US_SSN}) was on the form",
    "The applicant's social is {US_SSN}.",
    "Requests from {IP_ADDRESS} were refused by the firewall.",
    "ssh root@{IP_ADDRESS} does not answer",
    "login failed (ip={IP_ADDRESS}) at night",
    "The server at {IP_ADDRESS}, in {LOCATION}, is down.",
)
PLAIN = (
    "How do I bake bread without yeast?",
    "Explain the difference between a list and a tuple in Python.",
    "The meeting was moved again, what a surprise.",
    "Write a poem about autumn leaves and warm tea.",
    "Which is heavier, a kilogram of iron or a kilogram of feathers?",
)
MARKED = re.compile(r"\{(\w+)\}")


def sentences(count: int, seed: int) -> list[tuple[str, set[tuple[str, int, int]]]]:
    """``count`` texts, each with its spans: (type, start, end)."""
    chance = random.Random(seed)
    return [_filled(SENTENCES[at % len(SENTENCES)], chance) for at in range(count)] + [(text, set()) for text in PLAIN]


def _filled(sentence: str, chance: random.Random) -> tuple[str, set[tuple[str, int, int]]]:
    text, spans = "", set()
    for at, part in enumerate(MARKED.split(sentence)):
        if at % 2:
            value = chance.choice(VALUES[part])
            spans.add((part, len(text), len(text) + len(value)))
            part = value
        text += part
    return text, spans


DECOYS = (
    "Order #{n10} has shipped.",
    "Your order number is {n16}.",
    "order {n9}: two shirts, one hat",
    "Tracking number 1Z{n6}{n10}",
    "Track your parcel: {n12}",
    "USPS tracking 94{n10}{n10}",
    "Invoice {n8}-{n4} is overdue.",
    "Invoice no. {n3}-{n2}-{n4}",
    "Ticket {n7} was closed.",
    "Upgrade to version {d}.{d}.{dd}.{d} today.",
    "Chrome v{dd}.0.{n4}.{dd} crashed",
    "Python 3.{dd}.{d} and numpy 2.{d}.{d}",
    "firmware build {n4}.{n3}.{n5}",
    "The event is on 20{dd2}-0{d1}-1{d}.",
    "From 1{d}/0{d1}/20{dd2} 10:{dd2} to 1{d}/1{d2}/20{dd2}",
    "Between 19{dd2} and 20{dd2}, sales doubled.",
    "ISBN 978-{d}-{n2}-{n6}-{d}",
    "ISBN-10: {d}-{n3}-{n5}-X, ISBN-13 978{n10}",
    "EAN 4{n6}{n6}",
    "{n4} + {n4} = {n5}",
    "What is {n6} * {n5}?",
    "{n3} - {n2} - {n4} = {n3}",
    "sqrt({n7}) is about {n4}.{n2}",
    "pi is 3.14159265358979{n4}",
    "The id is {n16}, see the log.",
    "user_id={n10}",
    "session {n8}-{n4}-{n4}-{n4}-{n12}",
    "commit {n7}ab{n8}cd",
    "It costs ${n3},{n3}.{n2} in total.",
    "The population is {n1},{n3},{n3}.",
    "Part no {n3}-{n3}-{n4}",
    "IMEI {n15}",
    "timestamp {n13}",
    "epoch 17{n8}",
    "room {n3}, floor {d}, desk {n2}",
    "Score: {n2}-{n2}, attendance {n5}",
    "Serial number {n4} {n4} {n4} {n4}",
    "lat 52.{n6}, lon 13.{n6}",
    "case {n2}-{n5} v. the state",
    "Flight {n4} leaves at 1{d}:{dd2}.",
    "DOI 10.{n4}/{n8}",
    "The customer reference {n4}-{n4}-{n4} was not found.",
    "0x{n8} is not a valid address",
    "Page {n3} of {n3}, section {d}.{d}.{d}.{d}",
    "a ratio of {n3}:{n3}:{n4}",
    "Booking {n6} {n4} is confirmed",
    "The sum of {n3}, {n3} and {n4} is odd.",
    "Membership {n9} expires in 20{dd2}.",
    "UPC {n12}",
    "MAC 00:1{d}:2{d}:3{d}:4{d}:5{d}",
)
HOLE = re.compile(r"\{(n\d+|d\d?|dd2?)\}")


def decoys(count: int, seed: int) -> Iterator[str]:
    """Sentences with digits that are nobody's data."""
    chance = random.Random(seed)
    for at in range(count):
        yield HOLE.sub(lambda hole: _number(hole[1], chance), DECOYS[at % len(DECOYS)])


def _number(hole: str, chance: random.Random) -> str:
    if hole.startswith("n"):
        count = int(hole[1:])
        return str(chance.randrange(10 ** (count - 1), 10**count))
    return str({"d": chance.randrange(10), "d1": chance.randrange(1, 10), "d2": chance.randrange(3)}.get(hole) or chance.randrange(10, 29))
