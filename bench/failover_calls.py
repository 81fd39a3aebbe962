"""A spoken call of one case of `failover`, and what its caller heard.

The caller asks a question, lets the bot answer, says goodbye and hears that answered; all times are
positions in the call's own audio.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from bench.failover_cases import Case, Stage
from bench.failover_words import RATE_HZ, Clip, Verdict, Voice, judge
from telebot.audio import g711
from telebot.phone import turns
from telebot.phone.destination import Destination
from telebot.phone.exchange import secret_for
from telebot.phone.phone import Phone
from telebot.phone.voices import LocalSpeech as Ears
from telebot.providers.voicing import to_float
from telebot.simulate.brain import plain

QUESTION, FAREWELL = "Where can I park?", "Goodbye."
PAUSE_S = 0.2  # between two words or sentences; more is silence
MOST = 0.93  # of a reply's own length: what was broken off in a pause may be shorter
QUIET_S = 0.5
LONGEST_SILENCE_S = 8.0  # inside a reply: as patient as the links are that go on
RECORD_TIMEOUT_S = 20.0


class Api:
    """What a server's API says of its calls."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"}

    async def get(self, path: str) -> Any:
        async with (
            aiohttp.ClientSession(trust_env=False, headers=self._headers) as session,
            session.get(self._url + path) as answer,
        ):
            answer.raise_for_status()
            return await answer.json()

    async def record(self, call_sid: str) -> dict[str, Any]:
        """The record of a call that is over; {} where there is none in time."""
        for _ in range(round(RECORD_TIMEOUT_S / 0.1)):
            rows = (await self.get("/v1/calls?limit=100"))["data"]
            for row in rows:
                if row["carrier_call_id"] == call_sid and row["state"] == "ended":
                    found: dict[str, Any] = await self.get(f"/v1/calls/{row['id']}")
                    return found
            await asyncio.sleep(0.1)
        return {}

    async def failovers(self, record: Mapping[str, Any]) -> list[str]:
        """Who was given up in a call, and why: ``llm openai stalled``."""
        events = (await self.get(f"/v1/calls/{record['id']}/events"))["data"]
        told = [event["fields"] for event in events if event["name"] == "failover"]
        return [f"{e['kind']} {e['provider'].partition('/')[0]} {e['cause']}" for e in told]


@dataclass(slots=True)
class Heard:
    """One reply. Seconds: from the caller's last speech to the first sound; each silence in it."""

    text: str
    verdict: Verdict
    first_s: float | None = None
    silences_s: list[float] = field(default_factory=list)
    recorded: str = ""  # bot_text_heard
    providers: Mapping[str, str] = field(default_factory=dict)

    @property
    def inside_s(self) -> float:
        return sum(self.silences_s)

    def wrong(self) -> list[str]:
        """What of it is not as it should be."""
        found = []
        if self.first_s is None:
            found.append(f"no answer {self.text!r}")
        elif not self.verdict.good:
            found.append(f"{self.verdict} of {self.text!r}")
        if self.recorded != self.text:
            found.append(f"the record has {self.recorded!r} for {self.text!r}")
        return found


@dataclass(slots=True)
class Outcome:
    """A call: its two replies, and what the server says of it."""

    case: Case
    replies: list[Heard]
    reason: str = ""
    failovers: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def wrong(self) -> list[str]:
        """What of the call is not as it should be; the caller hangs up when all is said."""
        found = [fault for reply in self.replies for fault in reply.wrong()]
        if self.reason != "caller_hangup":
            found.append(f"it ended by {self.reason!r}")
        return [*found, *self.faults]

    def silence_s(self, well: Outcome) -> float | None:
        """The longest that the caller waited in all for and in a reply, detection and endpointing
        included; pauses in which a `well` call is silent too are none. None: no reply."""
        waited = []
        for reply, usual in zip(self.replies, well.replies, strict=True):
            if reply.first_s is None:
                return None
            waited.append(reply.first_s + max(0.0, reply.inside_s - usual.inside_s))
        return max(waited)


