"""The load on a gateway: recordings or texts, from N connections at once or at a steady rate.

Without a rate each connection asks again as soon as it has its answer (how much fits through); with
one, requests begin on a schedule that does not wait for answers, and their time counts from when
they were due (how long it takes). Every answer is checked. Prints JSON lines as `phone_load.py`
does.

    python -m bench gateway-load http://127.0.0.1:8080/v1 --what clip --key KEY --seconds 10
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import urlsplit

from bench import gateway_samples as samples
from bench.http_wire import Malformed, Message
from bench.phone_load import cpu_s, say
from bench.stats import summary

WHATS = ("clip", "speech-pcm", "speech-mp3", "mixed")
MIXED = ("clip", "speech-mp3")  # in turn
BOUNDARY = "benchmark7d4a6b1f"
ANSWER_S = 30.0  # a request without an answer for so long has failed
PROGRESS = 250  # requests between two lines that tell how far it is
AGAIN_S = 0.1  # before a connection that was refused is tried again


def request(what: str, base: str, key: str) -> bytes:
    """The bytes of one request."""
    url = urlsplit(base)
    if what == "clip":
        path, kind = "audio/transcriptions", f"multipart/form-data; boundary={BOUNDARY}"
        body = _form({"model": samples.HEARS, "response_format": "json"}, samples.clip())
    else:
        path, kind = "audio/speech", "application/json"
        asked = {"model": samples.SPEAKS, "voice": samples.VOICE, "input": samples.TEXT}
        body = json.dumps({**asked, "response_format": what.partition("-")[2]}).encode()
    head = (
        f"POST {url.path}/{path} HTTP/1.1\r\nHost: {url.netloc}\r\nAuthorization: Bearer {key}\r\n"
        f"Accept: */*\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _form(fields: dict[str, str], file: bytes) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = (
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; "
        'name="file"; filename="clip.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    )
    return b"".join(parts) + head.encode() + file + f"\r\n--{BOUNDARY}--\r\n".encode()


class Tally:
    """What the answers were and how long they took, in ms."""

    def __init__(self) -> None:
        self.whole_ms: list[float] = []
        self.first_ms: list[float] = []
        """To the first byte of the body."""
        self.passed_ms: list[float] = []
        """From the moment at which the upstream sent the first sound until it was here."""
        self.late_ms: list[float] = []
        """How much later than due requests were sent."""
        self.failures: Counter[str] = Counter()
        self.done = 0

    def take(self, what: str, answer: Message, began: float, first: float, ended: float) -> None:
        """One answer. Times are monotonic seconds."""
        self.done += 1
        if fault := self._fault(what, answer):
            self.failures[fault] += 1
            return
        self.whole_ms.append((ended - began) * 1000)
        self.first_ms.append((first - began) * 1000)
        if what != "clip":
            sent_ns = samples.stamp_of(what.partition("-")[2], answer.body[:128])
            if sent_ns is None:
                self.failures["the sound is not the upstream's own"] += 1
            else:
                self.passed_ms.append(first * 1000 - sent_ns / 1e6)

    def _fault(self, what: str, answer: Message) -> str:
        status = answer.start.split(" ", 2)[1]
        if status != "200":
            return f"{status}: {answer.body[:120].decode(errors='replace')}"
        if what == "clip":
            same = json.loads(answer.body).get("text") == samples.TRANSCRIPT
            return "" if same else "another text"
        kind = what.partition("-")[2]
        sound = samples.speech(kind).data
        if sum(map(len, answer.pieces)) != samples.stamp_bytes(kind) + len(sound):
            return "another length of sound"
        if self.done % 16 == 0 and not answer.body.endswith(sound):
            return "another sound"
        return ""


class Client(asyncio.Protocol):
    """One connection, opened again where it was closed."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._answer = Message()
        self._what = ""
        self._began = self._first = 0.0

    async def ask(self, what: str, due: float) -> None:
        """Send a request that was due at `due`, over a new connection where there is none."""
        if self._transport is None:
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: self, self._load.host, self._load.port)
        self.ask_now(what, due)

    def ask_now(self, what: str, due: float) -> bool:
        """The same where there is a connection; False where there is none."""
        if self._transport is None:
            return False
        self._answer, self._what, self._began, self._first = Message(), what, due, 0.0
        self._transport.write(self._load.requests[what])
        return True

    def close(self) -> None:
        self._began = 0.0
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._began:
            self._began = 0.0
            self._load.lost(self, "the connection was cut")

    def data_received(self, data: bytes) -> None:
        now, answer = time.monotonic(), self._answer
        try:
            answer.feed(data)
        except Malformed as error:
            self._load.tally.failures[f"{error}"] += 1
            assert self._transport is not None
            self._transport.abort()
            return
        if not self._first and answer.pieces:
            self._first = now
        if answer.complete:
            began, self._began = self._began, 0.0
            self._load.tally.take(self._what, answer, began, self._first or now, now)
            self._load.free(self)


