"""An answer that is sent while it is made: bounded in time, and noted where it may be asked for
again (`idempotency.py`)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

TAKEN_WITHIN_S = 60.0  # of the next piece; who takes none for so long has gone
WAITED_HEADER = "x-queue-wait-ms"
WAITED = web.RequestKey("waited", str)
# what an answer that is given again has of its own
UNLIKE = frozenset(
    {"connection", "content-length", "date", "server", "transfer-encoding", WAITED_HEADER}
)


class TooSlow(ConnectionError):
    """Nobody takes what is sent."""


@dataclass(slots=True)
class Tape:
    """What an answer says, up to `most` bytes. `whole`: it was sent to its end, and is no error."""

    most: int
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    begun: bool = False
    whole: bool = False
    spoilt: bool = False
    too_long: bool = False

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.begun, self.status = True, status
        self.headers = {key: value for key, value in headers.items() if key.lower() not in UNLIKE}

    def add(self, data: bytes) -> None:
        if len(self.body) + len(data) > self.most:
            self.too_long = True
            self.body.clear()
        elif not self.too_long:
            self.body += data


TAPE = web.RequestKey("tape", Tape)


class Stream(web.StreamResponse):
    """One answer. A piece that nobody takes within `TAKEN_WITHIN_S` breaks it off: a reader that
    stands still would hold its work's place for ever."""

    def __init__(self, request: web.Request, headers: Mapping[str, str]) -> None:
        waited = request.get(WAITED)
        told = {} if waited is None else {WAITED_HEADER: waited}
        super().__init__(headers={**headers, **told})
        self._asked = request
        self._tape = request.get(TAPE)

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        if self._tape is not None and not self._tape.begun:
            self._tape.begin(self.status, self.headers)
        return await super().prepare(request)

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Raises `ConnectionError` where nobody is there to take it."""
        if self._tape is not None:
            self._tape.add(bytes(data))
        try:
            async with asyncio.timeout(TAKEN_WITHIN_S):
                await super().write(data)
        except TimeoutError:
            self.cut()
            raise TooSlow("the answer is not taken") from None

    async def write_eof(self, data: bytes = b"") -> None:
        await super().write_eof(data)
        if self._tape is not None:
            self._tape.whole = not self._tape.spoilt

    def spoil(self) -> None:
        """It tells of a failure: it is not given again."""
        if self._tape is not None:
            self._tape.spoilt = True

    def cut(self) -> None:
        """Break the connection off; once the head is out only this tells that it is not all."""
        self.spoil()
        if self._asked.transport is not None:
            self._asked.transport.abort()
