"""FreeSWITCH by `mod_audio_fork`, the module of drachtio and jambonz, without their applications.

See the repository freeswitch-modules of jambonz at GitHub; started with bidirectional
streaming at 8 kHz. The module never ends a call, so FreeSWITCH's own commands have to
(`fs_api.py`). Dialplan: docs/carriers/audiofork.md.
"""

from __future__ import annotations

from typing import Self

from pydantic import SecretStr

from telebot.call.events import MediaCodec
from telebot.carriers.dialplan import DialplanCarrier, query
from telebot.carriers.door import Door
from telebot.carriers.fs_api import CommandedChannels, FsApiSettings
from telebot.carriers.l16 import ForkCodec
from telebot.carriers.port import Webhook
from telebot.setting_types import Networks
from telebot.settings import Settings, row


class AudioforkSettings(FsApiSettings):
    """`carriers.audiofork` in the configuration."""

    user: str = row("", "HTTP Basic user of the media socket", env="AUDIOFORK_USER")
    password: SecretStr = row(
        SecretStr(""), "its password; empty: peers alone decide", env="AUDIOFORK_PASSWORD"
    )
    peers: Networks = row(
        (),
        "addresses that may offer calls; empty: any with the password, without one this machine",
        env="AUDIOFORK_PEERS",
    )


class AudioforkCarrier(CommandedChannels, DialplanCarrier):
    """`mod_audio_fork` (`AnswersWebhooks`, `OffersOnMedia`, `HangsUp`, `Transfers`, `Dials`,
    `SendsDigits`)."""

    name = "audiofork"
    subprotocols = ("audio.drachtio.org",)

    def __init__(self, settings: AudioforkSettings) -> None:
        password = settings.password.get_secret_value()
        DialplanCarrier.__init__(self, Door(settings.user, password, settings.peers))
        CommandedChannels.__init__(self, settings)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Built by the registry."""
        return cls(settings.carrier(cls.name, AudioforkSettings))

    def codec(self, request: Webhook) -> MediaCodec:
        """A codec that knows the parameters of the stream's URL."""
        return ForkCodec(query(request.url))
