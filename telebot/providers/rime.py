"""Rime: voices with word times over a websocket, native mu-law at 8 kHz.

Models: https://docs.rime.ai/docs/models. Of Pipecat's services the one for `/ws3`: the newer
protocol's (`RimeV1TTSService`) gives no word times.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp

from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers import vendor
from telebot.providers.probing import ANSWER_S, get_json, listed
from telebot.providers.resources import Resources

VENDOR = "RIME"
URL = "wss://users-ws.rime.ai"
DATA_URL = "https://users.rime.ai"
TTS = "telebot.providers.rime_speech:RimeVoice"
TTS_MODEL = "coda"
TTS_VOICE = "astra"
WIDE: Mapping[str, Mapping[str, Any]] = {"tts": {"options": {"sample_rate": 24_000}}}
# Pipecat sends whole sentences, so each is to be spoken as it comes
# (https://docs.rime.ai/docs/websockets-segment)
SEGMENT = "immediate"


def build_tts(options: Mapping[str, Any], resources: Resources) -> Any:
    """`tts: rime`, or `{service: rime, model: mistv3, voice: cove, language: es}`."""
    return vendor.named(
        "tts",
        TTS,
        options,
        resources.environ,
        vendor=VENDOR,
        settings={"model": TTS_MODEL, "voice": TTS_VOICE, "segment": SEGMENT},
    )


async def probe(kind: str, options: Mapping[str, Any], resources: Resources) -> None:
    """Whether the key is taken, and the model and the voice are there.

    The catalogue is public (https://docs.rime.ai/api-reference/data/voices-v2); a key is looked at
    when a socket is opened, which costs nothing. The vendor speaks an unknown voice's text in
    another voice, so only the catalogue finds it.
    """
    del kind
    key = vendor.vendor_key(options, resources.environ, VENDOR)
    model = str(vendor.chosen(options, "model", TTS_MODEL))
    voice = str(vendor.chosen(options, "voice", TTS_VOICE))
    data_url = vendor.vendor_url(options, resources.environ, VENDOR, DATA_URL)
    data_url = data_url.replace("-ws.rime.ai", ".rime.ai")  # a region's sockets have their own host
    catalogue = await get_json(resources, f"{data_url}/data/voices/all-v2.json", {}, who="rime")
    listed("rime", "model", model, list(catalogue))
    listed("rime", "voice", voice, [v for voices in catalogue[model].values() for v in voices])
    url = vendor.vendor_url(options, resources.environ, VENDOR, URL)
    await _knock(resources, f"{url}/ws3?speaker={voice}&modelId={model}", key)


async def _knock(resources: Resources, url: str, key: str) -> None:
    """Open a socket and close it. Raises like `get_json`."""
    headers = {"Authorization": f"Bearer {key}"}
    try:
        async with (
            asyncio.timeout(ANSWER_S),
            resources.http().ws_connect(url, headers=headers) as socket,
        ):
            await socket.close()
    except aiohttp.WSServerHandshakeError as error:
        if error.status in (401, 403):
            raise ProviderConfigError(f"rime refuses the key ({error.status})") from None
        raise ProviderError(f"rime answers {error.status}") from None
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise ProviderError(f"rime cannot be asked ({type(error).__name__})") from error
