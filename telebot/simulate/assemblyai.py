"""AssemblyAI's streaming wire: /v3/ws, and the token by which a key is checked.

https://www.assemblyai.com/docs/streaming/message-sequence,
https://www.assemblyai.com/docs/streaming/common-session-errors-and-closures; messages as
AssemblyAI/assemblyai-python-sdk has them (`assemblyai/streaming/v3/models.py`). A session is opened
whatever the key, and refused by an `Error` message and the close code of the same number. Audio
faster than it is spoken is not refused, so that tests need not wait.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from telebot.simulate import assemblyai_files
from telebot.simulate.faults import Dropped, Exchange, Garbage, Refused
from telebot.simulate.interims import Heard, Listener, at_pace
from telebot.simulate.server import Routes, Simulator

PRO_MODELS = ("universal-3-6-pro", "universal-3-5-pro", "u3-rt-pro")
MODELS = (*PRO_MODELS, "universal-streaming-english", "universal-streaming-multilingual")
PRO_ONLY = ("mode", "prompt", "agent_context", "continuous_partials", "interruption_delay")
ENCODINGS = {"pcm_s16le": ("linear16", 2), "pcm_mulaw": ("mulaw", 1)}
MODES = ("min_latency", "balanced", "max_accuracy")
PIECE_MS = (50, 1000)
SESSION_S = 3 * 3600
OWN_ENDPOINT_MS = 300  # an end of turn that the session's silence setting is longer than waits
UNAUTHORISED = "Unauthorized Connection: "
REFUSALS = {
    401: (1008, f"{UNAUTHORISED}Missing Authorization header"),
    429: (3009, f"{UNAUTHORISED}Too many concurrent sessions"),
    500: (3005, "Session Cancelled: An error occurred"),
}
UPDATES = (
    "end_of_turn_confidence_threshold", "min_turn_silence", "max_turn_silence", "vad_threshold",
    "format_turns", "keyterms_prompt", "filter_profanity", "prompt", "agent_context",
    "interruption_delay", "language_codes",
)  # fmt: skip


class Invalid(Exception):
    """What the session is closed for: a code, and the reason in the vendor's words."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def routes(sim: Simulator) -> Routes:
    """Everything of AssemblyAI that is simulated."""

    async def token(request: web.Request) -> web.Response:
        if not sim.good(request.headers.get("Authorization")):
            return web.json_response({"error": "Unauthorized"}, status=401)
        seconds = request.query.get("expires_in_seconds", "")
        if not seconds.isdigit() or not 1 <= int(seconds) <= 600:
            return web.json_response({"error": "Invalid expires_in_seconds"}, status=400)
        answer = {"token": f"token-{uuid.uuid4()}", "expires_in_seconds": int(seconds)}
        return web.json_response(answer)

    async def stream(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=1 << 20, compress=False)
        await socket.prepare(request)
        exchange = sim.exchange("assemblyai", "stt")
        key = request.headers.get("Authorization") or request.query.get("token")
        try:
            await exchange.reach("connect")
            if not sim.good(key):
                raise Refused(401)
            await _Session(sim, exchange, request.query, socket).run()
        except Refused as fault:
            await _refuse(socket, *REFUSALS[fault.status])
        except Invalid as fault:
            await _refuse(socket, fault.code, str(fault))
        except Garbage:
            await socket.send_str('{"type": "\x00 not json')
            await exchange.stay()
        except ConnectionResetError as error:
            raise Dropped from error
        return socket

    return [
        web.get("/assemblyai/v3/token", token),
        web.get("/assemblyai/v3/ws", stream),
        *assemblyai_files.routes(sim),
    ]


async def _refuse(socket: web.WebSocketResponse, code: int, reason: str) -> None:
    await socket.send_json({"type": "Error", "error_code": code, "error": reason})
    await socket.close(code=code, message=reason.encode()[:123])


