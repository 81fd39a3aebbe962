"""Google Cloud: streaming recognition (Speech-to-Text v2) and streaming voices (Text-to-Speech).

Set GOOGLE_APPLICATION_CREDENTIALS to a service account's file, or GOOGLE_API_KEY and
GOOGLE_CLOUD_PROJECT; with `api_key_env: null` Google gives the machine its credentials. mu-law at
8 kHz both ways, PCM on a wide line (the model `telephony` knows telephones alone). Models and
regions: https://docs.cloud.google.com/speech-to-text/docs/transcription-model, voices:
https://docs.cloud.google.com/text-to-speech/docs/chirp3-hd.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from telebot.call.errors import ProviderConfigError
from telebot.providers import vendor
from telebot.providers.probing import listed
from telebot.providers.resources import Resources

VENDOR = "GOOGLE"
STT = "telebot.providers.google_stt:GoogleSTTService"
TTS = "telebot.providers.google_tts:StreamingVoice"
STT_MODEL = "telephony"
STT_HOST = "speech.googleapis.com"
TTS_HOST = "texttospeech.googleapis.com"
WIDE: Mapping[str, Mapping[str, Any]] = {
    "stt": {"options": {"sample_rate": 16_000}},
    "tts": {"options": {"sample_rate": 24_000}},
}


def build_stt(options: Mapping[str, Any], resources: Resources) -> Any:
    """`stt: google`, or `{service: google, model: chirp_3, language: de-DE, options: {location: eu,
    project: …}}`."""
    from google.cloud.speech_v2.services.speech import SpeechAsyncClient
    from google.cloud.speech_v2.services.speech.transports import SpeechGrpcAsyncIOTransport

    from telebot.providers.google_cloud import access, kept

    own = dict(options.get("options") or {})
    if str(vendor.chosen(options, "model", STT_MODEL)).startswith(STT_MODEL):
        own.pop("sample_rate", None)  # of a telephone's sound alone
    options = {**options, "options": own}
    who = access(options, resources.environ, host_of(STT_HOST, own))
    project = own.get("project") or project_of(resources.environ, who.account)
    return vendor.named(
        "stt",
        STT,
        options,
        resources.environ,
        vendor=VENDOR,
        options={"project": project},
        given={
            "client": kept(resources, who, SpeechAsyncClient, SpeechGrpcAsyncIOTransport),
            "metadata": who.metadata,
        },
    )


def build_tts(options: Mapping[str, Any], resources: Resources) -> Any:
    """`tts: google`, or `{service: google, voice: en-GB-Chirp3-HD-Kore, settings: {speaking_rate:
    1.1}}`."""
    from google.cloud.texttospeech_v1.services.text_to_speech import TextToSpeechAsyncClient
    from google.cloud.texttospeech_v1.services.text_to_speech.transports import (
        TextToSpeechGrpcAsyncIOTransport,
    )

    from telebot.providers.google_cloud import access, kept
    from telebot.providers.google_tts import VOICE

    voice = vendor.chosen(options, "voice", VOICE) or VOICE
    who = access(options, resources.environ, host_of(TTS_HOST, options.get("options") or {}))
    client = kept(resources, who, TextToSpeechAsyncClient, TextToSpeechGrpcAsyncIOTransport)
    return vendor.named(
        "tts",
        TTS,
        _without_location(options),
        resources.environ,
        vendor=VENDOR,
        settings={"voice": voice, "language": _language(voice)},
        given={"client": client, "metadata": who.metadata},
    )


async def probe(kind: str, options: Mapping[str, Any], resources: Resources) -> None:
    """Whether the key is taken and the voice is there; recognition is asked for the text of a
    moment's silence, since nothing lists what it takes."""
    from pipecat.utils.errors import ErrorCategory

    from telebot.providers.google_cloud import FAILURES, category, refusal

    service = build_stt(options, resources) if kind == "stt" else build_tts(options, resources)
    try:
        if kind == "stt":
            await service.ask()
            return
        voice = str(service._settings.voice)
        names = await service.voices(_language(voice))
    except FAILURES as error:
        why = category(error)
        if why in (ErrorCategory.AUTHENTICATION, ErrorCategory.AUTHORIZATION):
            raise ProviderConfigError(f"google refuses the key: {refusal(error)}") from None
        if kind == "stt" and why is ErrorCategory.INVALID_REQUEST:
            asked = service.config()
            raise ProviderConfigError(
                f"google does not take the model {asked.model!r} with the language "
                f"{asked.language_codes[0]!r}"
            ) from None
        raise refusal(error) from None
    listed("google", "voice", voice, names)


def host_of(host: str, options: Mapping[str, Any]) -> str:
    """Google's host of a location; "global" has none of its own."""
    location = options.get("location", "global")
    return host if location == "global" else f"{location}-{host}"


def _without_location(options: Mapping[str, Any]) -> dict[str, Any]:
    own = {k: v for k, v in (options.get("options") or {}).items() if k != "location"}
    return {**options, "options": own}


def _language(voice: str) -> str:
    """en-US of en-US-Chirp3-HD-Charon."""
    return "-".join(voice.split("-")[:2])


def project_of(environ: Mapping[str, str], account: str | None) -> str:
    """Whose quota is used; of the service account, where nobody says. Raises
    ProviderConfigError."""
    project = environ.get("GOOGLE_CLOUD_PROJECT")
    if not project and account:
        try:
            project = json.loads(Path(account).read_text()).get("project_id")
        except (OSError, ValueError) as error:
            raise ProviderConfigError(f"google's credentials {account} cannot be read") from error
    if not project:
        raise ProviderConfigError("google needs GOOGLE_CLOUD_PROJECT, or `options: {project: …}`")
    return str(project)
