"""The load: N calls in real time over Twilio's protocol against a running server.

Each call posts its signed webhook, reads the TwiML, opens the media stream, sends 20 ms of audio
every 20 ms, plays what comes back (`playout.py`) and measures it (`meter.py`). One ticker serves
all calls, spread over the 20 ms; its lateness and the process's own CPU are part of the result, so
that it can be seen whether the load or the server was the limit. Started by `run.py` and its
siblings as a process of its own; says `steady`, `done` and the result as JSON lines on stdout.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import resource
import sys
import time
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import orjson

from bench import voices
from bench.carrier_wire import (
    Account,
    NoStream,
    StreamMessages,
    read_twiml,
    signature,
    voice_form,
)
from bench.meter import CallMeter
from bench.script import Planned, plan
from bench.stats import Samples, summary
from bench.ws_client import StreamSocket, WireError, connect

SLOTS = 10  # the 20 ms are cut into so many ticks
FRAME_S = 0.02
UNREAD_LIMIT = 1 << 18  # a server this far behind has stopped reading: the call has failed
now = time.monotonic


@dataclass(frozen=True, slots=True)
class Target:
    """Where calls go: `url` is posted to, `public_url` is what the carrier signs."""

    url: str
    public_url: str
    account: Account = field(default_factory=Account)
    timeout_s: float = 20.0

    def local(self, stream_url: str) -> str:
        """The stream's URL by the way this load reaches the server, whatever it calls itself."""
        here, there = urlsplit(self.url), urlsplit(stream_url)
        return urlunsplit(("ws", here.netloc, there.path, there.query, ""))


def call_sid(number: int) -> str:
    """A carrier never gives two calls the same, not even in two runs against one server."""
    return f"CA{number:08x}{os.urandom(12).hex()}"


