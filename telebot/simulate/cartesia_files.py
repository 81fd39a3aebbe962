"""Cartesia's two requests without a socket: a recording to text, a text to sound.

https://docs.cartesia.ai/api-reference/stt/transcribe,
https://docs.cartesia.ai/api-reference/tts/bytes.
"""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web

from telebot.simulate.cartesia_wire import TTS_MODELS, VOICES, authorised, known_model, refusal
from telebot.simulate.faults import Exchange
from telebot.simulate.recordings import Recordings, Unfit, form_of, object_of
from telebot.simulate.server import Routes, Simulator
from telebot.simulate.sounding import sounding

STT_MODELS = ("ink-whisper",)
RATES = (8000, 16000, 22050, 24000, 44100, 48000)


def routes(sim: Simulator) -> Routes:
    """Both requests."""
    wire = _Files(sim)
    return [
        web.post("/cartesia/stt", wire.hearing.served(wire.transcribe)),
        web.post("/cartesia/tts/bytes", wire.speaking.served(wire.speak)),
    ]


def _refusal(status: int, says: str) -> web.Response:
    return refusal(status, "", says)


class _Files:
    def __init__(self, sim: Simulator) -> None:
        self._sim = sim
        known = lambda request: authorised(sim, request) is None  # noqa: E731
        self.hearing = Recordings(sim, "cartesia", known, _refusal)
        self.speaking = Recordings(sim, "cartesia", known, _refusal, kind="tts")

    async def transcribe(self, request: web.Request, exchange: Exchange) -> web.Response:
        form = await form_of(request)
        if form.get("model") not in STT_MODELS:
            raise Unfit(400, f"Unknown model {form.get('model')!r}.")
        if not isinstance(form.get("file"), bytes):
            raise Unfit(400, "file is required.")
        if not re.fullmatch(r"[a-z]{2,3}", form.get("language", "en")):
            raise Unfit(400, "language must be an ISO-639-1 code.")
        told = await self.hearing.hear(exchange, form["file"])
        answer: dict[str, Any] = {"type": "transcript", "request_id": "simulated", "is_final": True}
        answer |= {"text": told.text, "duration": told.seconds, "language": "en"}
        if form.get("timestamp_granularities[]") == "word":
            times = told.words
            answer["words"] = [{"word": w, "start": a, "end": b} for w, a, b in times]
        return web.json_response(answer)

    async def speak(self, request: web.Request, exchange: Exchange) -> web.StreamResponse:
        asked = await object_of(request)
        sound, voice = asked.get("output_format"), asked.get("voice")
        if not known_model(asked.get("model_id"), TTS_MODELS):
            raise Unfit(400, f"Unknown model {asked.get('model_id')!r}.")
        if not isinstance(voice, dict) or voice.get("id") not in VOICES:
            raise Unfit(404, "The voice was not found.")
        if not isinstance(sound, dict) or sound.get("sample_rate") not in RATES:
            raise Unfit(400, "output_format is required.")
        if (sound.get("container"), sound.get("encoding")) != ("raw", "pcm_s16le"):
            raise Unfit(400, "only raw pcm_s16le is simulated.")
        text = asked.get("transcript")
        if not isinstance(text, str) or not text.strip():
            raise Unfit(400, "transcript must not be empty.")
        return await sounding(self._sim, request, exchange, text, sound["sample_rate"])
