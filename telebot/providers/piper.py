"""Piper's voices, by the HTTP server of its package, which runs beside telebot.

The package (`piper-tts[http]`) is under the GPL, so it stays a process of its own, and Pipecat's
service, which imports it, is not used: `python -m piper.http_server -m en_US-lessac-medium`, found
at PIPER_BASE_URL. https://github.com/OHF-Voice/piper1-gpl/blob/main/docs/API_HTTP.md. The server
makes a text's whole audio before it answers, at the voice's rate (16 or 22.05 kHz).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

import aiohttp
from pipecat.frames.frames import ErrorFrame, Frame, TTSAudioRawFrame
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.utils.errors import ErrorCategory, classify_http_status_code

from telebot.audio.g711 import RATE_HZ
from telebot.audio.resample import ToPhone
from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers.probing import get_json, listed
from telebot.providers.resources import CONNECT_S, READ_S, Resources
from telebot.providers.vendor import check_known, vendor_url

VENDOR = "PIPER"
URL = "http://127.0.0.1:5000"
SCALES = ("length_scale", "noise_scale", "noise_w_scale")
OPTIONS = ("voice", "speaker", "speaker_id", *SCALES, "base_url")
# where text is spoken: of newer servers, and of those before them
PATHS = ("/synthesize", "/")
HEADER_BYTES = 4096  # a WAV header is far shorter
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=READ_S)


class PiperRefused(ProviderError):
    """The server, or one in front of it, answered with an error status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"piper answers {status}")
        self.status = status


class NoAudio(ProviderError):
    """What the server sent is no audio that a call can use."""


class PiperServer:
    """One Piper server, for all calls."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self._url = url
        self._http = http
        self._paths = list(PATHS)

    def close(self) -> None:
        """The connections are the process's."""

    async def speak(self, asked: Mapping[str, Any]) -> AsyncGenerator[bytes, None]:
        """Spoken audio, int16 mono at 8 kHz, as it comes. Raises PiperRefused, NoAudio and
        aiohttp's errors."""
        async with self._answer(asked) as answer:
            head, to_phone = b"", None
            async for chunk in answer.content.iter_any():
                if to_phone is None:
                    head += chunk
                    found = wav_start(head)
                    if found is None:
                        continue
                    start, rate_hz = found
                    to_phone, odd = ToPhone(rate_hz), head[start:]
                else:
                    odd += chunk
                whole = len(odd) & ~1
                audio, odd = to_phone.feed(odd[:whole]), odd[whole:]
                if audio:
                    yield audio
            if to_phone is None:
                raise NoAudio("piper sends no audio")
            if rest := to_phone.feed(b"", last=True):
                yield rest

    @asynccontextmanager
    async def _answer(self, asked: Mapping[str, Any]) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to `asked`, at the path that this server has."""
        for path in tuple(self._paths):
            posted = self._http.post(self._url + path, json=asked, timeout=TIMEOUT)
            async with posted as answer:
                if answer.status in (404, 405) and len(self._paths) > 1:
                    continue
                if answer.status != 200:
                    raise PiperRefused(answer.status)
                self._paths = [path]
                yield answer
                return
        raise PiperRefused(404)


def wav_start(head: bytes) -> tuple[int, int] | None:
    """Where the samples of a WAV file begin, and their rate; None where more bytes are needed.
    Raises NoAudio for anything but 16-bit mono."""
    if not head.startswith(b"RIFF"[: len(head)]):
        raise NoAudio("piper sends something that is no WAV file")
    at, rate_hz = 12, 0
    while len(head) >= at + 8:
        name, size = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        if name == b"data":
            if not rate_hz:
                raise NoAudio("piper sends a WAV file without a format")
            return at + 8, rate_hz
        if name == b"fmt ":
            if len(head) < at + 24:
                return None
            channels = int.from_bytes(head[at + 10 : at + 12], "little")
            rate_hz = int.from_bytes(head[at + 12 : at + 16], "little")
            bits = int.from_bytes(head[at + 22 : at + 24], "little")
            if (channels, bits) != (1, 16) or not 8000 <= rate_hz <= 96000:
                raise NoAudio(f"piper sends {channels} channels of {bits} bits at {rate_hz} Hz")
        at += 8 + size + (size & 1)
        if at > HEADER_BYTES:
            raise NoAudio("piper sends a WAV file with too long a header")
    return None


class PiperTTSService(TTSService):
    """Speaks by a Piper server. `asked` is sent with every text (voice, speaker, scales)."""

    def __init__(self, server: PiperServer, asked: Mapping[str, Any]) -> None:
        super().__init__(
            push_start_frame=True,
            push_stop_frames=True,
            sample_rate=RATE_HZ,
            max_consecutive_zero_audio_contexts=0,  # "..." has no sound and is no fault
            settings=TTSSettings(model=None, voice=asked.get("voice"), language=None),
        )
        self._server = server
        self._asked = dict(asked)

    def can_generate_metrics(self) -> bool:
        return True

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """8 kHz audio frames, or an ErrorFrame with the category of the failure."""
        await self.start_tts_usage_metrics(text)
        try:
            async with aclosing(self._server.speak({**self._asked, "text": text})) as spoken:
                async for audio in spoken:
                    await self.stop_ttfb_metrics()
                    yield TTSAudioRawFrame(audio, RATE_HZ, 1, context_id=context_id)
        except PiperRefused as error:
            yield _error(str(error), error, classify_http_status_code(error.status))
        except NoAudio as error:
            yield _error(str(error), error, ErrorCategory.SERVER)
        except (aiohttp.ClientError, OSError) as error:  # a time-out is one
            said = f"piper cannot be reached ({type(error).__name__})"
            yield _error(said, error, ErrorCategory.CONNECTIVITY)
        finally:
            await self.stop_ttfb_metrics()


def _error(said: str, error: Exception, category: ErrorCategory) -> ErrorFrame:
    return ErrorFrame(error=said, exception=error, category=category)


def build_tts(options: Mapping[str, Any], resources: Resources) -> PiperTTSService:
    """`tts: piper` (the server's own voice), or `{service: piper, voice: en_US-lessac-medium,
    speaker: p225, length_scale: 1.1, base_url: "http://127.0.0.1:5000"}`."""
    check_known("option", options, OPTIONS, "piper")
    for name in SCALES:
        value = options.get(name)
        if value is not None and (not isinstance(value, int | float) or not 0 < value <= 10):
            raise ProviderConfigError(f"piper: {name} is {value!r}; write a number, 1 is usual")
    url = vendor_url(options, resources.environ, VENDOR, URL)
    server = resources.kept(f"piper {url}", lambda: PiperServer(url, resources.http()))
    asked = {n: v for n, v in options.items() if n != "base_url" and v is not None}
    return PiperTTSService(server, asked)


async def probe(kind: str, options: Mapping[str, Any], resources: Resources) -> None:
    """Whether the server answers and has the voice: for one that it has not, it would speak with
    another, and say so in its own log alone."""
    url = vendor_url(options, resources.environ, VENDOR, URL)
    voices = await get_json(resources, f"{url}/voices", {}, who="piper")
    voice = options.get("voice")
    listed("piper", "voice", str(voice) if voice else None, [str(name) for name in voices])
