"""Who takes part in a recording, and how Focus tells it: the `endpoints`."""

from __future__ import annotations

import typing as t

from tap_focus.sandbox.people import ENDPOINT_TYPES, Person, clients, staff

if t.TYPE_CHECKING:
    from collections.abc import Callable

    Endpoint = dict[str, t.Any]

# At most, beside the member of staff who is recorded; in other channels one.
_COLLEAGUES = {"teams": 8, "email": 4, "slack": 3}

# What an endpoint says about whose it is: the values of `person` and `user`. "own" stands for
# the one whose endpoint it is, "absent" for a key that is not there.
_STAFF_SHOWN = (
    *(("own", None),) * 4,
    *(("own", "own"),) * 2,
    (None, None),
    ("absent", "absent"),
)
_CLIENT_SHOWN = (
    *(("absent", "absent"),) * 5,
    (None, None),
    (None, "absent"),
    ("own", None),
)
_KNOWN = 6  # so many of the staff's variants name the person, as the host's always does
_USER_ID_BASE = 5000


class Participants:
    """Picks the people of each recording out of the company's staff and clients."""

    def __init__(self, seed: int) -> None:
        """Get to know everyone."""
        self.staff = staff(seed)
        self._clients = clients(seed)

    def pick(self, channel: str, roll: Callable[[int], int]) -> tuple[Person, list[Endpoint]]:
        """Choose who takes part.

        Args:
            channel: The recording's `type`.
            roll: The recording's dice.

        Returns:
            The member of staff whose recording it is, and everyone's endpoints: two or more,
            of different people, one of them the originator.
        """
        kind = ENDPOINT_TYPES[channel]
        count = len(self.staff)
        place, step = roll(count), 1 + roll(count - 1)
        host = self.staff[place]
        colleagues = roll(_COLLEAGUES.get(channel, 1) + 1)
        endpoints = [_endpoint(host, kind, _STAFF_SHOWN[roll(_KNOWN)])]
        for _ in range(colleagues):
            place = (place + step) % count
            endpoints.append(_endpoint(self.staff[place], kind, _STAFF_SHOWN[roll(8)]))
        if not colleagues or roll(2):
            client = self._clients[roll(len(self._clients))]
            endpoints.append(_endpoint(client, kind, _CLIENT_SHOWN[roll(8)]))
        endpoints[0]["isRecordingSubject"] = True
        endpoints[0 if roll(3) else -1]["isOriginator"] = True
        return host, endpoints


def _endpoint(person: Person, kind: str, shown: tuple[str | None, str | None]) -> Endpoint:
    as_person, as_user = shown
    number, address = person.addresses[kind]
    endpoint: Endpoint = {}
    if as_person != "absent":
        endpoint["person"] = as_person and {"id": person.id, "fullName": person.name}
    endpoint["endpoint"] = {"id": number, "type": kind, "endpoint": address}
    if as_user != "absent":
        user_id = _USER_ID_BASE + person.id
        endpoint["user"] = as_user and {"id": user_id, "fullName": person.name}
    endpoint["isOriginator"] = False
    endpoint["isRecordingSubject"] = False
    return endpoint
