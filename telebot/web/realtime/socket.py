"""`WS /v1/voice/realtime`: the route. A session that is let in is a media stream like any other.

Next: `session.py`, by way of `media_stream.py`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import MappingProxyType

import structlog
from aiohttp import web

from telebot.call.errors import NotAuthentic
from telebot.call.events import MediaCodec, Started
from telebot.call.model import CallOffer
from telebot.carriers.port import Webhook
from telebot.carriers.realtime_codec import BAD_START, MAX_AUDIO_BYTES, RealtimeCodec, error
from telebot.records.store import RecordsAway
from telebot.voice.promises import AUDIENCE
from telebot.voice.sessions import PROTOCOL
from telebot.voice_settings import VoiceSettings
from telebot.web.media_socket import CLOSE_WITHIN_S, MediaSockets
from telebot.web.public_url import PublicUrl
from telebot.web.realtime.door import NO_MONEY, Door, Pass, TurnedAway
from telebot.web.realtime.session import House, SessionCalls

PATH = "/v1/voice/realtime"
PING_S = 20.0
LOOK_S = 5.0  # how soon a session learns that its key pays for it no longer
# browsers send a frame whole; what is larger closes the socket (1009)
MAX_MESSAGE_BYTES = MAX_AUDIO_BYTES + 1024

log = structlog.get_logger(__name__)


class SessionWay:
    """How one session comes in (`OffersOnMedia`); it is no registered carrier."""

    name = AUDIENCE
    subprotocols: tuple[str, ...] = (PROTOCOL,)

    def __init__(self, admitted: Pass, codec: RealtimeCodec, agents: frozenset[str]) -> None:
        self._admitted = admitted
        self._codec = codec
        self._agents = agents

    def off(self) -> str | None:
        """Always on."""
        return None

    def codec(self, request: Webhook) -> MediaCodec:
        """The session's own."""
        return self._codec

    def offer(self, request: Webhook, started: Started) -> CallOffer:
        """The call that it is. Raises `NotAuthentic` where there is no such agent."""
        agent = self._codec.request.agent
        if agent is not None and agent not in self._agents:
            self._codec.fault = "unknown_agent", f"There is no agent {agent!r}."
            self._codec.close_codes = MappingProxyType(
                {**RealtimeCodec.close_codes, "not_authentic": BAD_START}
            )
            raise NotAuthentic("no such agent")
        return CallOffer(
            carrier=self.name,
            carrier_call_id=self._admitted.id,
            phone_from="",
            phone_to="",
            agent=agent,
            key_id=self._admitted.key.id,
        )

    async def close(self) -> None:
        """Nothing of its own."""


class RealtimeSockets:
    """Serves the route."""

    def __init__(
        self,
        door: Door,
        house: House,
        *,
        sockets: MediaSockets,
        urls: PublicUrl,
        settings: VoiceSettings,
        agents: frozenset[str],
    ) -> None:
        self._door = door
        self._house = house
        self._sockets = sockets
        self._urls = urls
        self._settings = settings
        self._agents = agents

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Returns when the session is over and nothing of it is left."""
        socket = web.WebSocketResponse(
            timeout=CLOSE_WITHIN_S,
            heartbeat=PING_S,
            max_msg_size=MAX_MESSAGE_BYTES,
            compress=False,
            decode_text=False,
            protocols=(PROTOCOL,),
        )
        transport = request.transport
        if transport is None:
            return socket
        try:
            admitted = await self._door.enter(request)
        except TurnedAway as away:
            await _turn_away(socket, request, away)
            return socket
        try:
            codec = RealtimeCodec(admitted.id, admitted.request)
            way = SessionWay(admitted, codec, self._agents)
            calls = SessionCalls(self._house, codec, admitted.key.id)
            await socket.prepare(request)
            watching = asyncio.create_task(self._watch(admitted, codec, calls), name="session key")
            try:
                await self._sockets.take(
                    way,
                    self._urls.webhook(request, b""),
                    socket,
                    transport,
                    conversations=calls,
                    idle_timeout_s=self._settings.session_idle_s,
                )
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
        finally:
            self._door.out(admitted)
        return socket

    async def _watch(self, admitted: Pass, codec: RealtimeCodec, calls: SessionCalls) -> None:
        """A key that was revoked ends its sessions, a budget that is used up says so and ends
        them. Where the records are away, nobody is the worse for it."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self._door.still(admitted)
            except TurnedAway as away:
                if calls.call is None:
                    continue  # not yet begun; it is bounded in time
                codec.turned_away(away.close_code, away.code, str(away))
                if away.close_code != NO_MONEY or not calls.say_goodbye("budget"):
                    reason = "budget" if away.close_code == NO_MONEY else "operator_hangup"
                    self._sockets.stop(calls.call, reason)
            except RecordsAway:
                log.info("session_key_not_looked_up")


async def _turn_away(socket: web.WebSocketResponse, request: web.Request, away: TurnedAway) -> None:
    """Open the socket to say why not."""
    log.info("session_refused", code=away.code)
    await socket.prepare(request)
    with suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(CLOSE_WITHIN_S):
            await socket.send_str(error(away.code, str(away), fatal=True).decode())
            await socket.close(code=away.close_code)
