"""Schemas of the streams: every column with its type and description.

The vendor publishes one sample recording and no data dictionary. The types follow the sample. A
field that is null in it accepts any JSON value. Objects accept fields that the sample lacks.
"""

from __future__ import annotations

import typing as t

from singer_sdk import typing as th
from typing_extensions import override

ADDITIONAL_FIELDS_NAME = "additionalFields"
CURSOR_NAME = "nextCursorId"


class AnyType(th.JSONTypeHelper[t.Any]):
    """Any JSON value, for a field of undocumented type."""

    @property
    @override
    def type_dict(self) -> dict[str, t.Any]:
        """A schema that admits every value.

        It names all types, from which a target makes a JSON column (target-postgres: jsonb). For an
        empty schema it would make a text column, in which `5` and `"5"` are the same.
        """
        return {"type": ["null", "boolean", "integer", "number", "string", "array", "object"]}


class OpenObjectType(th.JSONTypeHelper[t.Any]):
    """An object with unknown properties, or null."""

    @property
    @override
    def type_dict(self) -> dict[str, t.Any]:
        """A schema that admits every object.

        Without empty `properties`, for which the SDK's flattening would drop the object.
        """
        return {"type": ["object", "null"]}


def _text(name: str, description: str) -> th.Property[t.Any]:
    return th.Property(name, th.StringType, description=description)


def _id(description: str) -> th.Property[t.Any]:
    return th.Property("id", th.IntegerType, description=description)


_PERSON = (
    _id("ID of the person in Focus."),
    _text("fullName", "The person's full name."),
)

_ENDPOINT = th.ObjectType(
    th.Property(
        "person",
        th.ObjectType(*_PERSON, additional_properties=True),
        description="The person behind the address, if Focus knows them.",
    ),
    th.Property(
        "endpoint",
        th.ObjectType(
            _id("ID of the address in Focus."),
            _text("type", "Kind of address, such as `teamsUserId`."),
            _text("endpoint", "The address: a user ID, phone number or email address."),
            additional_properties=True,
        ),
        description="The address that took part in the communication.",
    ),
    th.Property(
        "user",
        AnyType(),
        description="The Focus user who owns the address, if any. Its structure is not documented.",
    ),
    th.Property(
        "isOriginator",
        th.BooleanType,
        description="Whether this participant started the communication.",
    ),
    th.Property(
        "isRecordingSubject",
        th.BooleanType,
        description="Whether the communication was recorded on behalf of this participant.",
    ),
    additional_properties=True,
    nullable=True,
)

RECORDING_FIELDS: tuple[th.Property[t.Any], ...] = (
    th.Property(
        "interactionId",
        th.IntegerType,
        required=True,
        description="ID of the communication in Focus. Primary key.",
    ),
    th.Property(
        "startDatetimeUTC",
        th.DateTimeType,
        description="Start of the communication, in UTC.",
    ),
    th.Property(
        "endDatetimeUTC",
        th.DateTimeType,
        description="End of the communication, in UTC.",
    ),
    th.Property(
        "durationInSeconds",
        th.NumberType,
        description="Duration in seconds, with decimals.",
    ),
    _text("type", "Channel, such as `teams`. Focus may add values."),
    th.Property(
        "commentsCount",
        th.IntegerType,
        description="Number of comments by Focus users.",
    ),
    _text("transcriptSnippet", "First words of the transcript. Personal data."),
    _text(
        "thirdPartyId",
        "ID of the communication in the recorded system. The audio is requested by it.",
    ),
    th.Property(
        "endpoints",
        th.ArrayType(_ENDPOINT),
        description="Participants, one element per address. Personal data.",
    ),
    th.Property(
        "analysis",
        th.ArrayType(th.StringType(nullable=True)),
        description="Topics found by the analysis of Focus.",
    ),
    th.Property(
        "retentionGroupId",
        AnyType(),
        description="Retention group, if any. Its type is not documented.",
    ),
    th.Property(
        "retainUntil",
        th.DateTimeType,
        description="When retention deletes the recording, in UTC. Null means indefinitely.",
    ),
    th.Property(
        "legalHolds",
        AnyType(),
        description="Legal holds that prevent deletion. Their structure is not documented.",
    ),
    th.Property(
        "tags",
        th.ArrayType(th.StringType(nullable=True)),
        description="Labels set by users or by the analysis of Focus.",
    ),
    th.Property(
        "isPrivate",
        th.BooleanType,
        description="Whether the recording is marked as private.",
    ),
    th.Property(
        "isPrivateReason",
        AnyType(),
        description="Why the recording is marked as private. Its structure is not documented.",
    ),
    _text(
        "mediaAccessStatus",
        "Whether the service user may download the audio. `Permitted` is the only documented "
        "value.",
    ),
    th.Property(
        "dataGroups",
        AnyType(),
        description="Data groups of the recording. Their structure is not documented.",
    ),
    th.Property(
        "optional",
        OpenObjectType(),
        description="Further properties, of any structure.",
    ),
)

ADDITIONAL_FIELDS = th.Property(
    ADDITIONAL_FIELDS_NAME,
    OpenObjectType(),
    description="Fields without a column, and values that their column does not admit, by field "
    "name. Usually null. The log names each field once.",
)

NEXT_CURSOR = th.Property(
    CURSOR_NAME,
    th.StringType,
    description="Cursor that continues after the page of this record. Opaque: it does not sort. A "
    "lost bookmark can be restored from it.",
)

RECORDINGS: dict[str, t.Any] = th.PropertiesList(
    *RECORDING_FIELDS, ADDITIONAL_FIELDS, NEXT_CURSOR
).to_dict()

ANY = AnyType().type_dict
"""Schema of a column that admits every value."""

TAP_FIELDS = (ADDITIONAL_FIELDS_NAME, CURSOR_NAME)
"""Columns that the tap adds; a field of that name in a recording has no column."""

RECORDING_MEDIA: dict[str, t.Any] = th.PropertiesList(
    th.Property(
        "interactionId",
        th.IntegerType,
        required=True,
        description="ID of the communication in Focus. Primary key.",
    ),
    _text(
        "thirdPartyId",
        "ID of the communication in the recorded system. The audio is requested by it.",
    ),
    th.Property(
        "startDatetimeUTC",
        th.DateTimeType,
        description="Start of the communication, in UTC. Its day is the folder of the file.",
    ),
    _text("type", "Channel, such as `teams`."),
    _text("status", "`stored`, `not_permitted`, `not_found` or `failed`."),
    _text("uri", "Location of the file. Null unless it is stored."),
    _text("contentType", "Content type of the file, such as `audio/mpeg`."),
    th.Property("sizeInBytes", th.IntegerType, description="Size of the file in bytes."),
    _text("sha256", "SHA-256 of the file in hexadecimal."),
    th.Property(
        "fetchedAt",
        th.DateTimeType,
        description="When the file was downloaded, or found in the archive, in UTC.",
    ),
    _text("error", "Why there is no file. Null if it is stored."),
    NEXT_CURSOR,
).to_dict()
