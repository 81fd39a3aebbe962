"""A wire that can be cut: a relay in front of a server whose library hides its connections.

`google.py` puts its gRPC server behind one. Callbacks alone, no tasks: a connection that stays open
costs nothing and leaves nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

QUIET_S = 0.1  # a server that has sent nothing for this long has sent what it had
LONGEST_S = 1.0  # how long a cut waits for that, and for the client to take it
LOOK_S = 0.01


class CutWire:
    """Listens on `host` and passes everything on to `port`, until it is cut."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self._to_port = port
        self._near: dict[int, _Near] = {}  # by the port that the server sees
        self._server: asyncio.Server | None = None

    async def open(self) -> int:
        """The port to connect to."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Near(self), self.host, 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def cut(self, seen_port: int) -> None:
        """Cut the connection that the server sees as coming from `seen_port`, without a word. What
        the server has sent by now is delivered first; it must send nothing until this returns."""
        near = self._near.get(seen_port)
        if near is not None:
            await near.delivered()
            near.abort()

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for near in list(self._near.values()):
            near.abort()

    async def connect(self, near: _Near) -> None:
        """Give `near` its other end."""
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_connection(
                lambda: _Far(near), self.host, self._to_port
            )
        except OSError:
            near.abort()
            return
        port = int(transport.get_extra_info("sockname")[1])
        self._near[port] = near
        near.joined(transport, lambda: self._near.pop(port, None))


class _Far(asyncio.Protocol):
    def __init__(self, near: _Near) -> None:
        self._near = near

    def data_received(self, data: bytes) -> None:
        self._near.send(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._near.abort()


class _Near(asyncio.Protocol):
    """The client's side."""

    def __init__(self, wire: CutWire) -> None:
        self._wire = wire
        self._transport: asyncio.Transport | None = None
        self._far: asyncio.Transport | None = None
        self._waiting = bytearray()
        self._joining: asyncio.Task[None] | None = None
        self._forget: Callable[[], object] = int
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._joining = asyncio.get_running_loop().create_task(self._wire.connect(self))

    def joined(self, far: asyncio.Transport, forget: Callable[[], object]) -> None:
        self._far, self._forget = far, forget
        far.write(bytes(self._waiting))
        if self._transport is None or self._transport.is_closing():
            self.connection_lost(None)

    def data_received(self, data: bytes) -> None:
        if self._far is None:
            self._waiting += data
        else:
            self._far.write(data)

    def send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
            self._sent_at = asyncio.get_running_loop().time()

    async def delivered(self) -> None:
        """Until the server has been quiet for a moment and all that it said is in the hands of the
        client's system; bounded."""
        clock = asyncio.get_running_loop().time
        begun = clock()
        while clock() - begun < LONGEST_S:
            await asyncio.sleep(LOOK_S)
            if clock() - max(begun, self._sent_at) >= QUIET_S and not self._unsent():
                return

    def _unsent(self) -> int:
        """Bytes for the client that its system did not take yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        if self._far is not None:
            self._far.abort()
