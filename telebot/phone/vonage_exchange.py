"""Vonage's switch: asks the answer URL, signed as Vonage signs it, and does what its NCCO says.

NCCO: https://developer.vonage.com/en/voice/voice-api/ncco-reference ; signed webhooks:
https://developer.vonage.com/en/getting-started/concepts/webhooks#decoding-signed-webhooks .
"""

from __future__ import annotations

import hashlib
import time
import uuid
from typing import Any

import aiohttp
import jwt
import orjson

from telebot.phone.asking import ask
from telebot.phone.destination import CallRefused, CannotCall, Destination
from telebot.phone.environment import needed
from telebot.phone.exchange import Connection, open_socket
from telebot.phone.microphone import Microphone
from telebot.phone.vonage_stream import VonageStream

CONTENT_TYPE = "audio/l16;rate=8000"
MAX_HEADERS_BYTES = 512
KINDS = ("application/json",)


class VonageExchange:
    """An `Exchange` of Vonage's kind."""

    def __init__(self, to: Destination) -> None:
        self._to = to
        self.call_id = str(uuid.uuid4())
        self._conversation = f"CON-{uuid.uuid4()}"
        self._event_url = ""
        self._headers: dict[str, Any] = {}
        self._uri = ""

    @staticmethod
    def secret(server: str, carrier: str) -> str:
        """The signature secret. Raises `CannotCall`."""
        return needed("VONAGE_SIGNATURE_SECRET", carrier)

    async def dial(self, session: aiohttp.ClientSession, microphone: Microphone) -> Connection:
        """Post the webhook and go where its NCCO says. Raises `CannotCall`, `CallRefused` where
        that has no WebSocket."""
        to = self._to
        offer = {
            "from": to.phone_from.removeprefix("+"),
            "to": to.phone_to.removeprefix("+"),
            "uuid": self.call_id,
            "conversation_uuid": self._conversation,
        }
        url = to.webhook()[0]
        actions = _actions(url, await self._post(session, url, offer))
        if not actions or actions[0].get("action") != "connect":
            raise CallRefused(_said(actions), tuple(str(one.get("action")) for one in actions))
        self._read(url, actions[0])
        stream = VonageStream(CONTENT_TYPE, self._headers, microphone)
        wire = await open_socket(session, self._uri)
        await self._tell(session, "answered")
        return Connection(stream, wire)

    async def after(self, session: aiohttp.ClientSession) -> str:
        """The socket is gone and the caller still there: the event is told, and the answer done."""
        try:
            return _said(_actions(self._event_url, await self._tell(session, "disconnected")))
        except CannotCall:
            return "Something went wrong."

    def _read(self, url: str, connect: dict[str, Any]) -> None:
        """Raises `CannotCall` on what Vonage would not do."""
        endpoints = connect.get("endpoint")
        [endpoint] = endpoints if isinstance(endpoints, list) and len(endpoints) == 1 else [{}]
        headers = endpoint.get("headers", {})
        events = connect.get("eventUrl", [])
        faults = {
            "type": endpoint.get("type") != "websocket",
            "uri": not str(endpoint.get("uri", "")).startswith(("ws://", "wss://")),
            "content-type": endpoint.get("content-type") != CONTENT_TYPE,
            "headers": len(orjson.dumps(headers)) > MAX_HEADERS_BYTES,
            "eventUrl": connect.get("eventType") != "synchronous" or len(events) != 1,
        }
        if wrong := [name for name, is_fault in faults.items() if is_fault]:
            raise CannotCall(f"{url}: Vonage would not connect this: {', '.join(wrong)}")
        self._uri, self._headers, [self._event_url] = endpoint["uri"], headers, events

    async def _tell(self, session: aiohttp.ClientSession, status: str) -> bytes:
        """An event of the socket's leg; the answer may be another NCCO."""
        event = {
            "from": self._to.phone_from.removeprefix("+"),
            "to": self._uri,
            "uuid": str(uuid.uuid4()),
            "conversation_uuid": self._conversation,
            "status": status,
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
            "headers": self._headers,
        }
        return await self._post(session, self._to.reached(self._event_url), event)

    async def _post(self, session: aiohttp.ClientSession, url: str, said: dict[str, Any]) -> bytes:
        body = orjson.dumps(said)
        headers = {"Content-Type": "application/json", **signed(self._to.secret, body)}
        return await ask(session, "POST", url, headers=headers, body=body, kinds=KINDS)


def signed(secret: str, body: bytes, at: float | None = None) -> dict[str, str]:
    """The header of a request with this body (for GET: the query's parameters as JSON)."""
    claims = {
        "iat": int(time.time() if at is None else at),
        "jti": str(uuid.uuid4()),
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(body).hexdigest(),
        "api_key": "abcd1234",
    }
    return {"Authorization": "Bearer " + jwt.encode(claims, secret, algorithm="HS256")}


def _actions(url: str, answer: bytes) -> list[dict[str, Any]]:
    """An NCCO; none where nothing was answered. Raises `CannotCall`."""
    if not answer:
        return []
    try:
        actions = orjson.loads(answer)
    except ValueError:
        actions = None
    if not isinstance(actions, list) or not all(isinstance(one, dict) for one in actions):
        raise CannotCall(f"{url}: answered with something that is no NCCO")
    return actions


def _said(actions: list[dict[str, Any]]) -> str:
    return " ".join(str(one.get("text", "")) for one in actions if one.get("action") == "talk")
