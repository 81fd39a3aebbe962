"""Callers in noise: they ask, and while the bot answers there is a sound, or they really interrupt.

Each call goes round: ask · let the bot talk for 0.7 s · a sound (two times of three) or an
interruption (the third) · wait until the bot has been silent for two seconds. Unlike those of
`phone_load.py` these callers wait for the bot: what matters here is what it does, not how many it
carries. Started by `noise.py`; prints one report for each scene.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bench.noises import Scene, scenes
from bench.phone_load import PhoneCall, Target, Ticker, call_sid, say
from bench.stats import Samples, summary
from bench.voices import Utterance

INTO_REPLY_S = 0.7
QUIET_S = 2.0  # longer than a bot may wait for the words of a sound before it goes on
AFTER_SOUND_S = 0.6  # a stop this long after the sound is still its doing
PATIENCE_S = 7.0
GROUND_WINDOW_S = 1.6  # how long a sound that never stops is watched in each reply
HELD_S = 0.06  # play-out dry for longer is heard as a hold


@dataclass
class Sounds:
    """What the bot did at the sounds of one scene."""

    outcomes: Counter[str] = field(default_factory=Counter)
    held_ms: list[float] = field(default_factory=list)
    repeated_ms: list[float] = field(default_factory=list)
    """Audio heard twice when a reply went on after a hold; negative: lost."""
    bot_talked_s: float = 0.0


class NoisyCall(PhoneCall):
    """One caller of a scene. `reply_s` is the bot's reply undisturbed, None when not known."""

    def __init__(
        self, target: Target, sid: str, scene: Scene, samples: Samples, *, reply_s: float | None
    ) -> None:
        line, self._takes = scene
        super().__init__(target, sid, line, [], samples)
        self.sounds = Sounds()
        self._rng = random.Random(sid[:10])
        self._line, self._reply_s = line, reply_s
        self._playing: Sequence[bytes] = ()
        self._at = 0
        self._says = False  # what plays is the caller's speech, not a sound
        self._state, self._since_s, self._round = "interrupted", 0.0, 0
        self._window = (0.0, 0.0)
        self._disturbed = self._sound_due = False
        self._bytes_before = 0
        self._held_s = 0.0
        self._heard_s = 0.0

    def payload(self, now_s: float) -> bytes:
        self._since_s = self._since_s or now_s
        if self.meter.playout.playing(now_s):
            self._heard_s = now_s
            self.sounds.bot_talked_s += 0 if self._says else 0.02
        if self._at >= len(self._playing):
            if self._playing:
                self._played(now_s)
            self._next(now_s)
        if self._at < len(self._playing):
            self._at += 1
            return self._playing[self._at - 1]
        return super().payload(now_s)

    def on_media(self, size_bytes: int, payload: str, now_s: float) -> None:
        dry_s = now_s - self.meter.playout.end_s
        self._disturbed = self._disturbed or (self._watching(now_s) and dry_s > HELD_S)
        if self._disturbed and self._sound_due:
            self._held_s += max(0.0, dry_s)
        super().on_media(size_bytes, payload, now_s)

    def on_clear(self, now_s: float) -> list[str]:
        self._disturbed = self._disturbed or self._watching(now_s)
        return super().on_clear(now_s)

    def _watching(self, now_s: float) -> bool:
        return self._window[0] <= now_s <= self._window[1]

    def _next(self, now_s: float) -> None:
        """Begin what is due; nothing plays at the moment."""
        waited_s = now_s - self._since_s
        silent = now_s - self._heard_s > QUIET_S
        answered = self.meter.bot_since_s > self._since_s or waited_s > PATIENCE_S
        if (self._state == "rest" or (self._state == "interrupted" and answered)) and silent:
            self._settle()
            self._bytes_before = self.meter.playout.played_bytes
            self._speak(self._line.utterances, now_s, "asked")
        elif self._state == "asked":
            playing = self.meter.playout.playing(now_s)
            if (
                playing
                and self.meter.bot_since_s > self._since_s
                and now_s - self.meter.bot_since_s > INTO_REPLY_S
            ):
                self._disturb(now_s)
            elif waited_s > PATIENCE_S:
                self._state, self._since_s = "rest", now_s

    def _disturb(self, now_s: float) -> None:
        self._round += 1
        if self._round % 3 == 0:
            self._speak(self._line.interruptions, now_s, "interrupted")
            return
        self._sound_due, self._disturbed, self._held_s = True, False, 0.0
        if self._takes:
            self._playing, self._at = self._rng.choice(self._takes), 0
        sound_s = len(self._playing) / 50 or GROUND_WINDOW_S
        self._window = (now_s, now_s + sound_s + AFTER_SOUND_S)
        self._state, self._since_s = "rest", now_s

    def _speak(self, among: Sequence[Utterance], now_s: float, then: str) -> None:
        self._playing, self._at = self._rng.choice(among).frames, 0
        self._says, self._state, self._since_s = True, then, now_s
        self.meter.onset(now_s)

    def _played(self, now_s: float) -> None:
        if self._says:
            self.meter.speech_end(now_s)
        self._says, self._playing, self._at, self._since_s = False, (), 0, now_s

    def _settle(self) -> None:
        """The round is over: what became of the reply into which the sound fell."""
        if not self._sound_due or not self.samples.measuring:
            return
        self._sound_due = False
        played_s = (self.meter.playout.played_bytes - self._bytes_before) / 8000
        whole = self._reply_s is None or abs(played_s - self._reply_s) < 0.4
        went_on = "resumed" if self._disturbed else "undisturbed"
        self.sounds.outcomes[went_on if whole else "stopped"] += 1
        if whole and self._disturbed:
            self.sounds.held_ms.append(self._held_s * 1000)
            self.sounds.repeated_ms.append((played_s - (self._reply_s or played_s)) * 1000)


