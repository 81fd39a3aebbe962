"""ElevenLabs Agents: a whole conversation over one socket.

https://elevenlabs.io/docs/agents-platform/api-reference/agents-platform/websocket (messages),
https://elevenlabs.io/docs/conversational-ai/customization/events/client-events (order), signed URLs
by https://elevenlabs.io/docs/api-reference/conversations/get-signed-url. The handshake succeeds and
a refusal closes with 3000 and a reason (https://github.com/elevenlabs/packages/issues/626); a
message that is none closes with 1008; an agent that fails with 1002
(https://github.com/elevenlabs/examples/issues/137).

The agents here: ``agent_phone`` hears and speaks 8 kHz mu-law, ``agent_wide`` 16 kHz PCM,
``agent_studio`` hears that and speaks 24 kHz; they want a signed URL. ``agent_open`` is
`agent_phone` without one. Asked for a table, an agent first calls
the client's tool `book_table`.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from telebot.simulate.asked import json_object
from telebot.simulate.elevenlabs_voice import FORMATS, encoded, segment
from telebot.simulate.faults import Exchange, Garbage, Refused
from telebot.simulate.server import Simulator
from telebot.simulate.speech import Hearing, Said

# what each hears and speaks
AGENTS = {
    "agent_phone": ("ulaw_8000", "ulaw_8000"),
    "agent_open": ("ulaw_8000", "ulaw_8000"),
    "agent_wide": ("pcm_16000", "pcm_16000"),
    "agent_studio": ("pcm_16000", "pcm_24000"),
}
OPEN = frozenset({"agent_open"})
GREETING = "Hello, how can I help you?"
QUIET = frozenset({"pong", "contextual_update", "user_activity"})
ENDS = {
    401: (3000, "Unauthorized"),
    429: (1008, "Too many concurrent conversations."),
    500: (1002, "The AI agent you are trying to reach appears to be misconfigured."),
}


class _Over(Exception):
    """The vendor closes the socket."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass
class _Talk:
    socket: web.WebSocketResponse
    exchange: Exchange
    input: str
    output: str
    hearing: Hearing
    begun: bool = False
    event: int = 0  # the last event_id
    playing_until: float = 0.0  # monotonic; when the client has played what it was sent
    saying: str = ""
    said_at: float = 0.0  # monotonic; when the reply began to play
    words: Said | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)
    tool: tuple[str, str] | None = None  # id and question of a call under way

    async def send(self, kind: str, **parts: Any) -> None:
        if not self.exchange.silent:
            await self.socket.send_json({"type": kind, **parts})


