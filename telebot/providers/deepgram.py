"""Deepgram: recognition by nova (`deepgram`) or Flux (`deepgram-flux`), and Aura voices.

`DEEPGRAM_BASE_URL` is a region (https://api.eu.deepgram.com) or a server of one's own. A key is
checked at /v1/auth/token (https://developers.deepgram.com/docs/authenticating), names at /v1/models
(https://developers.deepgram.com/reference/manage/models/list).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telebot.providers import vendor
from telebot.providers.probing import get_json, listed
from telebot.providers.resources import Resources

VENDOR = "DEEPGRAM"
URL = "https://api.deepgram.com"
LISTEN = "telebot.providers.deepgram_listen:ListenSTTService"
FLUX = "telebot.providers.deepgram_flux:FluxSTTService"
SPEAK = "telebot.providers.deepgram_speak:SpeakTTSService"
STT_MODEL = "nova-3"
FLUX_MODEL = "flux-general-en"
FLUX_MODELS = (FLUX_MODEL, "flux-general-multi")
VOICE = "aura-2-thalia-en"
# of a wide line: https://developers.deepgram.com/docs/encoding, …/docs/tts-media-output-settings
WIDE: Mapping[str, Mapping[str, Any]] = {
    "stt": {"options": {"sample_rate": 16_000}},
    "tts": {"options": {"sample_rate": 24_000, "encoding": "linear16"}},
}
# the ends of speech are this server's: nothing of Deepgram's own cuts a stretch
LISTEN_SETTINGS = {
    "model": STT_MODEL,
    "language": "en",
    "endpointing": False,
    "interim_results": True,
    "punctuate": True,
}
FLUX_SETTINGS = {"model": FLUX_MODEL, "eot_threshold": 1.0, "eot_timeout_ms": 30000}


def build_stt(options: Mapping[str, Any], resources: Resources) -> Any:
    """`stt: deepgram`, or `{service: deepgram, language: multi, settings: {keyterm: [Acme]}}`."""
    return _built("stt", LISTEN, options, resources, LISTEN_SETTINGS)


def build_flux(options: Mapping[str, Any], resources: Resources) -> Any:
    """`stt: deepgram-flux`, or `{service: deepgram-flux, model: flux-general-multi}`."""
    return _built("stt", FLUX, options, resources, FLUX_SETTINGS)


def build_tts(options: Mapping[str, Any], resources: Resources) -> Any:
    """`tts: deepgram`, or `{service: deepgram, voice: aura-2-apollo-en, settings: {speed: 1.1}}`.
    With Aura the voice is the model."""
    return _built("tts", SPEAK, options, resources, {"voice": VOICE})


def _built(
    kind: str, path: str, options: Mapping[str, Any], resources: Resources, settings: dict[str, Any]
) -> Any:
    return vendor.named(kind, path, options, resources.environ, vendor=VENDOR, settings=settings)


async def probe(kind: str, options: Mapping[str, Any], resources: Resources) -> None:
    """Whether the key is taken, and the model or the voice is there."""
    key, url = vendor.access(options, resources.environ, VENDOR, URL)
    headers = {"Authorization": f"Token {key}"}
    await get_json(resources, f"{url}/v1/auth/token", headers, who="deepgram")
    models = await get_json(resources, f"{url}/v1/models", headers, who="deepgram")
    if kind == "tts":
        voice = vendor.chosen(options, "voice", VOICE)
        listed("deepgram", "voice", voice, _names(models, "tts"))
        return
    model = vendor.chosen(options, "model", STT_MODEL)
    listed("deepgram", "model", model, {*_names(models, "stt"), *FLUX_MODELS})


def _names(models: Any, kind: str) -> set[str]:
    """Full names (nova-3-general), and the families that stand for their general model."""
    rows = models.get(kind) or ()
    full = {str(row.get("canonical_name")) for row in rows}
    return full | {name.removesuffix("-general") for name in full}
