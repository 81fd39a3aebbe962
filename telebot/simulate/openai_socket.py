"""OpenAI's realtime socket: how a session opens, what is refused, and how it ends.

A refused key or model is no HTTP status: the socket opens, the only event is an error, and a close
follows whose reason is the error's type and code (3000 for a key, 4000 for the rest); seen in
https://github.com/twilio-samples/speech-assistant-openai-realtime-api-python/issues/4. A limit or a
fault of the server at the handshake is a status. Most errors leave the session open.
https://developers.openai.com/api/reference/resources/realtime/client-events,
https://developers.openai.com/api/reference/resources/realtime/server-events
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from telebot.simulate.faults import Exchange, Garbage, Refused

if TYPE_CHECKING:
    from telebot.simulate.openai import OpenAIWire

Event = dict[str, Any]
Handle = Callable[[Event], Awaitable[None]]

LONGEST_EVENT = 21 << 20  # 15 MiB of audio, in base64
SESSION_S = 3600  # https://developers.openai.com/api/docs/guides/realtime-conversations
KEY_CLOSE, ERROR_CLOSE = 3000, 4000
SLOW_S = 0.5  # a message, for a vendor that reads slowly
INVALID = "invalid_request_error"
CLIENT_EVENTS = (
    "session.update", "input_audio_buffer.append", "input_audio_buffer.commit",
    "input_audio_buffer.clear", "conversation.item.create", "conversation.item.truncate",
    "conversation.item.delete", "conversation.item.retrieve", "response.create",
    "response.cancel",
)  # fmt: skip


class Socket:
    """The server's end."""

    def __init__(self, wire: OpenAIWire, request: web.Request, exchange: Exchange) -> None:
        self.wire = wire
        self._request = request
        self.exchange = exchange
        self.ws = web.WebSocketResponse(max_msg_size=LONGEST_EVENT, timeout=1.0)
        self._numbers = itertools.count(1)
        self.expires_at = int(time.time()) + SESSION_S

    def name(self, kind: str) -> str:
        """A new name: ``item_…``, ``resp_…``."""
        return f"{kind}_sim{next(self._numbers):06d}"

    async def say(self, kind: str, **fields: Any) -> None:
        """Send an event, unless this session is to be silent."""
        if not self.exchange.silent and not self.ws.closed:
            await self.ws.send_json({"type": kind, "event_id": self.name("event"), **fields})

    async def error(
        self, code: str | None, message: str, param: str | None = None, kind: str = INVALID
    ) -> None:
        """An error that leaves the session open."""
        error = {"type": kind, "code": code, "message": message, "param": param, "event_id": None}
        await self.say("error", error=error)

    async def shut(self, code: str, message: str) -> None:
        """An error that ends the session."""
        await self.error(code, message)
        close = KEY_CLOSE if code == "invalid_api_key" else ERROR_CLOSE
        await self.ws.close(code=close, message=f"{INVALID}.{code}".encode())

    async def refuse(self, status: int) -> None:
        """A fault on command, in the middle of a session."""
        error = self.wire.error(status)
        if status == 401:
            await self.shut("invalid_api_key", error["message"])
        else:
            await self.error(error["code"], error["message"], kind=error["type"])

    def cut(self) -> None:
        """End the connection without a word."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def babble(self) -> None:
        await self.ws.send_str("{\x00\ufffd not json")


class Session:
    """What a kind of session does with the events that a client may send."""

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self.handlers: dict[str, Handle] = {}

    async def open(self) -> None:
        """Say that it is there."""

    async def close(self) -> None:
        """The client has gone."""


async def serve(wire: OpenAIWire, request: web.Request) -> web.StreamResponse:
    """A session, from the handshake to the end."""
    from telebot.simulate.openai_hearing import Hears
    from telebot.simulate.openai_talking import Talks

    hears = request.query.get("intent") == "transcription"
    exchange = wire.sim.exchange(wire.vendor, "stt" if hears else "realtime")
    socket = Socket(wire, request, exchange)
    refused: Refused | None = None
    garbled = False
    try:
        await exchange.reach("connect")
    except Refused as fault:
        if fault.status != 401:
            return wire.refusal(fault.status)
        refused = fault
    except Garbage:
        garbled = True
    await socket.ws.prepare(request)
    if garbled:
        await socket.babble()
    elif not await _turned_away(socket, request, refused, hears=hears):
        preset = wire.secrets.session(request) or {}
        model = request.query.get("model") or preset.get("model")
        session = Hears(socket) if hears else Talks(socket, str(model))
        if preset:
            session.configure(preset)
        try:
            await session.open()
            await _listen(socket, session)
        finally:
            await session.close()
    return socket.ws


async def _turned_away(
    socket: Socket, request: web.Request, refused: Refused | None, *, hears: bool
) -> bool:
    preset = socket.wire.secrets.session(request) or {}
    model = request.query.get("model") or preset.get("model")
    refusal = socket.wire.keyed(request)
    if "OpenAI-Beta" in request.headers:
        why = "The beta's events are no longer spoken; leave the OpenAI-Beta header out."
        await socket.shut("beta_api_shape_disabled", why)
    elif refused is not None:
        await socket.refuse(refused.status)
    elif refusal is not None:
        await socket.shut("invalid_api_key", json.loads(refusal.text or "")["error"]["message"])
    elif not hears and model is None:
        await socket.shut("missing_model", "A model must be given: ?model=gpt-realtime-2.1")
    elif not hears and model not in socket.wire.talk_models:
        await socket.shut("invalid_model", f'"{model}" is no realtime model.')
    else:
        return False
    return True


async def _listen(socket: Socket, session: Session) -> None:
    """Every event that comes, in its order, with the faults on its way."""
    async for message in socket.ws:
        if socket.exchange.slow:
            await asyncio.sleep(SLOW_S)
        if message.type is not WSMsgType.TEXT:
            await socket.error("invalid_event", "Only text messages are understood.")
            continue
        try:
            event = json.loads(message.data)
        except ValueError:
            await socket.error("invalid_json", "The message is no JSON.")
            continue
        try:
            await _hand(socket, session, event)
        except Refused as fault:
            await socket.refuse(fault.status)
        except Garbage:
            await socket.babble()


async def _hand(socket: Socket, session: Session, event: Any) -> None:
    kind = event.get("type") if isinstance(event, dict) else None
    if kind not in CLIENT_EVENTS:
        known = ", ".join(CLIENT_EVENTS)
        await socket.error("invalid_value", f"No event {kind!r}; there are: {known}.", "type")
        return
    handle = session.handlers.get(kind)
    if handle is None:
        await socket.error("invalid_value", f"No {kind} in this kind of session.", "type")
        return
    await handle(event)


def merged(session: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """A session with an update: what the update does not name stays as it is."""
    whole = dict(session)
    for name, value in update.items():
        old = whole.get(name)
        both = isinstance(value, dict) and isinstance(old, dict)
        whole[name] = merged(old or {}, value) if both and _alike(old or {}, value) else value
    return whole


def _alike(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether `new` says more of the same thing: a format of another type replaces the old one."""
    return bool(new.get("type", old.get("type")) == old.get("type"))


def unknown(update: Any, known: Mapping[str, Any], path: str = "session") -> str | None:
    """The path of the first parameter that is not `known` (a tree whose leaves are None)."""
    if not isinstance(update, dict):
        return None
    for name, value in update.items():
        if name not in known:
            return f"{path}.{name}"
        if known[name] and (found := unknown(value, known[name], f"{path}.{name}")):
            return found
    return None
