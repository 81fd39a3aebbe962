"""ElevenLabs: voices over its multi-context socket with word times, recognition by Scribe's.

On a telephone's line both at 8 kHz mu-law, which the vendor gives and takes as it is
(output_format and audio_format `ulaw_8000`: https://elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input,
…/speech-to-text/v-1-speech-to-text-realtime). The services are in `elevenlabs_stream.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp

from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers import vendor
from telebot.providers.probing import ANSWER_S, listed
from telebot.providers.resources import Resources

VENDOR = "ELEVENLABS"
WHO = "elevenlabs"
URL = "https://api.elevenlabs.io"
STREAM_URL = "wss://api.elevenlabs.io"
STT = "telebot.providers.elevenlabs_stream:PhoneElevenLabsSTTService"
TTS = "telebot.providers.elevenlabs_stream:PhoneElevenLabsTTSService"
STT_MODEL = "scribe_v2_realtime"
TTS_MODEL = "eleven_flash_v2_5"  # the vendor's fastest, about 75 ms
TTS_VOICE = "JBFqnCBsd6RMkjVDRZzb"  # George, of the vendor's own quickstart
# of a wide line: the formats `pcm_16000` and `pcm_24000`, which every plan may use
WIDE: Mapping[str, Mapping[str, Any]] = {
    "stt": {"options": {"sample_rate": 16_000}},
    "tts": {"options": {"sample_rate": 24_000}},
}


def build_stt(options: Mapping[str, Any], resources: Resources) -> Any:
    """`stt: elevenlabs`, or `{service: elevenlabs, language: en, settings: {keyterms: […]}}`.

    An utterance is committed where the call hears its end, not by the vendor's own silence.
    """
    settings = {"model": STT_MODEL}
    return vendor.named("stt", STT, options, resources.environ, vendor=VENDOR, settings=settings)


def build_tts(options: Mapping[str, Any], resources: Resources) -> Any:
    """`tts: elevenlabs`, or `{service: elevenlabs, voice: ID, settings: {stability: 0.5}}`."""
    settings = {"model": TTS_MODEL, "voice": TTS_VOICE}
    return vendor.named("tts", TTS, options, resources.environ, vendor=VENDOR, settings=settings)


async def probe(kind: str, options: Mapping[str, Any], resources: Resources) -> None:
    """Whether the key is taken, and the model and the voice are there.

    Voices and models are listed by the vendor (GET /v1/voices, /v1/models); a key that may speak
    but not list them passes. A recogniser's session is opened and closed again.
    """
    key = vendor.vendor_key(options, resources.environ, VENDOR)
    if kind == "stt":
        await _try_session(options, resources, key)
        return
    url = vendor.vendor_url(options, resources.environ, VENDOR, URL)
    models = await _list(resources, f"{url}/v1/models", key)
    if models is not None:
        ids = [str(each.get("model_id")) for each in models if each.get("can_do_text_to_speech")]
        listed(WHO, "model", vendor.chosen(options, "model", TTS_MODEL), ids)
    voices = await _list(resources, f"{url}/v1/voices", key)
    if voices is not None:
        ids = [str(each.get("voice_id")) for each in voices.get("voices", ())]
        listed(WHO, "voice", vendor.chosen(options, "voice", TTS_VOICE), ids)


async def _list(resources: Resources, url: str, key: str) -> Any:
    """What the vendor lists at `url`; None where the key is good but may not ask for it (the
    detail's status `missing_permissions`). Errors as in `probing.get_json`."""
    headers = {"xi-api-key": key}
    try:
        async with asyncio.timeout(ANSWER_S), resources.http().get(url, headers=headers) as answer:
            body = await answer.json(content_type=None)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise ProviderError(f"{WHO} cannot be asked ({type(error).__name__})") from error
    if answer.status == 200:
        return body
    detail = body.get("detail") if isinstance(body, dict) else None
    status = detail.get("status") if isinstance(detail, dict) else None
    if answer.status in (401, 403) and status == "missing_permissions":
        return None
    if answer.status in (401, 403):
        raise ProviderConfigError(f"{WHO} refuses the key ({answer.status})")
    raise ProviderError(f"{WHO} answers {answer.status}")


async def _try_session(options: Mapping[str, Any], resources: Resources, key: str) -> None:
    """Open Scribe's socket for this model and wait for what it says first."""
    model = vendor.chosen(options, "model", STT_MODEL)
    url = vendor.vendor_url(options, resources.environ, VENDOR, STREAM_URL)
    address = f"{url}/v1/speech-to-text/realtime"
    query = {"model_id": str(model), "audio_format": "ulaw_8000", "commit_strategy": "manual"}
    try:
        async with (
            asyncio.timeout(ANSWER_S),
            resources.http().ws_connect(
                address, params=query, headers={"xi-api-key": key}, timeout=_goodbye()
            ) as socket,
        ):
            said = await socket.receive_json()
    except aiohttp.WSServerHandshakeError as error:
        if error.status in (401, 403):
            raise ProviderConfigError(f"{WHO} refuses the key ({error.status})") from None
        raise ProviderError(f"{WHO} answers {error.status}") from None
    except (aiohttp.ClientError, OSError, TimeoutError, TypeError, ValueError) as error:
        raise ProviderError(f"{WHO} cannot be asked ({type(error).__name__})") from error
    match said.get("message_type") if isinstance(said, dict) else None:
        case "session_started":
            return
        case "auth_error":
            raise ProviderConfigError(f"{WHO} refuses the key ({said['message_type']})")
        case "invalid_request":
            raise ProviderConfigError(f"{WHO} refuses the model {model!r}: {said.get('error')}")
        case other:
            raise ProviderError(f"{WHO} answers {other}")


def _goodbye() -> aiohttp.ClientWSTimeout:
    return aiohttp.ClientWSTimeout(ws_close=0.5)