class Load:
    """The connections and what they ask for."""

    def __init__(self, what: str, base: str, key: str, connections: int) -> None:
        url = urlsplit(base)
        self.host, self.port = url.hostname or "", url.port or 80
        self._whats = MIXED if what == "mixed" else (what,)
        self.requests = {each: request(each, base, key) for each in self._whats}
        self.tally = Tally()
        self._clients = [Client(self) for _ in range(connections)]
        self._idle: deque[Client] = deque(self._clients)
        self._due: deque[float] = deque()
        self._rate: float | None = None
        self._left = self._asked = self._sent = self._ended = 0
        self._opening: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()

    async def run(self, *, seconds: float, rate: float | None, most: int | None) -> None:
        """Ask for so long, or so many times; returns once everything is answered."""
        self._rate, self._left, self._asked, self._ended = rate, most or 1 << 62, 0, 0
        self._over.clear()
        loop = asyncio.get_running_loop()
        timer = loop.call_later(seconds, self._stop)
        if rate is None:
            for _ in range(len(self._idle)):
                self._next(time.monotonic())
        else:
            await self._on_schedule(rate)
        try:
            async with asyncio.timeout(seconds + ANSWER_S):
                await self._over.wait()
        except TimeoutError:
            self.tally.failures["no answer"] += self._asked - self._ended
        timer.cancel()

    async def close(self) -> None:
        """Hang up."""
        for client in self._clients:
            client.close()
        await asyncio.sleep(0)  # the transports end in the loop's next turn

    def free(self, client: Client) -> None:
        """A connection has its answer."""
        self._ended += 1
        self._idle.append(client)
        if self.tally.done % PROGRESS == 0:
            say("progress", done=self.tally.done)
        if self._due:
            self._send(self._due.popleft())
        elif self._rate is None:
            self._next(time.monotonic())
        if not self._left and self._ended == self._asked:
            self._over.set()

    def lost(self, client: Client, why: str) -> None:
        """A request will have no answer."""
        self.tally.failures[why] += 1
        self.free(client)

    def _stop(self) -> None:
        self._left = 0
        if self._ended == self._asked:
            self._over.set()

    async def _on_schedule(self, rate: float) -> None:
        due = time.monotonic()
        while self._left:
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            self._next(due)
            due += 1 / rate

    def _next(self, due: float) -> None:
        if self._left:
            self._left -= 1
            self._asked += 1
            self._send(due)

    def _send(self, due: float) -> None:
        if not self._idle:
            self._due.append(due)
            return
        client = self._idle.popleft()
        what = self._whats[self._sent % len(self._whats)]
        self._sent += 1
        self.tally.late_ms.append((time.monotonic() - due) * 1000)
        if not client.ask_now(what, due):
            task = asyncio.create_task(self._open(client, what, due))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, client: Client, what: str, due: float) -> None:
        try:
            await client.ask(what, due)
        except OSError:
            await asyncio.sleep(AGAIN_S)
            self.lost(client, "no connection")


async def play(args: argparse.Namespace) -> dict[str, Any]:
    """Warm up, measure; what was measured."""
    load = Load(args.what, args.url, args.key, args.connections)
    if args.warm_up:
        await load.run(seconds=60.0, rate=None, most=args.warm_up)
        if load.tally.failures:
            print(f"warm-up: {dict(load.tally.failures)}", file=sys.stderr)
        load.tally = Tally()
    gc.collect()
    gc.freeze()
    gc.disable()  # a pause of the load would be taken for one of the gateway
    say("steady")
    began, used = time.monotonic(), cpu_s()
    await load.run(seconds=args.seconds, rate=args.rate, most=args.requests)
    wall_s, used_s = time.monotonic() - began, cpu_s() - used
    say("done", wall_s=wall_s)
    await load.close()
    tally = load.tally
    return {
        "what": args.what,
        "connections": args.connections,
        "rate": args.rate,
        "requests": tally.done,
        "seconds": round(wall_s, 3),
        "per_s": round(tally.done / wall_s, 1),
        "whole_ms": summary(tally.whole_ms, 3),
        "first_ms": summary(tally.first_ms, 3),
        "passed_ms": summary(tally.passed_ms, 3),
        "failures": dict(tally.failures),
        "load": {"cpu_share": round(used_s / wall_s, 3), "late_ms": summary(tally.late_ms, 2)},
    }


def main(argv: Sequence[str] | None = None) -> int:
    import uvloop

    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench gateway-load")
    parser.add_argument("url", help="up to /v1")
    parser.add_argument("--what", choices=WHATS, required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rate", type=float, help="requests a second; else as fast as answered")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--requests", type=int, help="no more than so many")
    parser.add_argument("--warm-up", type=int, default=100, help="requests before it counts")
    say("result", **uvloop.run(play(parser.parse_args(argv))))
    return 0