class PhoneCall:
    """One call of the load. `tick` is called every 20 ms once `connected`."""

    def __init__(
        self, target: Target, sid: str, line: voices.Line, said: Sequence[Planned], samples: Samples
    ) -> None:
        self.samples = samples
        self.meter = CallMeter(samples)
        self.connected = False
        self._target, self._sid, self._noise = target, sid, line.noise
        self._said = deque(said)
        self._speech: Sequence[bytes] = ()
        self._spoken = 0
        self._frame = int(sid[2:10], 16) * 7 % len(line.noise)
        self._first_frame = self._frame
        self._socket: StreamSocket | None = None
        self._wire: StreamMessages | None = None
        self._over = False

    async def dial(self, http: aiohttp.ClientSession) -> None:
        """Webhook, TwiML, stream, `start`. A refusal is counted, not raised."""
        began_s = now()
        try:
            offer = await self._webhook(http)
            self.samples.webhook_ms.append((now() - began_s) * 1000)
            url = self._target.local(offer.url)
            self._socket = await connect(url, self._on_text, self._on_lost, self._target.timeout_s)
        except (NoStream, WireError, aiohttp.ClientError, OSError, TimeoutError) as error:
            self.samples.failures[f"refused: {type(error).__name__}: {error}"[:100]] += 1
            return
        stream_sid = "MZ" + self._sid[2:]
        self._wire = StreamMessages(self._target.account, self._sid, stream_sid, offer.parameters)
        self._socket.send(self._wire.connected())
        self.meter.start(now())
        self._socket.send(self._wire.start())
        self.connected = True

    async def _webhook(self, http: aiohttp.ClientSession) -> Any:
        target = self._target
        form = voice_form(target.account, self._sid)
        headers = {"X-Twilio-Signature": signature(target.account, target.public_url, form)}
        timeout = aiohttp.ClientTimeout(total=target.timeout_s)
        async with http.post(target.url, data=form, headers=headers, timeout=timeout) as answer:
            if answer.status != 200:
                raise NoStream(f"status {answer.status}")
            return read_twiml(await answer.text())

    def tick(self, now_s: float) -> None:
        """Send the 20 ms that are due, and the marks that have been played."""
        socket, wire = self._socket, self._wire
        if socket is None or wire is None or not self.connected:
            return
        socket.send(wire.media(self.payload(now_s)))
        for name in self.meter.playout.due_marks(now_s):
            socket.send(wire.mark(name))
        if self._frame % 50 == 0 and socket.waiting_bytes() > UNREAD_LIMIT:
            self.samples.failures["server stopped reading"] += 1
            self._over = True
            socket.abort()

    def payload(self, now_s: float) -> bytes:
        """Base64 of the next 20 ms the caller's line carries."""
        said, self._frame = self._frame - self._first_frame, self._frame + 1
        if self._speech:
            payload = self._speech[self._spoken]
            self._spoken += 1
            if self._spoken == len(self._speech):
                self._speech = ()
                self.meter.speech_end(now_s)
            return payload
        if self._said and said >= self._said[0].at_frame:
            self._speech, self._spoken = self._said.popleft().utterance.frames, 1
            self.meter.onset(now_s)
            return self._speech[0]
        return self._noise[self._frame % len(self._noise)]

    def _on_text(self, text: bytes) -> None:
        message = orjson.loads(text)
        event = message["event"]
        if event == "media":
            payload: str = message["media"]["payload"]
            size = len(payload) * 3 // 4 - (payload[-2:].count("=") if payload else 0)
            self.on_media(size, payload, now())
        elif event == "mark":
            self.meter.playout.mark(message["mark"]["name"])
        elif event == "clear" and self._socket is not None and self._wire is not None:
            for name in self.on_clear(now()):
                self._socket.send(self._wire.mark(name))

    def on_media(self, size_bytes: int, payload: str, now_s: float) -> None:
        """Bot audio: `payload` is the base64 of `size_bytes` of mu-law."""
        self.meter.media(size_bytes, now_s)

    def on_clear(self, now_s: float) -> list[str]:
        """The buffer is emptied; returns the marks to answer."""
        return self.meter.clear(now_s)

    def _on_lost(self) -> None:
        if not self._over and self.connected:
            code = self._socket.close_code if self._socket is not None else None
            self.samples.failures[f"stream lost (close code {code})"] += 1
        self.connected, self._over = False, True

    def hang_up(self) -> None:
        """The caller hangs up: `stop`, then the socket closes."""
        if self._socket is not None and self._wire is not None and self.connected:
            self.meter.finish(now())
            self._socket.send(self._wire.stop())
            self._over = True
            self._socket.close()
        self.connected = False


class EchoCall(PhoneCall):
    """A call to `floor.py`, which sends every frame back: measures the round trip alone."""

    _sent: deque[float]

    def tick(self, now_s: float) -> None:
        self.__dict__.setdefault("_sent", deque()).append(now())
        super().tick(now_s)

    def on_media(self, size_bytes: int, payload: str, now_s: float) -> None:
        self.samples.keep(self.samples.echo_ms, now_s - self._sent.popleft())


class Ticker:
    """Calls `tick` of every call once in 20 ms; calls are spread over `SLOTS` phases."""

    def __init__(self) -> None:
        self.slots: list[list[PhoneCall]] = [[] for _ in range(SLOTS)]
        self.lag_ms = array("f")
        self.measuring = False

    def add(self, number: int, call: PhoneCall) -> None:
        self.slots[number % SLOTS].append(call)

    async def run(self) -> None:
        """Until cancelled. A tick that comes late is sent late, never left out."""
        due_s, count = now(), 0
        while True:
            due_s += FRAME_S / SLOTS
            count += 1
            await asyncio.sleep(max(0.0, due_s - now()))
            tick_s = now()
            if self.measuring:
                self.lag_ms.append((tick_s - due_s) * 1000)
            for call in self.slots[count % SLOTS]:
                call.tick(now())


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """`calls` arrive within `ramp_s` and are measured for `seconds`, `settle_s` later."""

    calls: int
    seconds: float
    ramp_s: float
    settle_s: float = 5.0
    seed: int = 1
    echo: bool = False


