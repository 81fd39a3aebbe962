"""Speechmatics' Agent STT: audio in, whole segments out.

https://docs.speechmatics.com/api-ref/agent-stt-websocket (handshake, messages, their order),
https://docs.speechmatics.com/speech-to-text/agent-stt/segmentation, types of errors and close codes
by https://docs.speechmatics.com/rt-api-ref. A key is refused in the handshake (401); a full account
(`quota_exceeded`, 4005) and a failing server (`job_error`, 4013) are told on the open socket.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import WSMsgType, web

from telebot.simulate import speechmatics_files
from telebot.simulate.asked import bearer, json_object
from telebot.simulate.faults import Exchange, Garbage, Refused
from telebot.simulate.interims import Heard, Listener, at_pace
from telebot.simulate.server import Routes, Simulator

PATH = "/speechmatics/v2/agent"
MODELS = ("linden-1",)
LANGUAGES = ("en", "de", "es", "fr", "it", "nl", "pt")
RATES = (8000, 16000)
MODES = ("vad", "external")
CLOSES = {
    "not_authorised": 4001,
    "not_allowed": 4003,
    "invalid_model": 4004,
    "quota_exceeded": 4005,
    "timelimit_exceeded": 4006,
    "job_error": 4013,
}
OTHER_CLOSE = 1003
FAULTS = {
    401: ("not_authorised", "The API key is not valid."),
    429: ("quota_exceeded", "Concurrent session quota exceeded."),
    500: ("job_error", "The recogniser failed."),
}


class _Over(Exception):
    """An Error message, then the close."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(kind)
        self.kind = kind
        self.reason = reason


@dataclass
class _Session:
    socket: web.WebSocketResponse
    exchange: Exchange
    listener: Listener | None = None  # once it is started
    partials_wanted: bool = False
    vad: bool = False
    audio_messages: int = 0

    async def send(self, message: str, **parts: Any) -> None:
        if not self.exchange.silent:
            await self.socket.send_json({"message": message, **parts})


def routes(sim: Simulator) -> Routes:
    """Everything of Speechmatics that is simulated."""
    return [web.get(PATH, _Agent(sim).socket), *speechmatics_files.routes(sim)]


