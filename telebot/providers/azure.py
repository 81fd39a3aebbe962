"""Azure's speech service: voices, and recognition an utterance at a time, both over REST.

Set AZURE_API_KEY to a Speech resource's key and AZURE_REGION to its region; `base_url` (or
AZURE_BASE_URL) stands for the resource's own domain, with the ``/tts`` or ``/stt`` that it has
there. https://learn.microsoft.com/azure/ai-services/speech-service/rest-text-to-speech.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers import vendor
from telebot.providers.probing import get_json, listed
from telebot.providers.resources import Resources

VENDOR = "AZURE"
STT = "telebot.providers.azure_stt:AzureSTTService"
TTS = "telebot.providers.azure_tts:AzureTTSService"
WIDE: Mapping[str, Mapping[str, Any]] = {
    "stt": {"options": {"sample_rate": 16_000}},
    "tts": {"options": {"sample_rate": 24_000}},
}


def build_stt(options: Mapping[str, Any], resources: Resources) -> Any:
    """`stt: azure`, or `{service: azure, language: de-DE, options: {endpoint_id: …}}`."""
    return _build("stt", STT, options, resources)


def build_tts(options: Mapping[str, Any], resources: Resources) -> Any:
    """`tts: azure`, or `{service: azure, voice: en-GB-SoniaNeural, settings: {rate: "+10%"}}`."""
    return _build("tts", TTS, options, resources)


def _build(kind: str, path: str, options: Mapping[str, Any], resources: Resources) -> Any:
    with_address = {**options, "base_url": _url(kind, options, resources)}
    return vendor.named(
        kind,
        path,
        with_address,
        resources.environ,
        vendor=VENDOR,
        given={"session": resources.http()},
    )


def _url(kind: str, options: Mapping[str, Any], resources: Resources) -> str:
    """The region's host, unless an address is given. Raises ProviderConfigError."""
    given = options.get("base_url") or resources.environ.get(f"{VENDOR}_BASE_URL")
    region = resources.environ.get("AZURE_REGION")
    if not given and not region:
        raise ProviderConfigError(
            "azure needs to know where it is: set AZURE_REGION to the Speech resource's region, "
            "e.g. westeurope (or write `base_url:`)"
        )
    host = f"https://{region}.{kind}.speech.microsoft.com"
    return vendor.vendor_url(options, resources.environ, VENDOR, host)


async def probe(kind: str, options: Mapping[str, Any], resources: Resources) -> None:
    """Whether the key is taken, and the voice is there; recognition is asked for the text of a
    moment's silence, since nothing lists what it takes."""
    from telebot.providers.azure_rest import VOICE, VOICES_PATH, key_headers

    if kind == "stt":
        await _probe_stt(options, resources)
        return
    key = vendor.vendor_key(options, resources.environ, VENDOR)
    url = _url(kind, options, resources) + VOICES_PATH
    voices = await get_json(resources, url, key_headers(key), who="azure")
    known = [str(each.get("ShortName")) for each in voices]
    listed("azure", "voice", vendor.chosen(options, "voice", VOICE), known)


async def _probe_stt(options: Mapping[str, Any], resources: Resources) -> None:
    from telebot.providers.azure_stt import LANGUAGE
    from telebot.providers.rest import FAILURES, HttpRefusal

    service = build_stt(options, resources)
    try:
        await service.ask(bytes(1600))
    except HttpRefusal as error:
        if error.status in (401, 403):
            raise ProviderConfigError(f"azure refuses the key ({error.status})") from error
        if error.status == 400:
            language = vendor.chosen(options, "language", LANGUAGE)
            raise ProviderConfigError(f"azure does not take the language {language!r}") from error
        raise
    except ProviderError:
        raise
    except FAILURES as error:
        raise ProviderError(f"azure cannot be asked ({type(error).__name__})") from error
