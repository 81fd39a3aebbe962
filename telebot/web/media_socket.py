"""`WS /{carrier}/media`: every media socket of the server.

The upgrade needs nothing; the one-time token in the stream's own `start` decides, so sockets that
have not shown one are bounded in number and in time. Next: `media_stream.py`.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from aiohttp import web

from telebot.call.errors import Unable
from telebot.call.events import Conversations
from telebot.call.model import Call
from telebot.carriers.port import OnThisMachine, StreamsMedia, Webhook
from telebot.carriers.registry import Carriers
from telebot.web.errors import error
from telebot.web.media_stream import (
    END_WITHIN_S,
    GOING_AWAY,
    NORMAL,
    POLICY_VIOLATION,
    MediaStream,
    Surroundings,
)
from telebot.web.media_wire import MessageSocket
from telebot.web.public_url import PublicUrl

PATIENCE_S = 5.0  # with streams that have been stopped, when the server goes down
CLOSE_WITHIN_S = 2.0  # for the peer's close frame
MAX_WAITING = 256  # sockets without a valid start; the one that waits longest goes first


class MediaSockets:
    """Serves the route and knows which stream belongs to which call."""

    def __init__(self, carriers: Carriers, around: Surroundings, urls: PublicUrl) -> None:
        self._carriers = carriers
        self._urls = urls
        self._around = around
        self._waiting: dict[MediaStream, None] = {}  # in the order they came
        self._live: dict[str, MediaStream] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The route. Returns when the call is over and nothing of it is left."""
        carrier = self._carriers.get(request.match_info["carrier"])
        if not isinstance(carrier, StreamsMedia) or carrier.off():
            return error(404, "No such carrier here.")
        socket = web.WebSocketResponse(
            timeout=CLOSE_WITHIN_S,
            max_msg_size=self._around.settings.max_message_bytes,
            compress=False,
            decode_text=False,
            protocols=carrier.subprotocols,
        )
        asked = self._urls.webhook(request, b"", by_host=isinstance(carrier, OnThisMachine))
        transport = request.transport
        if transport is None:
            return socket
        stream = MediaStream(self._around, carrier, asked, socket, transport, started=self._started)
        await socket.prepare(request)
        await self.serve(stream)
        return socket

    async def take(
        self,
        carrier: StreamsMedia,
        request: Webhook,
        socket: MessageSocket,
        transport: asyncio.Transport,
        *,
        conversations: Conversations | None = None,
        idle_timeout_s: float | None = None,
    ) -> None:
        """Serve a connection that came another way (it may be no WebSocket), in its own task;
        `request` says who opened it. `conversations` and `idle_timeout_s`, where they are not
        those of all."""
        around = self._around
        if conversations is not None:
            around = replace(around, conversations=conversations)
        if idle_timeout_s is not None:
            settings = around.settings.model_copy(update={"idle_timeout_s": idle_timeout_s})
            around = replace(around, settings=settings)
        stream = MediaStream(around, carrier, request, socket, transport, started=self._started)
        await self.serve(stream)

    async def serve(self, stream: MediaStream) -> None:
        """Run a stream to its end, in a task of its own: in a request's, each of fifty messages a
        second would pass through all that stands around its handler."""
        if len(self._waiting) >= MAX_WAITING:
            longest = next(iter(self._waiting))
            del self._waiting[longest]
            longest.stop("flood", POLICY_VIOLATION)
        self._waiting[stream] = None
        task = asyncio.create_task(stream.run(), name="media socket")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await task
        finally:
            self._waiting.pop(stream, None)
            if stream.call is not None:
                self._live.pop(stream.call.id, None)

    def stop(self, call: Call, reason: str) -> None:
        """The carrier says elsewhere that a call's stream is over, and why."""
        if stream := self._live.get(call.id):
            stream.stop(reason, NORMAL)

    def send_digits(self, call: Call, digits: str) -> None:
        """Key digits on a call's stream. Raises `Unable`."""
        stream = self._live.get(call.id)
        if stream is None:
            raise Unable("the call has no media stream")
        stream.send_digits(digits)

    def stop_all(self) -> None:
        """End every stream (the server goes down)."""
        for stream in (*self._waiting, *self._live.values()):
            stream.stop("drained", GOING_AWAY)

    async def close(self) -> None:
        """Wait until every stream is put away, so that its record is right; cancel what hangs.
        (aiohttp forgets a handler whose connection is gone.)"""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=PATIENCE_S)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=END_WITHIN_S)

    def _started(self, stream: MediaStream, call: Call) -> None:
        self._waiting.pop(stream, None)
        self._live[call.id] = stream


SOCKETS = web.AppKey("sockets", MediaSockets)
