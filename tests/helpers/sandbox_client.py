"""A client of the sandbox, as plain as can be."""

from __future__ import annotations

import typing as t

import requests

if t.TYPE_CHECKING:
    from typing_extensions import Self

    from tap_focus.sandbox import Sandbox

CURSOR = "/client/recording/cursor"
PLAY = "/client/recording.playBackByThirdPartyId"


class Caller:
    """A client that logs in once and keeps its connection."""

    def __init__(self, box: Sandbox) -> None:
        self._url = box.url
        self._session = requests.Session()
        self._session.trust_env = False
        self.login = {
            "apiKey": box.settings["api_key"],
            "username": box.settings["username"],
            "clientId": box.settings["client_id"],
        }

    def __enter__(self) -> Self:
        token = self.post("/authWithAPIKey", self.login).json()["token"]
        self._session.headers["Authorization"] = f"Bearer {token}"
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def get(self, path: str = CURSOR, **params: t.Any) -> requests.Response:
        return self._session.get(self._url + path, params=params, timeout=10)

    def post(self, path: str, body: t.Any) -> requests.Response:
        return self._session.post(self._url + path, json=body, timeout=10)

    def send(self, path: str, **kwargs: t.Any) -> requests.Response:
        return self._session.post(self._url + path, timeout=10, **kwargs)

    def play(self, third_party_id: str) -> requests.Response:
        return self.post(PLAY, {"thirdPartyId": third_party_id})

    def page(self, **params: t.Any) -> tuple[list[dict[str, t.Any]], str]:
        response = self.get(**params)
        assert response.status_code == 200, response.text
        page = response.json()
        return page["recordings"], page["nextCursorId"]

    def walk(self, **params: t.Any) -> tuple[list[dict[str, t.Any]], str]:
        events, cursor = self.page(**params)
        size = {name: params[name] for name in params if name == "numberOfResults"}
        page = events
        while page:
            page, cursor = self.page(cursorId=cursor, **size)
            events += page
        return events, cursor
