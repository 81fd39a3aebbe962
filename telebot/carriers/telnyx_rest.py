"""Telnyx's REST: end a call, put it through, key digits, ring somebody up.

https://developers.telnyx.com/api-reference/call-commands/hangup-call and its neighbours. TeXML's
CallSid is Call Control's id of the same call; the commands of Call Control hold for both.
"""

from __future__ import annotations

import math
from binascii import b2a_base64
from collections.abc import Mapping
from typing import Any

from telebot.call.errors import CarrierError
from telebot.call.ports import Way
from telebot.carriers.rest import JsonRest, Told

# https://developers.telnyx.com/docs/overview/errors/90018 : the call has ended already; 90015 and
# 10005: there is none of that id
GONE_CODES = frozenset({"90018", "90015", "10005"})
GONE_STATUS = 404
FEWEST_S, MOST_S = 5, 600  # how long Telnyx lets a call ring


class TelnyxRest:
    """A client of one account. Belongs to the running loop; give it back with `close`."""

    def __init__(self, api_key: str, base_url: str) -> None:
        self._rest = JsonRest("Telnyx", base_url, lambda: f"Bearer {api_key}")

    async def hang_up(self, call_id: str) -> None:
        """End a call. One that is gone already is not an error. Raises `CarrierError`."""
        told = await self._command(call_id, "hangup", {})
        if not told.good and not _gone(told):
            raise _refused("hang-up", told)

    async def transfer(self, call_id: str, to: str) -> None:
        """Dial `to` and bridge; our stream is stopped. Raises `CarrierError`."""
        told = await self._command(call_id, "transfer", {"to": to})
        if not told.good:
            raise _refused("transfer", told)
        stopped = await self._command(call_id, "streaming_stop", {})
        if not stopped.good and not _gone(stopped):
            raise _refused("stopping the stream", stopped)

    async def update(self, account_sid: str, call_id: str, texml: str) -> None:
        """Replace what a TeXML call does. Raises `CarrierError`."""
        path = ("v2", "texml", "Accounts", account_sid, "Calls", call_id)
        told = await self._rest.ask("POST", path, form={"Texml": texml})
        if not told.good:
            raise _refused("transfer", told)

    async def send_digits(self, call_id: str, digits: str) -> None:
        """Key digits; ``w`` is half a second here as there. Raises `CarrierError`."""
        told = await self._command(call_id, "send_dtmf", {"digits": digits})
        if not told.good:
            raise _refused("digits", told)

    async def dial(self, connection_id: str, to: str, caller: str, way: Way) -> str:
        """Ring `to` up; returns the call's id. Raises `CarrierError`."""
        body = {
            "connection_id": connection_id,
            "to": to,
            "from": caller,
            "stream_url": way.media_url,
            "stream_track": "inbound_track",
            "stream_codec": "PCMU",
            "stream_bidirectional_mode": "rtp",
            "stream_bidirectional_codec": "PCMU",
            "client_state": b2a_base64(way.token.encode(), newline=False).decode(),
            "timeout_secs": max(FEWEST_S, min(MOST_S, math.ceil(way.within_s))),
            "webhook_url": way.status_url,
            "webhook_url_method": "POST",
        }
        told = await self._rest.ask("POST", ("v2", "calls"), body, once=True)
        data = told.tree.get("data")
        call_id = data.get("call_control_id") if isinstance(data, dict) else None
        if not told.good or not isinstance(call_id, str):
            raise _refused("the call", told)
        return call_id

    async def create(self, account_sid: str, texml_call: Mapping[str, str]) -> str:
        """Ring somebody up by TeXML; returns the call's id, "" where Telnyx does not say it (its
        webhooks do). Raises `CarrierError`."""
        body = {
            **texml_call,
            "UrlMethod": "POST",
            "StatusCallbackMethod": "POST",
            "StatusCallbackEvent": "initiated ringing answered completed",
        }
        path = ("v2", "texml", "Accounts", account_sid, "Calls")
        told = await self._rest.ask("POST", path, body, once=True)
        if not told.good:
            raise _refused("the call", told)
        return told.text("sid") or told.text("call_sid")

    async def close(self) -> None:
        """Close the connections."""
        await self._rest.close()

    async def _command(self, call_id: str, name: str, body: dict[str, Any]) -> Told:
        return await self._rest.ask("POST", ("v2", "calls", call_id, "actions", name), body)


def _codes(told: Told) -> set[str]:
    errors = told.tree.get("errors")
    return {
        str(error.get("code"))
        for error in (errors if isinstance(errors, list) else [])
        if isinstance(error, dict)
    }


def _gone(told: Told) -> bool:
    return told.status == GONE_STATUS or bool(_codes(told) & GONE_CODES)


def _refused(what: str, told: Told) -> CarrierError:
    return CarrierError(f"{what} refused: {told.status}, {', '.join(sorted(_codes(told)))}")
