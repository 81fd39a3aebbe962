"""Deepgram's /v1/speak: Aura voices; text goes in, is flushed or cleared, and audio comes out.

https://developers.deepgram.com/reference/text-to-speech/speak-streaming,
https://developers.deepgram.com/docs/tts-ws-flush, …/docs/tts-ws-clear,
…/docs/tts-troubleshooting-websocket-net-and-data-errors; messages as deepgram-sdk 7.16 has them
(`speak/v1/types`). Flushes are not counted.
"""

from __future__ import annotations

import asyncio
import uuid
from functools import partial
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from telebot.simulate.asked import json_object
from telebot.simulate.deepgram_wire import (
    VOICES,
    BadQuery,
    FirstVersion,
    number,
    one_of,
    socket_route,
)
from telebot.simulate.faults import Exchange
from telebot.simulate.interims import at_pace
from telebot.simulate.server import Routes, Simulator
from telebot.simulate.speech import encode

RATES = {"linear16": (8000, 16000, 24000, 32000, 48000), "mulaw": (8000, 16000)}


def routes(sim: Simulator) -> Routes:
    return [socket_route(sim, "/v1/speak", "tts", partial(_Session, sim))]


class _Session(FirstVersion):
    """One connection. Raises BadQuery for a query that Deepgram would refuse."""

    def __init__(self, sim: Simulator, exchange: Exchange, query: Any) -> None:
        self._voice = one_of(query, "model", VOICES, "aura-asteria-en")
        self._encoding = one_of(query, "encoding", tuple(RATES), "linear16")
        self._rate_hz = int(number(query, "sample_rate", 8000, 48000, 24000) or 24000)
        if self._rate_hz not in RATES[self._encoding]:
            raise BadQuery(f"`sample_rate` {self._rate_hz} is not for {self._encoding}")
        number(query, "speed", 0.7, 1.5, None)
        self._sim = sim
        self._exchange = exchange
        self._text = ""
        self._sequence = 0
        self._cleared = 0
        self._flushes: asyncio.Queue[str | None] = asyncio.Queue()
        self._socket: web.WebSocketResponse

    async def run(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        await socket.send_json(self._metadata())
        reading = asyncio.create_task(self._read())
        speaking = asyncio.create_task(self._speak())
        tasks = (reading, speaking)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _metadata(self) -> dict[str, Any]:
        uid = str(uuid.uuid5(uuid.NAMESPACE_DNS, self._voice))
        return {
            "type": "Metadata",
            "request_id": str(uuid.uuid4()),
            "model_name": self._voice,
            "model_version": "2026-01-01.0",
            "model_uuid": uid,
        }

    async def _read(self) -> None:
        """Until the client is gone, or cannot be understood."""
        async for message in self._socket:
            await at_pace(self._exchange)
            if message.type is not WSMsgType.TEXT:
                return await self._unreadable()
            asked = json_object(message.data) or {}
            kind = asked.get("type")
            if kind == "Close":
                for last in (self._text, None) if self._text else (None,):
                    await self._flushes.put(last)
            elif not await self._control(kind, asked):
                return None
        return None

    async def _control(self, kind: str | None, asked: Any) -> bool:
        if kind == "Speak" and isinstance(asked.get("text"), str):
            self._text += asked["text"]
        elif kind == "Flush":
            await self._flushes.put(self._text)
            self._text = ""
        elif kind == "Clear":
            await self._clear()
        else:
            await self._unreadable()
            return False
        return True

    async def _clear(self) -> None:
        self._text = ""
        self._cleared += 1
        while not self._flushes.empty():
            self._flushes.get_nowait()
        await self._confirm("Cleared")

    async def _unreadable(self) -> None:
        await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"DATA-0000")

    async def _speak(self) -> None:
        while (text := await self._flushes.get()) is not None:
            cleared = self._cleared
            if text.strip():
                await self._say(text, cleared)
            if cleared == self._cleared:
                await self._confirm("Flushed")
        await self._socket.close(code=WSCloseCode.OK)

    async def _say(self, text: str, cleared: int) -> None:
        said = await self._sim.speech.say(text, self._rate_hz)
        async for piece in self._exchange.outputs(said.pieces()):
            if cleared != self._cleared:
                return
            audio = bytes(len(piece)) if self._exchange.silent else piece
            await self._socket.send_bytes(encode(audio, self._encoding))

    async def _confirm(self, kind: str) -> None:
        await self._socket.send_json({"type": kind, "sequence_id": self._sequence})
        self._sequence += 1
