"""Google's recognition, simulated: `StreamingRecognize` and `Recognize` of Speech-to-Text v2.

The first message configures, the others carry audio (at most 25 kB each); interim results while
somebody speaks, a settled one where they pause and where the client half-closes, and an end after
10 s without audio: https://docs.cloud.google.com/speech-to-text/docs/streaming-recognize,
https://docs.cloud.google.com/speech-to-text/docs/quotas.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc  # type: ignore[import-untyped]
from google.cloud.speech_v2.types import cloud_speech as wire

from telebot.simulate.faults import POINTS, Exchange
from telebot.simulate.google_refuses import Unfit, invalid
from telebot.simulate.speech import Hearing, Speech, decode

RECOGNIZER = re.compile(r"projects/[^/]+/locations/[a-z0-9-]+/recognizers/[a-z0-9_-]+")
MODELS = (
    "telephony", "telephony_short", "long", "short", "latest_long", "latest_short", "chirp_2",
    "chirp_3",
)  # fmt: skip
LANGUAGES = ("en-US", "en-GB", "de-DE", "fr-FR", "es-ES", "auto")
Encoding = wire.ExplicitDecodingConfig.AudioEncoding
ENCODINGS = {Encoding.MULAW: "mulaw", Encoding.LINEAR16: "linear16"}
RATES_HZ = range(8000, 48001)
LARGEST = 25 * 1024
IDLE_S = 10.0
LONGEST_S = 60.0  # of a recording
INTERIM_S = 0.8  # of audio between two interim results
STEP_S = 0.1  # of audio at a time, however much comes in a message
SLOW_S = 0.02


class Hears:
    """Both methods."""

    def __init__(self, speech: Speech) -> None:
        self._speech = speech

    async def recognize(self, request: Any, exchange: Exchange) -> Any:
        """The text of a short recording."""
        rate_hz, encoding = _decoding(request.recognizer, request.config)
        pcm16 = decode(request.content, encoding, rate_hz)
        seconds = len(pcm16) / 2 / rate_hz
        if seconds > LONGEST_S:
            raise invalid("Audio can be of a maximum of 60 seconds.")
        await exchange.reach("first")
        text = await self._speech.hear(pcm16, rate_hz)
        await exchange.reach("middle")
        await exchange.reach("end")
        if exchange.silent:
            await exchange.stay()
        timed = request.config.features.enable_word_time_offsets
        words = _words(text, seconds) if timed else []
        said = wire.SpeechRecognitionAlternative(transcript=text, confidence=0.9, words=words)
        found = [wire.SpeechRecognitionResult(alternatives=[said], language_code="en-us")]
        billed = wire.RecognitionResponseMetadata(
            total_billed_duration=timedelta(seconds=math.ceil(seconds))
        )
        return wire.RecognizeResponse(results=found if text else [], metadata=billed)

    async def session(self, requests: Any, exchange: Exchange) -> AsyncIterator[Any]:
        """A stream, from its configuration to its half-close."""
        first = await _next(requests)
        if first is None or not first.streaming_config:
            raise invalid("The first message has no streaming configuration.")
        config = first.streaming_config
        rate_hz, encoding = _decoding(first.recognizer, config.config)
        stream = _Stream(self._speech, Hearing(rate_hz, encoding), exchange)
        while (request := await _next(requests)) is not None:
            if not request.audio:
                raise invalid("Only the first message may hold a configuration.")
            if len(request.audio) > LARGEST:
                raise invalid("Audio chunk can be of a maximum of 25600 bytes.")
            if exchange.slow:
                await asyncio.sleep(SLOW_S)
            step = round(STEP_S * rate_hz) * (1 if encoding == "mulaw" else 2)
            for at in range(0, len(request.audio), step):
                for response in await stream.take(request.audio[at : at + step]):
                    final = any(result.is_final for result in response.results)
                    if final or config.streaming_features.interim_results:
                        yield response
        for response in await stream.end():
            yield response


class _Stream:
    """What one stream has heard."""

    def __init__(self, speech: Speech, hearing: Hearing, exchange: Exchange) -> None:
        self._speech = speech
        self._hearing = hearing
        self._exchange = exchange
        self._points = list(POINTS[1:])
        self._said_s = 0.0  # up to where interim results were given
        self._settled = False

    async def take(self, audio: bytes) -> list[Any]:
        """The results that more audio brings."""
        hearing = self._hearing
        if hearing.feed(audio):
            return await self._settle()
        heard_s = hearing.audio_s - max(self._said_s, hearing.start_s)
        if not hearing.heard_speech or heard_s < INTERIM_S:
            return []
        self._said_s = hearing.audio_s
        await self._reach("middle" if "first" not in self._points else "first")
        text = await self._speech.hear(hearing.pcm16, hearing.rate_hz)
        return self._response(text, final=False)

    async def end(self) -> list[Any]:
        """What is left when the client half-closes."""
        if self._hearing.heard_speech:
            return await self._settle()
        await self._reach("end")
        return []

    async def _settle(self) -> list[Any]:
        await self._reach("end")
        text = await self._speech.hear(self._hearing.take(), self._hearing.rate_hz)
        response = self._response(text, final=True)
        self._settled = self._settled or bool(text)
        return response

    async def _reach(self, point: str) -> None:
        """This point, and those before it that a short utterance has not reached."""
        while point in self._points:
            await self._exchange.reach(self._points.pop(0))

    def _response(self, text: str, *, final: bool) -> list[Any]:
        if self._exchange.silent or not text:
            return []
        result = wire.StreamingRecognitionResult(
            alternatives=_alternatives(f" {text}" if self._settled else text),
            is_final=final,
            stability=0.0 if final else 0.9,
            result_end_offset=timedelta(seconds=self._hearing.audio_s),
            language_code="en-us",
        )
        return [wire.StreamingRecognizeResponse(results=[result])]


async def _next(requests: Any) -> Any:
    """The next message; None when the client has half-closed. Raises Unfit when it idles."""
    try:
        async with asyncio.timeout(IDLE_S):
            return await anext(requests, None)
    except TimeoutError:
        says = "Stream timed out after receiving no more client requests."
        raise Unfit(grpc.StatusCode.ABORTED, says) from None


def _decoding(recognizer: str, config: Any) -> tuple[int, str]:
    """Rate and encoding of a request that can be served. Raises Unfit."""
    if not RECOGNIZER.fullmatch(recognizer):
        raise invalid("Invalid resource field value in the request.")
    if config.model not in MODELS:
        raise invalid(f'The model "{config.model}" does not exist in the location named "global".')
    for language in config.language_codes or ("",):
        if language not in LANGUAGES:
            says = f'The language "{language}" is not supported by the model "{config.model}".'
            raise invalid(says)
    audio = config.explicit_decoding_config
    if audio.encoding not in ENCODINGS or audio.sample_rate_hertz not in RATES_HZ:
        raise invalid("Audio encoding or sample rate is not supported.")
    return audio.sample_rate_hertz, ENCODINGS[audio.encoding]


def _words(text: str, seconds: float) -> list[Any]:
    words = text.split()
    each_s = seconds / max(1, len(words))
    return [
        wire.WordInfo(
            word=word,
            start_offset=timedelta(seconds=n * each_s),
            end_offset=timedelta(seconds=(n + 1) * each_s),
            confidence=0.9,
        )
        for n, word in enumerate(words)
    ]


def _alternatives(text: str) -> list[Any]:
    return [wire.SpeechRecognitionAlternative(transcript=text, confidence=0.9)]
