"""Amazon Polly's wire: SynthesizeSpeech and DescribeVoices, signed and refused as AWS does.

https://docs.aws.amazon.com/polly/latest/dg/API_SynthesizeSpeech.html, …/API_DescribeVoices.html,
…/CommonErrors.html; of the signature the form, the scope and the access key are checked:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html. An
error's name is in ``x-amzn-ErrorType``, its message in the body (rest-json in botocore's model).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from aiohttp import web

from telebot.simulate.faults import Dropped, Exchange, Garbage, Refused
from telebot.simulate.server import Routes, Simulator
from telebot.simulate.speech import encode

PREFIX = "/polly"
SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/, ]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request, ?"
    r"SignedHeaders=[a-z0-9;-]+, ?Signature=[0-9a-f]{64}"
)
DATE = re.compile(r"\d{8}T\d{6}Z")
ENGINES = ("standard", "neural", "long-form", "generative")
VOICES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "Joanna": ("en-US", "Female", ("generative", "neural", "standard")),
    "Matthew": ("en-US", "Male", ("generative", "neural", "standard")),
    "Ruth": ("en-US", "Female", ("generative", "long-form", "neural")),
    "Amy": ("en-GB", "Female", ("generative", "neural", "standard")),
    "Vicki": ("de-DE", "Female", ("generative", "neural", "standard")),
    "Marlene": ("de-DE", "Female", ("standard",)),
}
# those of telephones; the others (mp3, ogg_opus …) are not simulated
FORMATS = {"mulaw": ("audio/mulaw", ("8000",)), "pcm": ("audio/pcm", ("8000", "16000"))}
LONGEST = 3000  # characters that are billed
STATUS = {
    "IncompleteSignatureException": 403,
    "InvalidSignatureException": 403,
    "MissingAuthenticationTokenException": 403,
    "UnrecognizedClientException": 403,
    "ServiceFailureException": 500,
}  # the others are 400
ON_COMMAND = {
    401: ("UnrecognizedClientException", "The security token included in the request is invalid."),
    429: ("ThrottlingException", "Rate exceeded"),
    500: ("ServiceFailureException", "refused on command"),
}


def routes(sim: Simulator) -> Routes:
    """Everything of Polly that is simulated."""
    wire = _Polly(sim)
    return [
        web.get(f"{PREFIX}/v1/voices", wire.voices),
        web.post(f"{PREFIX}/v1/speech", wire.speech),
    ]


def refusal(name: str, message: str) -> web.Response:
    """AWS's error in the rest-json protocol."""
    headers = {"x-amzn-ErrorType": name, "x-amzn-RequestId": str(uuid.uuid4())}
    return web.json_response({"message": message}, status=STATUS.get(name, 400), headers=headers)


