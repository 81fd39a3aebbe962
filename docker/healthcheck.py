"""Asks the server in this container whether it is alive; exit 0 where it answers 200.

Run by the image's HEALTHCHECK. Plain `http.client`: it follows no proxy of the environment, and
starts in a few hundredths of a second.
"""

import http.client
import os
import sys

TIMEOUT_S = 4.0


def target(listen: str) -> tuple[str, int]:
    """Where to ask, from what the server listens on (`HOST:PORT`, `[::]:PORT`)."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    loopback = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
    return loopback.get(host, host), int(port)


def is_alive(listen: str) -> bool:
    """True where `GET /health/live` answers 200 in time."""
    connection = http.client.HTTPConnection(*target(listen), timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException) as error:
        print(f"not alive: {error}", file=sys.stderr)
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(not is_alive(os.environ.get("TELEBOT_HTTP", "127.0.0.1:8080")))
