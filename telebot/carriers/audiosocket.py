"""AudioSocket: a PBX opens a TCP connection for each call (Asterisk from 18.0 on).

The listener is `web/audiosocket.py`, the wire `audiosocket_codec.py`. A connection says a UUID and
nothing else: either one that the dialplan fetched by `POST /audiosocket/voice`, which is good once
and stands for that call, or any, which a listed peer offers a call by. Dialplan:
docs/carriers/audiosocket.md.
"""

from __future__ import annotations

from collections import OrderedDict
from uuid import UUID, uuid4

from pydantic import SecretStr

from telebot.call.events import MediaCodec, Started
from telebot.call.model import Call, CallOffer
from telebot.carriers.ami import AmiSettings, ManagedChannels
from telebot.carriers.audiosocket_codec import AudioSocketCodec
from telebot.carriers.dialplan import DialplanCarrier, offer_of
from telebot.carriers.door import Door
from telebot.carriers.port import Answer, Webhook
from telebot.setting_types import Networks
from telebot.settings import Settings, row

MOST_PROMISED = 4096  # identities given out whose connections have not come


class AudioSocketSettings(AmiSettings):
    """`carriers.audiosocket` in the configuration (the listener: `server.audiosocket`)."""

    user: str = row("", "HTTP Basic user of the webhooks", env="AUDIOSOCKET_USER")
    password: SecretStr = row(
        SecretStr(""), "its password; empty: peers alone decide", env="AUDIOSOCKET_PASSWORD"
    )
    peers: Networks = row(
        (), "addresses that may offer calls; empty: this machine alone", env="AUDIOSOCKET_PEERS"
    )
    number: str = row("", "the number that was called, of connections that nobody announced")


class AudioSocketCarrier(DialplanCarrier):
    """AudioSocket by itself (`AnswersWebhooks`, `OffersOnMedia`; its streams come over TCP)."""

    name = "audiosocket"

    def __init__(self, settings: AudioSocketSettings) -> None:
        super().__init__(Door(settings.user, settings.password.get_secret_value(), settings.peers))
        self._number = settings.number
        self._promised: OrderedDict[UUID, tuple[str, str]] = OrderedDict()

    @classmethod
    def from_settings(cls, settings: Settings) -> AudioSocketCarrier:
        """Built by the registry; what the manager interface does is there where that is set up."""
        own = settings.carrier(cls.name, AudioSocketSettings)
        return ManagedAudioSocket(own) if own.managed else cls(own)

    def off(self) -> str | None:
        """Always on: without settings for this machine alone."""
        return None

    def answer(self, call: Call, token: str, media_url: str) -> Answer:
        """A UUID for the dialplan's `AudioSocket()`, in place of the token."""
        identity = uuid4()
        self._promised[identity] = (call.offer.carrier_call_id, token)
        if len(self._promised) > MOST_PROMISED:
            self._promised.popitem(last=False)
        return Answer(str(identity), "text/plain")

    def codec(self, request: Webhook) -> MediaCodec:
        """A codec that knows which identities were given out."""
        return AudioSocketCodec(self._known)

    def offer(self, request: Webhook, started: Started) -> CallOffer:
        """An identity that nobody fetched: a call of a listed peer. Raises `NotAuthentic`."""
        self.door.check_peer(request.peer)
        return offer_of(self.name, started.carrier_call_id, {"to": self._number})

    def _known(self, identity: UUID) -> tuple[str, str]:
        return self._promised.pop(identity, (str(identity), ""))


class ManagedAudioSocket(ManagedChannels, AudioSocketCarrier):
    """The same with the PBX's manager interface (also `HangsUp`, `Transfers`, `Dials`,
    `SendsDigits`), for calls whose dialplan gave its channel's unique id."""

    def __init__(self, settings: AudioSocketSettings) -> None:
        AudioSocketCarrier.__init__(self, settings)
        ManagedChannels.__init__(self, settings)
