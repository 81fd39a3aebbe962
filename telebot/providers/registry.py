"""Which provider a name in an agent's file stands for, and how a service is built from it.

`speech/agents.py` calls `build_stt`, `build_tts` and `build_llm` for each call; what they return
goes into the Pipecat pipeline. A provider's file is imported when it is first asked for, its
vendor's package with it.
"""

from __future__ import annotations

import contextlib
import importlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, cast

import structlog

from telebot.call.errors import ProviderConfigError
from telebot.providers.resources import Resources
from telebot.providers.vendor import build_vendor_service, near, vendor_of, widened

if TYPE_CHECKING:
    from pipecat.services.llm_service import LLMService
    from pipecat.services.stt_service import STTService
    from pipecat.services.tts_service import TTSService

    from telebot.providers.clips import Speaker, Transcriber
    from telebot.providers.credentials import Credential, Wanted
    from telebot.providers.direct import DirectSession
    from telebot.providers.replies import Replier

log = structlog.get_logger(__name__)

Kind = Literal["stt", "tts", "llm", "realtime"]
Spec = str | Mapping[str, Any]

# name → a function (options, resources) → service. Its module may have
# `async probe(kind, options, resources)`, which asks the vendor whether key, model and voice are
# good, and `WIDE`: by kind the options of a wide line (`audio/line.py`; without, 8 kHz there too).
PROVIDERS: dict[Kind, dict[str, str]] = {
    "stt": {
        "local": "telebot.providers.local_stt:build",
        "faster-whisper": "telebot.providers.faster_whisper:build_stt",
        "assemblyai": "telebot.providers.assemblyai:build_stt",
        "azure": "telebot.providers.azure:build_stt",
        "cartesia": "telebot.providers.cartesia:build_stt",
        "deepgram": "telebot.providers.deepgram:build_stt",
        "deepgram-flux": "telebot.providers.deepgram:build_flux",
        "elevenlabs": "telebot.providers.elevenlabs:build_stt",
        "google": "telebot.providers.google:build_stt",
        "groq": "telebot.providers.groq:build_stt",
        "openai": "telebot.providers.openai:build_stt",
        "openai-whisper": "telebot.providers.openai:build_segmented_stt",
        "soniox": "telebot.providers.soniox:build_stt",
        "speechmatics": "telebot.providers.speechmatics:build_stt",
        "scripted": "telebot.providers.scripted:build_stt",
    },
    "llm": {
        "anthropic": "telebot.providers.anthropic:build_llm",
        "gemini": "telebot.providers.gemini:build_llm",
        "groq": "telebot.providers.groq:build_llm",
        "openai": "telebot.providers.openai:build_llm",
        "openai-compatible": "telebot.providers.openai_compatible:build_llm",
        "scripted": "telebot.providers.scripted:build_llm",
    },
    "tts": {
        "local": "telebot.providers.local_tts:build",
        "azure": "telebot.providers.azure:build_tts",
        "cartesia": "telebot.providers.cartesia:build_tts",
        "deepgram": "telebot.providers.deepgram:build_tts",
        "elevenlabs": "telebot.providers.elevenlabs:build_tts",
        "google": "telebot.providers.google:build_tts",
        "openai": "telebot.providers.openai:build_tts",
        "openai-compatible": "telebot.providers.openai_compatible:build_tts",
        "piper": "telebot.providers.piper:build_tts",
        "polly": "telebot.providers.polly:build_tts",
        "rime": "telebot.providers.rime:build_tts",
        "scripted": "telebot.providers.scripted:build_tts",
    },
    "realtime": {
        "openai": "telebot.providers.openai_realtime:build",
        "gemini": "telebot.providers.gemini_realtime:build",
        "elevenlabs": "telebot.providers.elevenlabs_realtime:build",
    },
}

