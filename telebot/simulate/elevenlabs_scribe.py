"""ElevenLabs' Scribe over its realtime socket.

https://elevenlabs.io/docs/api-reference/speech-to-text/v-1-speech-to-text-realtime (query and
messages) and …/eleven-api/guides/how-to/speech-to-text/realtime/event-reference: an error is told
in a message before the socket is closed. A bad key is an `auth_error` on the open socket;
parameters that the server rejects are an `invalid_request`
(https://github.com/elevenlabs/elevenlabs-js/pull/436). The close codes are not documented; here
1008, and 1011 for the vendor's own failures. A commit of less than 0.3 s is ignored with
`commit_throttled` (https://github.com/elevenlabs/packages/issues/378).
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import WSMsgType, web

from telebot.simulate.asked import json_object
from telebot.simulate.faults import Exchange, Garbage, Refused
from telebot.simulate.interims import Heard, Listener, at_pace
from telebot.simulate.server import Simulator

MODELS = ("scribe_v2_realtime", "scribe_v3_live")
FORMATS = {
    "ulaw_8000": ("mulaw", 8000),
    **{f"pcm_{rate}": ("linear16", rate) for rate in (8000, 16000, 22050, 24000, 44100, 48000)},
}
STRATEGIES = ("manual", "vad")
LEAST_COMMIT_S = 0.3
ERRORS = {
    401: ("auth_error", "You must be authenticated to use this endpoint.", 1008),
    429: ("rate_limited", "You have been rate limited.", 1008),
    500: ("transcriber_error", "The transcription failed.", 1011),
}


class _Over(Exception):
    """The vendor ends the session with an error message and a close."""

    def __init__(self, kind: str, error: str, code: int = 1008) -> None:
        super().__init__(kind)
        self.kind = kind
        self.error = error
        self.code = code


@dataclass
class _Session:
    socket: web.WebSocketResponse
    exchange: Exchange
    query: Mapping[str, str]
    listener: Listener
    rate_hz: int
    chunks: int = 0
    committed_s: float = 0.0  # of the session's audio

    def on(self, name: str) -> bool:
        return self.query.get(name) == "true"

    async def send(self, event: Mapping[str, Any]) -> None:
        if not self.exchange.silent:
            await self.socket.send_json(event)


class Scribe:
    """GET …/speech-to-text/realtime."""

    def __init__(self, sim: Simulator) -> None:
        self._sim = sim

    async def socket(self, request: web.Request) -> web.StreamResponse:
        exchange = self._sim.exchange("elevenlabs", "stt")
        refused = 0
        try:
            await exchange.reach("connect")
        except Refused as fault:
            refused = fault.status
        if refused in (429, 500):
            kind, error, _ = ERRORS[refused]
            body = {"detail": {"status": kind, "message": error}}
            return web.json_response(body, status=refused)
        socket = web.WebSocketResponse(max_msg_size=4 << 20)
        await socket.prepare(request)
        try:
            if refused or not self._sim.good(_key(request)):
                raise Refused(401)
            encoding, rate_hz = _checked(request.query)
            listener = Listener(exchange, self._sim.speech, rate_hz, encoding)
            await self._serve(_Session(socket, exchange, request.query, listener, rate_hz))
        except Garbage:
            await socket.send_str("{\x00\x7f not json")
            await socket.close()
        except Refused as fault:
            await _end(socket, *ERRORS[fault.status])
        except _Over as over:
            await _end(socket, over.kind, over.error, over.code)
        return socket

    async def _serve(self, session: _Session) -> None:
        config = {
            "sample_rate": session.rate_hz,
            "audio_format": session.query.get("audio_format", "pcm_16000"),
            "language_code": session.query.get("language_code"),
            "commit_strategy": session.query.get("commit_strategy", "manual"),
            "model_id": session.query["model_id"],
            "include_timestamps": session.on("include_timestamps"),
        }
        started = {"message_type": "session_started", "session_id": uuid.uuid4().hex}
        await session.send({**started, "config": config})
        async for message in session.socket:
            await at_pace(session.exchange)
            if message.type is not WSMsgType.TEXT:
                raise _Over("input_error", "Messages must be JSON text.")
            await self._take(session, _chunk(session, message.data))

    async def _take(self, session: _Session, asked: Mapping[str, Any]) -> None:
        manual = session.query.get("commit_strategy", "manual") == "manual"
        async for heard in session.listener.feed(asked["audio"]):
            await session.send({"message_type": "partial_transcript", "text": heard.text})
        session.chunks += 1
        if asked["commit"] if manual else session.listener.ended:
            await self._commit(session)

    async def _commit(self, session: _Session) -> None:
        waiting_s = session.listener.audio_s - session.committed_s
        if waiting_s < LEAST_COMMIT_S:
            error = (
                f"Commit request ignored: only {waiting_s:.2f}s of uncommitted audio. You need at "
                f"least {LEAST_COMMIT_S}s of uncommitted audio before committing."
            )
            await session.send({"message_type": "commit_throttled", "error": error})
            return
        heard = await session.listener.finish()
        session.committed_s = session.listener.audio_s
        text = heard.text
        await session.send({"message_type": "committed_transcript", "text": text})
        if session.on("include_timestamps") or session.on("include_language_detection"):
            timed = {"message_type": "committed_transcript_with_timestamps", "text": text}
            words = _words(heard)
            timed |= {"language_code": "en"} if session.on("include_language_detection") else {}
            await session.send(
                {**timed, "words": words if session.on("include_timestamps") else None}
            )


def _words(heard: Heard) -> list[dict[str, Any]]:
    """The words with their times, and the spaces between them."""
    words: list[dict[str, Any]] = []
    for word in heard.words:
        if words:
            spacing = {"start": word.start_s, "end": word.start_s, "type": "spacing"}
            words.append({"text": " ", **spacing})
        words.append({"text": word.text, "start": word.start_s, "end": word.end_s, "type": "word"})
    return words


def _key(request: web.Request) -> str | None:
    return request.query.get("token") or request.headers.get("xi-api-key")


def _checked(query: Mapping[str, str]) -> tuple[str, int]:
    """Encoding and rate of the audio. Raises _Over for parameters that do not exist."""
    if query.get("model_id") not in MODELS:
        raise _Over("invalid_request", f"Unknown model_id {query.get('model_id')!r}.")
    wanted = query.get("audio_format", "pcm_16000")
    if wanted not in FORMATS:
        raise _Over("invalid_request", f"Unknown audio_format {wanted!r}.")
    if query.get("commit_strategy", "manual") not in STRATEGIES:
        raise _Over("invalid_request", "Unknown commit_strategy.")
    return FORMATS[wanted]


def _chunk(session: _Session, data: str) -> dict[str, Any]:
    """An `input_audio_chunk`. Raises _Over where it is not one."""
    asked = json_object(data)
    if asked is None or asked.get("message_type") != "input_audio_chunk":
        raise _Over("input_error", "Expected an input_audio_chunk.")
    if not isinstance(asked.get("commit"), bool):
        raise _Over("input_error", "commit must be true or false.")
    if asked.get("sample_rate", session.rate_hz) != session.rate_hz:
        raise _Over("input_error", "sample_rate differs from the session's audio_format.")
    if asked.get("previous_text") and session.chunks:
        raise _Over("input_error", "previous_text can only be sent with the first chunk.")
    try:
        audio = base64.b64decode(str(asked["audio_base_64"]), validate=True)
    except (KeyError, binascii.Error):
        raise _Over("input_error", "audio_base_64 is not base64.") from None
    return {"audio": audio, "commit": asked["commit"]}


async def _end(socket: web.WebSocketResponse, kind: str, error: str, code: int = 1008) -> None:
    await socket.send_json({"message_type": kind, "error": error})
    await socket.close(code=code, message=kind.encode())
