"""Recordings that simulated vendors transcribe whole: what their files share.

A vendor's file says how it knows a key and how it refuses; `Recordings` does the rest, faults too.
`Jobs` keeps those that are asked for again: the first question finds a job at work, the second one
done.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.web_request import FileField

from telebot.audio import wav
from telebot.simulate.faults import Exchange, Garbage, Refused
from telebot.simulate.server import Simulator

MOST_JOBS = 1000
Work = Callable[[web.Request, Exchange], Awaitable[web.StreamResponse]]
Refusal = Callable[[int, str], web.Response]


@dataclass(frozen=True, slots=True)
class Told:
    """What was heard; `words` with their times in seconds, spread over the recording."""

    text: str
    seconds: float

    @property
    def words(self) -> list[tuple[str, float, float]]:
        words = self.text.split()
        each_s = self.seconds / max(1, len(words))
        return [(w, round(n * each_s, 3), round((n + 1) * each_s, 3)) for n, w in enumerate(words)]


class Unfit(Exception):
    """A request that is refused: the status, and why."""

    def __init__(self, status: int, says: str) -> None:
        super().__init__(says)
        self.status = status


class Recordings:
    """One vendor's requests. `known` tells whether a request's key is taken, `refusal` makes the
    vendor's answer to what is refused (with "" the usual words of that status)."""

    def __init__(
        self,
        sim: Simulator,
        vendor: str,
        known: Callable[[web.Request], bool],
        refusal: Refusal,
        *,
        kind: str = "stt",
    ) -> None:
        self._sim = sim
        self._vendor = vendor
        self._kind = kind
        self._known = known
        self._refusal = refusal

    def served(self, work: Work) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """`work` with the faults, the key and the refusals around it."""

        async def handler(request: web.Request) -> web.StreamResponse:
            exchange = self._sim.exchange(self._vendor, self._kind)
            try:
                await exchange.reach("connect")
                if not self._known(request):
                    return self._refusal(401, "")
                return await work(request, exchange)
            except Refused as fault:
                return self._refusal(fault.status, "")
            except Unfit as fault:
                return self._refusal(fault.status, str(fault))
            except Garbage:
                return web.Response(body=b"\x00 not json", content_type="application/json")

        return handler

    async def hear(self, exchange: Exchange, audio: bytes) -> Told:
        """A WAV file's text, the fault points on the way. Raises Unfit."""
        await exchange.reach("first")
        return await self.finish(exchange, audio)

    async def finish(self, exchange: Exchange, audio: bytes) -> Told:
        """The same, from the middle on."""
        pcm16, rate_hz = readable(audio)
        text = await self._sim.speech.hear(pcm16, rate_hz)
        await exchange.reach("middle")
        await exchange.reach("end")
        if exchange.silent:
            await exchange.stay()
        return Told(text, len(pcm16) / 2 / rate_hz)


def readable(audio: bytes) -> tuple[bytes, int]:
    """PCM and rate of a WAV file. Raises Unfit."""
    try:
        return wav.read(audio)
    except ValueError:
        raise Unfit(400, "The audio cannot be decoded.") from None


@dataclass(slots=True)
class Job:
    """One recording that waits; `told` once it was asked for the second time."""

    audio: bytes
    wants: dict[str, Any]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    asked: int = 0
    told: Told | None = None


class Jobs:
    """The jobs of one vendor, the latest `MOST_JOBS`."""

    def __init__(self, recordings: Recordings) -> None:
        self._recordings = recordings
        self.waiting: dict[str, Job] = {}

    def add(self, audio: bytes, wants: dict[str, Any]) -> Job:
        """Raises Unfit where it is no recording."""
        readable(audio)
        job = Job(audio, wants)
        self.waiting[job.id] = job
        while len(self.waiting) > MOST_JOBS:
            self.waiting.pop(next(iter(self.waiting)))
        return job

    def find(self, number: str) -> Job:
        """Raises Unfit."""
        if number not in self.waiting:
            raise Unfit(404, "There is no such job.")
        return self.waiting[number]

    async def look(self, number: str, exchange: Exchange) -> Job:
        """Raises Unfit; so do the faults on the way."""
        job = self.find(number)
        if not job.asked:  # a question that was cut off is asked again, and is no other one
            await exchange.reach("first")
        elif job.told is None:
            job.told = await self._recordings.finish(exchange, job.audio)
        job.asked += 1
        return job

    def drop(self, number: str) -> None:
        """Raises Unfit."""
        self.find(number)
        del self.waiting[number]


async def form_of(request: web.Request) -> dict[str, Any]:
    """The fields of a form, files as their bytes. Raises Unfit."""
    if not (request.content_type or "").startswith("multipart/"):
        raise Unfit(400, "A form is wanted.")
    fields: dict[str, Any] = {}
    for name, value in (await request.post()).items():
        if isinstance(value, FileField):
            fields[name] = value.file.read()
            value.file.close()
        else:
            fields[name] = value
    return fields


async def object_of(request: web.Request) -> dict[str, Any]:
    """The JSON object of a request's body. Raises Unfit."""
    try:
        tree = await request.json()
    except ValueError:
        tree = None
    if not isinstance(tree, dict):
        raise Unfit(400, "A JSON object is wanted.")
    return tree