# Work that is no call (`clips.py`): name → a function (options, resources) → Transcriber, Speaker.
TRANSCRIBERS: dict[str, str] = {
    "local": "telebot.providers.local_clips:build_transcriber",
    "amazon-transcribe": "telebot.providers.transcribe_clips:build_transcriber",
    "assemblyai": "telebot.providers.assemblyai_clips:build_transcriber",
    "azure": "telebot.providers.azure_clips:build_transcriber",
    "cartesia": "telebot.providers.cartesia_clips:build_transcriber",
    "deepgram": "telebot.providers.deepgram_clips:build_transcriber",
    "elevenlabs": "telebot.providers.elevenlabs_clips:build_transcriber",
    "gladia": "telebot.providers.gladia_clips:build_transcriber",
    "google": "telebot.providers.google_clips:build_transcriber",
    "groq": "telebot.providers.groq_clips:build_transcriber",
    "ibm-watson": "telebot.providers.ibm_clips:build_transcriber",
    "openai": "telebot.providers.openai_clips:build_transcriber",
    "rev-ai": "telebot.providers.rev_clips:build_transcriber",
    "soniox": "telebot.providers.soniox_clips:build_transcriber",
    "speechmatics": "telebot.providers.speechmatics_clips:build_transcriber",
}
SPEAKERS: dict[str, str] = {
    "local": "telebot.providers.local_clips:build_speaker",
    "azure": "telebot.providers.azure_clips:build_speaker",
    "cartesia": "telebot.providers.cartesia_clips:build_speaker",
    "deepgram": "telebot.providers.deepgram_clips:build_speaker",
    "elevenlabs": "telebot.providers.elevenlabs_clips:build_speaker",
    "google": "telebot.providers.google_clips:build_speaker",
    "ibm-watson": "telebot.providers.ibm_clips:build_speaker",
    "murf": "telebot.providers.murf_clips:build_speaker",
    "openai": "telebot.providers.openai_clips:build_speaker",
    "polly": "telebot.providers.polly_clips:build_speaker",
    "resemble": "telebot.providers.resemble_clips:build_speaker",
    "rime": "telebot.providers.rime_clips:build_speaker",
    "speechify": "telebot.providers.speechify_clips:build_speaker",
}
# Replies to work that is no call (`replies.py`): name → a function (options, resources) → Replier.
# `local` is an agent's own brain, which `voice/` hands in.
REPLIERS: dict[str, str] = {
    "anthropic": "telebot.providers.anthropic_replies:build_replier",
    "gemini": "telebot.providers.gemini_replies:build_replier",
    "groq": "telebot.providers.groq_replies:build_replier",
    "openai": "telebot.providers.openai_replies:build_replier",
    "openai-compatible": "telebot.providers.openai_compatible_replies:build_replier",
}

# Speech to speech at the full band (`direct.py`): name → a function (options, resources) →
# DirectSession.
DIRECT: dict[str, str] = {
    "openai": "telebot.providers.openai_direct:build",
    "gemini": "telebot.providers.gemini_direct:build",
    "elevenlabs": "telebot.providers.elevenlabs_direct:build",
}

# Credentials of vendors' own realtime endpoints (`credentials.py`): name → a coroutine function
# (options, wanted, resources) → Credential.
CREDENTIALS: dict[str, str] = {
    "openai": "telebot.providers.openai_credential:credential",
    "gemini": "telebot.providers.gemini_credential:credential",
    "elevenlabs": "telebot.providers.elevenlabs_credential:credential",
}

# What an agent that names no provider uses, in this order: those whose key is there. The last ones
# run on this machine.
DEFAULTS: dict[Kind, tuple[str, ...]] = {
    "stt": ("deepgram", "openai", "local"),
    "llm": ("openai", "anthropic", "groq", "local"),
    "tts": ("elevenlabs", "openai", "local"),
}
OURS = frozenset({"local", "scripted", "dialog"})  # no vendor: never fails over, has no price


def vendors() -> set[str]:
    """The names of all providers that are not ours."""
    return {name for names in PROVIDERS.values() for name in names} - OURS


def build_stt(spec: Spec, resources: Resources, *, wide: bool = False) -> STTService:
    """The recogniser of an agent's `speech.stt`; int16 at its `sample_rate`. Errors as `build`."""
    return cast("STTService", build("stt", spec, resources, wide=wide))


def build_tts(spec: Spec, resources: Resources, *, wide: bool = False) -> TTSService:
    """The voice of an agent's `speech.tts`; its frames say at which rate they are."""
    return cast("TTSService", build("tts", spec, resources, wide=wide))


def build_llm(spec: Spec, resources: Resources) -> LLMService:
    """The language model of an agent's `speech.llm`."""
    return cast("LLMService", build("llm", spec, resources))


def build(kind: Kind, spec: Spec, resources: Resources, *, wide: bool = False) -> object:
    """A new service for one call, whose line is a telephone's or `wide`.

    `spec` is a name (``local``), a name with options (``{service: deepgram, model: nova-3}``) or
    any Pipecat service: ``{service: "pipecat.services.deepgram.stt:DeepgramSTTService",
    api_key_env: DEEPGRAM_API_KEY, base_url: …, settings: {model: nova-3}, options: {…}}``.
    Nothing is connected. Raises ProviderConfigError, which says what to write instead; so for a
    vendor, or a model, that was shut down.
    """
    service, options = _parts(kind, spec)
    gone = resources.catalogue.gone(*_vendor_model(service, options), resources.today(), kind)
    if gone is not None:
        raise ProviderConfigError(f"speech.{kind}: {gone}")
    if ":" in service:
        return build_vendor_service(kind, service, options, resources.environ, wide=wide)
    module, function = _module(kind, service)
    if wide:
        options = widened(options, getattr(module, "WIDE", {}).get(kind, {}))
    return getattr(module, function)(options, resources)


