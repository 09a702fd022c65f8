"""Who is on the line: the company's staff, and the clients they talk to."""

from __future__ import annotations

import typing as t
import unicodedata

from tap_focus.sandbox.dice import Dice

# What an endpoint is called in each channel.
ENDPOINT_TYPES = {
    "teams": "teamsUserId",
    "phone": "phoneNumber",
    "mobile": "mobileNumber",
    "sms": "mobileNumber",
    "whatsapp": "whatsAppNumber",
    "slack": "slackUserId",
    "email": "emailAddress",
}

_DEPARTMENTS = (
    "Trading",
    "Sales",
    "Client Services",
    "Research",
    "Operations",
    "Compliance",
    "Treasury",
    "Technology",
)
_OFFICES = ("London", "Dublin", "Warsaw", "Madrid", "New York", "Singapore")

# How a name is put together, given names, family names.
_NAMES = (
    (
        "{given} {family}",
        ("Jane", "Oliver", "Zoë", "Grace", "Samuel", "Chloë", "Harriet"),
        ("Smith", "Whitlock", "Fairbairn", "Okafor", "Brontë", "Hughes", "Ashdown"),
    ),
    (
        "{given} {family}",
        ("Siobhán", "Seán", "Aoife", "Pádraig", "Niamh", "Ciarán", "Róisín"),
        ("O'Brien", "O'Neill", "Ní Dhomhnaill", "Byrne", "Mac Cárthaigh", "D'Arcy", "Walsh"),
    ),
    (
        "{given} {family}",
        ("José", "María", "Íñigo", "Lucía", "João", "Inês", "Ángel"),
        ("García", "Muñoz", "Ibáñez", "Gonçalves", "Peña y Lillo", "Castro", "Núñez"),
    ),
    (
        "{given} {family}",
        ("Łukasz", "Małgorzata", "Paweł", "Zofia", "Świętosława", "Jędrzej", "Ewa"),
        ("Wójcik", "Kowalska", "Dąbrowski", "Żuławska", "Szczęsny", "Gołąb", "Lis"),
    ),
    (
        "{given} {family}",
        ("Björk", "Søren", "Jürgen", "Åsa", "Þórdís", "Günther", "Mette-Marit"),
        ("Guðmundsdóttir", "Ødegård", "Müller-Lüdenscheidt", "Weiß", "Ångström", "Holm", "Kjær"),
    ),
    (
        "{family}{given}",
        ("娜", "伟", "秀英", "磊", "静怡", "浩然", "雪"),
        ("李", "王", "陈", "欧阳", "赵", "周", "黄"),
    ),
    (
        "{family} {given}",
        ("Thị Hương", "Văn Đức", "Thu Hà", "Quốc Bảo", "Minh Tâm", "Ngọc Ánh", "Hải"),
        ("Nguyễn", "Trần", "Phạm", "Huỳnh", "Đặng", "Võ", "Lê"),
    ),
    (
        "{given} {family}",
        ("Priya", "Arjun", "Yusuf", "Leïla", "Noa", "François", "Anaïs"),
        ("Venkataraman", "Singh", "Al-Masri", "Ben Youssef", "Lévy", "d'Aubigné", "Rao"),
    ),
)

_STAFF = 389  # a prime: steps of any size visit everyone before they come back
_CLIENTS = 397  # the same
_AREA_CODES = ("212", "312", "415", "617")
_CLIENT_FIRMS = ("northgate.example", "quayside.example", "tallow-and-rye.example")
_LETTERS_APART = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ß": "ss"})


class Person(t.NamedTuple):
    """Someone who can be recorded.

    Attributes:
        id: The number Focus knows them by.
        name: Their full name, in their own script.
        groups: Their department and office.
        addresses: Endpoint type → (endpoint id, number or address).
    """

    id: int
    name: str
    groups: tuple[str, str]
    addresses: dict[str, tuple[int, str]]


def uuid_of(number: int, tail: int) -> str:
    """Return a UUID's text: 80 bits of `number`, then 48 bits of `tail`."""
    text = f"{number:020x}"
    return f"{text[:8]}-{text[8:12]}-4{text[12:15]}-a{text[15:18]}-{tail:012x}"


def staff(seed: int) -> tuple[Person, ...]:
    """Return the people of the company, 389 of them."""
    return tuple(_employee(seed, place) for place in range(_STAFF))


def clients(seed: int) -> tuple[Person, ...]:
    """Return the people outside that the company talks to, 397 of them."""
    return tuple(_client(seed, place) for place in range(_CLIENTS))


def _employee(seed: int, place: int) -> Person:
    name = _name(place)
    # Numbers that Ofcom keeps for films and books.
    phones = f"+4420794{60000 + place}", f"+447700{900000 + place}"
    email = f"{_slug(name)}.{100 + place}@harbour-finch.example"
    return _person(seed, 10 + place, name, (*phones, email))


def _client(seed: int, place: int) -> Person:
    name = _name(_STAFF + place)
    # 555-0100 to 555-0199 is the North American block for fiction, in every area code.
    landline = f"+1{_AREA_CODES[place // 100]}55501{place % 100:02d}"
    email = f"{_slug(name)}.{place}@{_CLIENT_FIRMS[place % len(_CLIENT_FIRMS)]}"
    return _person(seed, 2000 + place, name, (landline, f"+447700{900500 + place}", email))


def _person(seed: int, number: int, name: str, reached: tuple[str, str, str]) -> Person:
    dice = Dice(f"{seed}/person/{number}")
    landline, mobile, email = reached
    addresses = (
        ("teamsUserId", uuid_of(dice.roll(1 << 80), dice.roll(1 << 48))),
        ("phoneNumber", landline),
        ("mobileNumber", mobile),
        ("whatsAppNumber", mobile),
        ("slackUserId", f"U0{dice.roll(1 << 36):09X}"),
        ("emailAddress", email),
    )
    return Person(
        id=number,
        name=name,
        groups=(_DEPARTMENTS[dice.roll(len(_DEPARTMENTS))], _OFFICES[dice.roll(len(_OFFICES))]),
        addresses={
            kind: (number * 10 + nth, address) for nth, (kind, address) in enumerate(addresses)
        },
    )


def _name(place: int) -> str:
    form, given, family = _NAMES[place % len(_NAMES)]
    row, column = divmod(place // len(_NAMES), len(family))
    return form.format(given=given[row % len(given)], family=family[column])


def _slug(name: str) -> str:
    """Return what an e-mail address makes of a name: plain letters and full stops."""
    spread = unicodedata.normalize("NFKD", name.lower().translate(_LETTERS_APART))
    plain = "".join(letter if letter.isalpha() else " " for letter in spread if letter.isascii())
    return ".".join(plain.split()) or "staff"
