"""What a client sends to a simulated vendor, in the forms that many vendors share."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web


def bearer(request: web.Request) -> str:
    """The key of ``Authorization: Bearer KEY``; "" where there is none."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key if scheme == "Bearer" else ""


def json_object(data: object) -> dict[str, Any] | None:
    """The JSON object of a text message; None where it is none, or no text."""
    if not isinstance(data, str):
        return None
    try:
        asked = json.loads(data)
    except ValueError:
        return None
    return asked if isinstance(asked, dict) else None