class Caller:
    """Makes the calls, several at once, with one voice; those that go wrong are kept as stereo
    files in `recordings`."""

    def __init__(
        self, url: str, key: str, ears: Ears, voice: Voice, recordings: Path | None = None
    ) -> None:
        self._recordings = recordings
        self.api = Api(url, key)
        self._url = url
        self._secret = secret_for(url, "local")
        self._ears = ears
        self._voice = voice

    async def call(self, stage: Stage, agent: str = "") -> Outcome:
        """One call with the case's fault on; `agent` instead of the case's own."""
        stage.sim.faults.on = stage.case.command
        to = Destination(self._url, self._secret, agent=agent or stage.case.name)
        async with Phone(to, self._ears) as phone:
            await phone.listen(quiet_s=QUIET_S)
            texts = [await self._ask(phone, said) for said in (QUESTION, FAREWELL)]
        outcome = Outcome(stage.case, [], faults=list(phone.stream.faults))
        for turn, text in zip(phone.turns[1:], texts, strict=True):
            turns.measure(phone.stream, turn)
            outcome.replies.append(await asyncio.to_thread(_heard, phone, turn, text))
        await self._read(outcome, to.call_sid)
        if self._recordings is not None and outcome.wrong():
            phone.record(self._recordings / f"{stage.case.name}.wav")
        return outcome

    async def first_s(self, stage: Stage, agent: str) -> float | None:
        """The question alone: from its end to the first sound of the answer."""
        stage.sim.faults.on = stage.case.command
        to = Destination(self._url, self._secret, agent=agent)
        async with Phone(to, self._ears) as phone:
            await phone.listen(quiet_s=QUIET_S)
            turn = await phone.speak(QUESTION)
            await phone.line.until(lambda: _first(phone, turn) is not None, 15.0)
            return _first(phone, turn)

    async def _ask(self, phone: Phone, said: str) -> dict[str, Sequence[Clip]]:
        """Say it and let the bot finish; the answer's sentences as they should sound."""
        answer = plain([{"role": "user", "content": said}])
        sentences = [f"{part.strip()}." for part in answer.split(".") if part.strip()]
        clips = {sentence: await self._voice.rests(sentence) for sentence in sentences}
        lasts_s = sum(len(rests[0].samples) for rests in clips.values()) / RATE_HZ
        turn = await phone.speak(said)
        await phone.line.until(lambda: _finished(phone, turn, lasts_s), 25.0)
        return clips

    async def _read(self, outcome: Outcome, call_sid: str) -> None:
        record = await self.api.record(call_sid)
        if not record:
            return
        outcome.reason = record["termination"]["reason"]
        outcome.failovers = await self.api.failovers(record)
        answers = [turn for turn in record["turns"] if turn["caller_text"] is not None]
        for heard, turn in zip(outcome.replies, answers, strict=False):
            heard.recorded = turn["bot_text_heard"]
            heard.providers = turn["providers"]


def _first(phone: Phone, turn: turns.Turn) -> float | None:
    at = turns.first_voice(phone.stream, turn.origin)
    return None if at is None else (at - turn.origin) / RATE_HZ


def _finished(phone: Phone, turn: turns.Turn, lasts_s: float) -> bool:
    if turns.first_voice(phone.stream, turn.origin) is None or phone.stream.playout.buffered:
        return False
    quiet_s = turns.quiet_for(phone.stream) / RATE_HZ
    if quiet_s <= QUIET_S:
        return False
    sent_s = len(phone.stream.playout.sent(turn.origin)) / RATE_HZ
    return sent_s >= MOST * lasts_s or quiet_s > LONGEST_SILENCE_S


def _heard(phone: Phone, turn: turns.Turn, text: Mapping[str, Sequence[Clip]]) -> Heard:
    span = turns.reply_range(turn, phone.stream)
    # a busy machine's hesitations cut no word; they are silences of their own
    audio = to_float(g711.decode(phone.stream.playout.sent(span.start, span.end)))
    heard = Heard(" ".join(text), judge(audio, text))
    voice = [s for s in phone.stream.playout.voice if span.start <= s.start < span.end]
    if voice:
        heard.first_s = (voice[0].start - turn.origin) / RATE_HZ
        gaps = ((b.start - a.end) / RATE_HZ for a, b in itertools.pairwise(voice))
        heard.silences_s = [round(gap, 3) for gap in gaps if gap > PAUSE_S]
    return heard


async def calls(caller: Caller, stages: Sequence[Stage], at_once: int) -> list[Outcome]:
    """A call of each, so many at once, in their order."""
    places = asyncio.Semaphore(at_once)

    async def one(stage: Stage) -> Outcome:
        async with places:
            return await caller.call(stage)

    return list(await asyncio.gather(*(one(stage) for stage in stages)))
