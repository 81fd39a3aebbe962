"""Whisper on this machine, by faster-whisper: any of its models, on processor or graphics card.

A model is loaded once a process, in its own thread, when an agent that names it is built; the calls
share it through a queue (`workers.py`), and `local_stt.py` cuts the caller's audio into utterances
for it. Pipecat's own service would load the model for every call, on the event loop.
https://github.com/SYSTRAN/faster-whisper, https://opennmt.net/CTranslate2/quantization.html.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soxr
import structlog

from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers.local_stt import PHONE_HZ, PREROLL_S, WIDE, LocalSTTService, seconds
from telebot.providers.recogniser import normalise
from telebot.providers.resources import Resources
from telebot.providers.vendor import check_known, near, to_install
from telebot.providers.voicing import Floats, find_speech, to_float
from telebot.providers.workers import Done, ModelThreads, WorkerStats

log = structlog.get_logger()

NAME = "faster-whisper"
MODEL = "base.en"
RATE_HZ = 16000
WINDOW_S = 30.0  # what the network hears at once
TOKENS_PER_S = 8.0  # nobody speaks faster; ends the model's loops on odd sounds
WAITING_LIMIT = 64
AGAIN_S = 60.0  # a model that could not be fetched is tried again after
CORES = 4  # more bring little for one utterance
MODELS = (
    "tiny", "tiny.en", "base", "base.en", "small", "small.en", "medium", "medium.en",
    "large-v1", "large-v2", "large-v3", "large-v3-turbo", "turbo",
    "distil-small.en", "distil-medium.en", "distil-large-v2", "distil-large-v3",
    "distil-large-v3.5",
)  # fmt: skip
DEVICES = ("auto", "cpu", "cuda")
COMPUTE_TYPES = (
    "auto", "default", "int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16",
    "float16", "bfloat16", "float32",
)  # fmt: skip
OPTIONS = (
    "model", "language", "device", "compute_type", "threads", "preroll_s", "longest_s",
    *WIDE["stt"],
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which model, and how it runs. `model` is a size, a folder, or ``owner/name`` on the hub."""

    model: str = MODEL
    language: str | None = "en"
    device: str = "auto"
    compute_type: str = "auto"
    threads: int = 1

    @property
    def loaded_as(self) -> str:
        """What agents that share a model have in common."""
        return f"{NAME} {self.model} {self.device} {self.compute_type} {self.threads}"

    @property
    def short(self) -> str:
        """The model's name in the record: of a folder, its last part."""
        return Path(self.model).name if _is_path(self.model) else self.model


class _Model:
    """The network, loaded by the first job that needs it."""

    def __init__(self, load: Callable[[], Any], clock: Callable[[], float]) -> None:
        self._load = load
        self._clock = clock
        self._lock = threading.Lock()
        self._network: Any = None
        self._failed: tuple[float, ProviderConfigError | ProviderError] | None = None

    def network(self) -> Any:
        """Raises ProviderConfigError (no such model, a device that is not there), ProviderError
        (it cannot be fetched); the same again for a minute."""
        with self._lock:
            if self._network is None:
                if self._failed is not None and self._clock() - self._failed[0] < AGAIN_S:
                    raise self._failed[1]
                try:
                    self._network = self._load()
                except (ProviderConfigError, ProviderError) as error:
                    self._failed = (self._clock(), error)
                    raise
            return self._network


