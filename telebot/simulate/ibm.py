"""IBM Watson's speech services: recognise, synthesise, list the voices.

https://cloud.ibm.com/apidocs/speech-to-text#recognize,
https://cloud.ibm.com/apidocs/text-to-speech#synthesize. Errors: `code`, `error`,
`code_description`. The key is the password of ``apikey``, or a bearer token.
"""

from __future__ import annotations

import base64
import re
from typing import Any

from aiohttp import web

from telebot.simulate.asked import bearer
from telebot.simulate.faults import Exchange
from telebot.simulate.recordings import Recordings, Told, Unfit, object_of
from telebot.simulate.server import Routes, Simulator
from telebot.simulate.sounding import sounding

PREFIX = "/ibm-watson/v1"
MODEL = re.compile(r"(en-US|en-GB|de-DE|fr-FR|es-ES)_(Multimedia|Telephony)|en-US|de-DE")
VOICES = ("en-US_MichaelV3Voice", "en-US_AllisonV3Voice", "de-DE_BirgitV3Voice")
SOUND = re.compile(r"audio/l16; ?rate=(\d+); ?endianness=little-endian")
MOST_BYTES = 5 << 10
SAYS = {
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    406: "Not Acceptable",
    415: "Unsupported Media Type",
    429: "Too Many Requests",
    500: "Internal Server Error",
}


def routes(sim: Simulator) -> Routes:
    """Everything of Watson that is simulated."""
    wire = _Watson(sim)
    return [
        web.post(f"{PREFIX}/recognize", wire.hearing.served(wire.recognise)),
        web.post(f"{PREFIX}/synthesize", wire.speaking.served(wire.synthesise)),
        web.get(f"{PREFIX}/voices", wire.speaking.served(wire.voices)),
    ]


def _refusal(status: int, says: str) -> web.Response:
    body = {"code": status, "error": says or SAYS[status], "code_description": SAYS[status]}
    headers = {"Retry-After": "1"} if status == 429 else {}
    return web.json_response(body, status=status, headers=headers)


class _Watson:
    def __init__(self, sim: Simulator) -> None:
        self._sim = sim
        self.hearing = Recordings(sim, "ibm-watson", self._known, _refusal)
        self.speaking = Recordings(sim, "ibm-watson", self._known, _refusal, kind="tts")

    def _known(self, request: web.Request) -> bool:
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Basic":
            return self._sim.good(bearer(request))
        try:
            user, _, key = base64.b64decode(secret, validate=True).decode().partition(":")
        except ValueError:
            return False
        return user == "apikey" and self._sim.good(key)

    async def recognise(self, request: web.Request, exchange: Exchange) -> web.Response:
        model = request.query.get("model", "en-US")
        if not MODEL.fullmatch(model):
            raise Unfit(404, f"Model {model} not found")
        if request.content_type != "audio/wav":
            raise Unfit(415, "")
        told = await self.hearing.hear(exchange, await request.read())
        return web.json_response(_answer(told, request.query))

    async def synthesise(self, request: web.Request, exchange: Exchange) -> web.StreamResponse:
        text = (await object_of(request)).get("text")
        voice = request.query.get("voice", VOICES[0])
        sound = SOUND.fullmatch(request.headers.get("Accept", ""))
        if voice not in VOICES:
            raise Unfit(404, f"Model {voice} not found")
        if not isinstance(text, str) or not 0 < len(text.encode()) <= MOST_BYTES:
            raise Unfit(400, "The text must have 1 byte to 5 kB.")
        if sound is None or not 8000 <= int(sound[1]) <= 192_000:
            raise Unfit(406, "")
        rate_hz = int(sound[1])
        return await sounding(self._sim, request, exchange, text, rate_hz, kind=sound[0])

    async def voices(self, _: web.Request, __: Exchange) -> web.Response:
        rows = [
            {
                "name": name,
                "language": name.partition("_")[0],
                "gender": "male" if "Michael" in name else "female",
                "description": f"{name[6:].removesuffix('V3Voice')}: a voice.",
            }
            for name in VOICES
        ]
        return web.json_response({"voices": rows})


def _answer(told: Told, query: Any) -> dict[str, Any]:
    if not told.text:
        return {"result_index": 0, "results": []}
    best: dict[str, Any] = {"transcript": f"{told.text} ", "confidence": 0.94}
    if query.get("timestamps") == "true":
        best["timestamps"] = [list(each) for each in told.words]
    if query.get("word_confidence") == "true":
        best["word_confidence"] = [[text, 0.94] for text, _, _ in told.words]
    answer: dict[str, Any] = {
        "result_index": 0,
        "results": [{"final": True, "alternatives": [best]}],
    }
    if query.get("speaker_labels") == "true":
        answer["speaker_labels"] = [
            {"from": start_s, "to": end_s, "speaker": 0, "confidence": 0.6, "final": True}
            for _, start_s, end_s in told.words
        ]
    return answer
