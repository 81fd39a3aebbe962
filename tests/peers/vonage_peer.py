"""Vonage's Voice API, strict by its documentation: https://developer.vonage.com/en/api/voice"""

from __future__ import annotations

import time
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from vendor_rest import Refusal, VendorRest, members

APPLICATION = "78d335fa-323d-0114-9c3d-d6f0d48968cf"
SECRET = "a signature secret of the tests, 32 characters and more"
DIALLED = "63f61863-4a51-4f6b-86e1-46edebcf9356"
_KEY = rsa.generate_private_key(65537, 2048)
PRIVATE_KEY = _KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def rest() -> VendorRest:
    """Calls as a resource."""
    routes = {
        ("PUT", "/v1/calls/{call}"): _update,
        ("PUT", "/v1/calls/{call}/dtmf"): _digits,
        ("POST", "/v1/calls"): _dial,
    }
    return VendorRest(_authorized, routes)


def _authorized(request: web.Request) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    try:
        claims = jwt.decode(token, _KEY.public_key(), algorithms=["RS256"])
    except jwt.InvalidTokenError:
        return False
    fresh = claims["exp"] - time.time() < 24 * 3600
    return scheme == "Bearer" and claims["application_id"] == APPLICATION and fresh


def _update(request: web.Request, body: dict[str, Any]) -> tuple[int, Any]:
    match body:
        case {"action": "hangup"}:
            members(body, {"action"}, set(), 400)
        case {"action": "transfer", "destination": {"type": "ncco", "ncco": [connect]}} if (
            connect["action"] == "connect"
        ):
            members(connect, {"action", "endpoint"}, {"from"}, 400)
            for endpoint in connect["endpoint"]:
                _number(endpoint)
        case {
            "action": "transfer",
            "destination": {"type": "ncco", "ncco": [{"action": "conversation", "name": _}]},
        }:
            pass
        case _:
            raise Refusal(400, {"title": "Bad Request"})
    return 204, None


def _digits(request: web.Request, body: dict[str, Any]) -> tuple[int, Any]:
    members(body, {"digits"}, set(), 400)
    if set(body["digits"]) - set("0123456789*#p"):
        raise Refusal(400, {"title": "Bad Request"})
    return 200, {"message": "DTMF sent", "uuid": request.match_info["call"]}


def _dial(request: web.Request, body: dict[str, Any]) -> tuple[int, Any]:
    known = {"answer_method", "event_url", "event_method", "ringing_timer"}
    members(body, {"to", "from", "answer_url"}, known, 400)
    for endpoint in (*body["to"], body["from"]):
        _number(endpoint)
    if not 1 <= body.get("ringing_timer", 60) <= 120 or len(body["answer_url"]) != 1:
        raise Refusal(400, {"title": "Bad Request"})
    call = {"uuid": DIALLED, "status": "started", "direction": "outbound"}
    return 201, call | {"conversation_uuid": "CON-f972836a-550f-45fa-956c-12a2ab5b7d22"}


def _number(endpoint: dict[str, str]) -> None:
    members(endpoint, {"type", "number"}, set(), 400)
    if endpoint["type"] != "phone" or not endpoint["number"].isdecimal():
        raise Refusal(400, {"title": "Bad Request"})  # E.164 without its +
