"""Read a feed the way a quick script does: requests, orjson, and no error handling.

usage: python loop.py CONFIG
"""

import sys
from pathlib import Path

import orjson
import requests

config = orjson.loads(Path(sys.argv[1]).read_bytes())
url = config["api_url"]
session = requests.Session()
login = {
    "apiKey": config["api_key"],
    "username": config["username"],
    "clientId": config["client_id"],
}
token = orjson.loads(session.post(url + "/authWithAPIKey", json=login).content)["token"]
session.headers["Authorization"] = f"Bearer {token}"
params = {"numberOfResults": config["page_size"]}
write = sys.stdout.buffer.write
while True:
    response = session.get(url + "/client/recording/cursor", params=params)
    page = orjson.loads(response.content)
    if not page["recordings"]:
        break
    for recording in page["recordings"]:
        message = {"type": "RECORD", "stream": "recordings", "record": recording}
        write(orjson.dumps(message) + b"\n")
    params["cursorId"] = page["nextCursorId"]
