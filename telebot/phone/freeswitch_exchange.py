"""FreeSWITCH's switch: its dialplan has a channel's audio streamed to the server, by either module.

Metadata first, as the dialplan of docs/carriers/freeswitch.md and audiofork.md gives it;
credentials by HTTP Basic (`STREAM_EXTRA_HEADERS`, `MOD_AUDIO_BASIC_AUTH_USERNAME`). The streams are
`freeswitch_stream.py`'s.
"""

from __future__ import annotations

from typing import ClassVar
from uuid import uuid4

import aiohttp

from telebot.phone.destination import Destination
from telebot.phone.environment import given
from telebot.phone.exchange import Connection, open_socket
from telebot.phone.form import about, basic
from telebot.phone.freeswitch_stream import AudioStream, ForkStream
from telebot.phone.microphone import Microphone


class FreeswitchExchange:
    """An `Exchange` by `mod_audio_stream`."""

    stream: ClassVar[type[AudioStream] | type[ForkStream]] = AudioStream
    protocols: tuple[str, ...] = ()
    rate_hz = 8000

    def __init__(self, to: Destination) -> None:
        self._to = to

    @staticmethod
    def secret(server: str, carrier: str) -> str:
        """``user:password``, '' where the server lets its peers in without."""
        prefix = carrier.upper()
        password = given(f"{prefix}_PASSWORD")
        return f"{given(f'{prefix}_USER')}:{password}" if password else ""

    async def dial(self, session: aiohttp.ClientSession, microphone: Microphone) -> Connection:
        """Open the stream. Raises `CannotCall`."""
        to = self._to
        wire = await open_socket(
            session, to.media_url(), headers=basic(to.secret), protocols=self.protocols
        )
        metadata = about(to, str(uuid4()))
        return Connection(self.stream(metadata, microphone, rate_hz=self.rate_hz), wire)

    async def after(self, session: aiohttp.ClientSession) -> str:
        """The channel is parked; nothing is said."""
        return ""


class AudioforkExchange(FreeswitchExchange):
    """An `Exchange` by `mod_audio_fork`."""

    stream = ForkStream
    protocols = ("audio.drachtio.org",)
