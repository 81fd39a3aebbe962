"""Plivo's REST: end a call, have it ask us again, key digits, ring somebody up.

https://www.plivo.com/docs/voice/api/call
"""

from __future__ import annotations

import math

from aiohttp import encode_basic_auth

from telebot.call.errors import CarrierError
from telebot.call.ports import Way
from telebot.carriers.rest import JsonRest, Told

GONE_STATUS = 404


class PlivoRest:
    """A client of one account. Belongs to the running loop; give it back with `close`."""

    def __init__(self, auth_id: str, auth_token: str, base_url: str) -> None:
        login = encode_basic_auth(auth_id, auth_token)
        self._rest = JsonRest("Plivo", base_url, lambda: login)
        self._account = ("v1", "Account", auth_id)

    async def hang_up(self, call_id: str, *, waits: bool) -> None:
        """End a call; `waits`: it may not have been answered yet. One that is gone already is not
        an error. Raises `CarrierError`."""
        told = await self._rest.ask("DELETE", (*self._account, "Call", call_id, ""))
        if told.status == GONE_STATUS and waits:
            told = await self._rest.ask("DELETE", (*self._account, "Request", call_id, ""))
        if not told.good and told.status != GONE_STATUS:
            raise _refused("hang-up", told)

    async def transfer(self, call_id: str, url: str) -> None:
        """Have the call go on with what `url` answers. Raises `CarrierError`."""
        body = {"legs": "aleg", "aleg_url": url, "aleg_method": "POST"}
        told = await self._rest.ask("POST", (*self._account, "Call", call_id, ""), body)
        if not told.good:
            raise _refused("transfer", told)

    async def send_digits(self, call_id: str, digits: str) -> None:
        """Key digits; ``w`` is half a second here as there. Raises `CarrierError`."""
        body = {"digits": digits, "leg": "aleg"}
        told = await self._rest.ask("POST", (*self._account, "Call", call_id, "DTMF", ""), body)
        if not told.good:
            raise _refused("digits", told)

    async def dial(self, to: str, caller: str, way: Way) -> str:
        """Ring `to` up; returns the request's id, which is the call's too where only one is called.
        Raises `CarrierError`."""
        body = {
            "from": caller,
            "to": to,
            "answer_url": way.answer_url,
            "answer_method": "POST",
            "fallback_url": way.fallback_url,
            "fallback_method": "POST",
            "hangup_url": way.status_url,
            "hangup_method": "POST",
            "ring_timeout": math.ceil(way.within_s),
        }
        told = await self._rest.ask("POST", (*self._account, "Call", ""), body, once=True)
        call_id = told.text("request_uuid")
        if not told.good or not call_id:
            raise _refused("the call", told)
        return call_id

    async def close(self) -> None:
        """Close the connections."""
        await self._rest.close()


def _refused(what: str, told: Told) -> CarrierError:
    return CarrierError(f"{what} refused: {told.status} {told.text('error')[:200]}".rstrip())
