"""Vonage's Voice API: end a call, give it another NCCO, key digits, ring somebody up.

https://developer.vonage.com/en/api/voice ; every request carries a token of its own, signed by the
application's private key (RS256, good for a minute).
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Mapping
from typing import Any

import jwt

from telebot.call.errors import CarrierError, Unable
from telebot.call.ports import Way
from telebot.carriers.rest import JsonRest, Told

TOKEN_LIFE_S = 60
GONE_STATUS = 404
LONGEST_RINGING_S = 120


class VonageRest:
    """A client of one application. Belongs to the running loop; give it back with `close`. Raises
    `Unable` on a key that is none."""

    def __init__(self, application_id: str, private_key: str, base_url: str) -> None:
        self._application_id = application_id
        self._key = private_key
        self._authorization()
        self._rest = JsonRest("Vonage", base_url, self._authorization)

    async def hang_up(self, call_id: str) -> None:
        """End a call. One that is gone already is not an error. Raises `CarrierError`."""
        told = await self._rest.ask("PUT", ("v1", "calls", call_id), {"action": "hangup"})
        if not told.good and told.status != GONE_STATUS:
            raise _refused("hang-up", told)

    async def transfer(self, call_id: str, action: Mapping[str, Any]) -> None:
        """Have a leg go on with another NCCO, of one action. Raises `CarrierError`."""
        body = {"action": "transfer", "destination": {"type": "ncco", "ncco": [action]}}
        told = await self._rest.ask("PUT", ("v1", "calls", call_id), body)
        if not told.good:
            raise _refused("transfer", told)

    async def send_digits(self, call_id: str, digits: str) -> None:
        """Key digits. Raises `CarrierError`."""
        path = ("v1", "calls", call_id, "dtmf")
        told = await self._rest.ask("PUT", path, {"digits": digits})
        if not told.good:
            raise _refused("digits", told)

    async def dial(self, to: str, caller: str, way: Way) -> str:
        """Ring `to` up; returns the call's id. Raises `CarrierError`."""
        body = {
            "to": [{"type": "phone", "number": to}],
            "from": {"type": "phone", "number": caller},
            "answer_url": [way.answer_url],
            "answer_method": "POST",
            "event_url": [way.status_url],
            "event_method": "POST",
            "ringing_timer": min(LONGEST_RINGING_S, math.ceil(way.within_s)),
        }
        told = await self._rest.ask("POST", ("v1", "calls"), body, once=True)
        call_id = told.text("uuid")
        if not told.good or not call_id:
            raise _refused("the call", told)
        return call_id

    async def close(self) -> None:
        """Close the connections."""
        await self._rest.close()

    def _authorization(self) -> str:
        now = int(time.time())
        claims = {
            "application_id": self._application_id,
            "iat": now,
            "exp": now + TOKEN_LIFE_S,
            "jti": str(uuid.uuid4()),
        }
        try:
            return "Bearer " + jwt.encode(claims, self._key, algorithm="RS256")
        except (jwt.PyJWTError, ValueError, TypeError):
            raise Unable("VONAGE_PRIVATE_KEY is not a private key of RSA") from None


def digits_of(digits: str) -> str:
    """Digits by Vonage's letters: half a second is ``p``. Raises `Unable` on A-D, which it does not
    have."""
    written = digits.replace("w", "p")
    if set(written) - set("0123456789*#p"):
        raise Unable("Vonage keys 0-9, * and # alone")
    return written


def _refused(what: str, told: Told) -> CarrierError:
    return CarrierError(f"{what} refused: {told.status} {told.text('title')[:200]}".rstrip())
