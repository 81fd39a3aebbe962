"""AssemblyAI: recognition streamed over its third wire.

`ASSEMBLYAI_BASE_URL` is a region (https://streaming.eu.assemblyai.com). A key is checked by asking
for a temporary token (https://www.assemblyai.com/docs/streaming/authenticate-with-a-temporary-token);
the models are those of the streaming page, for which there is no address to ask
(https://www.assemblyai.com/docs/streaming/select-the-speech-model).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telebot.call.errors import ProviderConfigError
from telebot.providers import vendor
from telebot.providers.probing import get_json, listed
from telebot.providers.resources import Resources

VENDOR = "ASSEMBLYAI"
URL = "https://streaming.assemblyai.com"
STT = "telebot.providers.assemblyai_stt:StreamingSTTService"
STT_MODEL = "universal-3-6-pro"
WIDE: Mapping[str, Mapping[str, Any]] = {"stt": {"options": {"sample_rate": 16_000}}}
STT_MODELS = (
    STT_MODEL, "universal-3-5-pro", "u3-rt-pro", "universal-streaming-english",
    "universal-streaming-multilingual",
)  # fmt: skip
# the ends of speech are this server's: the vendor's own would cut a stretch after 0.1 s
SILENCE_MS = 3000
STT_SETTINGS = {"model": STT_MODEL, "mode": "min_latency", "min_turn_silence": SILENCE_MS}


def build_stt(options: Mapping[str, Any], resources: Resources) -> Any:
    """`stt: assemblyai`, or `{service: assemblyai, settings: {keyterms_prompt: [Acme]}}`."""
    settings: dict[str, Any] = dict(STT_SETTINGS)
    if not str(vendor.chosen(options, "model", STT_MODEL)).startswith(("universal-3", "u3")):
        settings = {"model": STT_MODEL}  # the others refuse what is for these alone
    elif language := vendor.chosen(options, "language"):
        settings["language_codes"] = [_language(language)]  # Pipecat sends no `language`
    return vendor.named("stt", STT, options, resources.environ, vendor=VENDOR, settings=settings)


def _language(code: str) -> Any:
    from pipecat.transcriptions.language import Language

    try:
        return Language(code)
    except ValueError as error:
        raise ProviderConfigError(f"assemblyai: {code!r} is no language code") from error


async def probe(kind: str, options: Mapping[str, Any], resources: Resources) -> None:
    """Whether the key is taken, and the model is one of those that stream."""
    key, url = vendor.access(options, resources.environ, VENDOR, URL)
    address = f"{url}/v3/token?expires_in_seconds=60"
    await get_json(resources, address, {"Authorization": key}, who="assemblyai")
    listed("assemblyai", "model", vendor.chosen(options, "model", STT_MODEL), STT_MODELS)
