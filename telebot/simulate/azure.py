"""The wire of Azure's speech service: voices and speech, and recognition of short audio.

https://learn.microsoft.com/azure/ai-services/speech-service/rest-text-to-speech (headers, formats,
statuses), …/rest-speech-to-text-short (query, WAV at 16 kHz, statuses, `RecognitionStatus`). Those
pages show no error bodies: what is refused is said by status and reason alone.
"""

from __future__ import annotations

import asyncio
from xml.etree import ElementTree

from aiohttp import web

from telebot.audio import wav
from telebot.simulate import azure_files
from telebot.simulate.faults import Dropped, Exchange, Garbage, Refused
from telebot.simulate.server import Routes, Simulator
from telebot.simulate.speech import encode

PREFIX = "/azure"
TTS = f"{PREFIX}/cognitiveservices/v1"
VOICES = f"{PREFIX}/cognitiveservices/voices/list"
STT = f"{PREFIX}/speech/recognition/conversation/cognitiveservices/v1"
NAMES = (
    "en-US-AvaNeural", "en-US-JennyNeural", "en-US-AvaMultilingualNeural", "en-GB-SoniaNeural",
    "de-DE-KatjaNeural",
)  # fmt: skip
LOCALES = ("en-US", "en-GB", "de-DE", "fr-FR", "es-ES")
FORMATS = {
    "raw-8khz-8bit-mono-mulaw": (8000, "mulaw"),
    "raw-8khz-16bit-mono-pcm": (8000, "linear16"),
    "raw-16khz-16bit-mono-pcm": (16000, "linear16"),
    "raw-24khz-16bit-mono-pcm": (24000, "linear16"),
}
NAMESPACE = "{http://www.w3.org/2001/10/synthesis}"
WAV_HZ = 16000
LONGEST_S = 60
TICK_S = 1e-7  # offsets and durations are in units of 100 ns
SLOW_S = 0.05


def routes(sim: Simulator) -> Routes:
    """Everything of Azure that is simulated."""
    wire = _Azure(sim)
    return [
        web.get(VOICES, wire.voices),
        web.post(TTS, wire.speak),
        web.post(STT, wire.recognise),
        *azure_files.routes(sim),
    ]


def refusal(status: int) -> web.Response:
    """What is not done; 500 and what else lies behind a gateway is 503."""
    status = 503 if status == 500 else status
    return web.Response(status=status, headers={"Retry-After": "1"} if status == 429 else {})


class _Azure:
    def __init__(self, sim: Simulator) -> None:
        self._sim = sim

    async def voices(self, request: web.Request) -> web.Response:
        if not self._known(request):
            return refusal(401)
        return web.json_response([_voice(name) for name in NAMES])

    async def speak(self, request: web.Request) -> web.StreamResponse:
        exchange = self._sim.exchange("azure", "tts")
        try:
            await exchange.reach("connect")
        except Refused as fault:
            return refusal(fault.status)
        if not self._known(request):
            return refusal(401)
        if request.content_type != "application/ssml+xml":
            return refusal(415)
        wanted = FORMATS.get(request.headers.get("X-Microsoft-OutputFormat", ""))
        text = _spoken(await request.read())
        if wanted is None or text is None or not request.headers.get("User-Agent"):
            return refusal(400)
        return await self._stream(request, text, wanted, exchange)

    async def _stream(
        self, request: web.Request, text: str, wanted: tuple[int, str], exchange: Exchange
    ) -> web.StreamResponse:
        rate_hz, encoding = wanted
        said = await self._sim.speech.say(text, rate_hz)
        answer = web.StreamResponse(headers={"Content-Type": "audio/basic"})
        answer.enable_chunked_encoding()
        try:
            async for piece in exchange.outputs(said.pieces()):
                if not answer.prepared:
                    await answer.prepare(request)
                sound = bytes(len(piece)) if exchange.silent else piece
                await answer.write(encode(sound, encoding))
        except Garbage:
            if not answer.prepared:
                await answer.prepare(request)
            await answer.write(b"\x00\xff\x00 not audio")
        except Refused as fault:
            if answer.prepared:  # the status is out already: all a server can do then
                raise Dropped from None
            return refusal(fault.status)
        if not answer.prepared:
            await answer.prepare(request)
        return answer

    async def recognise(self, request: web.Request) -> web.StreamResponse:
        exchange = self._sim.exchange("azure", "stt")
        try:
            await exchange.reach("connect")
            if "Ocp-Apim-Subscription-Key" not in request.headers:
                return refusal(403)
            if not self._known(request):
                return refusal(401)
            if not _well_asked(request):
                return refusal(400)
            return await self._text(await _received(request, exchange), exchange)
        except Refused as fault:
            return refusal(fault.status)
        except Garbage:
            return web.Response(body=b"\x00\xff not json", content_type="application/json")

    async def _text(self, body: bytes, exchange: Exchange) -> web.Response:
        try:
            pcm16, rate_hz = wav.read(body)
        except ValueError:
            return refusal(400)
        seconds = len(pcm16) / 2 / rate_hz
        if rate_hz != WAV_HZ or seconds > LONGEST_S:
            return refusal(400)
        text = "" if exchange.silent else await self._sim.speech.hear(pcm16, rate_hz)
        await exchange.reach("end")
        if exchange.silent or not text:
            found = {"RecognitionStatus": "NoMatch" if any(pcm16) else "InitialSilenceTimeout"}
        else:
            found = {"RecognitionStatus": "Success", "DisplayText": text}
        return web.json_response({**found, "Offset": 0, "Duration": round(seconds / TICK_S)})

    def _known(self, request: web.Request) -> bool:
        return self._sim.good(request.headers.get("Ocp-Apim-Subscription-Key"))


async def _received(request: web.Request, exchange: Exchange) -> bytes:
    """The body as it comes; the fault points lie before, in and after it."""
    await exchange.reach("first")
    body, middle = bytearray(), False
    async for piece in request.content.iter_any():
        body += piece
        if not middle:
            middle = True
            await exchange.reach("middle")
        if exchange.slow:
            await asyncio.sleep(SLOW_S)
    return bytes(body)


def _well_asked(request: web.Request) -> bool:
    """Language, format and content type are of those that are taken."""
    kind = request.headers.get("Content-Type", "").replace(" ", "")
    wants = request.headers.get("Accept", "application/json")
    return (
        request.query.get("language") in LOCALES
        and request.query.get("format", "simple") in ("simple", "detailed")
        and kind == f"audio/wav;codecs=audio/pcm;samplerate={WAV_HZ}"
        and ("application/json" in wants or "*/*" in wants)
    )


def _spoken(ssml: bytes) -> str | None:
    """The text of an SSML document for one of the voices; None for anything else."""
    try:
        speak = ElementTree.fromstring(ssml)
    except ElementTree.ParseError:
        return None
    voice = speak.find(f"{NAMESPACE}voice")
    if voice is None:
        voice = speak.find("voice")
    if speak.tag.removeprefix(NAMESPACE) != "speak" or voice is None:
        return None
    return "".join(voice.itertext()).strip() if voice.get("name") in NAMES else None


def _voice(name: str) -> dict[str, str]:
    language, country, short = name.split("-")
    locale = f"{language}-{country}"
    return {
        "Name": f"Microsoft Server Speech Text to Speech Voice ({locale}, {short})",
        "DisplayName": short.removesuffix("Neural"),
        "LocalName": short.removesuffix("Neural"),
        "ShortName": name,
        "Gender": "Female",
        "Locale": locale,
        "SampleRateHertz": "24000",
        "VoiceType": "Neural",
        "Status": "GA",
    }
