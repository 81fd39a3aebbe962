"""ElevenLabs' Scribe for files: a form with a recording, its text with the words' times.

https://elevenlabs.io/docs/api-reference/speech-to-text/convert
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.web_request import FileField

from telebot.audio import wav
from telebot.simulate.faults import Exchange, Garbage, Refused
from telebot.simulate.server import Simulator

MODELS = ("scribe_v1", "scribe_v2")
LOGPROB = -0.01
Refusal = Callable[..., web.Response]


class ScribeFiles:
    """POST /v1/speech-to-text. `refusal` makes the vendor's error bodies."""

    def __init__(self, sim: Simulator, refusal: Refusal) -> None:
        self._sim = sim
        self._refusal = refusal

    async def convert(self, request: web.Request) -> web.Response:
        exchange = self._sim.exchange("elevenlabs", "stt")
        try:
            await exchange.reach("connect")
            if not self._sim.good(request.headers.get("xi-api-key")):
                return self._refusal(401)
            form = await request.post()
            try:
                return await self._heard(form, exchange)
            finally:
                for value in form.values():
                    if isinstance(value, FileField):
                        value.file.close()
        except Refused as fault:
            return self._refusal(fault.status)
        except Garbage:
            return web.Response(body=b"\x00 not json", content_type="application/json")

    async def _heard(self, form: Any, exchange: Exchange) -> web.Response:
        file = form.get("file")
        if form.get("model_id") not in MODELS:
            return self._refusal(400, "invalid_model_id", f"'{form.get('model_id')}' is no model.")
        if not isinstance(file, FileField):
            return self._refusal(400, "invalid_parameters", "Send a file or a URL.")
        try:
            pcm16, rate_hz = wav.read(file.file.read())
        except ValueError:
            return self._refusal(400, "invalid_audio", "The file cannot be decoded.")
        await exchange.reach("first")
        text = await self._sim.speech.hear(pcm16, rate_hz)
        await exchange.reach("middle")
        await exchange.reach("end")
        if exchange.silent:
            await exchange.stay()
        return web.json_response(_answer(text, len(pcm16) / 2 / rate_hz, form))


def _answer(text: str, seconds: float, form: Any) -> dict[str, Any]:
    """Words and the spaces between them, as the vendor tells them."""
    words, rows = text.split(), []
    each_s = seconds / max(1, len(words))
    speaker = "speaker_0" if form.get("diarize") == "true" else None
    for n, word in enumerate(words):
        said = {"speaker_id": speaker, "logprob": LOGPROB}
        if n:
            at = {"start": n * each_s, "end": n * each_s}
            rows.append({"text": " ", "type": "spacing", **at, **said})
        at = {"start": n * each_s, "end": (n + 1) * each_s}
        rows.append({"text": word, "type": "word", **at, **said})
    return {
        "language_code": "eng",
        "language_probability": 0.99,
        "text": text,
        "words": rows,
        "transcription_id": "simulated",
    }
