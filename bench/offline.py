"""A spoken conversation with nothing but what is installed: agent `front-desk`, one call at a time.

The caller says the sentences below by the local synthesiser, each after the bot has been silent for
a second, and the time from the last frame of speech to the bot's first frame, and to its first
audible one, is taken at the caller's end. Beside it stand the parts that telebot wrote into the
call's record (`GET /v1/calls/{id}`, `turns[].latency_ms`).
"""

from __future__ import annotations

import argparse
import asyncio
import audioop
import binascii
import json
import os
import time
import urllib.request
from collections.abc import Sequence
from typing import Any

import aiohttp
import numpy as np

from bench import report, voices
from bench.machine import describe
from bench.phone_load import PhoneCall, Target, Ticker, call_sid
from bench.processes import Server, cores
from bench.servers import ADMIN_KEY, PUBLIC_URL, VARIANTS, running
from bench.stats import Samples, summary

CONVERSATION = (
    "Are you open on Mondays?",
    "What is the address?",
    "Is there parking near the restaurant?",
    "I would like to book a table for four on Friday at half past seven.",
    "The name is Johnson.",
    "Yes please.",
    "What time do you close?",
    "Could you repeat that?",
    "Can I leave a message?",
    "My name is Margaret.",
    "Five five five, zero one two three.",
    "The soup was wonderful.",
    "Yes please.",
    "No thank you.",
    "Goodbye.",
)
QUIET_S = 1.0
PATIENCE_S = 8.0
AUDIBLE_RMS = 150  # about -47 dBFS
PARTS = ("heard", "endpointing", "stt", "llm_first_token", "tts_first_audio", "transport")


class TalkingCall(PhoneCall):
    """A caller who says one sentence after the other and lets the bot finish."""

    def __init__(
        self,
        target: Target,
        sid: str,
        line: voices.Line,
        said: Sequence[voices.Utterance],
        samples: Samples,
    ) -> None:
        super().__init__(target, sid, line, [], samples)
        self.audible_ms: list[float] = []
        self.finished = asyncio.Event()
        self._to_say = list(said)
        self._playing: Sequence[bytes] = ()
        self._at = 0
        self._since_s = self._heard_s = self._end_s = 0.0
        self._listening = False

    def payload(self, now_s: float) -> bytes:
        self._since_s = self._since_s or now_s
        if self.meter.playout.playing(now_s):
            self._heard_s = now_s
        if self._playing and self._at == len(self._playing):
            self._playing, self._since_s, self._end_s = (), now_s, now_s
            self._listening = True
            self.meter.speech_end(now_s)
        if not self._playing and self._may_speak(now_s):
            self._begin(now_s)
        if self._playing:
            self._at += 1
            return self._playing[self._at - 1]
        return super().payload(now_s)

    def _may_speak(self, now_s: float) -> bool:
        answered = self.meter.bot_since_s > self._since_s
        silent = now_s - max(self._heard_s, self._since_s) > QUIET_S
        return (answered and silent) or now_s - self._since_s > PATIENCE_S

    def _begin(self, now_s: float) -> None:
        if not self._to_say:
            self.finished.set()
            return
        self._playing, self._at = self._to_say.pop(0).frames, 0
        self.meter.onset(now_s)

    def on_media(self, size_bytes: int, payload: str, now_s: float) -> None:
        if self._listening:
            pcm = audioop.ulaw2lin(binascii.a2b_base64(payload), 2)
            if audioop.rms(pcm, 2) > AUDIBLE_RMS:
                self._listening = False
                self.audible_ms.append((now_s - self._end_s) * 1000)
        super().on_media(size_bytes, payload, now_s)

    def _on_lost(self) -> None:
        if self._socket is not None and self._socket.close_code == 1000:
            self._over = True  # the bot said goodbye and hung up
        super()._on_lost()
        self.finished.set()