class Whisper:
    """One model for the whole process. `threads` utterances are recognised at a time, the others
    wait. `aclose` at the end."""

    def __init__(
        self,
        wanted: Wanted,
        *,
        load: Callable[[Wanted], Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        model = _Model(lambda: (load or load_network)(wanted), clock)
        self._pool = ModelThreads(NAME, [model] * wanted.threads, waiting_limit=WAITING_LIMIT)
        self._loading = self._pool.submit(lambda model: model.network() is not None)

    async def loaded(self) -> None:
        """Wait until it can be used. Raises as `_Model.network`."""
        await asyncio.shield(asyncio.wrap_future(self._loading))

    def submit(self, pcm16: bytes, rate_hz: int, language: str | None = "en") -> Future[Done[str]]:
        """Queue an utterance (int16 mono). The job, and this, raise ProviderError."""
        return self._pool.submit(lambda model: hear(model.network, pcm16, rate_hz, language))

    def stats(self) -> WorkerStats:
        return self._pool.stats()

    async def aclose(self) -> None:
        await asyncio.to_thread(self._pool.close)


@dataclass(frozen=True, slots=True)
class InLanguage:
    """A model's `Recogniser` for agents of one language (None: it finds out)."""

    whisper: Whisper
    language: str | None

    def submit(self, pcm16: bytes, rate_hz: int) -> Future[Done[str]]:
        return self.whisper.submit(pcm16, rate_hz, self.language)


def hear(network: Callable[[], Any], pcm16: bytes, rate_hz: int, language: str | None) -> str:
    """PCM to text in the calling thread; '' where there is nothing to recognise."""
    speech = find_speech(to_float(pcm16), rate_hz)
    try:
        loaded = network()
        if speech is None:
            return ""
        samples = soxr.resample(speech.samples, rate_hz, RATE_HZ, "HQ")
        return normalise(_transcribed(loaded, samples, language))
    except (ProviderConfigError, RuntimeError, ValueError, MemoryError) as error:
        raise ProviderError(f"{NAME} failed: {error}") from error


def _transcribed(network: Any, samples: Floats, language: str | None) -> str:
    """The likeliest words, without a second try: a caller waits."""
    longest = round(len(samples) / RATE_HZ * TOKENS_PER_S) + 8
    segments, _ = network.transcribe(
        samples,
        language=language,
        beam_size=1,
        temperature=0.0,
        without_timestamps=True,
        condition_on_previous_text=False,
        max_new_tokens=min(longest, 224),
    )
    return " ".join(segment.text.strip() for segment in segments)


def load_network(wanted: Wanted) -> Any:
    """The model in memory; fetched from the hub where a name of it is not on this machine yet.
    Blocks, for seconds or, the first time, minutes."""
    from faster_whisper import WhisperModel  # type: ignore[import-untyped]

    started_s = time.monotonic()
    cores = max(1, min(CORES, (os.cpu_count() or 2) - 1))
    try:
        network = WhisperModel(
            wanted.model,
            device=wanted.device,
            compute_type=wanted.compute_type,
            cpu_threads=cores,
            num_workers=wanted.threads,
        )
    except OSError as error:
        raise ProviderError(f"{NAME} cannot fetch {wanted.model!r} ({error})") from error
    except (ValueError, RuntimeError) as error:
        raise ProviderConfigError(f"{NAME} cannot load {wanted.model!r}: {error}") from error
    log.info(
        "whisper_loaded",
        model=wanted.short,
        device=network.model.device,
        compute_type=network.model.compute_type,
        seconds=round(time.monotonic() - started_s, 1),
    )
    return network


def build_stt(options: Mapping[str, Any], resources: Resources) -> LocalSTTService:
    """`stt: faster-whisper`, or `{service: faster-whisper, model: small, language: de, device:
    cuda, compute_type: float16, threads: 2, preroll_s: 0.5, longest_s: 30}`. `language: auto` lets
    the model find out."""
    wanted = _wanted(options)
    whisper = _shared(wanted, resources)
    return LocalSTTService(
        InLanguage(whisper, wanted.language),
        model=wanted.short,
        rate_hz=int(options.get("rate_hz", PHONE_HZ)),
        preroll_s=seconds(options, "preroll_s", PREROLL_S, 2.0, NAME),
        longest_s=seconds(options, "longest_s", WINDOW_S, WINDOW_S, NAME),
    )


async def probe(kind: str, options: Mapping[str, Any], resources: Resources) -> None:
    """Whether the model is there and runs; fetches it where it is not."""
    await _shared(_wanted(options), resources).loaded()


def _shared(wanted: Wanted, resources: Resources) -> Whisper:
    return resources.kept(wanted.loaded_as, lambda: Whisper(wanted))


def _wanted(options: Mapping[str, Any]) -> Wanted:
    check_known("option", options, OPTIONS, NAME)
    if importlib.util.find_spec("faster_whisper") is None:
        raise ProviderConfigError(f"{NAME} is not installed; {to_install(NAME)}")
    model = str(options.get("model") or MODEL)
    if model.startswith("~"):
        model = str(Path(model).expanduser())
    language: str | None = str(options.get("language") or "en").partition("-")[0].lower()
    language = None if language == "auto" else language
    if _is_path(model):
        if not (Path(model) / "model.bin").is_file():
            raise ProviderConfigError(f"{NAME}: no model.bin in the folder {model}")
    elif "/" not in model and model not in MODELS:
        raise ProviderConfigError(
            f"{NAME} has no model {model!r}{near(model, MODELS)}; write one of "
            f"{', '.join(MODELS)}, a folder, or OWNER/NAME on the hub"
        )
    if model.endswith(".en") and language != "en":
        raise ProviderConfigError(
            f"{NAME}: {model} hears English only; write `model: {model.removesuffix('.en')}`"
        )
    return Wanted(
        model,
        language,
        _one_of(options, "device", DEVICES),
        _one_of(options, "compute_type", COMPUTE_TYPES),
        _threads(options),
    )


def _is_path(model: str) -> bool:
    """A folder: it begins as one is written, or it is there."""
    return model.startswith(("/", "./", "../")) or Path(model).is_dir()


def _one_of(options: Mapping[str, Any], name: str, known: tuple[str, ...]) -> str:
    value = str(options.get(name, known[0]))
    if value not in known:
        raise ProviderConfigError(
            f"{NAME} has no {name} {value!r}; write one of {', '.join(known)}"
        )
    return value


def _threads(options: Mapping[str, Any]) -> int:
    value = options.get("threads", 1)
    if not isinstance(value, int) or not 1 <= value <= 16:
        raise ProviderConfigError(f"{NAME}: threads is {value!r}; write 1 to 16")
    return value