class _Agent:
    def __init__(self, sim: Simulator) -> None:
        self._sim = sim

    async def socket(self, request: web.Request) -> web.StreamResponse:
        exchange = self._sim.exchange("speechmatics", "stt")
        refused: Refused | None = None
        try:
            await exchange.reach("connect")
        except Refused as fault:
            refused = fault
        if (refused is not None and refused.status == 401) or not self._sim.good(_key(request)):
            return web.Response(status=401, text="Unauthorized")
        socket = web.WebSocketResponse(max_msg_size=4 << 20)
        await socket.prepare(request)
        session = _Session(socket, exchange)
        try:
            if refused is not None:
                raise refused
            await self._serve(session)
        except Garbage:
            await socket.send_str("{\x00\x7f not json")
            await socket.close()
        except Refused as fault:
            await _end(session, *FAULTS[fault.status])
        except _Over as over:
            await _end(session, over.kind, over.reason)
        return socket

    async def _serve(self, session: _Session) -> None:
        async for message in session.socket:
            await at_pace(session.exchange)
            if message.type is WSMsgType.BINARY:
                await self._audio(session, message.data)
            elif await self._told(session, _parsed(message.data)):
                return

    async def _told(self, session: _Session, asked: Mapping[str, Any]) -> bool:
        """Whether the session is over."""
        kind = asked.get("message")
        if kind == "StartRecognition":
            await self._start(session, asked)
        elif session.listener is None:
            raise _Over("protocol_error", "StartRecognition must be the first message.")
        elif kind == "ForceEndOfUtterance":
            await _segment(session, session.listener)
        elif kind == "GetSpeakers":
            await session.send("SpeakersResult", speakers=[])
        elif kind == "EndOfStream":
            if not isinstance(asked.get("last_seq_no"), int):
                raise _Over("invalid_message", "last_seq_no is required.")
            await _segment(session, session.listener)
            await session.send("EndOfTranscript")
            if not session.exchange.silent:
                await session.socket.close()
                return True
        else:
            raise _Over("invalid_message", f"Unknown message {kind!r}.")
        return False

    async def _audio(self, session: _Session, audio: bytes) -> None:
        listener = session.listener
        if listener is None:
            raise _Over("protocol_error", "Audio came before StartRecognition.")
        spoke = listener.heard_speech
        interims = [heard async for heard in listener.feed(audio)]
        session.audio_messages += 1
        await session.send("AudioAdded", seq_no=session.audio_messages)
        if session.vad and listener.heard_speech and not spoke:
            begins = {"start_time": listener.start_s}
            await session.send("SpeechStarted", metadata=begins)
            await session.send("StartOfTurn", metadata=begins)
        if session.partials_wanted:
            for heard in interims:
                await _say(session, "AddPartialSegment", heard)
        if session.vad and listener.ended:
            ends = {"end_time": listener.audio_s}
            await session.send("SpeechEnded", metadata=ends)
            await _segment(session, listener)
            await session.send("EndOfTurn", metadata=ends)

    async def _start(self, session: _Session, asked: Mapping[str, Any]) -> None:
        if session.listener is not None:
            raise _Over("protocol_error", "StartRecognition was sent already.")
        audio, config = asked.get("audio_format"), asked.get("transcription_config")
        turns = asked.get("turn_config") or {}
        if (
            not isinstance(audio, dict)
            or not isinstance(config, dict)
            or not isinstance(turns, dict)
        ):
            raise _Over("invalid_message", "audio_format and transcription_config are required.")
        raw = audio.get("type") == "raw" and audio.get("encoding") == "pcm_s16le"
        if not raw or audio.get("sample_rate") not in RATES:
            raise _Over("invalid_audio_type", f"Unsupported audio_format {audio}.")
        if config.get("model", MODELS[0]) not in MODELS:
            raise _Over("invalid_model", f"Unknown model {config.get('model')!r}.")
        if config.get("language") not in LANGUAGES:
            raise _Over("invalid_language", f"Unknown language {config.get('language')!r}.")
        if turns.get("turn_detection_mode", "vad") not in MODES:
            raise _Over("invalid_config", "Unknown turn_detection_mode.")
        rate_hz = audio["sample_rate"]
        session.listener = Listener(session.exchange, self._sim.speech, rate_hz, "linear16")
        session.partials_wanted = bool(config.get("enable_partials"))
        session.vad = turns.get("turn_detection_mode", "vad") == "vad"
        pack = {
            "language_description": "English",
            "word_delimiter": " ",
            "writing_direction": "left-to-right",
            "itn": True,
            "adapted": False,
        }
        await session.send("RecognitionStarted", id=str(uuid.uuid4()), language_pack_info=pack)


async def _segment(session: _Session, listener: Listener) -> None:
    if listener.heard_speech:
        await _say(session, "AddSegment", await listener.finish())


async def _say(session: _Session, message: str, heard: Heard) -> None:
    if heard.text:
        times = {"start_time": round(heard.start_s, 3), "end_time": round(heard.end_s, 3)}
        await session.send(message, segment={"transcript": heard.text}, metadata=times)


async def _end(session: _Session, kind: str, reason: str) -> None:
    error = {"message": "Error", "type": kind, "reason": reason, "seq_no": session.audio_messages}
    await session.socket.send_json(error)
    await session.socket.close(code=CLOSES.get(kind, OTHER_CLOSE), message=kind.encode())


def _key(request: web.Request) -> str | None:
    return bearer(request) or request.query.get("jwt")


def _parsed(data: str) -> dict[str, Any]:
    asked = json_object(data)
    if asked is None:
        raise _Over("invalid_message", "Not a JSON object.")
    return asked