def _build_calls(target: Target, load: LoadPlan, samples: Samples) -> list[PhoneCall]:
    rng = random.Random(load.seed)
    lines = voices.lines()
    talk_s = load.ramp_s + load.settle_s + load.seconds
    kind = EchoCall if load.echo else PhoneCall
    calls = []
    for number in range(load.calls):
        line = lines[number % len(lines)]
        said = [] if load.echo else plan(line.utterances, line.interruptions, talk_s, rng)
        calls.append(kind(target, call_sid(number), line, said, samples))
    return calls


def say(event: str, **values: Any) -> None:
    """One JSON line for whoever started this load."""
    sys.stdout.write(json.dumps({"event": event, **values}) + "\n")
    sys.stdout.flush()


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def _arrive(
    calls: list[PhoneCall], ticker: Ticker, http: aiohttp.ClientSession, ramp_s: float
) -> None:
    """Dial all calls, evenly within `ramp_s`; a slow answer does not hold up the next call."""
    began_s = now()

    async def one(number: int, call: PhoneCall) -> None:
        await asyncio.sleep(max(0.0, began_s + ramp_s * number / len(calls) - now()))
        await call.dial(http)
        ticker.add(number, call)

    async with asyncio.TaskGroup() as group:
        for number, call in enumerate(calls):
            group.create_task(one(number, call))


async def play(made: Callable[[Samples], list[PhoneCall]], load: LoadPlan) -> dict[str, Any]:
    """Run the load of the calls that `made` makes; the report of `Samples` with the load's own
    cost beside it."""
    samples = Samples()
    calls = made(samples)
    ticker = Ticker()
    gc.collect()
    gc.freeze()
    gc.disable()  # a pause of the load would be taken for one of the server
    ticking = asyncio.create_task(ticker.run())
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        await _arrive(calls, ticker, http, load.ramp_s)
        await asyncio.sleep(load.settle_s)
        up = sum(call.connected for call in calls)
        began_s, cpu_before_s = now(), cpu_s()
        samples.measuring = ticker.measuring = True
        say("steady", calls=up)
        await asyncio.sleep(load.seconds)
        samples.measuring = ticker.measuring = False
        wall_s, used_s = now() - began_s, cpu_s() - cpu_before_s
        say("done", wall_s=wall_s)
        if ticking.done():
            ticking.result()  # the load broke: its error is the result
        still_up = sum(call.connected for call in calls)
        samples.measuring = True
        for call in calls:
            call.hang_up()
        await asyncio.sleep(0.5)
        ticking.cancel()
    return {
        "calls": load.calls,
        "calls_up": up,
        "calls_up_at_end": still_up,
        "seconds": round(wall_s, 2),
        **samples.report(),
        "load": {
            "cpu_share": round(used_s / wall_s, 3),
            "lag_ms": summary(ticker.lag_ms, 2),
        },
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench load")
    parser.add_argument("url", help="the webhook, e.g. http://127.0.0.1:8080/twilio/voice")
    parser.add_argument("--public-url", help="what the carrier signs (default: the same)")
    parser.add_argument("--account-sid", default=Account().sid)
    parser.add_argument("--auth-token", default=Account().token)
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--ramp", type=float, default=5.0, help="calls arrive within (s)")
    parser.add_argument("--settle", type=float, default=5.0, help="wait before measuring (s)")
    parser.add_argument("--echo", action="store_true", help="round trips against bench.floor")
    args = parser.parse_args(argv)
    account = Account(args.account_sid, args.auth_token)
    target = Target(args.url, args.public_url or args.url, account)
    load = LoadPlan(args.calls, args.seconds, args.ramp, args.settle, echo=args.echo)
    import uvloop

    say("result", **uvloop.run(play(partial(_build_calls, target, load), load)))


if __name__ == "__main__":
    main()
