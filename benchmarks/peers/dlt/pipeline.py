"""dlt's own way to read a cursor API and to leave JSON lines in a local folder.

Nested lists stay in their row (`max_table_nesting=0`), uncompressed: the nearest that dlt has to
one line of JSON for each recording, and less work for it than its default of a table for each list.

usage: python pipeline.py CONFIG FOLDER
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

config = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
folder = Path(sys.argv[2])
# All that dlt writes stays in the folder, and it calls nobody but the feed.
os.environ |= {
    "DLT_DATA_DIR": str(folder / "dlt"),
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "DATA_WRITER__DISABLE_COMPRESSION": "true",
}

import dlt  # noqa: E402 - it reads the environment
import requests  # noqa: E402
from dlt.sources.helpers.rest_client.auth import BearerTokenAuth  # noqa: E402
from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator  # noqa: E402
from dlt.sources.rest_api import rest_api_source  # noqa: E402

login = {
    "apiKey": config["api_key"],
    "username": config["username"],
    "clientId": config["client_id"],
}
answer = requests.post(config["api_url"] + "/authWithAPIKey", json=login, timeout=60)
answer.raise_for_status()
source = rest_api_source(
    {
        "client": {
            "base_url": config["api_url"],
            "auth": BearerTokenAuth(answer.json()["token"]),
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
