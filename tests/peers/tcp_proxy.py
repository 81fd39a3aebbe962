"""Stands between a client and a server, and fails as networks and databases do: nothing comes any
longer, or PostgreSQL says why it takes nobody."""

from __future__ import annotations

import asyncio
from contextlib import suppress

PIECE = 65536
HEAD = 8  # of what a client of PostgreSQL says first: its length, and what it is
SSL = (80877103).to_bytes(4, "big")  # whether the server speaks TLS


class Proxy:
    """Passes bytes on to a port of this machine. `open` it, `close` it."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._server: asyncio.Server | None = None
        self._going = asyncio.Event()
        self._going.set()
        self._state = ""
        self._lines: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> Proxy:
        self._server = await asyncio.start_server(self._line, "127.0.0.1", 0)
        return self

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def stall(self) -> None:
        """Connections stay, and nothing comes through them any longer, either way."""
        self._going.clear()

    def refuse(self, state: str) -> None:
        """Connections are cut, and new ones are told this SQLSTATE, as PostgreSQL does."""
        self._state = state
        self._cut()

    def go_on(self) -> None:
        """As if nothing had been; what was stalled is lost."""
        self._state = ""
        if not self._going.is_set():
            self._cut()
        self._going.set()

    async def close(self) -> None:
        self._going.set()
        self._cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            self._server.close()

    def _cut(self) -> None:
        for line in self._lines:
            line.close()

    async def _line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._lines.add(writer)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._served(reader, writer)
        finally:
            writer.close()
            self._lines.discard(writer)
            self._tasks.discard(task)

    async def _served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._state:
            if (await reader.readexactly(HEAD))[4:] == SSL:
                writer.write(b"N")
                await reader.readexactly(HEAD)
            writer.write(refusal(self._state))
            await writer.drain()
            return
        await self._going.wait()
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        self._lines.add(back)
        ways = [self._passed(reader, back), self._passed(there, writer)]
        tasks = [asyncio.ensure_future(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            back.close()
            self._lines.discard(back)

    async def _passed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(PIECE):
            await self._going.wait()
            writer.write(data)
            await writer.drain()


def refusal(state: str) -> bytes:
    """An ErrorResponse (https://www.postgresql.org/docs/current/protocol-message-formats.html)."""
    fields = {"S": "FATAL", "V": "FATAL", "C": state, "M": "not now"}
    body = b"".join(f"{kind}{text}\0".encode() for kind, text in fields.items()) + b"\0"
    return b"E" + (len(body) + 4).to_bytes(4, "big") + body
