"""Cartesia: Sonic voices with word times, and Ink recognition.

Both over a websocket with native G.711 at 8 kHz. Models:
https://docs.cartesia.ai/build-with-cartesia/tts-models/latest and
https://docs.cartesia.ai/build-with-cartesia/stt-models/latest: `ink-2` knows English only, so every
other language is heard by `ink-whisper`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

import aiohttp

from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers import vendor
from telebot.providers.probing import ANSWER_S, get_json, listed
from telebot.providers.resources import Resources

VENDOR = "CARTESIA"
URL = "https://api.cartesia.ai"
VERSION = "2026-03-01"  # of the API; what Pipecat 1.14's services are written against
STT = "telebot.providers.cartesia_speech:CartesiaEars"
TTS = "telebot.providers.cartesia_speech:CartesiaVoice"
ENGLISH_STT_MODEL = "ink-2"
STT_MODEL = "ink-whisper"
TTS_MODEL = "sonic-3.5"
DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")  # at the end of a model's name: that version of it
# of a wide line: https://docs.cartesia.ai/api-reference/stt/stt, …/tts/websocket (output_format)
WIDE: Mapping[str, Mapping[str, Any]] = {
    "stt": {"options": {"sample_rate": 16_000, "encoding": "pcm_s16le"}},
    "tts": {"options": {"sample_rate": 24_000, "encoding": "pcm_s16le"}},
}
TTS_VOICE = "f786b574-daa5-4673-aa0c-cbe3e8534c02"  # Katie, of the vendor's quickstart


def build_stt(options: Mapping[str, Any], resources: Resources) -> Any:
    """`stt: cartesia`, or `{service: cartesia, language: de, settings: {keyterm: [Telebot]}}`."""
    return vendor.named(
        "stt",
        STT,
        options,
        resources.environ,
        vendor=VENDOR,
        settings={"model": _stt_model(options)},
    )


def build_tts(options: Mapping[str, Any], resources: Resources) -> Any:
    """`tts: cartesia`, or `{service: cartesia, voice: VOICE_ID, language: de}`."""
    return vendor.named(
        "tts",
        TTS,
        options,
        resources.environ,
        vendor=VENDOR,
        settings={"model": TTS_MODEL, "voice": TTS_VOICE},
    )


async def probe(kind: str, options: Mapping[str, Any], resources: Resources) -> None:
    """Whether the key is taken, and the model and the voice are there."""
    key, url = vendor.access(options, resources.environ, VENDOR, URL)
    headers = {"Authorization": f"Bearer {key}", "Cartesia-Version": VERSION}
    if kind == "tts":
        voice = vendor.chosen(options, "voice", TTS_VOICE)
        await _find_voice(resources, f"{url}/voices/{voice}", headers, str(voice))
        model = vendor.chosen(options, "model", TTS_MODEL)
    else:
        await get_json(resources, f"{url}/voices?limit=1", headers, who="cartesia")
        model = vendor.chosen(options, "model", _stt_model(options))
    models = await get_json(resources, f"{url}/models?capability={kind}", headers, who="cartesia")
    known = _ids(models)
    name = DATE.sub("", str(model))
    if known and not name.endswith("-latest"):
        listed("cartesia", "model", name, known)


def _stt_model(options: Mapping[str, Any]) -> str:
    language = str(vendor.chosen(options, "language", "en"))
    return ENGLISH_STT_MODEL if language.lower().startswith("en") else STT_MODEL


def _ids(models: Any) -> set[str]:
    """The names in a list of models, or in an object around it."""
    if isinstance(models, Mapping):
        models = next((value for value in models.values() if isinstance(value, list)), [])
    return {str(each["id"]) for each in models if isinstance(each, Mapping) and "id" in each}


async def _find_voice(
    resources: Resources, url: str, headers: Mapping[str, str], voice: str
) -> None:
    """https://docs.cartesia.ai/api-reference/voices/get. Raises like `get_json`."""
    try:
        async with asyncio.timeout(ANSWER_S), resources.http().get(url, headers=headers) as answer:
            if answer.status in (400, 404):
                raise ProviderConfigError(f"cartesia has no voice {voice!r}")
            if answer.status in (401, 403):
                raise ProviderConfigError(f"cartesia refuses the key ({answer.status})")
            if answer.status != 200:
                raise ProviderError(f"cartesia answers {answer.status}")
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise ProviderError(f"cartesia cannot be asked ({type(error).__name__})") from error
