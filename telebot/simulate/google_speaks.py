"""Google's voices, simulated: `StreamingSynthesize` and `ListVoices` of Text-to-Speech v1.

The first message configures, the others carry text (at most 5000 bytes in all); streams are for
Chirp 3 HD voices: https://docs.cloud.google.com/text-to-speech/docs/create-audio-text-streaming,
https://docs.cloud.google.com/text-to-speech/quotas.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from google.cloud.texttospeech_v1.types import cloud_tts as wire

from telebot.simulate.faults import Exchange
from telebot.simulate.google_refuses import invalid
from telebot.simulate.speech import Speech, encode

STREAMED = "Chirp3-HD"
VOICES = (
    "en-US-Chirp3-HD-Charon", "en-US-Chirp3-HD-Kore", "en-GB-Chirp3-HD-Kore",
    "de-DE-Chirp3-HD-Kore", "en-US-Neural2-C",
)  # fmt: skip
ENCODINGS = {wire.AudioEncoding.MULAW: "mulaw", wire.AudioEncoding.PCM: "linear16"}
RATES_HZ = range(8000, 48001)
LONGEST = 5000


class Speaks:
    """Both methods."""

    def __init__(self, speech: Speech) -> None:
        self._speech = speech

    async def voices(self, request: Any) -> Any:
        """The voices of a language, or all."""
        found = [
            wire.Voice(
                name=name,
                language_codes=[_language(name)],
                ssml_gender=wire.SsmlVoiceGender.FEMALE,
                natural_sample_rate_hertz=24000,
            )
            for name in VOICES
            if _language(name).startswith(request.language_code)
        ]
        return wire.ListVoicesResponse(voices=found)

    async def session(self, requests: Any, exchange: Exchange) -> AsyncIterator[Any]:
        """A stream, from its configuration to the last piece of audio."""
        first = await anext(requests, None)
        if first is None or not first.streaming_config:
            raise invalid("Request must contain a streaming config as the first message.")
        rate_hz, encoding = _audio(first.streaming_config)
        length = 0
        async for request in requests:
            text = request.input.text
            length += len(text.encode())
            if not text:
                raise invalid("Only the first message may hold a configuration.")
            if length > LONGEST:
                raise invalid(f"The input is longer than the limit of {LONGEST} bytes.")
            said = await self._speech.say(text, rate_hz)
            async for piece in exchange.outputs(said.pieces()):
                sound = bytes(len(piece)) if exchange.silent else piece
                yield wire.StreamingSynthesizeResponse(audio_content=encode(sound, encoding))


def _audio(config: Any) -> tuple[int, str]:
    """Rate and encoding of a configuration that can be served. Raises Unfit."""
    name, language = config.voice.name, config.voice.language_code
    if name not in VOICES:
        raise invalid(f"Voice '{name}' does not exist. Is it misspelled?")
    if _language(name) != language:
        raise invalid(f"Requested language code '{language}' doesn't match the voice '{name}'.")
    if STREAMED not in name:
        raise invalid("Currently, only Chirp 3: HD voices are supported.")
    audio = config.streaming_audio_config
    if audio.audio_encoding not in ENCODINGS or audio.sample_rate_hertz not in RATES_HZ:
        raise invalid("Unsupported audio encoding or sample rate for streaming.")
    return audio.sample_rate_hertz, ENCODINGS[audio.audio_encoding]


def _language(name: str) -> str:
    return "-".join(name.split("-")[:2])
