"""Exotel's REST: ring somebody up and connect them to our stream.

https://developer.exotel.com/docs/agentstream/developer-guide#1-connect-to-voice-ai-api . Exotel has
none that ends a call or takes one out of its flow.
"""

from __future__ import annotations

import math

from aiohttp import encode_basic_auth

from telebot.call.errors import CarrierError
from telebot.carriers.rest import JsonRest

MAX_URL_CHARS = 600


class ExotelRest:
    """A client of one account. Belongs to the running loop; give it back with `close`."""

    def __init__(self, account_sid: str, api_key: str, api_token: str, base_url: str) -> None:
        login = encode_basic_auth(api_key, api_token)
        self._rest = JsonRest("Exotel", base_url, lambda: login)
        self._account = ("v1", "Accounts", account_sid)

    async def dial(
        self, to: str, caller: str, stream_url: str, status_url: str, within_s: float
    ) -> str:
        """Ring `to` up; returns the call's id. Raises `CarrierError`."""
        if len(stream_url) > MAX_URL_CHARS:
            raise CarrierError("the stream's URL is too long for Exotel")
        form = {
            "From": to,
            "CallerId": caller,
            "StreamUrl": stream_url,
            "StreamType": "bidirectional",
            "TimeOut": str(math.ceil(within_s)),
            "StatusCallback": status_url,
            "StatusCallbackEvents[0]": "terminal",
            "StatusCallbackContentType": "application/json",
        }
        path = (*self._account, "Calls", "connect.json")
        told = await self._rest.ask("POST", path, form=form, once=True)
        call = told.tree.get("Call", told.tree.get("call"))
        named = call if isinstance(call, dict) else {}
        call_id = named.get("Sid", named.get("sid"))
        if not told.good or not isinstance(call_id, str):
            raise CarrierError(f"the call refused: {told.status}")
        return call_id

    async def close(self) -> None:
        """Close the connections."""
        await self._rest.close()
