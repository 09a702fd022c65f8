"""What the Meltano SDK's template for a REST tap comes to on this feed, with the least adaptation.

Everything is the SDK's own: the paginator, which ends at the first empty page, the record writer
and the conformance of types, each by default. Written as the template's questions lead to it
(REST, bearer token), with the login, the page's size and the cursor put in.

usage: python tap.py --config CONFIG
"""

from __future__ import annotations

import decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

import requests
from singer_sdk import RESTStream, Stream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import BearerTokenAuthenticator
from singer_sdk.helpers.jsonpath import extract_jsonpath
from singer_sdk.pagination import JSONPathPaginator

if TYPE_CHECKING:
    from collections.abc import Iterable

    from singer_sdk.streams.rest import HTTPRequest, PageContext

ENDPOINT = th.ObjectType(
    th.Property(
        "person",
        th.ObjectType(
            th.Property("id", th.IntegerType),
            th.Property("fullName", th.StringType),
        ),
    ),
    th.Property(
        "endpoint",
        th.ObjectType(
            th.Property("id", th.IntegerType),
            th.Property("type", th.StringType),
            th.Property("endpoint", th.StringType),
        ),
    ),
    th.Property(
        "user",
        th.ObjectType(
            th.Property("id", th.IntegerType),
            th.Property("fullName", th.StringType),
        ),
    ),
    th.Property("isOriginator", th.BooleanType),
    th.Property("isRecordingSubject", th.BooleanType),
)


class RecordingsStream(RESTStream[str]):
    """Every communication."""

    name = "recordings"
    path = "/client/recording/cursor"
    primary_keys = ("interactionId",)
    replication_key = None
    records_jsonpath = "$.recordings[*]"
    next_page_token_jsonpath = "$.nextCursorId"  # noqa: S105 - a place, no token
    schema = th.PropertiesList(
        th.Property("interactionId", th.IntegerType, required=True),
        th.Property("startDatetimeUTC", th.DateTimeType),
        th.Property("endDatetimeUTC", th.DateTimeType),
        th.Property("durationInSeconds", th.NumberType),
        th.Property("type", th.StringType),
        th.Property("commentsCount", th.IntegerType),
        th.Property("transcriptSnippet", th.StringType),
        th.Property("thirdPartyId", th.StringType),
        th.Property("endpoints", th.ArrayType(ENDPOINT)),
        th.Property("analysis", th.ArrayType(th.StringType)),
        th.Property("retentionGroupId", th.IntegerType),
        th.Property("retainUntil", th.DateTimeType),
        th.Property("legalHolds", th.ArrayType(th.ObjectType(additional_properties=True))),
        th.Property("tags", th.ArrayType(th.StringType)),
        th.Property("isPrivate", th.BooleanType),
        th.Property("isPrivateReason", th.StringType),
        th.Property("mediaAccessStatus", th.StringType),
        th.Property("dataGroups", th.ArrayType(th.StringType)),
        th.Property("optional", th.ObjectType(additional_properties=True)),
    ).to_dict()

    @property
    def url_base(self) -> str:
        """Where Focus is."""
        return str(self.config["api_url"])

    @cached_property
    def authenticator(self) -> BearerTokenAuthenticator:
        """What the login gives, once."""
        login = {
            "apiKey": self.config["api_key"],
            "username": self.config["username"],
            "clientId": self.config["client_id"],
        }
        response = requests.post(
            self.url_base + "/authWithAPIKey", json=login, timeout=self.timeout
        )
        response.raise_for_status()
        return BearerTokenAuthenticator(token=response.json()["token"])

    def get_new_paginator(self) -> JSONPathPaginator:
        """Take each page's cursor to the next."""
        return JSONPathPaginator(self.next_page_token_jsonpath)

    def get_http_request(self, *, page: PageContext[str]) -> HTTPRequest:
        """Ask for a page."""
        request = super().get_http_request(page=page)
        request.params["numberOfResults"] = self.config["page_size"]
        request.params["cursorId"] = page.next_page_token
        return request

    def parse_response(self, response: requests.Response) -> Iterable[dict[str, Any]]:
        """Find the page's recordings."""
        yield from extract_jsonpath(
            self.records_jsonpath, input=response.json(parse_float=decimal.Decimal)
        )


class TapTemplate(Tap):
    """The tap."""

    name = "tap-template"
    config_jsonschema = th.PropertiesList(
        th.Property("api_url", th.StringType, required=True),
        th.Property("api_key", th.StringType, required=True, secret=True),
        th.Property("username", th.StringType, required=True),
        th.Property("client_id", th.IntegerType, required=True),
        th.Property("page_size", th.IntegerType, default=100),
    ).to_dict()

    def discover_streams(self) -> list[Stream]:
        """Return the one stream."""
        return [RecordingsStream(self)]


if __name__ == "__main__":
    TapTemplate.cli()
