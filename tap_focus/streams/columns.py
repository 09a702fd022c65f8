"""The columns of the streams: names, types and descriptions, as JSON schema.

The vendor publishes one sample recording and no data dictionary. The types follow the sample. A
field that is null in it accepts any JSON value. Objects accept fields that the sample lacks.
"""

from __future__ import annotations

import typing as t
from functools import partial

from singer_sdk import typing as th
from typing_extensions import override

ADDITIONAL_FIELDS_NAME = "additionalFields"
CURSOR_NAME = "nextCursorId"
TAP_FIELDS = (ADDITIONAL_FIELDS_NAME, CURSOR_NAME)
"""Columns that the tap adds; a field of that name in a recording has no column."""


class _JSONType(th.JSONTypeHelper[t.Any]):
    """A value of one of several JSON types, of any structure."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self._names = names

    @property
    @override
    def type_dict(self) -> dict[str, t.Any]:
        return {"type": [*self._names]}


# A target makes a JSON column of it (target-postgres: jsonb). Of an empty schema it would make a
# text column, in which `5` and `"5"` are the same.
_ANY_TYPE = _JSONType("null", "boolean", "integer", "number", "string", "array", "object")
# The SDK's flattening would drop an object with empty `properties`.
_OPEN_OBJECT = _JSONType("object", "null")

_NUMBERS = {"integer", "number"}

ANY = _ANY_TYPE.type_dict
"""Schema of a column that admits every value."""


def _property(kind: t.Any, name: str, description: str) -> th.Property[t.Any]:
    return th.Property(name, kind, description=description)


_text = partial(_property, th.StringType)
_integer = partial(_property, th.IntegerType)
_boolean = partial(_property, th.BooleanType)
_date_time = partial(_property, th.DateTimeType)
_texts = partial(_property, th.ArrayType(th.StringType(nullable=True)))
_any = partial(_property, _ANY_TYPE)
_open_object = partial(_property, _OPEN_OBJECT)

_KEY = th.Property(
    "interactionId",
    th.IntegerType,
    required=True,
    description="ID of the communication in Focus. Primary key.",
)
_THIRD_PARTY_ID = _text(
    "thirdPartyId", "ID of the communication in the recorded system. The audio is requested by it."
)
_NEXT_CURSOR = _text(
    CURSOR_NAME,
    "Cursor that continues after the page of this record. Opaque: it does not sort. A lost "
    "bookmark can be restored from it.",
)
_RETAIN_UNTIL = _date_time(
    "retainUntil", "When retention deletes the recording, in UTC. Null means indefinitely."
)
_LEGAL_HOLDS = _any(
    "legalHolds", "Legal holds that prevent deletion. Their structure is not documented."
)
_PERSON = th.ObjectType(
    _integer("id", "ID of the person in Focus."),
    _text("fullName", "The person's full name."),
    additional_properties=True,
)
_ADDRESS = th.ObjectType(
    _integer("id", "ID of the address in Focus."),
    _text("type", "Kind of address, such as `teamsUserId`."),
    _text("endpoint", "The address: a user ID, phone number or email address."),
    additional_properties=True,
)
_ENDPOINT = th.ObjectType(
    _property(_PERSON, "person", "The person behind the address, if Focus knows them."),
    _property(_ADDRESS, "endpoint", "The address that took part in the communication."),
    _any("user", "The Focus user who owns the address, if any. Its structure is not documented."),
    _boolean("isOriginator", "Whether this participant started the communication."),
    _boolean(
        "isRecordingSubject",
        "Whether the communication was recorded on behalf of this participant.",
    ),
    additional_properties=True,
    nullable=True,
)


def is_json_column(schema: t.Mapping[str, t.Any]) -> bool:
    """Return whether a column contains arrays, objects or values of several types."""
    kinds: set[str] = set()
    for alternative in schema.get("anyOf") or schema.get("oneOf") or [schema]:
        names = alternative.get("type", ["array"])
        kinds |= {names} if isinstance(names, str) else {*names}
    kinds -= {"null"}
    return bool(kinds & {"array", "object"}) or not (len(kinds) == 1 or kinds == _NUMBERS)


def message_schema(schema: t.Mapping[str, t.Any], *, json_text: bool) -> dict[str, t.Any]:
    """Return the schema of a SCHEMA message for the schema of a catalog.

    Arrays have no `items` in it, so that they become JSON columns in target-postgres, not arrays of
    JSON or text. With `json_text`, every column that `is_json_column` is a text.
    """
    properties = {}
    for name, definition in schema.get("properties", {}).items():
        column = {key: value for key, value in definition.items() if key != "items"}
        if json_text and is_json_column(definition):
            column = {key: column[key] for key in ("title", "description") if key in column}
            column["type"] = ["string", "null"]
        properties[name] = column
    return {**schema, "properties": properties}


RECORDING_FIELDS: tuple[th.Property[t.Any], ...] = (
    _KEY,
    _date_time("startDatetimeUTC", "Start of the communication, in UTC."),
    _date_time("endDatetimeUTC", "End of the communication, in UTC."),
    _property(th.NumberType, "durationInSeconds", "Duration in seconds, with decimals."),
    _text("type", "Channel, such as `teams`. Focus may add values."),
    _integer("commentsCount", "Number of comments by Focus users."),
    _text("transcriptSnippet", "First words of the transcript. Personal data."),
    _THIRD_PARTY_ID,
    _property(
        th.ArrayType(_ENDPOINT),
        "endpoints",
        "Participants, one element per address. Personal data.",
    ),
    _texts("analysis", "Topics found by the analysis of Focus."),
    _any("retentionGroupId", "Retention group, if any. Its type is not documented."),
    _RETAIN_UNTIL,
    _LEGAL_HOLDS,
    _texts("tags", "Labels set by users or by the analysis of Focus."),
    _boolean("isPrivate", "Whether the recording is marked as private."),
    _any(
        "isPrivateReason",
        "Why the recording is marked as private. Its structure is not documented.",
    ),
    _text(
        "mediaAccessStatus",
        "Whether the service user may download the audio. `Permitted` is the only documented "
        "value.",
    ),
    _any("dataGroups", "Data groups of the recording. Their structure is not documented."),
    _open_object("optional", "Further properties, of any structure."),
)

RECORDINGS: dict[str, t.Any] = th.PropertiesList(
    *RECORDING_FIELDS,
    _open_object(
        ADDITIONAL_FIELDS_NAME,
        "Fields without a column, and values that their column does not admit, by field name. "
        "Usually null. The log names each field once.",
    ),
    _NEXT_CURSOR,
).to_dict()

RECORDING_MEDIA: dict[str, t.Any] = th.PropertiesList(
    _KEY,
    _THIRD_PARTY_ID,
    _date_time(
        "startDatetimeUTC",
        "Start of the communication, in UTC. Its day is the folder of the file.",
    ),
    _text("type", "Channel, such as `teams`."),
    _text("status", "`stored`, `not_permitted`, `not_found` or `failed`."),
    _text("uri", "Location of the file. Null unless it is stored."),
    _text("contentType", "Content type of the file, such as `audio/mpeg`."),
    _integer("sizeInBytes", "Size of the file in bytes."),
    _text("sha256", "SHA-256 of the file in hexadecimal."),
    _date_time("fetchedAt", "When the file was downloaded, or found in the archive, in UTC."),
    _text(
        "error",
        "Why there is no file, or no newer one. It ends with `Not requested again` when the tap "
        "has given up.",
    ),
    _RETAIN_UNTIL,
    _LEGAL_HOLDS,
    _date_time("lockedUntil", "Until when the store prevents deletion, if `media_lock` is set."),
    _text("lockError", "Why the store could not apply the retention period or the legal hold."),
    _property(
        th.ArrayType(
            th.ObjectType(
                _text("uri", "Location of the file."),
                _integer("sizeInBytes", "Size of the file in bytes."),
                _text("sha256", "SHA-256 of the file in hexadecimal."),
                nullable=True,
            )
        ),
        "previousFiles",
        "Earlier versions of the audio, which are kept beside the current one. Usually null.",
    ),
    _NEXT_CURSOR,
).to_dict()
