"""Soniox: recognition of 60 languages over a websocket, native mu-law at 8 kHz.

https://soniox.com/docs/stt/models, https://soniox.com/docs/stt/rt/manual-finalization: it is told
when the caller's voice stops, which is sooner than its own endpoints.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telebot.providers import vendor
from telebot.providers.probing import get_json, listed
from telebot.providers.resources import Resources

VENDOR = "SONIOX"
API_URL = "https://api.soniox.com"
STT = "telebot.providers.soniox_stt:SonioxEars"
STT_MODEL = "stt-rt-v5"
# of a wide line: https://soniox.com/docs/stt/rt/real-time-transcription (audio_format)
WIDE: Mapping[str, Mapping[str, Any]] = {
    "stt": {"options": {"sample_rate": 16_000, "audio_format": "pcm_s16le"}},
}


def build_stt(options: Mapping[str, Any], resources: Resources) -> Any:
    """`stt: soniox`, or `{service: soniox, language: de, settings: {context: A restaurant.}}`."""
    return vendor.named(
        "stt",
        STT,
        options,
        resources.environ,
        vendor=VENDOR,
        settings={"model": STT_MODEL},
    )


async def probe(kind: str, options: Mapping[str, Any], resources: Resources) -> None:
    """Whether the key is taken and the model is there
    (https://soniox.com/docs/stt/api-reference/models/get_models)."""
    del kind
    key, url = vendor.access(options, resources.environ, VENDOR, API_URL)
    url = url.replace("//stt-rt.", "//api.")  # a region's sockets have their own host
    headers = {"Authorization": f"Bearer {key}"}
    models = await get_json(resources, f"{url}/v1/models", headers, who="soniox")
    live = [each for each in models["models"] if each.get("transcription_mode") == "real_time"]
    model = vendor.chosen(options, "model", STT_MODEL)
    listed("soniox", "model", model, [str(each["id"]) for each in live])
