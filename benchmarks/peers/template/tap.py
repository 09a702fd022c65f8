"""A tap for this feed as the Meltano SDK's template generates it, with the least adaptation.

The paginator, the writer and the type conformance are the SDK's defaults. The answers to the
template's questions were REST and bearer token. The login, the page size and the cursor are added.

usage: python tap.py --config CONFIG
"""

from __future__ import annotations

import decimal
import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from singer_sdk import RESTStream, Stream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import BearerTokenAuthenticator
from singer_sdk.helpers.jsonpath import extract_jsonpath
from singer_sdk.pagination import JSONPathPaginator

# This environment has no tap-focus. Only the field definitions are taken from the checkout.
sys.path.append(str(Path(__file__).parents[3]))

from tap_focus.streams.columns import RECORDING_FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from singer_sdk.streams.rest import HTTPRequest, PageContext


class RecordingsStream(RESTStream[str]):
    """All recordings."""

    name = "recordings"
    path = "/client/recording/cursor"
    primary_keys = ("interactionId",)
    replication_key = None
    records_jsonpath = "$.recordings[*]"
    next_page_token_jsonpath = "$.nextCursorId"  # noqa: S105 - a JSON path
    schema = th.PropertiesList(*RECORDING_FIELDS).to_dict()

    @property
    def url_base(self) -> str:
        """Base URL of the API."""
        return str(self.config["api_url"])

    @cached_property
    def authenticator(self) -> BearerTokenAuthenticator:
        """Log in once."""
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
        """Return a paginator that follows the cursor."""
        return JSONPathPaginator(self.next_page_token_jsonpath)

    def get_http_request(self, *, page: PageContext[str]) -> HTTPRequest:
        """Add the page size and the cursor to the request."""
        request = super().get_http_request(page=page)
        request.params["numberOfResults"] = self.config["page_size"]
        request.params["cursorId"] = page.next_page_token
        return request

    def parse_response(self, response: requests.Response) -> Iterable[dict[str, Any]]:
        """Yield the recordings of a page."""
        yield from extract_jsonpath(
            self.records_jsonpath, input=response.json(parse_float=decimal.Decimal)
        )


class TapTemplate(Tap):
    """Singer tap with one stream."""

    name = "tap-template"
    config_jsonschema = th.PropertiesList(
        th.Property("api_url", th.StringType, required=True),
        th.Property("api_key", th.StringType, required=True, secret=True),
        th.Property("username", th.StringType, required=True),
        th.Property("client_id", th.IntegerType, required=True),
        th.Property("page_size", th.IntegerType, default=100),
    ).to_dict()

    def discover_streams(self) -> list[Stream]:
        """Return the stream `recordings`."""
        return [RecordingsStream(self)]


if __name__ == "__main__":
    TapTemplate.cli()
