"""The participants of a recording: the `endpoints` array."""

from __future__ import annotations

import typing as t

from tap_focus.sandbox.people import ENDPOINT_TYPES, Person, create_clients, create_staff

if t.TYPE_CHECKING:
    from tap_focus.sandbox.seeded_random import SeededRandom

    Endpoint = dict[str, t.Any]
    Presence = t.Literal["object", "null", "absent"]

_MAX_COLLEAGUES = {"teams": 8, "email": 4, "slack": 3}  # 1 in every other channel
_USER_ID_BASE = 5000

# Values of an endpoint's `person` and `user`. Repeated pairs are more likely.
_HOST_IDENTITIES: tuple[tuple[Presence, Presence], ...] = (
    *(("object", "null"),) * 4,
    *(("object", "object"),) * 2,
)
_COLLEAGUE_IDENTITIES: tuple[tuple[Presence, Presence], ...] = (
    *_HOST_IDENTITIES,
    ("null", "null"),
    ("absent", "absent"),
)
_CLIENT_IDENTITIES: tuple[tuple[Presence, Presence], ...] = (
    *(("absent", "absent"),) * 5,
    ("null", "null"),
    ("null", "absent"),
    ("object", "null"),
)


class Participants:
    """Chooses the participants of each recording from the company's staff and clients."""

    def __init__(self, seed: int) -> None:
        self.staff = create_staff(seed)
        self._clients = create_clients(seed)

    def choose(self, channel: str, random: SeededRandom) -> tuple[Person, list[Endpoint]]:
        """Choose the participants of one recording.

        Args:
            channel: The recording's `type`.
            random: The source of the choice.

        Returns:
            The host, who is the employee being recorded, and the endpoints of all participants.
            There are at least two endpoints, all of different people. One is the originator.
        """
        endpoint_type = ENDPOINT_TYPES[channel]
        index = random.randrange(len(self.staff))
        step = 1 + random.randrange(len(self.staff) - 1)
        host = self.staff[index]
        colleagues = random.randrange(_MAX_COLLEAGUES.get(channel, 1) + 1)
        endpoints = [_endpoint(host, endpoint_type, random.choice(_HOST_IDENTITIES))]
        for _ in range(colleagues):
            index = (index + step) % len(self.staff)
            identity = random.choice(_COLLEAGUE_IDENTITIES)
            endpoints.append(_endpoint(self.staff[index], endpoint_type, identity))
        if not colleagues or not random.one_in(2):
            client = random.choice(self._clients)
            endpoints.append(_endpoint(client, endpoint_type, random.choice(_CLIENT_IDENTITIES)))
        endpoints[0]["isRecordingSubject"] = True
        endpoints[-1 if random.one_in(3) else 0]["isOriginator"] = True
        return host, endpoints


def _endpoint(person: Person, endpoint_type: str, identity: tuple[Presence, Presence]) -> Endpoint:
    endpoint_id, address = person.addresses[endpoint_type]
    return {
        **_identity_field("person", identity[0], person.id, person.name),
        "endpoint": {"id": endpoint_id, "type": endpoint_type, "endpoint": address},
        **_identity_field("user", identity[1], _USER_ID_BASE + person.id, person.name),
        "isOriginator": False,
        "isRecordingSubject": False,
    }


def _identity_field(key: str, presence: Presence, number: int, name: str) -> dict[str, t.Any]:
    if presence == "absent":
        return {}
    return {key: {"id": number, "fullName": name} if presence == "object" else None}
