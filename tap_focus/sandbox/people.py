"""The company's staff and clients: names, phone numbers and addresses."""

from __future__ import annotations

import typing as t
import unicodedata

from tap_focus.sandbox.seeded_random import SeededRandom

# The endpoint's type in each channel.
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

# The format of a full name, given names, family names.
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

_STAFF = 389  # a prime: steps of any size visit everyone before anyone repeats
_CLIENTS = 397
_AREA_CODES = ("212", "312", "415", "617")
_CLIENT_DOMAINS = ("northgate.example", "quayside.example", "tallow-and-rye.example")

# Letters that Unicode normalization does not split into an ASCII letter and an accent.
_ASCII_LETTERS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ß": "ss"})


class Person(t.NamedTuple):
    """An employee or a client.

    Attributes:
        id: The person's number in Focus.
        name: The full name, in the person's own script.
        groups: The department and the office.
        addresses: Endpoint type → (endpoint ID, phone number or address).
    """

    id: int
    name: str
    groups: tuple[str, str]
    addresses: dict[str, tuple[int, str]]


def create_staff(seed: int) -> tuple[Person, ...]:
    """Return the company's 389 employees."""
    return tuple(_create_employee(seed, index) for index in range(_STAFF))


def create_clients(seed: int) -> tuple[Person, ...]:
    """Return the company's 397 clients."""
    return tuple(_create_client(seed, index) for index in range(_CLIENTS))


def _create_employee(seed: int, index: int) -> Person:
    name = _full_name(index)
    # Ofcom reserves these numbers for TV and radio drama.
    phones = f"+4420794{60000 + index}", f"+447700{900000 + index}"
    email = f"{_ascii_name(name)}.{100 + index}@harbour-finch.example"
    return _create_person(seed, 10 + index, name, phones, email)


def _create_client(seed: int, index: int) -> Person:
    name = _full_name(_STAFF + index)
    # 555-0100 to 555-0199 are reserved for fiction in every North American area code.
    landline = f"+1{_AREA_CODES[index // 100]}55501{index % 100:02d}"
    phones = landline, f"+447700{900500 + index}"
    email = f"{_ascii_name(name)}.{index}@{_CLIENT_DOMAINS[index % len(_CLIENT_DOMAINS)]}"
    return _create_person(seed, 2000 + index, name, phones, email)


def _create_person(
    seed: int, number: int, name: str, phones: tuple[str, str], email: str
) -> Person:
    random = SeededRandom(f"{seed}/person/{number}")
    landline, mobile = phones
    addresses = {
        "teamsUserId": random.uuid(),
        "phoneNumber": landline,
        "mobileNumber": mobile,
        "whatsAppNumber": mobile,
        "slackUserId": f"U0{random.randrange(1 << 36):09X}",
        "emailAddress": email,
    }
    return Person(
        id=number,
        name=name,
        groups=(random.choice(_DEPARTMENTS), random.choice(_OFFICES)),
        addresses={
            endpoint_type: (number * 10 + index, address)
            for index, (endpoint_type, address) in enumerate(addresses.items())
        },
    )


def _full_name(index: int) -> str:
    form, given, family = _NAMES[index % len(_NAMES)]
    row, column = divmod(index // len(_NAMES), len(family))
    return form.format(given=given[row % len(given)], family=family[column])


def _ascii_name(name: str) -> str:
    """Return a name for an email address: ASCII letters and dots. A Chinese name gives "staff"."""
    normalized = unicodedata.normalize("NFKD", name.lower().translate(_ASCII_LETTERS))
    letters = (char if char.isalpha() else " " for char in normalized if char.isascii())
    return ".".join("".join(letters).split()) or "staff"
