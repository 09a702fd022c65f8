"""Read a cursor API with dlt's declarative REST source, and write JSON Lines to a local folder.

`max_table_nesting=0` and no compression come closest to one line of JSON for each recording. They
are also less work for dlt than its default of a separate table for each list.

usage: python pipeline.py CONFIG FOLDER
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

config = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
folder = Path(sys.argv[2])
# dlt writes to this folder only and sends no telemetry.
os.environ |= {
    "DLT_DATA_DIR": str(folder / "dlt"),
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "DATA_WRITER__DISABLE_COMPRESSION": "true",
}

import dlt  # noqa: E402 - reads os.environ on import
import requests  # noqa: E402
from dlt.sources.helpers.rest_client.auth import BearerTokenAuth  # noqa: E402
from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator  # noqa: E402
from dlt.sources.rest_api import rest_api_source  # noqa: E402

login = {
    "apiKey": config["api_key"],
    "username": config["username"],
    "clientId": config["client_id"],
}
response = requests.post(config["api_url"] + "/authWithAPIKey", json=login, timeout=60)
response.raise_for_status()
source = rest_api_source(
    {
        "client": {
            "base_url": config["api_url"],
            "auth": BearerTokenAuth(response.json()["token"]),
            "paginator": JSONResponseCursorPaginator(
                cursor_path="nextCursorId", cursor_param="cursorId", stop_after_empty_page=True
            ),
        },
        "resources": [
            {
                "name": "recordings",
                "primary_key": "interactionId",
                "endpoint": {
                    "path": "client/recording/cursor",
                    "params": {"numberOfResults": config["page_size"]},
                    "data_selector": "recordings",
                },
            }
        ],
    },
    max_table_nesting=0,
)
pipeline = dlt.pipeline(
    "focus",
    pipelines_dir=str(folder / "pipelines"),
    destination=dlt.destinations.filesystem(str(folder / "out")),
    dataset_name="focus",
)
pipeline.run(source, loader_file_format="jsonl")