def transcribers() -> dict[str, str]:
    """Every vendor that hears recordings, those of installed packages too (entry points of the
    group ``telebot.transcribers``; a built-in name is never replaced)."""
    return {**dict(_added("telebot.transcribers")), **TRANSCRIBERS}


def speakers() -> dict[str, str]:
    """Every vendor that speaks texts; the group is ``telebot.speakers``."""
    return {**dict(_added("telebot.speakers")), **SPEAKERS}


def repliers() -> dict[str, str]:
    """Every vendor whose language models answer; the group is ``telebot.repliers``."""
    return {**dict(_added("telebot.repliers")), **REPLIERS}


@cache
def _added(group: str) -> tuple[tuple[str, str], ...]:
    """Nothing is imported: a package's file is loaded when its provider is first asked for."""
    return tuple((point.name, point.value) for point in entry_points(group=group))


def build_transcriber(name: str, options: Mapping[str, Any], resources: Resources) -> Transcriber:
    """A vendor that hears recordings. Raises ProviderConfigError, also where the vendor, or the
    model, was shut down."""
    return cast("Transcriber", _built_for_clips("stt", transcribers(), name, options, resources))


def build_speaker(name: str, options: Mapping[str, Any], resources: Resources) -> Speaker:
    """A vendor that speaks texts. Raises as `build_transcriber`."""
    return cast("Speaker", _built_for_clips("tts", speakers(), name, options, resources))


def build_replier(name: str, options: Mapping[str, Any], resources: Resources) -> Replier:
    """A vendor whose language model answers. Raises as `build_transcriber`."""
    return cast("Replier", _built_for_clips("llm", repliers(), name, options, resources))


def _built_for_clips(
    kind: Kind,
    names: Mapping[str, str],
    name: str,
    options: Mapping[str, Any],
    resources: Resources,
) -> object:
    gone = resources.catalogue.gone(*_vendor_model(name, options), resources.today(), kind)
    if gone is not None:
        raise ProviderConfigError(gone)
    if name not in names:
        raise ProviderConfigError(f"no provider {name!r}{near(name, names)}")
    try:
        path, _, function = names[name].partition(":")
        made = getattr(importlib.import_module(path), function)(options, resources)
    except ProviderConfigError:
        raise
    except Exception as error:  # an added package's: the others are there all the same
        if name not in _broken:
            _broken.add(name)
            log.exception("provider_not_built", provider=name, kind=kind)
        raise ProviderConfigError(f"{name}: cannot be built; the log says why") from error
    lacks = [each for each in NEEDED.get(kind, ()) if not hasattr(made, each)]
    if lacks:
        raise ProviderConfigError(f"{name}: what it builds has no {lacks[0]}")
    return cast("object", made)


_broken: set[str] = set()  # names that were told about
# of what is built for clips (`clips.py`)
NEEDED: Mapping[str, tuple[str, ...]] = {
    "stt": ("model", "abilities", "longest_s", "transcribe"),
    "llm": ("model", "abilities", "reply"),
    "tts": ("model", "abilities", "longest", "rate_hz", "speak", "uses"),
}


def name_of(kind: Kind, spec: Spec, resources: Resources) -> str:
    """Provider and model of a spec, as they stand in the record and the catalogue:
    ``deepgram/nova-3``. Errors as in `build`."""
    service, options = _parts(kind, spec)
    if service in OURS:
        return service
    vendor, model = _vendor_model(service, options)
    if model is None and ":" not in service:
        built = getattr(build(kind, spec, resources), "settings", None)
        model = getattr(built, "model", None)
    return f"{vendor}/{model}" if isinstance(model, str) and model else vendor


def sound(spec: Spec, resources: Resources) -> str:
    """Names a voice with all that shapes its sound: what the file says of it, the model and voice
    that the vendor's file adds, and the vendor's address. Errors as in `build`."""
    service, options = _parts("tts", spec)
    settings = getattr(build("tts", spec, resources), "settings", None)
    chosen = [str(getattr(settings, name, None)) for name in ("model", "voice", "language")]
    vendor = _vendor_model(service, options)[0].partition("-")[0].upper()
    address = resources.environ.get(f"{vendor}_BASE_URL", "")
    return json.dumps([service, options, chosen, address], sort_keys=True, default=str)


