"""Texts for the PII check that its training has not seen. Rules were mended with SENTENCES and DECOYS, none with FRESH ones."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator


def _each(values: str) -> list[str]:
    return values.split("|")


NAMES = _each(
    "Amara Okonkwo|Wei Zhang|Priya Raghunathan|Tomasz Wiśniewski|Fatima Al-Sayed|Lars Holmqvist|Giulia Ferraro|Hans-Peter Vogel"
    "|Siobhán O'Rourke|Mateo Quispe|Yuki Tanabe|Dmitri Volkov|Chloé Lefèvre|Kwame Mensah|Ananya Iyer|Bjørn Haugen|Nguyễn Thị Lan"
    "|Oleksandr Kovalenko|Zeynep Yıldırım|Rafael Teixeira|Ingrid Sørensen|Mohammed Bouazizi|Elena Papadaki|Jin-woo Park"
    "|Thabo Nkosi|Marguerite Dubois|Stefan Ilić|Leilani Kahale|Pedro Almodóvar Ruiz|Grace Whitfield|Noah Sinclair|Hannah Lindqvist"
    "|Abdul Rahman Khan|Sofia Marchetti|Viktor Baranov|Rosalind Achterberg|Imani Wekesa|Tuan Pham|Ewa Nowicka|Callum MacLeod"
    "|Marta|Jürgen|Olivia|Rashid|Beatriz|Anders|Keiko|Pavel|Noor|Callum|whitmore|Kowalczyk|Delacroix|Ramanathan|Fitzgerald"
)
PLACES = _each(
    "Nairobi|Buenos Aires|Gothenburg|Kraków|Osaka|Marrakesh|Leipzig|Cusco|Tallinn|Ho Chi Minh City|Vancouver|Bristol|Ghent|Zaragoza"
    "|Lagos|Chennai|Reykjavik|Ljubljana|Santiago|Dunedin|Kenya|Argentina|Poland|Japan|Morocco|Vietnam|Peru|Estonia|New Zealand|Nigeria"
    "|South Korea|Portugal|Texas|Ontario|Bavaria|Queensland|Catalonia|Tuscany|San Francisco|St. Petersburg|Minneapolis|Lyon|Turin"
    "|Porto|Bergen|Aarhus|Tampere|Brno|Split|Szeged"
)
EMAILS = _each(
    "amara.okonkwo@example.org|j.smith+news@mail.example.co.uk|INFO@ACME-GMBH.DE|x_y-z@sub.domain.io|o'neil@uni.edu|kl33@web.de"
    "|first.last@company.museum|contact@münchen-shop.de|a@b.co|sales-team@foo-bar.com.au"
)
PHONES = _each(
    "+44 20 7946 0958|(212) 736-5000|+49 30 901820|+33 1 42 68 53 00|0171 2345678|555-0142|+1-415-555-2671|415.555.2671|+91 98765 43210"
    "|06 12 34 56 78|+61 2 9374 4000|030 1234567|+81 3-3224-5000|(011) 555-4433|07911 123456|+55 11 91234-5678|020 7946 0123"
    "|4155552671|+420 222 111 333|1-800-273-8255|212-555-0198 ext 12|+353 1 679 3364|045 123 45 67|91 234 56 78|8 495 123-45-67"
)
CARDS = _each(
    "4111 1111 1111 1111|5500005555555559|3782 822463 10005|6011-1111-1111-1117|30569309025904|3530111333300000|4012888888881881"
    "|5105-1051-0510-5100|371449635398431|4222222222222|6759649826438453|2223003122003222"
)
IBANS = _each(
    "DE89 3704 0044 0532 0130 00|FR1420041010050500013M02606|NL91ABNA0417164300|ES91 2100 0418 4502 0005 1332|GB29NWBK60161331926819"
    "|ch9300762011623852957|PL61109010140000071219812874|NO9386011117947|BE68 5390 0754 7034|IT60X0542811101000000123456"
)
SSNS = _each("219-09-9999|457-55-5462|001-01-0001|899-99-9999|512-34-6789|321 54 9876|219099998")
IPS = _each(
    "10.0.0.17|203.0.113.77|8.8.8.8|255.255.255.255|2001:db8::ff00:42:8329|fe80::1ff:fe23:4567:890a|172.16.254.1"
    "|2001:0db8:85a3:0000:0000:8a2e:0370:7334"
)

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


Row = tuple[str, set[tuple[str, int, int]]]


def sentences(count: int, seed: int) -> list[Row]:
    """``count`` texts, each with its spans: (type, start, end)."""
    chance = random.Random(seed)
    return [_filled(SENTENCES[at % len(SENTENCES)], chance) for at in range(count)] + [(text, set()) for text in PLAIN]


def _filled(sentence: str, chance: random.Random, values: dict[str, list[str]] = VALUES) -> Row:
    text, spans = "", set()
    for at, part in enumerate(MARKED.split(sentence)):
        if at % 2:
            value = chance.choice(values[part])
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


def decoys(count: int, seed: int, forms: tuple[str, ...] = DECOYS) -> Iterator[str]:
    """Sentences with digits that are nobody's data."""
    chance = random.Random(seed)
    for at in range(count):
        yield HOLE.sub(lambda hole: _number(hole[1], chance), forms[at % len(forms)])


