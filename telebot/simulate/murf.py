"""Murf's stream of sound, and its list of voices.

https://murf.ai/api/docs/api-reference/text-to-speech/stream. Errors: `errorMessage`, `errorCode`.
"""

from __future__ import annotations

from aiohttp import web

from telebot.simulate.faults import Exchange
from telebot.simulate.recordings import Recordings, Unfit, object_of
from telebot.simulate.server import Routes, Simulator
from telebot.simulate.sounding import sounding, wav_head

MODELS = ("GEN2", "FALCON", "falcon-2")
VOICES = ("en-US-natalie", "en-US-ken", "en-UK-ruby")
RATES = (8000, 16000, 24000, 44100, 48000)
LONGEST = 3000
SAYS = {
    400: "Bad request",
    401: "Invalid API key",
    402: "Insufficient credits",
    429: "Rate limit exceeded",
    500: "Internal server error",
}


def routes(sim: Simulator) -> Routes:
    """Everything of Murf that is simulated."""
    speaking = Recordings(
        sim,
        "murf",
        lambda request: sim.good(request.headers.get("api-key")),
        _refusal,
        kind="tts",
    )

    async def stream(request: web.Request, exchange: Exchange) -> web.StreamResponse:
        asked = await object_of(request)
        text, rate_hz = asked.get("text"), asked.get("sampleRate", 44100)
        if not isinstance(text, str) or not 0 < len(text) <= LONGEST:
            raise Unfit(400, f"text must have 1 to {LONGEST} characters")
        if asked.get("voiceId") not in VOICES:
            raise Unfit(400, f"Invalid voice_id {asked.get('voiceId')}")
        if asked.get("model", MODELS[0]) not in MODELS or rate_hz not in RATES:
            raise Unfit(400, "Invalid model or sampleRate")
        if (asked.get("format"), asked.get("channelType")) != ("WAV", "MONO"):
            raise Unfit(400, "only WAV and MONO are simulated")
        rate = asked.get("rate", 0)
        if not isinstance(rate, int) or not -50 <= rate <= 50:
            raise Unfit(400, "rate must be between -50 and 50")
        head = wav_head(rate_hz)
        return await sounding(sim, request, exchange, text, rate_hz, kind="audio/wav", head=head)

    async def voices(_: web.Request, __: Exchange) -> web.Response:
        rows = [
            {
                "voiceId": name,
                "displayName": name[6:].title(),
                "locale": name[:5],
                "gender": "Female",
            }
            for name in VOICES
        ]
        return web.json_response(rows)

    return [
        web.post("/murf/v1/speech/stream", speaking.served(stream)),
        web.get("/murf/v1/speech/voices", speaking.served(voices)),
    ]


def _refusal(status: int, says: str) -> web.Response:
    headers = {"Retry-After": "1"} if status == 429 else {}
    body = {"errorMessage": says or SAYS[status], "errorCode": status}
    return web.json_response(body, status=status, headers=headers)
