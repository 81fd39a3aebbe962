"""Recognisers for work that is no call whose vendor is asked over plain HTTP, at once
(`HttpTranscriber`) or by a job that is waited for and deleted (`JobTranscriber`).

The vendors' `NAME_clips.py` say what to send and how to read what comes; `vendor_http.py` asks.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Generic, Self, TypeVar

from telebot.providers.clips import ClipFailed, HearingAbility, Recording, Transcript, lost
from telebot.providers.failure import Cause
from telebot.providers.vendor_http import VendorHttp

T = TypeVar("T")
FIRST_S, SLOWER, LONGEST_S = 0.3, 1.5, 5.0  # between two questions
LEAST_S = 120.0  # for the shortest recording
ANSWER_S = 3.0  # for a vendor to say what it has begun, once nobody wants it


class HttpTranscriber(ABC):
    """A `Transcriber`; those that come from it say `usual`, `longest_s`, `abilities` and
    `transcribe`."""

    usual: str  # the model of who names none
    longest_s: float
    abilities: frozenset[HearingAbility] = frozenset()

    def __init__(self, http: VendorHttp, model: str) -> None:
        self._http = http
        self.model = model

    @classmethod
    def of(cls, http: VendorHttp, options: Mapping[str, Any]) -> Self:
        """With the model that the options name."""
        return cls(http, str(options.get("model") or cls.usual))

    @abstractmethod
    async def transcribe(self, recording: Recording) -> Transcript:
        """As a `Transcriber`'s."""


class JobTranscriber(HttpTranscriber, Generic[T]):
    """One whose vendor takes recordings in as jobs. The waiting is bounded and grows slower; what
    lies at the vendor is deleted whether the job was done, failed or given up."""

    @abstractmethod
    async def _done(self, path: str) -> T | None:
        """What has become of a job; None while it is under way. Raises `ClipFailed` where it came
        to nothing (`_failed`)."""

    async def _waited(self, path: str, recording: Recording) -> T:
        """What has become of it in the end. Vendors are faster than the recording, but may be
        busy."""
        within_s = LEAST_S + recording.sound.seconds
        return await waited(lambda: self._done(path), who=self._http.who, within_s=within_s)

    def _failed(self, why: str = "") -> Exception:
        return lost(Cause.ERROR, f"{self._http.who} could not transcribe it{why}")

    @asynccontextmanager
    async def _cleared(self) -> AsyncIterator[Left]:
        """For what this request leaves at the vendor; deleted when the block ends, last first, also
        where it is cancelled."""
        left = Left()
        try:
            yield left
        finally:
            await self._http.discard(*reversed(left.paths))


class Left:
    """What lies at a vendor, by the paths that delete it."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def by(self, making: Awaitable[T], path: Callable[[T], str]) -> T:
        """What is made. Who gives up while the vendor is answering waits for that, for a little:
        only the answer tells what is to be deleted."""
        task = asyncio.ensure_future(making)
        try:
            made = await asyncio.shield(task)
        except asyncio.CancelledError:
            with suppress(ClipFailed, TimeoutError):
                async with asyncio.timeout(ANSWER_S):
                    self.paths.append(path(await task))
            raise
        self.paths.append(path(made))
        return made


async def waited(ask: Callable[[], Awaitable[T | None]], *, who: str, within_s: float) -> T:
    """What `ask` gives once it gives something. Raises `ClipFailed` where that takes too long."""
    pause_s = FIRST_S
    try:
        async with asyncio.timeout(within_s):
            while (found := await ask()) is None:
                await asyncio.sleep(pause_s)
                pause_s = min(LONGEST_S, pause_s * SLOWER)
    except TimeoutError:
        raise lost(Cause.SLOW_FIRST, f"{who} has not done it in {within_s:.0f} s") from None
    return found
