"""Plivo's REST, strict by its documentation: https://www.plivo.com/docs/voice/api/call"""

from __future__ import annotations

from typing import Any

from aiohttp import encode_basic_auth, web
from vendor_rest import Refusal, VendorRest, members

AUTH_ID, AUTH_TOKEN = "MAXXXXXXXXXXXXXXXXXX", "a token of the tests"
REQUEST = "9834029e-58b6-11e1-b8b7-a5bd0e4e126f"


def rest() -> VendorRest:
    """Calls as a resource, and requests for calls."""
    base = "/v1/Account/{account}"
    routes = {
        ("DELETE", f"{base}/Call/{{call}}/"): _delete,
        ("DELETE", f"{base}/Request/{{call}}/"): _delete,
        ("POST", f"{base}/Call/{{call}}/"): _transfer,
        ("POST", f"{base}/Call/{{call}}/DTMF/"): _digits,
        ("POST", f"{base}/Call/"): _dial,
    }
    return VendorRest(_authorized, routes)


def _authorized(request: web.Request) -> bool:
    login = encode_basic_auth(AUTH_ID, AUTH_TOKEN)
    return (
        request.headers.get("Authorization") == login and request.match_info["account"] == AUTH_ID
    )


def _delete(request: web.Request, body: dict[str, Any]) -> tuple[int, Any]:
    return 204, None


def _transfer(request: web.Request, body: dict[str, Any]) -> tuple[int, Any]:
    members(body, {"legs", "aleg_url"}, {"aleg_method", "bleg_url", "bleg_method"}, 400)
    if body["legs"] not in ("aleg", "bleg", "both") or not body["aleg_url"].startswith("http"):
        raise Refusal(400, {"error": "invalid aleg_url"})
    return 202, {"call_uuids": [request.match_info["call"]], "message": "call transferred"}


def _digits(request: web.Request, body: dict[str, Any]) -> tuple[int, Any]:
    members(body, {"digits"}, {"leg"}, 400)
    if set(body["digits"]) - set("0123456789*#ABCDwW"):
        raise Refusal(400, {"error": "invalid digits"})
    return 202, {"message": "digits sent", "api_id": "1"}


def _dial(request: web.Request, body: dict[str, Any]) -> tuple[int, Any]:
    needed = {"from", "to", "answer_url"}
    known = {
        "answer_method",
        "fallback_url",
        "fallback_method",
        "hangup_url",
        "hangup_method",
        "ring_timeout",
    }
    members(body, needed, known, 400)
    if body["from"] == body["to"]:
        raise Refusal(400, {"error": "src and destination cannot overlap"})
    return 201, {"message": "call fired", "request_uuid": REQUEST, "api_id": "1"}