def said_aloud() -> tuple[voices.Line, list[voices.Utterance]]:
    """A usual line, and the conversation spoken over it."""
    rng = np.random.default_rng(5)
    noise = voices.line_noise(10.0, -60.0, rng)
    line = voices.over(noise, voices.in_pitches(CONVERSATION, (1.0,)), (), rng)
    return line, list(line.utterances)


async def converse(target: Target, conversations: int) -> tuple[Samples, list[float], list[str]]:
    """Hold the conversation so many times, one after the other; samples, audible ms, call SIDs."""
    line, utterances = said_aloud()
    samples = Samples(measuring=True)
    audible_ms: list[float] = []
    sids: list[str] = []
    async with aiohttp.ClientSession() as http:
        for number in range(conversations):
            sids.append(call_sid(number))
            call = TalkingCall(target, sids[-1], line, utterances, samples)
            ticker = Ticker()
            ticking = asyncio.create_task(ticker.run())
            await call.dial(http)
            ticker.add(0, call)
            try:
                async with asyncio.timeout(len(utterances) * 20):
                    if call.connected:
                        await call.finished.wait()
            finally:
                call.hang_up()
                await asyncio.sleep(0.5)
                ticking.cancel()
            audible_ms += call.audible_ms
    return samples, audible_ms, sids


def recorded(server: Server, sids: Sequence[str]) -> list[dict[str, Any]]:
    """The turns of these calls as telebot recorded them, the greeting left out."""

    def get(path: str) -> Any:
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        with urllib.request.urlopen(
            urllib.request.Request(server.url + path, headers=headers)
        ) as r:
            return json.load(r)

    time.sleep(1.0)  # readable within a second of the end
    rows = [r for r in get("/v1/calls?limit=100")["data"] if r["carrier_call_id"] in sids]
    turns = [turn for row in rows for turn in get(f"/v1/calls/{row['id']}")["turns"]]
    return [turn for turn in turns if turn["caller_text"]]


def parts(turns: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Each part of the latency over all turns that have it."""
    latencies = [turn.get("latency_ms") or {} for turn in turns]
    return {
        part: summary([float(ms[part]) for ms in latencies if ms.get(part) is not None])
        for part in PARTS
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench offline")
    parser.add_argument("--conversations", type=int, default=2)
    parser.add_argument("--words", action="store_true", help="show what was understood")
    parser.add_argument("--no-keep", action="store_true")
    args = parser.parse_args(argv)
    on, machine, variant = cores(), describe(), VARIANTS["telebot-front-desk"]
    os.sched_setaffinity(0, on[1])
    with running(variant, on[0]) as server:
        target = Target(server.url + variant.webhook, PUBLIC_URL + variant.webhook)
        import uvloop

        samples, audible_ms, sids = uvloop.run(converse(target, args.conversations))
        turns = recorded(server, sids)
    measured = {
        "caller: speech end → first frame": summary(samples.response_ms),
        "caller: speech end → first audible": summary(audible_ms),
        "caller: play-out dry inside a reply": summary(samples.starvation_ms),
        **{f"record: {part}": values for part, values in parts(turns).items()},
    }
    rows = [
        (name, *(str(values.get(k, "–")) for k in ("n", "p50", "p95", "max")))
        for name, values in measured.items()
    ]
    text = report.table(rows, ("what", "turns", "p50 ms", "p95 ms", "max ms"))
    counts = f"counts: {dict(samples.counts)}, failures: {dict(samples.failures)}"
    print(f"{text}\n\n{counts}")
    if args.words:
        for turn in turns:
            heard_ms = (turn.get("latency_ms") or {}).get("heard")
            print(f"> {turn['caller_text']}\n< {turn['bot_text']} ({heard_ms} ms)")
    if not args.no_keep:
        result = {"machine": machine, "measured": measured, "counts": dict(samples.counts)}
        kept = report.keep(
            result, f"{report.machine_lines(machine)}\n\n{text}\n\n{counts}", "offline"
        )
        print(f"\nkept: {kept.name}")
    return 0 if samples.response_ms else 1
