"""Telnyx's keys and its REST, strict by its documentation.

https://developers.telnyx.com/api-reference/call-commands/dial and its neighbours;
https://developers.telnyx.com/api-reference/texml-rest-commands/update-call
"""

from __future__ import annotations

import base64
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from vendor_rest import Refusal, VendorRest, members

API_KEY = "KEY0123"
_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PRIVATE = base64.b64encode(
    _KEY.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
).decode()
PUBLIC = base64.b64encode(_KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
DIALLED = "v3:the-call-that-was-dialled"

STREAM = {
    "stream_track": "inbound_track",
    "stream_bidirectional_mode": "rtp",
    "stream_bidirectional_codec": "PCMU",
}


def rest() -> VendorRest:
    """Calls as a resource."""
    actions = {
        "hangup": set(),
        "transfer": {"to"},
        "send_dtmf": {"digits"},
        "streaming_stop": set(),
    }
    routes = {
        ("POST", f"/v2/calls/{{call}}/actions/{name}"): _action(needed)
        for name, needed in actions.items()
    }
    routes["POST", "/v2/calls"] = _dial
    routes["POST", "/v2/texml/Accounts/{account}/Calls/{call}"] = _update
    routes["POST", "/v2/texml/Accounts/{account}/Calls"] = _create
    return VendorRest(
        lambda request: request.headers.get("Authorization") == f"Bearer {API_KEY}", routes
    )


def _action(needed: set[str]) -> Any:
    def check(request: web.Request, body: dict[str, Any]) -> tuple[int, Any]:
        members(body, needed, {"client_state", "command_id", "from", "duration_millis"})
        return 200, {"data": {"result": "ok"}}

    return check


def _dial(request: web.Request, body: dict[str, Any]) -> tuple[int, Any]:
    needed = {"connection_id", "to", "from", "stream_url", "client_state", *STREAM}
    members(body, needed, {"stream_codec", "webhook_url", "webhook_url_method", "timeout_secs"})
    if not 5 <= body.get("timeout_secs", 30) <= 600:
        raise Refusal(422)
    if any(body[name] != value for name, value in STREAM.items()):
        raise Refusal(422)
    base64.b64decode(body["client_state"], validate=True)
    if not body["stream_url"].startswith(("ws://", "wss://")):
        raise Refusal(422)
    call = {
        "call_control_id": DIALLED,
        "call_leg_id": "2dc6fc34-f9e0-11ea-b68e-02420a0f7768",
        "call_session_id": "2dc1b3c8-f9e0-11ea-bc5a-02420a0f7768",
        "is_alive": False,
        "record_type": "call",
    }
    return 200, {"data": call}


def _create(request: web.Request, body: dict[str, Any]) -> tuple[int, Any]:
    """Of whose answer the page shows no id."""
    known = {
        "UrlMethod",
        "StatusCallback",
        "StatusCallbackMethod",
        "StatusCallbackEvent",
    }
    members(body, {"ApplicationSid", "To", "From", "Url"}, known)
    return 200, {"from": body["From"], "to": body["To"], "status": "queued"}


def _update(request: web.Request, body: dict[str, Any]) -> tuple[int, Any]:
    members(body, {"Texml"}, {"Url", "Method", "Status"})
    return 200, {"sid": request.match_info["call"], "status": "in-progress"}