def account(kind: Kind, spec: Spec, resources: Resources) -> str:
    """The key that a spec would use, and the address where the spec names one; "" where there is
    neither. Two servers of one wire with the same model are not out together."""
    service, options = _parts(kind, spec)
    vendor = _vendor_model(service, options)[0].partition("-")[0].upper()
    name = options.get("api_key_env", f"{vendor}_API_KEY")
    key = resources.environ.get(str(name), "") if name else ""
    return f"{key} {options.get('base_url') or ''}".strip()


async def probe(kind: Kind, spec: Spec, resources: Resources) -> None:
    """Ask the vendor whether a call could use this spec; a provider that has no way to tell is
    taken for good. Raises ProviderConfigError (the key, the model or the voice is refused) and
    ProviderError (the vendor cannot be reached)."""
    service, options = _parts(kind, spec)
    if ":" in service:
        return
    module, _ = _module(kind, service)
    asks = getattr(module, "probe", None)
    if asks is not None:
        await asks(kind, options, resources)


def check(kind: Kind, spec: Spec, resources: Resources) -> str | None:
    """The fault of a spec, for `telebot doctor` and the start; None where a call can use it."""
    try:
        build(kind, spec, resources)
    except ProviderConfigError as error:
        return str(error)
    return None


def warning(kind: Kind, spec: Spec, resources: Resources) -> str | None:
    """What will be shut down of a spec that can be used today, with the day and what to write
    instead, for `telebot doctor` and the start. Raises ProviderConfigError."""
    service, options = _parts(kind, spec)
    vendor, model = _vendor_model(service, options)
    return resources.catalogue.leaving(vendor, model, resources.today(), kind)


def _vendor_model(service: str, options: Mapping[str, Any]) -> tuple[str, str | None]:
    """Vendor and model of a spec as the catalogue knows them, also of a Pipecat service."""
    settings = options.get("settings")
    named = options.get("model") or (settings.get("model") if isinstance(settings, dict) else None)
    vendor = vendor_of(service).lower() if ":" in service else service
    return vendor, str(named) if named else None


def _parts(kind: Kind, spec: Spec) -> tuple[str, dict[str, Any]]:
    """The service's name and its options."""
    options = {"service": spec} if isinstance(spec, str) else dict(spec)
    service = options.pop("service", None)
    if not isinstance(service, str) or not service:
        raise ProviderConfigError(
            f"names no service; write `{kind}: local` or "
            f'`{kind}: {{service: "pipecat.services.VENDOR.{kind}:CLASS", …}}`'
        )
    return service, options


def build_direct(spec: Spec, resources: Resources) -> DirectSession:
    """A session at the full band, for the spec of a realtime service. Raises ProviderConfigError,
    also where that service has none."""
    service, options = _parts("realtime", spec)
    if service not in DIRECT:
        raise ProviderConfigError(f"{service} has no sessions at the full band")
    gone = resources.catalogue.gone(*_vendor_model(service, options), resources.today(), "realtime")
    if gone is not None:
        raise ProviderConfigError(gone)
    path, _, function = DIRECT[service].partition(":")
    build_it = getattr(importlib.import_module(path), function)
    return cast("DirectSession", build_it(options, resources))


async def credential(
    name: str, options: Mapping[str, Any], wanted: Wanted, resources: Resources
) -> Credential:
    """A credential of a vendor in `CREDENTIALS`. Raises ProviderConfigError and `ClipFailed`."""
    model = wanted.model or None
    gone = resources.catalogue.gone(name, model, resources.today(), "realtime")
    if gone is not None:
        raise ProviderConfigError(gone)
    path, _, function = CREDENTIALS[name].partition(":")
    make = getattr(importlib.import_module(path), function)
    return cast("Credential", await make(options, wanted, resources))


def load_file(kind: Kind, name: str) -> None:
    """Import a provider's file, and with it its vendor's package, before it is needed."""
    with contextlib.suppress(ImportError):  # whoever builds it is told
        _module(kind, name)


def _module(kind: Kind, service: str) -> tuple[ModuleType, str]:
    names = PROVIDERS[kind]
    if service not in names:
        raise ProviderConfigError(
            f"no provider {service!r}{near(service, names)}; write one of "
            f"{', '.join(sorted(names))}, or a Pipecat service as `module:Class`"
        )
    path, _, function = names[service].partition(":")
    return importlib.import_module(path), function