def _report(calls: Sequence[NoisyCall]) -> dict[str, Any]:
    """The calls of one scene, which share their samples."""
    samples = calls[0].samples
    outcomes: Counter[str] = sum((c.sounds.outcomes for c in calls), Counter())
    talked_s = sum(c.sounds.bot_talked_s for c in calls)
    return {
        "outcomes": dict(outcomes),
        "bot_talked_s": round(talked_s, 1),
        "clears_per_minute": round(samples.counts["false_stops"] / max(1.0, talked_s) * 60, 2),
        "held_ms": summary([ms for c in calls for ms in c.sounds.held_ms]),
        "repeated_ms": summary([ms for c in calls for ms in c.sounds.repeated_ms]),
        **samples.report(),
    }


async def play(
    target: Target, names: Sequence[str], calls_each: int, seconds: float, reply_s: float | None
) -> dict[str, Any]:
    """Play the named scenes at once, `calls_each` calls each."""
    made, ticker = scenes(), Ticker()
    by_scene: dict[str, list[NoisyCall]] = {}
    for name in names:
        samples = Samples(measuring=True)
        by_scene[name] = [
            NoisyCall(target, call_sid(n), made[name], samples, reply_s=reply_s)
            for n in range(calls_each)
        ]
    ticking = asyncio.create_task(ticker.run())
    async with aiohttp.ClientSession() as http:
        for number, call in enumerate(c for calls in by_scene.values() for c in calls):
            await call.dial(http)
            ticker.add(number, call)
            await asyncio.sleep(0.25)
        await asyncio.sleep(seconds)
        for calls in by_scene.values():
            for call in calls:
                call.hang_up()
        await asyncio.sleep(0.5)
    if ticking.done():
        ticking.result()
    ticking.cancel()
    return {name: _report(calls) for name, calls in by_scene.items()}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench noise-load")
    parser.add_argument("url")
    parser.add_argument("--public-url")
    parser.add_argument("--scene", action="append", help="(repeatable; default: all)")
    parser.add_argument("--calls-each", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--reply-s", type=float, help="length of an undisturbed reply")
    args = parser.parse_args(argv)
    import uvloop

    target = Target(args.url, args.public_url or args.url)
    names = args.scene or list(scenes())
    result = uvloop.run(play(target, names, args.calls_each, args.seconds, args.reply_s))
    say("result", scenes=result)


if __name__ == "__main__":
    main()
