"""An upstream that answers at once: OpenAI's `/audio/transcriptions` and `/audio/speech` with fixed
answers, strict about what it is asked.

Bare protocol on uvloop, so that the gateway before it is what is measured; on the gateway's own
core it is the null server that shows what the load can do. `GET /stats` tells how many requests
came and what was refused, `GET /waits/MS/MS` has it wait before an answer and between two pieces of
speech. https://platform.openai.com/docs/api-reference/audio

    python -m bench gateway-upstream --port N
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

from bench import gateway_samples as samples
from bench.http_wire import Malformed, Message

KEY = "sk-upstream-of-the-benchmark"
CHUNKED = "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = "HTTP/1.1 {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"


class Refused(ValueError):
    """A request as OpenAI would not take it."""


class Upstream:
    """What all connections share: the waits before an answer and between its pieces, the counts."""

    def __init__(self) -> None:
        self.wait_s = 0.0
        self.gap_s = 0.0
        self.counts: Counter[str] = Counter()
        self.connections = 0
        self.open: set[asyncio.Transport] = set()

    def connection(self) -> Connection:
        return Connection(self)

    async def close(self) -> None:
        """Hang up on everybody."""
        for transport in list(self.open):
            transport.abort()
        await asyncio.sleep(0)

    def stats(self) -> bytes:
        told = {**self.counts, "connections": self.connections}
        return _json("200 OK", told)


class Connection(asyncio.Protocol):
    """One connection, one request after the other."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._request = Message()
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._upstream.connections += 1
        self._upstream.open.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._upstream.open.discard(self._transport)
        self._transport = None

    def data_received(self, data: bytes) -> None:
        request = self._request
        try:
            request.feed(data)
            if not request.complete:
                return
            self._request = Message()
            self._answer(request)
        except (Refused, Malformed) as error:
            self._upstream.counts["refused"] += 1
            self._upstream.counts[f"refused: {error}"] += 1
            self._write(_json("400 Bad Request", {"error": {"message": str(error)}}))
            if self._transport is not None:
                self._transport.close()  # where the next request begins nobody knows

    def _answer(self, request: Message) -> None:
        method, _, rest = request.start.partition(" ")
        path = rest.partition(" ")[0]
        if (method, path) == ("GET", "/stats"):
            self._write(self._upstream.stats())
            return
        if method == "GET" and path.startswith("/waits/"):
            wait_ms, gap_ms = path.split("/")[2:]
            self._upstream.wait_s, self._upstream.gap_s = (
                float(wait_ms) / 1000,
                float(gap_ms) / 1000,
            )
            self._write(self._upstream.stats())
            return
        if request.headers.get("authorization") != f"Bearer {KEY}":
            raise Refused("another key")
        match (method, path):
            case ("POST", "/v1/audio/transcriptions"):
                self._upstream.counts["transcriptions"] += 1
                self._later(self._upstream.wait_s, _json("200 OK", transcribed(request)))
            case ("POST", "/v1/audio/speech"):
                self._upstream.counts["speeches"] += 1
                self._speak(samples.speech(spoken(request)))
            case _:
                raise Refused(f"{method} {path}")

    def _speak(self, speech: samples.Speech) -> None:
        head = CHUNKED.format(speech.media_type).encode()
        step = -(-len(speech.data) // samples.PIECES) & ~1
        pieces = [speech.data[at : at + step] for at in range(0, len(speech.data), step)]

        def begin() -> None:
            self._write(head + _chunk(samples.stamped(speech.kind) + pieces[0]))

        gap_s, wait_s = self._upstream.gap_s, self._upstream.wait_s
        if not gap_s:
            rest = b"".join(_chunk(piece) for piece in pieces[1:]) + b"0\r\n\r\n"
            self._later(wait_s, begin)
            self._later(wait_s, rest)
            return
        self._later(wait_s, begin)
        for number, piece in enumerate(pieces[1:], 1):
            self._later(wait_s + gap_s * number, _chunk(piece))
        self._later(wait_s + gap_s * len(pieces), b"0\r\n\r\n")

    def _later(self, delay_s: float, what: Any) -> None:
        act = (lambda: self._write(what)) if isinstance(what, bytes) else what
        if delay_s:
            self._loop.call_later(delay_s, act)
        else:
            act()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


def transcribed(request: Message) -> dict[str, Any]:
    """The answer to a form that has all OpenAI wants. Raises `Refused`."""
    kind, _, boundary = request.headers.get("content-type", "").partition("boundary=")
    if not kind.startswith("multipart/form-data") or not boundary:
        raise Refused("no form")
    fields = _fields(request.body, b"--" + boundary.strip('"').encode())
    if fields.get("model") != samples.HEARS.encode():
        raise Refused("another model")
    file = fields.get("file", b"")
    if file[:4] != b"RIFF" or len(file) < samples.CLIP_S * samples.CLIP_HZ * 2:
        raise Refused("not the whole recording")
    if fields.get("response_format", b"json") not in (b"json", b"verbose_json"):
        raise Refused("another format")
    seconds = samples.CLIP_S
    told: dict[str, Any] = {"text": samples.TRANSCRIPT}
    if fields.get("response_format") == b"verbose_json":
        told |= {"task": "transcribe", "language": "english", "duration": seconds, "segments": []}
    return {**told, "usage": {"type": "duration", "seconds": int(seconds)}}


def spoken(request: Message) -> str:
    """The format of the speech that was asked for. Raises `Refused`."""
    try:
        asked = json.loads(request.body)
    except ValueError:
        raise Refused("no JSON") from None
    if (asked.get("model"), asked.get("voice")) != (samples.SPEAKS, samples.VOICE):
        raise Refused("another model or voice")
    if asked.get("input") != samples.TEXT:
        raise Refused("another text")
    kind = asked.get("response_format", "mp3")
    if kind not in ("mp3", "pcm"):
        raise Refused("another format")
    return str(kind)


def _fields(body: bytes, boundary: bytes) -> dict[str, bytes]:
    """A form's parts by their names (RFC 7578). Raises `Refused`."""
    before, *parts = (b"\r\n" + body).split(b"\r\n" + boundary)
    if before or len(parts) < 2 or parts[-1].rstrip(b"\r\n") != b"--":
        raise Refused("a form that does not end")
    found = {}
    for part in parts[:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        name = head.partition(b'name="')[2].partition(b'"')[0].decode("latin-1")
        found[name] = value
    return found


def _json(status: str, tree: Any) -> bytes:
    body = json.dumps(tree).encode()
    return WHOLE.format(status, len(body)).encode() + body


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def serve(port: int, upstream: Upstream) -> None:
    """Until it is ended."""
    for kind in ("pcm", "mp3"):
        samples.speech(kind)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(upstream.connection, "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


def main(argv: Sequence[str] | None = None) -> int:
    import uvloop

    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench gateway-upstream")
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args(argv).port, Upstream()))
    return 0
