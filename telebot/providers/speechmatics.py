"""Speechmatics: streamed recognition by its Agent STT (https://docs.speechmatics.com/api-ref/agent-stt-websocket).

8 kHz PCM, the narrowest it takes (16 of a wide line); the call's own end of speech closes a
segment. The service is in `speechmatics_stream.py`. A session costs a place of the account's quota,
so a probe's is short.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp

from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers import vendor
from telebot.providers.probing import ANSWER_S
from telebot.providers.resources import Resources

VENDOR = "SPEECHMATICS"
WHO = "speechmatics"
URL = "wss://eu2.rt.speechmatics.com/v2/agent"
STT = "telebot.providers.speechmatics_stream:PhoneSpeechmaticsSTTService"
MODEL = "linden-1"
WIDE: Mapping[str, Mapping[str, Any]] = {"stt": {"options": {"sample_rate": 16_000}}}
WRONG_KEY = frozenset({"not_authorised", "not_allowed"})
WRONG_NAME = frozenset({"invalid_model", "invalid_language", "invalid_config"})


def build_stt(options: Mapping[str, Any], resources: Resources) -> Any:
    """`stt: speechmatics`, or `{service: speechmatics, language: de, settings: {domain: …}}`."""
    settings = {"model": MODEL, "enable_partials": True}
    return vendor.named("stt", STT, options, resources.environ, vendor=VENDOR, settings=settings)


async def probe(kind: str, options: Mapping[str, Any], resources: Resources) -> None:
    """Whether the key, the model and the language are taken: a session is begun and given up."""
    key, url = vendor.access(options, resources.environ, VENDOR, URL)
    url = url.rstrip("/")
    url = url if url.endswith("/agent") else f"{url}/agent"
    model = vendor.chosen(options, "model", MODEL)
    begin = {
        "message": "StartRecognition",
        "audio_format": {"type": "raw", "encoding": "pcm_s16le", "sample_rate": 8000},
        "transcription_config": {
            "language": str(vendor.chosen(options, "language", "en")).partition("-")[0],
            "model": model,
        },
        "turn_config": {"turn_detection_mode": "external"},
    }
    said = await _first_word(resources, url, key, begin)
    error = said.get("type") if said.get("message") == "Error" else None
    if error in WRONG_KEY:
        raise ProviderConfigError(f"{WHO} refuses the key ({error})")
    if error in WRONG_NAME:
        raise ProviderConfigError(f"{WHO} refuses the configuration: {said.get('reason')}")
    if said.get("message") != "RecognitionStarted":
        raise ProviderError(f"{WHO} answers {error or said.get('message')}")


async def _first_word(
    resources: Resources, url: str, key: str, begin: Mapping[str, Any]
) -> dict[str, Any]:
    """What the vendor says first to `begin`. Raises as `probe` does."""
    try:
        async with (
            asyncio.timeout(ANSWER_S),
            resources.http().ws_connect(
                url,
                headers={"Authorization": f"Bearer {key}"},
                timeout=aiohttp.ClientWSTimeout(ws_close=0.5),
            ) as socket,
        ):
            await socket.send_json(begin)
            said = await socket.receive_json()
    except aiohttp.WSServerHandshakeError as error:
        if error.status in (401, 403):
            raise ProviderConfigError(f"{WHO} refuses the key ({error.status})") from None
        raise ProviderError(f"{WHO} answers {error.status}") from None
    except (aiohttp.ClientError, OSError, TimeoutError, TypeError, ValueError) as error:
        raise ProviderError(f"{WHO} cannot be asked ({type(error).__name__})") from error
    return said if isinstance(said, dict) else {}
