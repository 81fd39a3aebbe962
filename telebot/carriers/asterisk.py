"""Asterisk by its WebSocket channel: the dialplan dials us like a phone.

The wire is `asterisk_codec.py`; hanging up, transfers, calls of ours and keys go over the manager
interface where it is set up (`ami.py`). Dialplan: docs/carriers/asterisk.md.
"""

from __future__ import annotations

from pydantic import SecretStr

from telebot.call.events import MediaCodec
from telebot.carriers.ami import AmiSettings, ManagedChannels
from telebot.carriers.asterisk_codec import AsteriskCodec
from telebot.carriers.dialplan import DialplanCarrier, query
from telebot.carriers.door import Door
from telebot.carriers.port import Webhook
from telebot.setting_types import Networks
from telebot.settings import Settings, row


class AsteriskSettings(AmiSettings):
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
        return ManagedAsterisk(own) if own.managed else cls(own)

    def off(self) -> str | None:
        """Always on: without settings for this machine alone."""
        return None

    def codec(self, request: Webhook) -> MediaCodec:
        """A codec that knows the parameters of the stream's URL."""
        return AsteriskCodec(query(request.url))


class ManagedAsterisk(ManagedChannels, AsteriskCarrier):
    """Asterisk with its manager interface (also `HangsUp`, `Transfers`, `Dials`, `SendsDigits`)."""

    def __init__(self, settings: AsteriskSettings) -> None:
        AsteriskCarrier.__init__(self, settings)
        ManagedChannels.__init__(self, settings)
