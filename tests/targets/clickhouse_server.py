"""Serve ClickHouse's HTTP interface on a free port of localhost, by chdb: `… FOLDER`.

It prints the port. It ends when its standard input is closed.
"""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

from chdb.session import Session

session = Session(sys.argv[1])


class Handler(BaseHTTPRequestHandler):
    """Runs the query in the parameter `query` and in the body, which may continue it."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Respond with the rows in the format of the parameter `default_format`, or an error."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        parameters = parse_qs(urlsplit(self.path).query)
        query = " ".join([*parameters.get("query", []), body])
        output_format = parameters.get("default_format", ["TabSeparated"])[0]
        try:
            status, content = 200, session.query(query, output_format).bytes()
        except RuntimeError as error:
            status, content = 500, str(error).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Write no log."""


server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)  # noqa: T201
sys.stdin.read()
server.shutdown()