class _Unfit(Exception):
    """A request that is refused: AWS's name for the reason."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class _Polly:
    def __init__(self, sim: Simulator) -> None:
        self._sim = sim

    async def voices(self, request: web.Request) -> web.Response:
        engine, language = request.query.get("Engine"), request.query.get("LanguageCode")
        try:
            self._check_signature(request)
            _check_member(engine, "engine", (None, *ENGINES))
        except _Unfit as fault:
            return refusal(fault.name, str(fault))
        found = [
            _described(name)
            for name, (spoken, _, engines) in VOICES.items()
            if language in (None, spoken) and (engine is None or engine in engines)
        ]
        return web.json_response({"Voices": found})

    async def speech(self, request: web.Request) -> web.StreamResponse:
        exchange = self._sim.exchange("polly", "tts")
        try:
            await exchange.reach("connect")
            self._check_signature(request)
            asked = await _asked(request)
            return await self._stream(request, asked, _plain(asked), exchange)
        except Refused as fault:
            return refusal(*ON_COMMAND[fault.status])
        except _Unfit as fault:
            return refusal(fault.name, str(fault))

    async def _stream(
        self, request: web.Request, asked: Mapping[str, Any], text: str, exchange: Exchange
    ) -> web.StreamResponse:
        encoding = str(asked["OutputFormat"])
        said = await self._sim.speech.say(
            text, int(asked.get("SampleRate") or FORMATS[encoding][1][-1])
        )
        answer = web.StreamResponse(
            headers={
                "Content-Type": FORMATS[encoding][0],
                "x-amzn-RequestCharacters": str(len(text)),
                "x-amzn-RequestId": str(uuid.uuid4()),
            }
        )
        answer.enable_chunked_encoding()
        try:
            async for piece in exchange.outputs(said.pieces()):
                if not answer.prepared:
                    await answer.prepare(request)
                await answer.write(
                    encode(bytes(len(piece)) if exchange.silent else piece, encoding)
                )
        except Garbage:
            if not answer.prepared:
                await answer.prepare(request)
            await answer.write(b"\x00\xff\x00 not audio")
        except Refused as fault:
            if answer.prepared:  # the status is out already: all a server can do then
                raise Dropped from None
            return refusal(*ON_COMMAND[fault.status])
        if not answer.prepared:
            await answer.prepare(request)
        return answer

    def _check_signature(self, request: web.Request) -> None:
        """As far as its form and the access key go. Raises _Unfit."""
        given = request.headers.get("Authorization")
        if given is None:
            raise _Unfit("MissingAuthenticationTokenException", "Missing Authentication Token")
        signed = SIGNED.fullmatch(given)
        at = request.headers.get("X-Amz-Date", "")
        if signed is None or not DATE.fullmatch(at):
            raise _Unfit("IncompleteSignatureException", "Authorization header is not complete.")
        key, day, _, service = signed.groups()
        if service != "polly":
            says = "Credential should be scoped to correct service: 'polly'."
            raise _Unfit("InvalidSignatureException", says)
        if not at.startswith(day):
            says = "Date in Credential scope does not match that of the request"
            raise _Unfit("InvalidSignatureException", says)
        if not self._sim.good(key):
            raise _Unfit(*ON_COMMAND[401])


async def _asked(request: web.Request) -> dict[str, Any]:
    """A request for speech that can be fulfilled. Raises _Unfit."""
    try:
        asked = await request.json()
    except ValueError:
        asked = None
    if not isinstance(asked, dict):
        raise _Unfit("SerializationException", "Start of structure or map is not found")
    voice, engine = asked.get("VoiceId"), asked.get("Engine", "standard")
    encoding, rate = str(asked.get("OutputFormat")), asked.get("SampleRate")
    _check_member(voice, "voiceId", tuple(VOICES))
    _check_member(engine, "engine", ENGINES)
    _check_member(encoding, "outputFormat", tuple(FORMATS))
    if engine not in VOICES[str(voice)][2]:
        says = f"This voice does not support the selected engine: {engine}"
        raise _Unfit("ValidationException", says)
    if rate not in (None, *FORMATS[encoding][1]):
        raise _Unfit("InvalidSampleRateException", f"Unsupported sample rate {rate}")
    if not isinstance(asked.get("Text"), str):
        raise _Unfit("ValidationException", "Value null at 'text' may not be null")
    return asked


def _check_member(value: object, where: str, known: tuple[object, ...]) -> None:
    if value not in known:
        raise _Unfit(
            "ValidationException",
            f"1 validation error detected: Value '{value}' at '{where}' failed to satisfy "
            f"constraint: Member must satisfy enum value set: {list(known)}",
        )


def _plain(asked: Mapping[str, Any]) -> str:
    """What is to be said. Raises _Unfit for SSML that is none and for too much."""
    text = str(asked["Text"])
    if asked.get("TextType", "text") == "ssml":
        try:
            speak = ElementTree.fromstring(text)
        except ElementTree.ParseError:
            raise _Unfit("InvalidSsmlException", "Invalid SSML request") from None
        if speak.tag != "speak":
            raise _Unfit("InvalidSsmlException", "Invalid SSML request")
        text = "".join(speak.itertext()).strip()
    if len(text) > LONGEST:
        raise _Unfit("TextLengthExceededException", "Maximum text length has been exceeded")
    return text


def _described(name: str) -> dict[str, object]:
    language, gender, engines = VOICES[name]
    return {
        "Id": name,
        "Name": name,
        "Gender": gender,
        "LanguageCode": language,
        "LanguageName": language,
        "SupportedEngines": list(engines),
    }
