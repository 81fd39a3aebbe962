"""ElevenLabs' voices over one socket with several contexts, each a reply, with character times.

https://elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input
(paths, messages, at most five contexts, `close_socket`), errors as they are seen on the wire: a
frame ``{"message", "error", "code": 1008}``, then close 1008 with the message for its reason
(https://github.com/livekit/agents-js/issues/1985, https://github.com/livekit/agents/issues/218,
https://github.com/pipecat-ai/pipecat/issues/4114, …/4541, …/1426). A key may come in the first
message, so a bad one is refused on the open socket; a subscription's and the server's refusals
come with the handshake. Without `sync_alignment` a segment's times all come with its first audio.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from telebot.audio import g711
from telebot.providers.spoken import Word
from telebot.simulate.asked import json_object
from telebot.simulate.faults import Exchange, Garbage, Refused
from telebot.simulate.interims import at_pace
from telebot.simulate.server import Simulator
from telebot.simulate.speech import Said

MODELS = (
    "eleven_flash_v2_5", "eleven_flash_v2", "eleven_turbo_v2_5", "eleven_multilingual_v2",
    "eleven_v4", "eleven_v4_turbo",
)  # fmt: skip
VOICES = {
    "JBFqnCBsd6RMkjVDRZzb": "George",
    "EXAVITQu4vr4xnSDxMaL": "Sarah",
    "21m00Tcm4TlvDq8ikWAM": "Rachel",
}
RATES = (8000, 16000, 22050, 24000, 32000, 44100, 48000)
FORMATS = {"ulaw_8000": 8000, **{f"pcm_{rate}": rate for rate in RATES}}  # that can be made here
MOST_CONTEXTS = 5
ENOUGH = 120  # characters that start a generation without auto_mode (chunk_length_schedule)
ERRORS = {
    401: ("invalid_api_key", "Invalid API key"),
    429: ("too_many_concurrent_requests", "Too many concurrent requests for your subscription."),
    500: (
        "internal_server_error",
        "We are sorry, something went wrong. You are not charged for this request.",
    ),
}


class _Over(Exception):
    """The vendor ends the socket with an error frame and a close."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(error)
        self.error = error
        self.message = message


@dataclass
class _Context:
    settings: Any
    waiting: str = ""
    segments: int = 0


@dataclass
class _Session:
    socket: web.WebSocketResponse
    exchange: Exchange
    query: Mapping[str, str]
    contexts: dict[str, _Context] = field(default_factory=dict)
    authorised: bool = False

    @property
    def output(self) -> str:
        return self.query.get("output_format", "mp3_44100_128")

    def on(self, name: str) -> bool:
        return self.query.get(name) == "true"


def encoded(pcm16: bytes, output: str) -> bytes:
    """int16 PCM in one of FORMATS."""
    return g711.encode(pcm16) if output == "ulaw_8000" else pcm16


class Voice:
    """GET …/text-to-speech/{voice_id}/multi-stream-input."""

    def __init__(self, sim: Simulator) -> None:
        self._sim = sim

    async def socket(self, request: web.Request) -> web.StreamResponse:
        exchange = self._sim.exchange("elevenlabs", "tts")
        refused = 0
        try:
            await exchange.reach("connect")
        except Refused as fault:
            refused = fault.status
        if refused in (429, 500):
            status, message = ERRORS[refused]
            body = {"detail": {"status": status, "message": message}}
            return web.json_response(body, status=refused)
        socket = web.WebSocketResponse(max_msg_size=1 << 20)
        await socket.prepare(request)
        session = _Session(socket, exchange, request.query)
        try:
            if refused:
                raise Refused(refused)
            self._admit(session, request)
            await self._serve(session)
        except Garbage:
            await socket.send_str("{\x00\x7f not json")
            await socket.close()
        except Refused as fault:
            await _end(socket, *ERRORS[fault.status])
        except _Over as over:
            await _end(socket, over.error, over.message)
        return socket

    def _admit(self, session: _Session, request: web.Request) -> None:
        key = request.headers.get("xi-api-key")
        if key is not None:
            self._authorise(session, key)
        voice, model = request.match_info["voice_id"], session.query.get("model_id")
        if voice not in VOICES:
            raise _Over("voice_not_found", f"A voice with voice_id {voice} does not exist.")
        if model is not None and model not in MODELS:
            raise _Over("model_not_found", f"A model with model_id {model} does not exist.")
        if session.output not in FORMATS:
            raise _Over("invalid_output_format", f"{session.output} is not simulated.")

    def _authorise(self, session: _Session, key: str | None) -> None:
        if not self._sim.good(key):
            raise Refused(401)
        session.authorised = True

    async def _serve(self, session: _Session) -> None:
        async for message in session.socket:
            await at_pace(session.exchange)
            if message.type is not WSMsgType.TEXT:
                raise _Over("invalid_message", "Invalid message received")
            asked = _parsed(message.data)
            if not session.authorised:
                self._authorise(session, asked.get("xi_api_key"))
            if asked.get("close_socket"):
                for name in list(session.contexts):
                    await self._close(session, name)
                await session.socket.close()
                return
            await self._take(session, asked)

    async def _take(self, session: _Session, asked: Mapping[str, Any]) -> None:
        name, text = asked.get("context_id"), asked.get("text")
        if asked.get("close_context"):
            await self._close(session, str(name))
            return
        if text is None and not asked.get("flush"):
            raise _Over("invalid_message", "Invalid message received")
        if not isinstance(text, str | None) or not isinstance(name, str | None):
            raise _Over("invalid_message", "Invalid message received")
        if not text and not asked.get("flush"):
            return  # keeps the connection, or a context, alive
        context = self._context(session, name or "default", asked.get("voice_settings"))
        context.waiting += text or ""
        enough = session.on("auto_mode") or len(context.waiting) >= ENOUGH or asked.get("flush")
        if enough:
            await self._generate(session, name or "default")

    def _context(self, session: _Session, name: str, settings: Any) -> _Context:
        context = session.contexts.get(name)
        if context is None:
            if len(session.contexts) >= MOST_CONTEXTS:
                raise _Over(
                    "max_active_conversations",
                    f"Maximum simultaneous contexts per WebSocket connection exceeded "
                    f"({MOST_CONTEXTS}). Please close an existing context before opening a new "
                    "one.",
                )
            context = session.contexts[name] = _Context(settings)
        elif settings is not None and settings != context.settings:
            raise _Over(
                "invalid_voice_settings",
                "voice_settings field must be provided in the first message and then either be "
                "not provided or not change.",
            )
        return context

    async def _close(self, session: _Session, name: str) -> None:
        if name not in session.contexts:
            return
        await self._generate(session, name)
        del session.contexts[name]
        if not session.exchange.silent:
            await session.socket.send_json({"isFinal": True, "contextId": name})

    async def _generate(self, session: _Session, name: str) -> None:
        context = session.contexts[name]
        text, context.waiting = context.waiting.strip(), ""
        if not text:
            return
        said = await self._sim.speech.say(text, FORMATS[session.output])
        context.segments += 1
        first = segment(said, spaced=context.segments > 1)
        outputs: list[tuple[bytes, dict[str, list[Any]] | None]]
        if session.on("sync_alignment"):
            outputs = words_apart(said, first)
        else:
            pieces = said.pieces()
            outputs = [(piece, None if i else first) for i, piece in enumerate(pieces)]
        async for piece, alignment in session.exchange.outputs(outputs):
            heard = bytes(len(piece)) if session.exchange.silent else piece
            audio = base64.b64encode(encoded(heard, session.output)).decode()
            times_of = {"alignment": alignment, "normalizedAlignment": alignment}
            event = {"audio": audio, "isFinal": None, **times_of, "contextId": name}
            await session.socket.send_json(event)


