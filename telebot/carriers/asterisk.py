"""Asterisk by its WebSocket channel: the dialplan dials us like a phone.

The wire is `asterisk_codec.py`; hanging up, transfers, calls of ours and keys go over the manager
interface where it is set up (`asterisk_ami.py`). Dialplan: docs/carriers/asterisk.md.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, SecretStr

from telebot.call.events import MediaCodec
from telebot.call.model import Call
from telebot.call.ports import Way
from telebot.carriers.asterisk_ami import Ami
from telebot.carriers.asterisk_codec import AsteriskCodec
from telebot.carriers.dialplan import DialplanCarrier, query
from telebot.carriers.door import Door
from telebot.carriers.port import Webhook
from telebot.setting_types import Networks
from telebot.settings import Row, Settings, row

_URL = re.compile(r"https?://[^\s?#]+")


def _ami_url(value: Any) -> Any:
    if value and not _URL.fullmatch(str(value)):
        raise ValueError(
            f"write http://HOST:8088, with Asterisk's HTTP prefix if any (got {value!r})"
        )
    return value


class AsteriskSettings(Row):
    """`carriers.asterisk` in the configuration."""

    user: str = row("", "HTTP Basic user of the media socket", env="ASTERISK_USER")
    password: SecretStr = row(
        SecretStr(""), "its password; empty: peers alone decide", env="ASTERISK_PASSWORD"
    )
    peers: Networks = row(
        (),
        "addresses that may offer calls; empty: any with the password, without one this machine",
        env="ASTERISK_PEERS",
    )
    base_url: Annotated[str, BeforeValidator(_ami_url)] = row(
        "", "Asterisk's HTTP server, for its manager interface", env="ASTERISK_BASE_URL"
    )
    ami_user: str = row("", "user in manager.conf", env="ASTERISK_AMI_USER")
    ami_secret: SecretStr = row(
        SecretStr(""),
        "its secret; empty: no transfers, no calls of ours",
        env="ASTERISK_AMI_SECRET",
    )
    transfer_context: str = row("telebot-transfer", "dialplan context of a transfer")
    dial_context: str = row("telebot-dial", "dialplan context that rings a number up")
    answered_context: str = row("telebot-answered", "and the one for whom it reached")


class AsteriskCarrier(DialplanCarrier):
    """Asterisk by the wire alone (`AnswersWebhooks`, `OffersOnMedia`)."""

    name = "asterisk"
    subprotocols = ("media",)

    def __init__(self, settings: AsteriskSettings) -> None:
        password = settings.password.get_secret_value()
        super().__init__(Door(settings.user, password, settings.peers))

    @classmethod
    def from_settings(cls, settings: Settings) -> AsteriskCarrier:
        """Built by the registry; what the manager interface does is there where that is set up."""
        own = settings.carrier(cls.name, AsteriskSettings)
        return ManagedAsterisk(own) if own.base_url and own.ami_user else cls(own)

    def off(self) -> str | None:
        """Always on: without settings for this machine alone."""
        return None

    def codec(self, request: Webhook) -> MediaCodec:
        """A codec that knows the parameters of the stream's URL."""
        return AsteriskCodec(query(request.url))


class ManagedAsterisk(AsteriskCarrier):
    """Asterisk with its manager interface (also `HangsUp`, `Transfers`, `Dials`, `SendsDigits`).
    The call's id is its channel's unique id."""

    def __init__(self, settings: AsteriskSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._ami: Ami | None = None

    async def hang_up(self, call: Call) -> None:
        """End the caller's channel; one that is gone is fine. Raises `CarrierError`."""
        await self._opened().hang_up(call.offer.carrier_call_id)

    async def transfer(self, call: Call, to: str) -> None:
        """Send the caller's channel to `to` in the transfer context. Raises `CarrierError`."""
        channel, context = call.offer.carrier_call_id, self._settings.transfer_context
        await self._opened().redirect(channel, context, to)

    async def dial(self, call: Call, way: Way) -> str:
        """Ring up by the dial context; who answers is put into the answered context. Returns the
        channel's id. Raises `CarrierError`."""
        settings, offer = self._settings, call.offer
        return await self._opened().originate(
            f"Local/{offer.phone_to}@{settings.dial_context}",
            settings.answered_context,
            offer.phone_from,
            {
                "TELEBOT_TOKEN": way.token,
                "TELEBOT_STATUS": way.status_url,
                "TELEBOT_FROM": offer.phone_from,
            },
        )

    async def send_digits(self, call: Call, digits: str) -> None:
        """Key towards the caller. Raises `CarrierError`."""
        await self._opened().digits(call.offer.carrier_call_id, digits)

    async def close(self) -> None:
        """Close the connections to the manager interface."""
        if self._ami is not None:
            await self._ami.close()

    def _opened(self) -> Ami:
        # not in __init__: its HTTP session belongs to the running loop
        if self._ami is None:
            settings = self._settings
            secret = settings.ami_secret.get_secret_value()
            self._ami = Ami(settings.base_url, settings.ami_user, secret)
        return self._ami
