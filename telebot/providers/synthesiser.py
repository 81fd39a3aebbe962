"""Text to speech without an account: the hibari voice in its own thread, with a cache.

One `TextToSpeech` serves the whole process; `local_tts.py` makes a Pipecat service of it, and the
HTTP interface calls `stream` itself. Sentences of several callers take turns in the queue, and a
caller who is interrupted simply never asks for the next sentence.
"""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers.clip_cache import CacheStats, ClipCache
from telebot.providers.voice import VOICES, Clip, load_voice, say
from telebot.providers.workers import ModelThreads, WorkerStats

if TYPE_CHECKING:
    from hibari import Hibari

PHONE_RATE_HZ = 8000
LONGEST_SENTENCE = 400  # characters; a longer one is cut between words
LONGEST_TEXT = 20_000  # characters


def check_voice(name: str) -> str:
    """`name` when it is there without a network. Raises ProviderConfigError."""
    if name not in VOICES:
        raise ProviderConfigError(
            f"the local voice {name!r} is unknown; write {' or '.join(VOICES)}"
        )
    return name


def sentences(text: str) -> list[str]:
    """`text` in pieces that are synthesised each at once, at most `LONGEST_SENTENCE` long."""
    from hibari import Hibari

    return [
        piece
        for sentence in Hibari.split_sentences(text)
        for piece in textwrap.wrap(sentence, LONGEST_SENTENCE, break_on_hyphens=False)
    ]


class TextToSpeech:
    """The process's voice: `threads` on one model, at most `waiting_limit` sentences in the queue.

    `load` before use, `close` at the end; `stats()` and `cache_stats()` are for an exporter.
    """

    def __init__(
        self, threads: int = 1, waiting_limit: int = 256, cache_bytes: int = 32 << 20
    ) -> None:
        self._threads = threads
        self._waiting_limit = waiting_limit
        self._cache = ClipCache(cache_bytes)
        self._pool: ModelThreads[Hibari] | None = None

    def load(self) -> None:
        """Load the voice and speak once; blocks for about 0.6 s, so call it in a thread."""
        voice = load_voice(VOICES[0])
        say(voice, "Good morning, this is a warm-up at 7:30.", PHONE_RATE_HZ)
        self._pool = ModelThreads("tts", [voice] * self._threads, waiting_limit=self._waiting_limit)

    async def stream(
        self,
        text: str,
        *,
        voice: str = VOICES[0],
        rate_hz: int = PHONE_RATE_HZ,
        keep: bool = True,
    ) -> AsyncGenerator[Clip, None]:
        """Clips of `text`, one for each sentence, as soon as each is there; `keep`: for the next
        one who says the same.

        A sentence is synthesised when it is asked for: a consumer that stops, or is cancelled,
        leaves nothing running but the sentence under way. Raises ProviderConfigError for an
        unknown voice, ProviderBusy when the queue is full, ProviderError when not loaded or for
        a text over `LONGEST_TEXT`.
        """
        check_voice(voice)
        if len(text) > LONGEST_TEXT:
            raise ProviderError(f"a text of {len(text)} characters, at most {LONGEST_TEXT}")
        for sentence in sentences(text):
            clip = await self._clip(voice, rate_hz, sentence, keep=keep)
            if clip.pcm16:
                yield clip

    async def _clip(self, voice: str, rate_hz: int, sentence: str, *, keep: bool) -> Clip:
        key = (voice, rate_hz, sentence)
        clip = self._cache.get(key)
        if clip is None:
            if self._pool is None:
                raise ProviderError("the local voice is not loaded")
            job = self._pool.submit(lambda model: say(model, sentence, rate_hz))
            clip = (await asyncio.wrap_future(job)).value
            if keep:
                self._cache.put(key, clip)
        return clip

    def stats(self) -> WorkerStats | None:
        """The queue's counters; None before `load`."""
        return self._pool.stats() if self._pool else None

    def cache_stats(self) -> CacheStats:
        """The cache's counters."""
        return self._cache.stats()

    def close(self) -> None:
        """Join the threads."""
        if self._pool:
            self._pool.close()
