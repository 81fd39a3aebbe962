"""FreeSWITCH by `mod_audio_stream`: the dialplan has a channel's audio streamed to us.

https://github.com/amigniter/mod_audio_stream , version 1.0.3 and later (bidirectional, with
`STREAM_PLAYBACK=true` and `STREAM_SAMPLE_RATE=8000`; its README describes the messages, issue 72
the two variables). The community edition plays nothing back and is of no use here. The module never
ends a call, so FreeSWITCH's own commands have to (`fs_api.py`). Dialplan:
docs/carriers/freeswitch.md.
"""

from __future__ import annotations

from typing import Self

from pydantic import SecretStr

from telebot.call.events import MediaCodec
from telebot.carriers.dialplan import DialplanCarrier, query
from telebot.carriers.door import Door
from telebot.carriers.fs_api import CommandedChannels, FsApiSettings
from telebot.carriers.l16 import PacedL16Codec
from telebot.carriers.port import Webhook
from telebot.setting_types import Networks
from telebot.settings import Settings, row


class FreeswitchSettings(FsApiSettings):
    """`carriers.freeswitch` in the configuration."""

    user: str = row("", "HTTP Basic user of the media socket", env="FREESWITCH_USER")
    password: SecretStr = row(
        SecretStr(""), "its password; empty: peers alone decide", env="FREESWITCH_PASSWORD"
    )
    peers: Networks = row(
        (),
        "addresses that may offer calls; empty: any with the password, without one this machine",
        env="FREESWITCH_PEERS",
    )


class FreeswitchCarrier(CommandedChannels, DialplanCarrier):
    """FreeSWITCH (`AnswersWebhooks`, `OffersOnMedia`, `HangsUp`, `Transfers`, `Dials`,
    `SendsDigits`)."""

    name = "freeswitch"

    def __init__(self, settings: FreeswitchSettings) -> None:
        password = settings.password.get_secret_value()
        DialplanCarrier.__init__(self, Door(settings.user, password, settings.peers))
        CommandedChannels.__init__(self, settings)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Built by the registry."""
        return cls(settings.carrier(cls.name, FreeswitchSettings))

    def codec(self, request: Webhook) -> MediaCodec:
        """A codec that knows the parameters of the stream's URL."""
        return PacedL16Codec(query(request.url))
