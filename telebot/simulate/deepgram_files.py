"""Deepgram's two requests without a socket: a recording to text, a text to sound.

https://developers.deepgram.com/reference/speech-to-text/listen-pre-recorded (query, body, answer),
https://developers.deepgram.com/reference/text-to-speech/speak-request (at most 2000 characters)
"""

from __future__ import annotations

import uuid
from typing import Any

from aiohttp import web

from telebot.audio import wav
from telebot.simulate.deepgram_wire import LISTEN_MODELS, VOICES, authorised, refusal
from telebot.simulate.faults import Dropped, Exchange, Garbage, Refused
from telebot.simulate.server import Routes, Simulator

LONGEST = 2000
RATES = (8000, 16000, 24000, 32000, 48000)
SURE = 0.98


def routes(sim: Simulator) -> Routes:
    files = _Files(sim)
    return [
        web.post("/deepgram/v1/listen", files.listen),
        web.post("/deepgram/v1/speak", files.speak),
    ]


class _Files:
    def __init__(self, sim: Simulator) -> None:
        self._sim = sim

    async def listen(self, request: web.Request) -> web.Response:
        return await self._told(request, "stt", self._listen)  # type: ignore[return-value]

    async def speak(self, request: web.Request) -> web.StreamResponse:
        return await self._told(request, "tts", self._speak)

    async def _told(self, request: web.Request, kind: str, work: Any) -> web.StreamResponse:
        exchange = self._sim.exchange("deepgram", kind)
        try:
            await exchange.reach("connect")
            if not authorised(self._sim, request):
                return refusal(401)
            done: web.StreamResponse = await work(request, exchange)
            return done
        except Refused as fault:
            return refusal(fault.status)
        except Garbage:
            return web.Response(body=b"\x00 not json", content_type="application/json")

    async def _listen(self, request: web.Request, exchange: Exchange) -> web.Response:
        model = request.query.get("model", "base")
        if model not in LISTEN_MODELS and f"{model}-general" not in LISTEN_MODELS:
            return refusal(400, "Bad Request: no such model/language/tier combination found.")
        try:
            pcm16, rate_hz = wav.read(await request.read())
        except ValueError:
            return refusal(400, "Bad Request: failed to process audio: corrupt or unsupported data")
        await exchange.reach("first")
        text = await self._sim.speech.hear(pcm16, rate_hz)
        await exchange.reach("middle")
        await exchange.reach("end")
        if exchange.silent:
            await exchange.stay()
        return web.json_response(_answer(request, text, len(pcm16) / 2 / rate_hz))

    async def _speak(self, request: web.Request, exchange: Exchange) -> web.StreamResponse:
        query = request.query
        try:
            text = (await request.json()).get("text")
        except (ValueError, AttributeError):
            text = None
        if query.get("model", "aura-asteria-en") not in VOICES:
            return refusal(400, "Bad Request: no such model")
        if not isinstance(text, str) or not 0 < len(text) <= LONGEST:
            return refusal(400, f"Bad Request: text must have 1 to {LONGEST} characters")
        if (query.get("encoding"), query.get("container")) != ("linear16", "none"):
            return refusal(400, "Bad Request: only linear16 without a container is simulated")
        rate_hz = int(query.get("sample_rate", "24000"))
        if rate_hz not in RATES:
            return refusal(400, "Bad Request: unsupported sample rate")
        said = await self._sim.speech.say(text, rate_hz)
        answer = web.StreamResponse(headers={"Content-Type": f"audio/l16;rate={rate_hz}"})
        await answer.prepare(request)
        try:
            async for piece in exchange.outputs(said.pieces()):
                await answer.write(bytes(len(piece)) if exchange.silent else piece)
        except Garbage:
            await answer.write(b"\x00\xff\x00 not audio")
        except Refused:  # the status line is out already
            raise Dropped from None
        return answer


def _answer(request: web.Request, text: str, seconds: float) -> dict[str, Any]:
    words = text.split()
    each_s = seconds / max(1, len(words))
    speakers = {"speaker": 0} if request.query.get("diarize") == "true" else {}
    rows = [
        {
            "word": word.strip(".,?!").lower(),
            "punctuated_word": word,
            "start": round(n * each_s, 3),
            "end": round((n + 1) * each_s, 3),
            "confidence": SURE,
            **speakers,
        }
        for n, word in enumerate(words)
    ]
    best = {"transcript": text, "confidence": SURE if text else 0.0, "words": rows}
    channel: dict[str, Any] = {"alternatives": [best]}
    if request.query.get("detect_language") == "true":
        channel |= {"detected_language": "en", "language_confidence": SURE}
    metadata = {
        "transaction_key": "deprecated",
        "request_id": str(uuid.uuid4()),
        "sha256": "0" * 64,
        "created": "2026-01-01T00:00:00.000Z",
        "duration": seconds,
        "channels": 1,
        "models": [str(uuid.uuid4())],
        "model_info": {},
    }
    return {"metadata": metadata, "results": {"channels": [channel]}}
