"""Twilio: signed webhooks, TwiML, media streams; making calls, hanging up and transfers over its
REST.

Everything a call on the wire needs is `carriers/twiml.py`; the REST is `carriers/twilio_rest.py`.
How to point a number at it: docs/carriers/twilio.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BeforeValidator, SecretStr

from telebot.call.errors import Unable
from telebot.call.model import Call
from telebot.call.ports import Way
from telebot.carriers.fields import Fields
from telebot.carriers.rest import rest_url
from telebot.carriers.twiml import TwimlCarrier
from telebot.settings import Row, Settings, row

if TYPE_CHECKING:
    from telebot.carriers.twilio_rest import TwilioRest
    from telebot.carriers.twilio_warm import WarmTransfers

REST_URL = "https://api.twilio.com"
_ACCOUNT_SID = re.compile(r"AC[0-9A-Za-z]{1,62}")


class TwilioSettings(Row):
    """`carriers.twilio` in the configuration."""

    account_sid: str = row(
        "", "account of the REST; empty: the one that calls", env="TWILIO_ACCOUNT_SID"
    )
    auth_token: SecretStr = row(
        SecretStr(""), "signs webhooks, opens the REST", env="TWILIO_AUTH_TOKEN"
    )
    base_url: Annotated[str, BeforeValidator(rest_url(REST_URL))] = row(
        REST_URL, "Twilio's REST, another region's for example", env="TWILIO_BASE_URL"
    )


class TwilioCarrier(TwimlCarrier):
    """Twilio (a `Carrier` that `HangsUp`, `Transfers`, `TransfersWarm` and `Dials`)."""

    name = "twilio"

    def __init__(self, settings: TwilioSettings) -> None:
        super().__init__(settings.auth_token.get_secret_value())
        self._settings = settings
        self._account_sid = settings.account_sid
        self._rest: TwilioRest | None = None
        self._warm: WarmTransfers | None = None
        if not self.off():
            # the SDK takes a third of a second to import: not while calls are up
            from telebot.carriers import twilio_rest, twilio_warm

            self._rest_class = twilio_rest.TwilioRest
            self._warm_class = twilio_warm.WarmTransfers

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Built by the registry."""
        return cls(settings.carrier(cls.name, TwilioSettings))

    def off(self) -> str | None:
        """Off without the token that signs webhooks."""
        token = self._settings.auth_token.get_secret_value()
        return None if token else "TWILIO_AUTH_TOKEN is not set"

    def _offered(self, fields: Fields) -> None:
        """The auth token that signed this belongs to the account it names."""
        account_sid = fields.get("AccountSid", "")
        if not self._account_sid and _ACCOUNT_SID.fullmatch(account_sid):
            self._account_sid = account_sid

    async def dial(self, call: Call, way: Way) -> str:
        """Ring somebody up; Twilio asks the voice webhook once they have answered. Raises
        `CarrierError`."""
        offer = call.offer
        fields = {
            "url": way.answer_url,
            "fallback_url": way.fallback_url,
            "status_callback": way.status_url,
            "timeout": math.ceil(way.within_s),
        }
        return await self._opened().create(offer.phone_to, offer.phone_from, fields)

    async def hang_up(self, call: Call) -> None:
        """End the call at Twilio; one that is over already is fine. Raises `CarrierError`."""
        await self._opened().hang_up(call.offer.carrier_call_id)

    async def transfer(self, call: Call, to: str) -> None:
        """Dial `to` for the caller; our stream ends with it. Raises `CarrierError`."""
        await self._opened().dial(call.offer.carrier_call_id, to)

    async def transfer_warm(
        self, call: Call, to: str, summary: str, within_s: float, answered: Callable[[], None]
    ) -> None:
        """Ring `to` up, tell them, and bring both together (`twilio_warm.py`). Raises `NotReached`
        and `CarrierError`."""
        self._opened()
        assert self._warm is not None
        await self._warm.put(call, to, summary, within_s, answered)

    async def close(self) -> None:
        """Close the REST client's connections."""
        if self._warm is not None:
            await self._warm.close()
        if self._rest is not None:
            await self._rest.close()

    def _opened(self) -> TwilioRest:
        # not in __init__: its HTTP session belongs to the running loop
        if self._rest is None:
            if self.off() or not self._account_sid:
                raise Unable("TWILIO_ACCOUNT_SID or TWILIO_AUTH_TOKEN is not set")
            self._rest = self._rest_class(
                self._account_sid,
                self._settings.auth_token.get_secret_value(),
                self._settings.base_url,
            )
            self._warm = self._warm_class(self._rest)
        return self._rest
