"""A carrier's REST interface that says yes: servers hang up their calls over it."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Calls(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """POST /2010-04-01/Accounts/{sid}/Calls/{CallSid}.json: the call is completed."""
        self.rfile.read(min(int(self.headers.get("Content-Length") or 0), 65_536))
        sid = self.path.rpartition("/")[2].removesuffix(".json")
        body = json.dumps({"sid": sid, "status": "completed"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the bench prints its own table."""


@contextlib.contextmanager
def carrier_rest() -> Iterator[str]:
    """The base URL of a running interface, on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Calls)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