class _Session:
    """One connection. Raises Invalid for parameters that AssemblyAI would refuse."""

    def __init__(
        self, sim: Simulator, exchange: Exchange, query: Any, socket: web.WebSocketResponse
    ) -> None:
        self._model = query.get("speech_model", "universal-streaming-english")
        encoding = query.get("encoding", "pcm_s16le")
        rate_hz = query.get("sample_rate", "16000")
        if self._model not in MODELS:
            raise Invalid(3006, f"Invalid speech_model: {self._model}")
        if encoding not in ENCODINGS:
            raise Invalid(3006, f"Invalid encoding: {encoding}")
        if not rate_hz.isdigit() or not 8000 <= int(rate_hz) <= 48000:
            raise Invalid(3006, f"Invalid sample_rate: {rate_hz}")
        if self._model not in PRO_MODELS and any(name in query for name in PRO_ONLY):
            raise Invalid(3006, "A parameter is not supported by this speech_model")
        if query.get("mode", "balanced") not in MODES:
            raise Invalid(3006, f"Invalid mode: {query['mode']}")
        name, width = ENCODINGS[encoding]
        self._bytes_a_ms = int(rate_hz) * width / 1000
        silence = query.get("min_turn_silence", "100")
        self._ends_turns = silence.isdigit() and int(silence) <= OWN_ENDPOINT_MS
        self._formats = self._model in PRO_MODELS or query.get("format_turns") == "true"
        self._listener = Listener(exchange, sim.speech, int(rate_hz), name)
        self._exchange = exchange
        self._socket = socket
        self._turn = 0
        self._started = False
        self._began = time.monotonic()

    async def run(self) -> None:
        expires = int(time.time()) + SESSION_S
        await self._send({"type": "Begin", "id": str(uuid.uuid4()), "expires_at": expires})
        async for message in self._socket:
            await at_pace(self._exchange)
            if message.type is WSMsgType.BINARY:
                await self._audio(message.data)
            elif message.type is WSMsgType.TEXT and not await self._control(message.data):
                await self._terminate()
                return

    async def _audio(self, audio: bytes) -> None:
        lasts_ms = len(audio) / self._bytes_a_ms
        if not PIECE_MS[0] <= lasts_ms <= PIECE_MS[1]:
            raise Invalid(
                3007,
                f"Input duration violation: {lasts_ms:g} ms. Expected between 50 and 1000 ms",
            )
        async for heard in self._listener.feed(audio):
            await self._start(heard)
            await self._send_turn(heard)
        if self._listener.ended and self._ends_turns:
            await self._end_turn()

    async def _control(self, text: str) -> bool:
        """False where the client ends the session."""
        try:
            message = json.loads(text)
        except ValueError:
            raise Invalid(3006, f"Invalid JSON: {text}") from None
        if not isinstance(message, dict):
            raise Invalid(3006, f"Invalid Message: {text}")
        kind = message.get("type")
        if kind == "ForceEndpoint":
            await self._end_turn()
        elif kind == "UpdateConfiguration":
            if unknown := [name for name in message if name not in ("type", *UPDATES)]:
                raise Invalid(3006, f"Invalid Message: {unknown[0]}")
        elif kind not in ("KeepAlive", "Terminate"):
            raise Invalid(3006, f"Invalid Message Type: {kind}")
        return bool(kind != "Terminate")

    async def _start(self, heard: Heard) -> None:
        if not self._started and self._model in PRO_MODELS:
            await self._send({"type": "SpeechStarted", "timestamp": round(heard.start_s * 1000)})
        self._started = True

    async def _end_turn(self) -> None:
        heard = await self._listener.finish()
        if not heard.text:
            return
        await self._start(heard)
        if self._model not in PRO_MODELS:
            await self._send_turn(heard, end_of_turn=True)
        if self._formats:
            await self._send_turn(heard, end_of_turn=True, formatted=True)
        self._turn += 1
        self._started = False

    async def _send_turn(
        self, heard: Heard, *, end_of_turn: bool = False, formatted: bool = False
    ) -> None:
        words = [
            {
                "start": round(word.start_s * 1000),
                "end": round(word.end_s * 1000),
                "text": word.text if formatted else word.text.lower().strip(".,?!"),
                "confidence": 0.99,
                "word_is_final": end_of_turn,
            }
            for word in heard.words
        ]
        await self._send(
            {
                "type": "Turn",
                "turn_order": self._turn,
                "turn_is_formatted": formatted,
                "end_of_turn": end_of_turn,
                "transcript": " ".join(str(word["text"]) for word in words),
                "end_of_turn_confidence": 0.95 if end_of_turn else 0.05,
                "words": words,
                "utterance": heard.text if end_of_turn else "",
            }
        )

    async def _terminate(self) -> None:
        if self._listener.heard_speech:
            await self._end_turn()
        await self._send(
            {
                "type": "Termination",
                "audio_duration_seconds": round(self._listener.audio_s),
                "session_duration_seconds": round(time.monotonic() - self._began),
            }
        )
        await self._socket.close(code=WSCloseCode.OK)

    async def _send(self, message: dict[str, Any]) -> None:
        if not self._exchange.silent:
            await self._socket.send_json(message)
