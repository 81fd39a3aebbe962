"""Which provider a name in an agent's file stands for, and how a service is built from it.

`speech/agents.py` calls `build_stt`, `build_tts` and `build_llm` for each call; what they return
goes into the Pipecat pipeline. A provider is imported when it is first asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

from telebot.call.errors import ProviderConfigError
from telebot.providers.catalogue import build_vendor_service, near

if TYPE_CHECKING:
    from pipecat.services.llm_service import LLMService
    from pipecat.services.stt_service import STTService
    from pipecat.services.tts_service import TTSService

    from telebot.providers.local_speech import LocalSpeech

Kind = Literal["stt", "tts", "llm"]
Spec = str | Mapping[str, Any]

# name → a function (options, shared) → service
PROVIDERS: dict[Kind, dict[str, str]] = {
    "stt": {
        "local": "telebot.providers.local_stt:build",
        "scripted": "telebot.providers.scripted:build_stt",
    },
    "tts": {
        "local": "telebot.providers.local_tts:build",
        "scripted": "telebot.providers.scripted:build_tts",
    },
    "llm": {"scripted": "telebot.providers.scripted:build_llm"},
}


def build_stt(spec: Spec, shared: LocalSpeech, environ: Mapping[str, str]) -> STTService:
    """The recogniser of an agent's `speech.stt`; takes 8 kHz int16 audio. Errors as in `build`."""
    return cast("STTService", build("stt", spec, shared, environ))


def build_tts(spec: Spec, shared: LocalSpeech, environ: Mapping[str, str]) -> TTSService:
    """The voice of an agent's `speech.tts`; gives 8 kHz int16 where the vendor can."""
    return cast("TTSService", build("tts", spec, shared, environ))


def build_llm(spec: Spec, shared: LocalSpeech, environ: Mapping[str, str]) -> LLMService:
    """The language model of an agent's `speech.llm`."""
    return cast("LLMService", build("llm", spec, shared, environ))


def build(kind: Kind, spec: Spec, shared: LocalSpeech, environ: Mapping[str, str]) -> object:
    """A new service for one call.

    `spec` is a name (``local``), a name with options (``{service: local, voice: heart}``) or any
    Pipecat service: ``{service: "pipecat.services.deepgram.stt:DeepgramSTTService",
    api_key_env: DEEPGRAM_API_KEY, base_url: …, settings: {model: nova-3}, options: {…}}``.
    Keys and ``<VENDOR>_BASE_URL`` are looked up in `environ`. Nothing is connected. Raises
    ProviderConfigError, which says what to write instead.
    """
    options = {"service": spec} if isinstance(spec, str) else dict(spec)
    service = options.pop("service", None)
    if not isinstance(service, str) or not service:
        raise ProviderConfigError(
            f"names no service; write `{kind}: local` or "
            f'`{kind}: {{service: "pipecat.services.VENDOR.{kind}:CLASS", …}}`'
        )
    if ":" in service:
        return build_vendor_service(kind, service, options, environ)
    names = PROVIDERS[kind]
    if service not in names:
        raise ProviderConfigError(
            f"no provider {service!r}{near(service, names)}; write one of "
            f"{', '.join(sorted(names))}, or a Pipecat service as `module:Class`"
        )
    module, _, function = names[service].partition(":")
    return getattr(importlib.import_module(module), function)(options, shared)


def check(kind: Kind, spec: Spec, shared: LocalSpeech, environ: Mapping[str, str]) -> str | None:
    """The fault of a spec, for `telebot doctor` and the start; None where a call can use it."""
    try:
        build(kind, spec, shared, environ)
    except ProviderConfigError as error:
        return str(error)
    return None