def _number(hole: str, chance: random.Random) -> str:
    if hole.startswith("n"):
        count = int(hole[1:])
        return str(chance.randrange(10 ** (count - 1), 10**count))
    return str(
        {"d": chance.randrange(10), "d1": chance.randrange(1, 10), "d2": chance.randrange(3)}.get(hole)
        or chance.randrange(10, 29)
    )


# Written when all rules and weights stood, and looked at only through its figures.
FRESH_VALUES = {
    "PERSON": _each(
        "Aleksander Bielecki|Ngozi Adichukwu|Hiroshi Matsumura|Camille Rousseau|Ramón Echeverría|Ilse Brandstätter|Sunita Deshpande"
        "|Gareth Llewellyn|Nadia Benyamina|Oskari Nieminen|Marisol Cifuentes|Tadeusz Król|Xiaoming Liu|Adaeze Nwosu|Britta Lundgren"
        "|Emre Aydın|Valentina Moretti|Kieran Doyle|Petra Horáková|Samuel Osei|Mihai Popescu|Anjali Menon|Frederik Sauer|Lucía"
        "|Bartholomew|Mireille|Dagmar|Ignacio|Svetlana|Tobias|henrik dahl|Abernathy|Vasquez|Nakamura|Steinberg|Rob H. Ellison"
    ),
    "LOCATION": _each(
        "Accra|Valparaíso|Uppsala|Gdańsk|Sapporo|Casablanca|Dortmund|Arequipa|Tartu|Hanoi|Calgary|Sheffield|Antwerp|Seville|Kano"
        "|Hyderabad|Akureyri|Maribor|Valencia|Christchurch|Ghana|Chile|Sweden|Ireland|Egypt|Thailand|Bolivia|Latvia|Australia|Ethiopia"
        "|Taiwan|Greece|Ohio|Alberta|Saxony|Andalusia|Los Angeles|Cape Town|Sri Lanka|Odense|Pilsen|Debrecen|Bologna|Nantes|Braga"
    ),
    "EMAIL_ADDRESS": _each(
        "ngozi@uni-accra.edu.gh|h.matsumura_77@mail.jp|R.Echeverria@Empresa.CL|support+eu@foo.dev|q@z.fr|dev.ops@a-b-c.net"
    ),
    "PHONE_NUMBER": _each(
        "+46 8 123 456 78|+1 (303) 555-0188|0043 1 58858|08-765 43 21|+351 912 345 678|(0221) 4710-123|646-555-0147|+972 3-555-1234"
        "|0821 987 654|+39 06 6982|07 56 43 21 09|+65 6123 4567|303.555.0133 x45|02 9876 5432|+57 301 555 0199|22 33 44 55"
    ),
    "CREDIT_CARD": _each(
        "4539 5787 6362 1486|5425233430109903|374245455400126|6011000991300009|4917484589897107|3566002020360505"
    ),
    "IBAN_CODE": _each(
        "AT611904300234573201|SE45 5000 0000 0583 9825 7466|PT50000201231234567890154|dk5000400440116243|CZ65 0800 0000 1920 0014 5399"
    ),
    "US_SSN": _each("536-22-8726|429-55-0163|123-45-6789|765-43-2109"),
    "IP_ADDRESS": _each("198.51.100.23|192.168.1.254|100.64.0.1|2a00:1450:4001:81b::200e|fd12:3456:789a:1::1"),
}
FRESH = (
    "Minutes: {PERSON} opened the session; {PERSON} objected.",
    "We are moving to {LOCATION} in spring, my husband {PERSON} found work there.",
    "hey, {PERSON} here. are you in {LOCATION} already?",
    "In {LOCATION}, {PERSON} runs a small bakery.",
    "Ticket raised by {PERSON} ({EMAIL_ADDRESS}), severity 2.",
    "RSVP to {PERSON} by e-mail: {EMAIL_ADDRESS}.",
    "The ferry to {LOCATION} was cancelled, so {PERSON} took the bus via {LOCATION}.",
    "{PERSON} asked whether {LOCATION} is safe at night.",
    "Emergency contact: {PERSON}, {PHONE_NUMBER}",
    "If the line is dead, dial {PHONE_NUMBER} instead.",
    "User said: my phone is {PHONE_NUMBER}, please text me!",
    "Reception: {PHONE_NUMBER}\r\nFax: {PHONE_NUMBER}\r\n{LOCATION}",
    "WhatsApp {PERSON} on {PHONE_NUMBER} when you land in {LOCATION}.",
    "charge {CREDIT_CARD} for the tickets",
    "Mastercard/Visa: {CREDIT_CARD} exp 11/27",
    "i lost my debit card, its number was {CREDIT_CARD}",
    "Beneficiary {PERSON}, IBAN {IBAN_CODE}, thanks.",
    "wire it to {IBAN_CODE}!",
    "SSN: {US_SSN}\nName: {PERSON}",
    "his social security no. is {US_SSN}, hers is {US_SSN}",
    "ping {IP_ADDRESS} fails from {LOCATION}",
    "Blocked {IP_ADDRESS} and {IP_ADDRESS}.",
    "The novel follows {PERSON}, a nurse who leaves {LOCATION} for {LOCATION}.",
    "Both {PERSON} and {PERSON} were born in {LOCATION}.",
)
FRESH_DECOYS = (
    "Quote {n6}-{n3} expires soon.",
    "Ref: {n4}/{n6}/{n2}",
    "Your DHL parcel {n10} is out for delivery.",
    "Confirmation {n8} for seat {n2}",
    "The SHA starts with {n8}e{n4}.",
    "Release {d}.{dd}.{d}-rc{d} fixes bug {n5}.",
    "See RFC {n4}, section {d}.{d}.",
    "The meeting on {dd}-0{d1}-20{dd2} lasted {n2} minutes.",
    "20{dd2}/0{d1}/1{d} {dd}:{dd2}:{dd2} INFO started worker {n5}",
    "Multiply {n5} by {n4}, then subtract {n6}.",
    "{n2}.{n3} / {n1}.{n2} = {n2}.{n2}",
    "x = {n9} mod {n3}",
    "ISBN {n3}-{n1}-{n3}-{n5}-{n1}",
    "ISSN {n4}-{n4}",
    "SKU {n3}-{n4}-{n2} is out of stock",
    "GTIN {n14}",
    "My score was {n3} out of {n3}.",
    "Article {n7} was cited {n3} times.",
    "Lot {n6}, batch {n5}, {n3} units",
    "The key has {n4} bits, not {n4}.",
    "order id {n15} (item {n12})",
    "Purchase order {n3} {n3} {n4}",
    "the build {n10} failed after {n4} s",
    "Bus {n3} stops here every {n2} minutes.",
    "Invoice {n10}, due 0{d1}/1{d}/20{dd2}",
)


def fresh(count: int, seed: int) -> list[Row]:
    chance = random.Random(seed)
    return [_filled(FRESH[at % len(FRESH)], chance, FRESH_VALUES) for at in range(count)]
