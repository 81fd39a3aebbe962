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
from pipecat.frames.frames import Frame, TTSAudioRawFrame
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService

from telebot.audio.g711 import RATE_HZ
from telebot.audio.resample import ToRate
from telebot.audio.wav import NoWav
from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers.probing import get_json, listed
from telebot.providers.resources import Resources
from telebot.providers.rest import FAILURES, TIMEOUT, accepted, error_frame
from telebot.providers.streamed_audio import unwrapped
from telebot.providers.vendor import check_known, vendor_url

VENDOR = "PIPER"
URL = "http://127.0.0.1:5000"
SCALES = ("length_scale", "noise_scale", "noise_w_scale")
# of a wide line: the line's own rate, so that a voice's audio is brought to another once
WIDE: Mapping[str, Mapping[str, Any]] = {"tts": {"rate_hz": 24_000}}
OPTIONS = ("voice", "speaker", "speaker_id", *SCALES, "base_url", *WIDE["tts"])
# where text is spoken: of newer servers, and of those before them
PATHS = ("/synthesize", "/")


class PiperServer:
    """One Piper server, for all calls."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self._url = url
        self._http = http
        self._paths = list(PATHS)

    def close(self) -> None:
        """The connections are the process's."""

    async def speak(
        self, asked: Mapping[str, Any], to_hz: int = RATE_HZ
    ) -> AsyncGenerator[bytes, None]:
        """Spoken audio, int16 mono at `to_hz`, as it comes. Raises one of `rest.FAILURES`."""
        to_rate: ToRate | None = None
        async with self._answer(asked) as answer:
            try:
                async for pcm16, rate_hz in unwrapped(answer.content.iter_any()):
                    to_rate = to_rate or ToRate(rate_hz, to_hz)
                    if audio := to_rate.feed(pcm16):
                        yield audio
            except NoWav as error:
                raise ProviderError(f"piper sends {error}") from error
            if to_rate is not None and (rest := to_rate.feed(b"", last=True)):
                yield rest

    @asynccontextmanager
    async def _answer(self, asked: Mapping[str, Any]) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to `asked`, at the path that this server has."""
        for path in tuple(self._paths):
            posted = self._http.post(self._url + path, json=asked, timeout=TIMEOUT)
            async with posted as answer:
                if answer.status in (404, 405) and len(self._paths) > 1:
                    continue
                await accepted("piper", answer)
                self._paths = [path]
                yield answer
                return


class PiperTTSService(TTSService):
    """Speaks by a Piper server. `asked` is sent with every text (voice, speaker, scales)."""

    def __init__(
        self, server: PiperServer, asked: Mapping[str, Any], rate_hz: int = RATE_HZ
    ) -> None:
        super().__init__(
            push_start_frame=True,
            push_stop_frames=True,
            sample_rate=rate_hz,
            max_consecutive_zero_audio_contexts=0,  # "..." has no sound and is no fault
            settings=TTSSettings(model=None, voice=asked.get("voice"), language=None),
        )
        self._server = server
        self._asked = dict(asked)
        self._rate_hz = rate_hz

    def can_generate_metrics(self) -> bool:
        return True

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Audio frames of its rate, or an ErrorFrame with the category of the failure."""
        await self.start_tts_usage_metrics(text)
        try:
            asked = {**self._asked, "text": text}
            async with aclosing(self._server.speak(asked, self._rate_hz)) as spoken:
                async for audio in spoken:
                    await self.stop_ttfb_metrics()
                    yield TTSAudioRawFrame(audio, self._rate_hz, 1, context_id=context_id)
        except FAILURES as error:
            yield error_frame("piper", error)
        finally:
            await self.stop_ttfb_metrics()


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
    ours = ("base_url", *WIDE["tts"])
    asked = {n: v for n, v in options.items() if n not in ours and v is not None}
    return PiperTTSService(server, asked, int(options.get("rate_hz", RATE_HZ)))


async def probe(kind: str, options: Mapping[str, Any], resources: Resources) -> None:
    """Whether the server answers and has the voice: for one that it has not, it would speak with
    another, and say so in its own log alone."""
    url = vendor_url(options, resources.environ, VENDOR, URL)
    voices = await get_json(resources, f"{url}/voices", {}, who="piper")
    voice = options.get("voice")
    listed("piper", "voice", str(voice) if voice else None, [str(name) for name in voices])
