"""Voices for work that is no call whose vendor answers one request with the sound.

The vendors' `NAME_clips.py` say what to send; this asks, takes a WAV header off where there is one,
and gives whole samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from typing import Any, Self

from telebot.providers.asking import pieces, whole_samples
from telebot.providers.clips import Script, SpeakingAbility, Use, characters
from telebot.providers.vendor_http import VendorHttp

HEAD = 64 << 10  # of a WAV file, at most


class HttpVoice(ABC):
    """A `Speaker`; those that come from it say `usual`, `longest`, `rate_hz`, `abilities` and
    `request`."""

    usual: tuple[str, str]  # the model and the voice of who names none
    longest: int
    rate_hz: int
    abilities: frozenset[SpeakingAbility] = frozenset()

    def __init__(self, http: VendorHttp, model: str, voice: str) -> None:
        self._http = http
        self.model = model
        self.voice = voice

    @classmethod
    def of(cls, http: VendorHttp, options: Mapping[str, Any]) -> Self:
        """With the model and the voice that the options name."""
        model, voice = cls.usual
        return cls(http, str(options.get("model") or model), str(options.get("voice") or voice))

    @abstractmethod
    def request(self, script: Script) -> tuple[str, dict[str, Any]]:
        """The path to post to, and what (of aiohttp's `request`)."""

    async def speak(self, script: Script) -> AsyncIterator[bytes]:
        """PCM as it comes."""
        path, request = self.request(script)
        async with self._http.asked("POST", path, **request) as answer:
            stream = pieces(answer, who=self._http.who)
            async for piece in whole_samples(without_header(stream)):
                yield piece

    def uses(self, script: Script) -> tuple[Use, ...]:
        return characters(script)


async def without_header(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The sound of a WAV file; what is none goes through as it is."""
    head = bytearray()
    async for piece in stream:
        head += piece
        if len(head) < 4 or (head.startswith(b"RIFF") and not _complete(head) and len(head) < HEAD):
            continue
        at = head.find(b"data", 12) + 8 if head.startswith(b"RIFF") else 0
        yield bytes(head[at:])
        async for rest in stream:
            yield rest
        return
    if head and not head.startswith(b"RIFF"):
        yield bytes(head)


def _complete(head: bytearray) -> bool:
    at = head.find(b"data", 12)
    return at >= 0 and len(head) >= at + 8
