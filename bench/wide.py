"""What a realtime session costs by its rate: a telephone's line of 8 kHz beside wide ones.

One server with agent `bench` on the first core; the sessions, on the others, speak and fall silent
in turns, in real time, and play what they are sent. The rates are measured in turns, the narrow one
at the beginning and at the end, so that a machine that changes shows. With `--full` the turn model
is asked and everything recorded, as the server ships.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bench.machine import describe
from bench.processes import Server, cores, cpu_s, pinned
from bench.servers import ADMIN_KEY, BARE, Variant, running
from telebot.audio.resample import resample
from telebot.providers import scripted_audio

RATES_HZ = (8000, 16_000, 24_000, 48_000)
FRAME_S = 0.02
SPEECH_S, PERIOD_S = 2.0, 6.0  # of a turn; the reply lasts three seconds
SETTLE_S = 4.0


@dataclass
class Session:
    """One client. `replies` counts the answers that it was sent whole."""

    url: str
    rate_hz: int
    offset_s: float
    replies: int = 0
    audio_bytes: int = 0
    errors: list[Any] = field(default_factory=list)

    async def run(self, until: float) -> None:
        """Talk until a moment of the loop's clock."""
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        async with (
            aiohttp.ClientSession(trust_env=False) as http,
            http.ws_connect(f"{self.url}/v1/voice/realtime", headers=headers) as socket,
        ):
            start = {"type": "start", "agent": "bench", "sample_rate": self.rate_hz}
            await socket.send_json(start)
            hearing = asyncio.create_task(self._hear(socket))
            try:
                await self._talk(socket, until)
                await socket.send_json({"type": "end"})
                await asyncio.wait_for(hearing, 10)
            finally:
                hearing.cancel()

    async def _talk(self, socket: aiohttp.ClientWebSocketResponse, until: float) -> None:
        loop = asyncio.get_running_loop()
        size = round(self.rate_hz * FRAME_S) * 2
        whole = resample(b"".join(scripted_audio.recorded()), scripted_audio.RATE_HZ, self.rate_hz)
        speech = whole[: round(SPEECH_S * self.rate_hz) * 2]
        silence, began, count = bytes(size), loop.time(), 0
        while (due := began + count * FRAME_S) < until:
            await asyncio.sleep(max(0.0, due - loop.time()))
            at = round(((count * FRAME_S + self.offset_s) % PERIOD_S) / FRAME_S) * size
            frame = speech[at : at + size]
            await socket.send_bytes(frame if len(frame) == size else silence)
            count += 1

    async def _hear(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                self.audio_bytes += len(message.data)
                continue
            told = json.loads(message.data)
            self.replies += told["type"] == "turn" and told["text"] is not None
            if told["type"] == "error":
                self.errors.append(told)


async def measured(server: Server, rate_hz: int, sessions: int, seconds: float) -> dict[str, Any]:
    """So many sessions at once; CPU seconds of the server for each minute of one."""
    loop = asyncio.get_running_loop()
    until = loop.time() + SETTLE_S + seconds
    all_of_them = [
        Session(server.url.replace("http", "ws", 1), rate_hz, n * PERIOD_S / sessions)
        for n in range(sessions)
    ]
    running_ = [asyncio.create_task(one.run(until)) for one in all_of_them]
    await asyncio.sleep(SETTLE_S)
    before, began = sum(cpu_s(server.pid).values()), time.monotonic()
    await asyncio.sleep(seconds - 0.5)
    used_s, wall_s = sum(cpu_s(server.pid).values()) - before, time.monotonic() - began
    await asyncio.gather(*running_)
    return {
        "rate_hz": rate_hz,
        "cpu_s_per_minute": round(used_s / (sessions * wall_s / 60), 3),
        "replies": sum(one.replies for one in all_of_them),
        "errors": [told for one in all_of_them for told in one.errors][:3],
    }


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("python -m bench wide", description=__doc__)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--full", action="store_true", help="turn model and recordings")
    parser.add_argument("--rates", type=int, nargs="*", default=[*RATES_HZ, RATES_HZ[0]])
    given = parser.parse_args(arguments)
    config: dict[str, dict[str, Any]] = {} if given.full else dict(BARE)
    # the last ones of a step may still be closing
    config["voice"] = {"sessions_per_key": 2 * given.sessions}
    variant = Variant("telebot-sessions", "telebot", config=config)
    under_test, load = cores()
    print(f"machine: {describe()}", flush=True)
    steps = []
    with running(variant, under_test) as server, pinned(load):
        asyncio.run(measured(server, RATES_HZ[0], 1, 5.0))  # warm
        for rate_hz in given.rates:
            steps.append(asyncio.run(measured(server, rate_hz, given.sessions, given.seconds)))
            print(f"  {steps[-1]}", flush=True)
    narrow = [step["cpu_s_per_minute"] for step in steps if step["rate_hz"] == RATES_HZ[0]]
    for step in steps:
        ratio = step["cpu_s_per_minute"] / (sum(narrow) / max(1, len(narrow)) or 1.0)
        cost = f"{step['cpu_s_per_minute']:.3f} CPU-s a minute, {ratio:.2f}"
        print(f"{step['rate_hz']:6d} Hz: {cost}")
    return 1 if any(step["errors"] or not step["replies"] for step in steps) else 0
