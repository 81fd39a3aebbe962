"""Azure's fast transcription: a form with a recording and what is wanted of it.

https://learn.microsoft.com/rest/api/speechtotext/transcriptions/transcribe (definition, answer,
error bodies: `code`, `message`).
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from telebot.simulate.asked import json_object
from telebot.simulate.faults import Exchange
from telebot.simulate.recordings import Recordings, Told, Unfit, form_of
from telebot.simulate.server import Routes, Simulator

PATH = "/azure/speechtotext/transcriptions:transcribe"
VERSIONS = ("2024-11-15", "2025-10-15")
LOCALES = ("en-US", "en-GB", "de-DE", "fr-FR", "es-ES")
CODES = {
    400: ("InvalidRequest", "The request is invalid."),
    401: ("Unauthorized", "Access denied due to invalid subscription key."),
    429: ("TooManyRequests", "Too many requests."),
    503: ("ServiceUnavailable", "The service is unavailable."),
}


def routes(sim: Simulator) -> Routes:
    """Everything of Azure's fast transcription that is simulated."""
    recordings = Recordings(
        sim,
        "azure",
        lambda request: sim.good(request.headers.get("Ocp-Apim-Subscription-Key")),
        _refusal,
    )

    async def transcribe(request: web.Request, exchange: Exchange) -> web.Response:
        if request.query.get("api-version") not in VERSIONS:
            raise Unfit(400, "The API version is not supported.")
        form = await form_of(request)
        wanted = json_object(form.get("definition") or "{}")
        audio = form.get("audio")
        if wanted is None or not isinstance(audio, bytes):
            raise Unfit(400, "The audio or the definition is missing.")
        if not set(wanted.get("locales") or ()) <= set(LOCALES):
            raise Unfit(400, "The specified locale is not supported.")
        return web.json_response(_answer(await recordings.hear(exchange, audio), wanted))

    return [web.post(PATH, recordings.served(transcribe))]


def _refusal(status: int, says: str) -> web.Response:
    status = 503 if status == 500 else status
    code, usual = CODES[status]
    body = {"error": {"code": code, "message": says or usual}}
    headers = {"Retry-After": "1"} if status == 429 else {}
    return web.json_response(body, status=status, headers=headers)


def _answer(told: Told, wanted: dict[str, Any]) -> dict[str, Any]:
    words = [
        {
            "text": text,
            "offsetMilliseconds": round(start_s * 1000),
            "durationMilliseconds": round((end_s - start_s) * 1000),
        }
        for text, start_s, end_s in told.words
    ]
    phrase: dict[str, Any] = {
        "offsetMilliseconds": 0,
        "durationMilliseconds": round(told.seconds * 1000),
        "text": told.text,
        "words": words,
        "locale": (wanted.get("locales") or ["en-US"])[0],
        "confidence": 0.95,
    }
    if (wanted.get("diarization") or {}).get("enabled"):
        phrase["speaker"] = 1
    return {
        "durationMilliseconds": round(told.seconds * 1000),
        "combinedPhrases": [{"text": told.text}],
        "phrases": [phrase] if words else [],
    }
