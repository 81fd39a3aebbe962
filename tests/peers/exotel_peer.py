"""Exotel's REST, strict by its documentation:
https://developer.exotel.com/docs/agentstream/developer-guide"""

from __future__ import annotations

from typing import Any

from aiohttp import encode_basic_auth, web
from vendor_rest import Refusal, VendorRest, members

ACCOUNT, API_KEY, API_TOKEN = "exotel1", "a key of the tests", "a token of the tests"
DIALLED = "b6cfaf5f5cef3ca0fc937749ef960e25"


def rest() -> VendorRest:
    """Calls that are made."""
    routes = {("POST", "/v1/Accounts/{account}/Calls/connect.json"): _connect}
    return VendorRest(_authorized, routes)


def _authorized(request: web.Request) -> bool:
    login = encode_basic_auth(API_KEY, API_TOKEN)
    return (
        request.headers.get("Authorization") == login and request.match_info["account"] == ACCOUNT
    )


def _connect(request: web.Request, body: dict[str, Any]) -> tuple[int, Any]:
    known = {
        "StatusCallback",
        "StatusCallbackEvents[0]",
        "StatusCallbackContentType",
        "TimeOut",
        "TimeLimit",
    }
    members(body, {"From", "CallerId", "StreamUrl", "StreamType"}, known, 400)
    url = body["StreamUrl"]
    if body["StreamType"] != "bidirectional" or not url.startswith(("ws://", "wss://")):
        raise Refusal(400)
    if len(url) >= 600 or len(url.partition("?")[2]) > 256:
        raise Refusal(400)
    return 200, {"Call": {"Sid": DIALLED, "Status": "in-progress", "Direction": "outbound-api"}}
