"""HTTP/1.1 messages as bytes arrive, as far as the gateway's benchmark needs them.

Sans-IO and small, so that the load and the upstream cost little beside the gateway between them
(`gateway_load.py`, `gateway_upstream.py`). RFC 9112 sections 6 and 7; no pipelining, no trailers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MOST_HEAD = 16 << 10


class Malformed(ValueError):
    """Bytes that are no message as the benchmark's peers may send them."""


@dataclass(slots=True)
class Message:
    """One request or answer. `start` is its first line, `headers` are by lower-case names, `pieces`
    the body as it came. Made anew for each message of a connection."""

    start: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    complete: bool = False
    _held: bytes = b""  # what cannot be read yet
    _left: int | None = None  # bytes of the body, or of the chunk, still to come
    _chunked: bool = False
    _last: bool = False

    def feed(self, data: bytes) -> None:
        """Take bytes of this message and of no other. Raises `Malformed`."""
        if not self.start:
            held = self._held + data
            end = held.find(b"\r\n\r\n")
            if end < 0:
                if len(held) > MOST_HEAD:
                    raise Malformed("a head without an end")
                self._held = held
                return
            self._head(held[:end])
            data, self._held = held[end + 4 :], b""
        if self._chunked:
            self._chunks(data)
        else:
            self._counted(data)

    @property
    def body(self) -> bytes:
        """All of the body so far."""
        return self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)

    def _head(self, head: bytes) -> None:
        self.start, *lines = head.decode("latin-1").split("\r\n")
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon:
                raise Malformed(f"a header without a colon: {line[:40]!r}")
            self.headers[name.lower()] = value.strip()
        self._chunked = self.headers.get("transfer-encoding", "").lower() == "chunked"
        if not self._chunked:
            length = self.headers.get("content-length", "0")
            if not length.isdigit():
                raise Malformed("a length that is no number")
            self._left = int(length)

    def _counted(self, data: bytes) -> None:
        assert self._left is not None
        if len(data) > self._left:
            raise Malformed("more than was announced")
        if data:
            self.pieces.append(data)
            self._left -= len(data)
        self.complete = not self._left

    def _chunks(self, data: bytes) -> None:
        data, at = self._held + data if self._held else data, 0
        while at < len(data):
            if self.complete:
                raise Malformed("more than the last chunk")
            if self._left is None:
                end = data.find(b"\r\n", at)
                if end < 0:
                    break
                self._left, at = _size(data[at:end]), end + 2
                self._last = self._left == 0
            elif self._left:
                piece = data[at : at + self._left]
                self.pieces.append(piece)
                self._left, at = self._left - len(piece), at + len(piece)
            elif len(data) - at < 2:
                break
            elif data[at : at + 2] != b"\r\n":
                raise Malformed("a chunk longer than it says")
            else:
                self._left, self.complete, at = None, self._last, at + 2
        self._held = data[at:]


def _size(line: bytes) -> int:
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError:
        raise Malformed("a chunk without a size") from None