class Agents:
    """GET …/convai/conversation and …/get-signed-url."""

    def __init__(self, sim: Simulator) -> None:
        self._sim = sim
        self._signed: dict[str, str] = {}  # signature → agent; each is good once

    async def signed_url(self, request: web.Request) -> web.Response:
        agent = request.query.get("agent_id", "")
        if not self._sim.good(request.headers.get("xi-api-key")):
            detail = {"status": "invalid_api_key", "message": "Invalid API key"}
            return web.json_response({"detail": detail}, status=401)
        if agent not in AGENTS:
            detail = {"status": "not_found", "message": "Document with id not found."}
            return web.json_response({"detail": detail}, status=404)
        signature = f"cvtkn_{secrets.token_hex(12)}"
        self._signed[signature] = agent
        path = f"{request.host}/elevenlabs/v1/convai/conversation"
        query = f"agent_id={agent}&conversation_signature={signature}"
        return web.json_response({"signed_url": f"ws://{path}?{query}"})

    async def socket(self, request: web.Request) -> web.StreamResponse:
        exchange = self._sim.exchange("elevenlabs", "realtime")
        refused: Refused | None = None
        try:
            await exchange.reach("connect")
        except Refused as fault:
            refused = fault
        socket = web.WebSocketResponse(max_msg_size=4 << 20)
        await socket.prepare(request)
        try:
            if refused is not None:
                raise refused
            heard, spoken = AGENTS[self._admitted(request.query)]
            encoding = "mulaw" if heard == "ulaw_8000" else "linear16"
            hearing = Hearing(FORMATS[heard], encoding)
            await self._serve(_Talk(socket, exchange, heard, spoken, hearing))
        except Garbage:
            await socket.send_str("{\x00\x7f not json")
            await socket.close()
        except Refused as fault:
            code, reason = ENDS[fault.status]
            await socket.close(code=code, message=reason.encode())
        except _Over as over:
            await socket.close(code=over.code, message=over.reason.encode())
        return socket

    def _admitted(self, query: Mapping[str, str]) -> str:
        agent = query.get("agent_id", "")
        if agent not in AGENTS:
            raise _Over(3000, "The AI agent you are trying to reach does not exist.")
        signed = self._signed.pop(query.get("conversation_signature", ""), None)
        if agent not in OPEN and signed != agent:
            raise Refused(401)
        return agent

    async def _serve(self, talk: _Talk) -> None:
        async for message in talk.socket:
            if message.type is not WSMsgType.TEXT:
                raise _Over(1008, "Invalid message received")
            asked = _parsed(message.data)
            begins = asked.get("type") == "conversation_initiation_client_data"
            if begins and talk.begun:
                raise _Over(1008, "Invalid message received")
            if not talk.begun:  # the client's data is optional; the first message begins it
                await self._begin(talk, asked if begins else {})
            if not begins:
                await self._take(talk, asked)

    async def _begin(self, talk: _Talk, asked: Mapping[str, Any]) -> None:
        talk.begun = True
        event = {
            "conversation_id": f"conv_{uuid.uuid4().hex}",
            "agent_output_audio_format": talk.output,
            "user_input_audio_format": talk.input,
        }
        await talk.send(
            "conversation_initiation_metadata", conversation_initiation_metadata_event=event
        )
        await talk.send("ping", ping_event={"event_id": 1, "ping_ms": None})
        agent = (asked.get("conversation_config_override") or {}).get("agent") or {}
        await self._speak(talk, str(agent.get("first_message") or GREETING))

    async def _take(self, talk: _Talk, asked: Mapping[str, Any]) -> None:
        kind = asked.get("type")
        if "user_audio_chunk" in asked:
            await self._hear(talk, str(asked["user_audio_chunk"]))
        elif kind == "user_message" and isinstance(asked.get("text"), str):
            await self._interrupt(talk)
            await self._answer(talk, asked["text"])
        elif kind == "client_tool_result":
            await self._tool_result(talk, asked)
        elif kind not in QUIET:
            raise _Over(1008, "Invalid message received")

    async def _hear(self, talk: _Talk, chunk: str) -> None:
        try:
            audio = base64.b64decode(chunk, validate=True)
        except binascii.Error:
            raise _Over(1008, "Invalid message received") from None
        spoke = talk.hearing.heard_speech
        ended = talk.hearing.feed(audio)
        if talk.hearing.heard_speech and not spoke:
            await self._interrupt(talk)
        if not ended:
            return
        pcm16 = talk.hearing.take()
        text = await self._sim.speech.hear(pcm16, talk.hearing.rate_hz)
        if text:
            await talk.send("user_transcript", user_transcription_event={"user_transcript": text})
            await self._answer(talk, text)

    async def _answer(self, talk: _Talk, text: str) -> None:
        talk.messages.append({"role": "user", "content": text})
        if "table" in text.lower() and talk.tool is None:
            talk.tool = (f"call_{uuid.uuid4().hex}", text)
            call = {
                "tool_name": "book_table",
                "tool_call_id": talk.tool[0],
                "parameters": {"request": text},
            }
            await talk.send("client_tool_call", client_tool_call=call)
            return
        await self._speak(talk, "".join(self._sim.answers.tokens(talk.messages)))

    async def _tool_result(self, talk: _Talk, asked: Mapping[str, Any]) -> None:
        if talk.tool is None or asked.get("tool_call_id") != talk.tool[0]:
            raise _Over(1008, "Invalid message received")
        talk.tool = None
        failed = bool(asked.get("is_error"))
        says = "I am sorry, that did not work." if failed else str(asked.get("result"))
        await self._speak(talk, says)

    async def _speak(self, talk: _Talk, text: str) -> None:
        talk.messages.append({"role": "assistant", "content": text})
        said = await self._sim.speech.say(text, FORMATS[talk.output])
        await talk.send("agent_response", agent_response_event={"agent_response": text})
        talk.saying, talk.words = text, said
        talk.said_at = max(time.monotonic(), talk.playing_until)
        times = segment(said, spaced=False)
        alignment: dict[str, Any] | None = {
            "chars": times["chars"],
            "char_start_times_ms": times["charStartTimesMs"],
            "char_durations_ms": times["charDurationsMs"],
        }
        async for piece in talk.exchange.outputs(said.pieces(0.2)):
            talk.event += 1
            audio = base64.b64encode(encoded(piece, talk.output)).decode()
            event = {"audio_base_64": audio, "event_id": talk.event}
            event |= {"alignment": alignment} if alignment else {}
            alignment = None
            await talk.send("audio", audio_event=event)
        talk.playing_until = talk.said_at + said.seconds

    async def _interrupt(self, talk: _Talk) -> None:
        """The caller speaks while the agent's audio is still being played."""
        now = time.monotonic()
        if now >= talk.playing_until or talk.words is None:
            return
        talk.playing_until = now
        heard = [w.text for w in talk.words.words if w.end_s <= now - talk.said_at]
        await talk.send("interruption", interruption_event={"event_id": talk.event})
        correction = {
            "original_agent_response": talk.saying,
            "corrected_agent_response": " ".join(heard),
        }
        talk.messages[-1]["content"] = correction["corrected_agent_response"]
        await talk.send("agent_response_correction", agent_response_correction_event=correction)


def _parsed(data: str) -> dict[str, Any]:
    asked = json_object(data)
    if asked is None:
        raise _Over(1008, "Invalid message received")
    return asked
