"""A minimal client of the sandbox."""

from __future__ import annotations

import typing as t

import requests

if t.TYPE_CHECKING:
    from typing_extensions import Self

    from tap_focus.sandbox import Sandbox

LOGIN_PATH = "/authWithAPIKey"
CURSOR_PATH = "/client/recording/cursor"
AUDIO_PATH = "/client/recording.playBackByThirdPartyId"

Entries = list[dict[str, t.Any]]


class SandboxClient:
    """Sends requests on one connection, with a token from one login on entering."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._base_url = sandbox.url
        self._session = requests.Session()
        self._session.trust_env = False
        self.credentials = {
            "apiKey": sandbox.settings["api_key"],
            "username": sandbox.settings["username"],
            "clientId": sandbox.settings["client_id"],
        }

    def __enter__(self) -> Self:
        self._session.headers["Authorization"] = f"Bearer {self.get_token()}"
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def get(self, path: str, **kwargs: t.Any) -> requests.Response:
        return self._session.get(self._base_url + path, timeout=10, **kwargs)

    def post(self, path: str, **kwargs: t.Any) -> requests.Response:
        return self._session.post(self._base_url + path, timeout=10, **kwargs)

    def post_login(self, **changes: t.Any) -> requests.Response:
        return self.post(LOGIN_PATH, json={**self.credentials, **changes})

    def get_token(self) -> str:
        token: str = self.post_login().json()["token"]
        return token

    def get_cursor(self, **params: t.Any) -> requests.Response:
        return self.get(CURSOR_PATH, params=params)

    def post_audio(self, third_party_id: str) -> requests.Response:
        return self.post(AUDIO_PATH, json={"thirdPartyId": third_party_id})

    def get_page(self, **params: t.Any) -> tuple[Entries, str]:
        """Return the feed entries of one page and the next cursor."""
        response = self.get_cursor(**params)
        assert response.status_code == 200, response.text
        page = response.json()
        return page["recordings"], page["nextCursorId"]

    def get_all_pages(self, page_size: int = 100, **params: t.Any) -> tuple[Entries, str]:
        """Return the feed entries up to the first empty page, and its cursor."""
        page, cursor = self.get_page(numberOfResults=page_size, **params)
        entries = list(page)
        while page:
            page, cursor = self.get_page(numberOfResults=page_size, cursorId=cursor)
            entries += page
        return entries, cursor