def segment(said: Said, *, spaced: bool) -> dict[str, list[Any]]:
    """The characters of a text and when each is heard, in ms; `spaced`: it follows another one,
    and begins with the space between them."""
    chars: list[str] = [" "] if spaced else []
    starts, lengths = [0] * len(chars), [0] * len(chars)
    ends_s = [word.start_s for word in said.words[1:]] + [said.seconds]
    for word, end_s in zip(said.words, ends_s, strict=True):
        written = word.text if word is said.words[-1] else f"{word.text} "
        for char, start_ms, end_ms in _spread(word, written, end_s):
            chars.append(char)
            starts.append(start_ms)
            lengths.append(end_ms - start_ms)
    return {"chars": chars, "charStartTimesMs": starts, "charDurationsMs": lengths}


def words_apart(
    said: Said, times: Mapping[str, list[Any]]
) -> list[tuple[bytes, dict[str, list[Any]] | None]]:
    """The audio cut before each word, each piece with the times of its own characters, which count
    from its own first sample."""
    chars, starts = times["chars"], times["charStartTimesMs"]
    firsts = [i for i in range(len(chars)) if i == 0 or (chars[i - 1] == " " and i > 1)]
    pieces: list[tuple[bytes, dict[str, list[Any]] | None]] = []
    from_ms = 0
    for first, last in zip(firsts, [*firsts[1:], len(chars)], strict=True):
        whole = last == len(chars)
        to_ms = round(said.seconds * 1000) if whole else starts[last]
        audio = said.pcm16[_at(said, from_ms) : len(said.pcm16) if whole else _at(said, to_ms)]
        begins = [max(0, start - from_ms) for start in starts[first:last]]
        ends = [*begins[1:], to_ms - from_ms]
        lengths = [max(0, end - begin) for begin, end in zip(begins, ends, strict=True)]
        pieces.append(
            (
                audio,
                {
                    "chars": chars[first:last],
                    "charStartTimesMs": begins,
                    "charDurationsMs": lengths,
                },
            )
        )
        from_ms = to_ms
    return pieces


def _at(said: Said, ms: int) -> int:
    """The byte at `ms`."""
    return ms * said.rate_hz // 1000 * 2


def _spread(word: Word, written: str, end_s: float) -> list[tuple[str, int, int]]:
    """The characters of a word evenly over its time; what follows up to `end_s` is the last's."""
    spoken = len(word.text) or 1
    step_s = (word.end_s - word.start_s) / spoken
    starts = [round((word.start_s + i * step_s) * 1000) for i in range(len(written))]
    return list(zip(written, starts, [*starts[1:], round(end_s * 1000)], strict=True))


async def _end(socket: web.WebSocketResponse, error: str, message: str) -> None:
    await socket.send_json({"message": message, "error": error, "code": 1008})
    await socket.close(code=1008, message=message.encode()[:123])


def _parsed(data: str) -> dict[str, Any]:
    asked = json_object(data)
    if asked is None:
        raise _Over("invalid_message", "Invalid message received")
    return asked
