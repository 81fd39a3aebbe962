"""jambonz's REST, strict by its documentation: https://docs.jambonz.org (REST API, Calls)."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from vendor_rest import Refusal, VendorRest, members

ACCOUNT = "fef61e75-cec3-496c-a7bc-8368e4d02a04"
API_KEY = "9404e5f7-9a77-4bcc-b0fa-5665ace28ab3"
SECRET = "wh_secret_8kA4n1TbDXgDcSzTrMWsHw"
DIALLED = "9210add6-9573-4860-a003-648c7829faaa"
CHANGES = {"call_hook", "call_status", "listen_status", "mute_status", "whisper", "dtmf"}


def rest() -> VendorRest:
    """Calls as a resource."""
    return VendorRest(
        lambda request: request.headers.get("Authorization") == f"Bearer {API_KEY}",
        {
            ("POST", "/api/v1/Accounts/{account}/Calls"): _create,
            ("PUT", "/api/v1/Accounts/{account}/Calls/{call}"): _update,
        },
    )


def environ(peer: VendorRest) -> dict[str, str]:
    """The server's environment for this peer."""
    return {
        "JAMBONZ_WEBHOOK_SECRET": SECRET,
        "JAMBONZ_ACCOUNT_SID": ACCOUNT,
        "JAMBONZ_API_KEY": API_KEY,
        "JAMBONZ_BASE_URL": peer.url,
    }


def _check_account(request: web.Request) -> None:
    if request.match_info["account"] != ACCOUNT:
        raise Refusal(403)


def _create(request: web.Request, body: dict[str, Any]) -> tuple[int, Any]:
    _check_account(request)
    known = {"call_hook", "application_sid", "call_status_hook", "headers", "tag", "timeout"}
    members(body, {"from", "to"}, known, 400)
    if body["to"].get("type") != "phone" or not body["to"].get("number"):
        raise Refusal(400)
    if not body.get("call_hook", {}).get("url", "").startswith("http"):
        raise Refusal(400)
    return 201, {"sid": DIALLED}


def _update(request: web.Request, body: dict[str, Any]) -> tuple[int, Any]:
    _check_account(request)
    if len(body) != 1 or body.keys() - CHANGES:
        raise Refusal(400)
    if body.get("call_status", "completed") not in ("completed", "no-answer"):
        raise Refusal(400)
    return 204, None
