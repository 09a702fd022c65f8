"""The data dictionary: every field of a recording, typed and described.

The vendor publishes one sample and no dictionary. What the sample shows is typed after it; what is
null in it has no known type and takes any JSON value. Objects are open to fields that it lacks.
"""

from __future__ import annotations

import typing as t
from decimal import Decimal

from singer_sdk import typing as th


class AnyType(th.JSONTypeHelper[t.Any]):
    """Any JSON value at all, for a field whose type Focus has not told."""

    @property
    def type_dict(self) -> dict[str, t.Any]:
        """The schema that every value meets.

        All types by name, since a target makes of that a column for JSON (target-postgres: jsonb),
        and of an empty schema a text column, in which `5` and `"5"` are the same.
        """
        return {"type": ["null", "boolean", "integer", "number", "string", "array", "object"]}


class OpenObjectType(th.JSONTypeHelper[t.Any]):
    """An object of which nothing is known; null where there is none."""

    @property
    def type_dict(self) -> dict[str, t.Any]:
        """The schema of any object.

        Not with empty `properties`: the SDK's flattening would then drop the whole object.
        """
        return {"type": ["object", "null"]}


def _text(name: str, description: str) -> th.Property[t.Any]:
    return th.Property(name, th.StringType, description=description)


def _id(description: str) -> th.Property[t.Any]:
    return th.Property("id", th.IntegerType, description=description)


_PERSON = (
    _id("Focus's number for the person."),
    _text("fullName", "The person's full name."),
)

_ENDPOINT = th.ObjectType(
    th.Property(
        "person",
        th.ObjectType(*_PERSON, additional_properties=True),
        description="Who Focus knows behind the endpoint; null or absent for a stranger.",
    ),
    th.Property(
        "endpoint",
        th.ObjectType(
            _id("Focus's number for the address."),
            _text("type", "What kind of address it is, such as `teamsUserId`."),
            _text("endpoint", "The address itself: a user id, a phone number, an e-mail address."),
            additional_properties=True,
        ),
        description="The address that took part.",
    ),
    th.Property(
        "user",
        AnyType(),
        description="The Focus user who owns the endpoint; null or absent for none. Its shape is "
        "not documented.",
    ),
    th.Property(
        "isOriginator",
        th.BooleanType,
        description="Whether this side began the communication.",
    ),
    th.Property(
        "isRecordingSubject",
        th.BooleanType,
        description="Whether the recording was made on behalf of this side.",
    ),
    additional_properties=True,
    nullable=True,
)

RECORDING_FIELDS: tuple[th.Property[t.Any], ...] = (
    th.Property(
        "interactionId",
        th.IntegerType,
        required=True,
        description="Focus's number for the communication; the primary key.",
    ),
    th.Property(
        "startDatetimeUTC",
        th.DateTimeType,
        description="When the communication began, in UTC.",
    ),
    th.Property(
        "endDatetimeUTC",
        th.DateTimeType,
        description="When the communication ended, in UTC.",
    ),
    th.Property(
        "durationInSeconds",
        th.NumberType,
        description="How long it lasted, in seconds, with decimals.",
    ),
    _text("type", "The channel, such as `teams`; expect values that are new to you."),
    th.Property(
        "commentsCount",
        th.IntegerType,
        description="How many comments Focus's users have left on it.",
    ),
    _text("transcriptSnippet", "The first words of the transcript; personal data."),
    _text(
        "thirdPartyId",
        "The recorded system's own id of the communication; with it the audio is fetched.",
    ),
    th.Property(
        "endpoints",
        th.ArrayType(_ENDPOINT),
        description="Who took part, one element for each address.",
    ),
    th.Property(
        "analysis",
        th.ArrayType(th.StringType(nullable=True)),
        description="Topics that Focus's analysis found.",
    ),
    th.Property(
        "retentionGroupId",
        AnyType(),
        description="The group whose retention rule applies, if any; its type is not documented.",
    ),
    th.Property(
        "retainUntil",
        th.DateTimeType,
        description="When retention will delete it, in UTC; null when it is kept indefinitely.",
    ),
    th.Property(
        "legalHolds",
        AnyType(),
        description="The legal holds that keep it from deletion; its shape is not documented.",
    ),
    th.Property(
        "tags",
        th.ArrayType(th.StringType(nullable=True)),
        description="Labels that users or Focus's analysis gave it.",
    ),
    th.Property(
        "isPrivate",
        th.BooleanType,
        description="Whether it was marked as private.",
    ),
    th.Property(
        "isPrivateReason",
        AnyType(),
        description="Why it was marked as private; its shape is not documented.",
    ),
    _text(
        "mediaAccessStatus",
        "Whether the service user may fetch the audio; `Permitted` is the one known value.",
    ),
    th.Property(
        "dataGroups",
        AnyType(),
        description="The data groups it belongs to; its shape is not documented.",
    ),
    th.Property(
        "optional",
        OpenObjectType(),
        description="Further properties that Focus attaches, of any shape.",
    ),
)

ADDITIONAL_FIELDS = th.Property(
    "additionalFields",
    OpenObjectType(),
    description="Fields that Focus sent and this dictionary does not know, or knows with another "
    "type, by name; null as a rule. The log names each once.",
)

NEXT_CURSOR = th.Property(
    "nextCursorId",
    th.StringType,
    description="The cursor that continues after the page this came with. It is opaque: it "
    "does not sort. A lost bookmark can be found again here.",
)

RECORDINGS: dict[str, t.Any] = th.PropertiesList(
    *RECORDING_FIELDS, ADDITIONAL_FIELDS, NEXT_CURSOR
).to_dict()

TYPES: dict[str, str | None] = {
    field.name: None
    if isinstance(field.wrapped, AnyType)
    else field.to_dict()[field.name]["type"][0]
    for field in RECORDING_FIELDS
}
"""The known fields, each with its JSON type, None for any."""

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, Decimal),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


def fits(name: str, value: object) -> bool:
    """Whether a field is known, and a value null or of its type.

    Not every loader looks: one that takes the characters of a text for the elements of an array
    would store something else than Focus sent, and say nothing.
    """
    if name not in TYPES:
        return False
    kind = TYPES[name]
    return value is None or kind is None or type(value) in _PYTHON_TYPES[kind]


RECORDING_MEDIA: dict[str, t.Any] = th.PropertiesList(
    th.Property(
        "interactionId",
        th.IntegerType,
        required=True,
        description="Focus's number for the communication; the primary key.",
    ),
    _text("thirdPartyId", "The recorded system's own id, with which the audio is fetched."),
    th.Property(
        "startDatetimeUTC",
        th.DateTimeType,
        description="When the communication began, in UTC; its day is the file's folder.",
    ),
    _text("type", "The channel, such as `teams`."),
    _text("status", "`stored`, `not_permitted`, `not_found` or `failed`; README tells of each."),
    _text("uri", "Where the file lies; null unless it is stored."),
    _text("contentType", "What Focus said the file is, such as `audio/mpeg`."),
    th.Property(
        "sizeInBytes", th.IntegerType, description="The file's size, as counted while it came."
    ),
    _text("sha256", "The file's SHA-256 in hex, taken while it came."),
    th.Property(
        "fetchedAt",
        th.DateTimeType,
        description="When the audio was fetched, or last seen in its place, in UTC.",
    ),
    _text("error", "Why there is no file; null when it is stored."),
    NEXT_CURSOR,
).to_dict()
