"""The bot's voice against a carrier's buffer: what the caller hears, what is recorded of it."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from fake_carrier import Carrier, Tape, different
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import run

from telebot.audio.g711 import RATE_HZ
from telebot.speech.voice import MARK_PATIENCE_S, UNCONFIRMED_S, Ticker, Voice

pytestmark = pytest.mark.unit

NOISE = bytes(b if b != 0xFF else 0 for b in random.Random(3).randbytes(1 << 19))
LEAD_S = 0.3


@dataclass
class Line:
    voice: Voice
    carrier: Carrier
    tape: Tape
    ticker: Ticker
    ticking: asyncio.Task[None]
    clears: list[int] = field(default_factory=list)

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def settled(self) -> tuple[bytes, bytes]:
        """The caller's ear and the recording, as long as each other, once all is closed."""
        self.voice.close()
        heard = self.carrier.timeline()
        return heard, self.tape.bot_timeline(len(heard))


@asynccontextmanager
async def line(
    piece_ms: int = 100,
    *,
    marks: bool = True,
    lead_s: float = LEAD_S,
    latency_s: float = 0.0,
    paced_ms: int | None = None,
) -> AsyncIterator[Line]:
    """`paced_ms`: a peer that keeps no audio, with this lead."""
    loop = asyncio.get_running_loop()
    carrier, tape = Carrier(marks=marks, latency_s=latency_s), Tape()
    carrier.lead_ms, carrier.echoes_marks = paced_ms, paced_ms is None
    ticker = Ticker(piece_ms / 1000, loop.time)
    voice = Voice(
        carrier,
        ticker,
        loop.time,
        piece_ms=piece_ms,
        lead_ms=round(lead_s * 1000),
        recording=tape,
        stream_time=carrier.stream_time,
    )
    carrier.acknowledged = voice.acknowledged
    ticking = asyncio.create_task(ticker.run())
    try:
        yield Line(voice, carrier, tape, ticker, ticking)
    finally:
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking


sleep = asyncio.sleep  # on the virtual clock


@pytest.mark.parametrize("piece_ms", [20, 100])
def test_all_of_it_is_heard_without_a_gap_and_recorded_where_it_was_heard(piece_ms):
    async def scene() -> None:
        async with line(piece_ms) as phone:
            await sleep(0.5)
            phone.voice.say(NOISE[: 3 * RATE_HZ])
            assert phone.carrier.lead_s > 0, "the first audio leaves at once"
            for _ in range(40):
                assert phone.carrier.lead_s <= LEAD_S + piece_ms / 1000
                await sleep(0.1)
            assert phone.carrier.heard() == NOISE[: 3 * RATE_HZ]
            assert max(phone.carrier.gaps) == 0
            assert not phone.voice.talking
            assert not phone.ticker.talking, "a silent call costs nothing"
            heard, recorded = phone.settled()
            assert different(heard, recorded) == 0

    run(scene())


@pytest.mark.parametrize("piece_ms", [20, 100])
@pytest.mark.parametrize("after_s", [0.05, 0.33, 1.0, 2.51])
def test_a_barge_in_is_silence_at_the_callers_ear_at_once(piece_ms, after_s):
    async def scene() -> None:
        async with line(piece_ms) as phone:
            phone.voice.say(NOISE[: 3 * RATE_HZ])
            await sleep(after_s)
            at = phone.voice.silence()
            assert abs(at - after_s * RATE_HZ) <= 1
            moment = phone.now()
            await sleep(1.0)
            assert phone.carrier.silent_since(moment)
            assert phone.carrier.heard() == NOISE[:at][: len(phone.carrier.heard())]
            assert abs(len(phone.carrier.heard()) - at) <= 1

    run(scene())


def test_going_on_from_a_word_says_it_again_and_loses_nothing():
    async def scene() -> None:
        async with line() as phone:
            phone.voice.say(NOISE[: 3 * RATE_HZ])
            await sleep(1.2)
            at = phone.voice.silence()
            word = at - 2000
            await sleep(0.7)
            phone.voice.resume(word)
            await sleep(3)
            heard = phone.carrier.heard()
            rest = NOISE[word : 3 * RATE_HZ]
            assert heard.endswith(rest)
            assert abs(len(heard) - len(rest) - at) <= 1, "nothing lost, nothing more said twice"
            ear, recorded = phone.settled()
            assert different(ear, recorded) <= 2

    run(scene())


def test_going_on_after_all_was_played_says_it_again_to_its_end():
    async def scene() -> None:
        async with line(20) as phone:
            phone.voice.say(NOISE[:8123])
            await sleep(2)
            at = phone.voice.silence()
            phone.voice.resume(at - 5000)
            await sleep(2)
            assert not phone.voice.talking
            assert phone.carrier.heard() == NOISE[:8123] + NOISE[8123 - 5000 : 8123]

    run(scene())


def test_what_is_said_while_held_waits_and_is_heard_whole():
    async def scene() -> None:
        async with line() as phone:
            phone.voice.say(NOISE[:RATE_HZ])
            await sleep(0.5)
            at = phone.voice.silence()
            phone.voice.say(NOISE[RATE_HZ : 2 * RATE_HZ])
            await sleep(0.5)
            assert abs(len(phone.carrier.heard()) - at) <= 1
            phone.voice.resume(at)
            await sleep(2)
            assert phone.carrier.heard()[-(2 * RATE_HZ - at) :] == NOISE[at : 2 * RATE_HZ]

    run(scene())


@pytest.mark.parametrize("piece_ms", [20, 100])
@pytest.mark.parametrize("left_s", [0.05, 0.25, 0.5, 1.0, 2.0])
def test_what_is_taken_back_is_not_heard_and_what_follows_is(piece_ms, left_s):
    """As far as the carrier does not have it yet; there is no gap."""

    async def scene() -> None:
        async with line(piece_ms) as phone:
            phone.voice.say(NOISE[: 3 * RATE_HZ])
            await sleep(0.5)
            wanted = round((0.5 + left_s) * RATE_HZ)
            until = phone.voice.take_back(wanted)
            assert until >= wanted
            assert until == wanted or until <= (0.5 + LEAD_S + piece_ms / 1000) * RATE_HZ
            phone.voice.say(NOISE[4 * RATE_HZ : 5 * RATE_HZ])
            await sleep(5)
            assert phone.carrier.heard() == NOISE[:until] + NOISE[4 * RATE_HZ : 5 * RATE_HZ]
            assert not phone.voice.talking
            ear, recorded = phone.settled()
            assert different(ear, recorded) <= 2

    run(scene())


def test_a_voice_that_is_held_stays_so_when_something_is_taken_back():
    async def scene() -> None:
        async with line(20) as phone:
            phone.voice.say(NOISE[: 2 * RATE_HZ])
            await sleep(0.5)
            phone.voice.hold()
            assert phone.voice.take_back(RATE_HZ) == RATE_HZ
            assert phone.voice.held
            await sleep(0.5)
            phone.voice.release()
            await sleep(1)
            assert phone.carrier.heard() == NOISE[:RATE_HZ]

    run(scene())


def test_dropped_words_are_never_heard_and_the_next_reply_is():
    async def scene() -> None:
        async with line() as phone:
            done: list[str] = []
            phone.voice.say(NOISE[: 3 * RATE_HZ])
            phone.voice.then(3 * RATE_HZ, lambda: done.append("old"))
            await sleep(1.0)
            at = phone.voice.drop()
            assert phone.voice.queued == at
            assert not phone.voice.talking
            await sleep(0.4)
            start = phone.voice.queued
            phone.voice.say(NOISE[100_000:108_000])
            phone.voice.then(phone.voice.queued, lambda: done.append("new"))
            await sleep(2)
            assert phone.carrier.heard()[-8000:] == NOISE[100_000:108_000]
            assert abs(len(phone.carrier.heard()) - start - 8000) <= 1
            assert done == ["new"]
            ear, recorded = phone.settled()
            assert different(ear, recorded) <= 2

    run(scene())


@pytest.mark.parametrize("piece_ms", [20, 100])
@pytest.mark.parametrize("held_s", [0.02, 0.06, 0.1])
def test_a_hold_shorter_than_the_lead_is_not_heard(piece_ms, held_s):
    async def scene() -> None:
        for phase in range(10):
            async with line(piece_ms) as phone:
                phone.voice.say(NOISE[: 2 * RATE_HZ])
                await sleep(0.6 + phase / 100)
                phone.voice.hold()
                await sleep(held_s)
                phone.voice.release()
                await sleep(3)
                assert max(phone.carrier.gaps) == 0
                assert phone.carrier.heard() == NOISE[: 2 * RATE_HZ]
                assert phone.carrier.clears == []

    run(scene())


def test_a_hold_longer_than_the_lead_loses_nothing():
    async def scene() -> None:
        async with line() as phone:
            phone.voice.say(NOISE[: 2 * RATE_HZ])
            await sleep(0.6)
            phone.voice.hold()
            await sleep(1.0)
            phone.voice.release()
            await sleep(3)
            assert phone.carrier.heard() == NOISE[: 2 * RATE_HZ]
            ear, recorded = phone.settled()
            assert different(ear, recorded) <= 2

    run(scene())


def test_then_runs_when_it_was_heard_and_not_while_the_voice_is_held():
    async def scene() -> None:
        async with line() as phone:
            done: list[float] = []
            phone.voice.say(NOISE[:RATE_HZ])
            began = phone.now()
            phone.voice.then(RATE_HZ, lambda: done.append(phone.now()))
            await sleep(0.9)
            at = phone.voice.silence()
            await sleep(1.0)
            assert done == []
            phone.voice.resume(at)
            await sleep(1.0)
            assert len(done) == 1
            assert done[0] >= began + 2.0 - 0.001, "not before the last sample was played"
            assert done[0] <= began + 2.0 + 0.25

    run(scene())


# marks


def test_marks_from_before_a_clear_are_stale():
    async def scene() -> None:
        async with line(latency_s=0.05) as phone:
            phone.voice.say(NOISE[: 3 * RATE_HZ])
            await sleep(1.5)
            before = set(phone.carrier.names)
            phone.voice.silence()
            for name in before:
                assert not phone.voice.acknowledged(name)
            phone.voice.resume(RATE_HZ)
            await sleep(4)
            after = [name for name in phone.carrier.names if name not in before]
            assert after, "what is said again is marked again"
            assert len(set(phone.carrier.names)) == len(phone.carrier.names)

    run(scene())


def test_junk_marks_are_none_of_ours():
    async def scene() -> None:
        async with line() as phone:
            phone.voice.say(NOISE[:RATE_HZ])
            for name in ("", "0:1", "nonsense", "0:99999999", "-1:160"):
                assert not phone.voice.acknowledged(name)
            assert phone.voice.played() == 0

    run(scene())


def test_the_last_audio_of_a_reply_is_marked():
    async def scene() -> None:
        for size in (150, 800, 2400, 8123):
            async with line() as phone:
                phone.voice.say(NOISE[:size])
                phone.voice.finish()
                await sleep(2)
                assert phone.carrier.names[-1].split(":")[1] == str(size)

    run(scene())


def test_a_carrier_that_plays_later_than_we_think_caps_what_was_played():
    async def scene() -> None:
        async with line() as phone:
            phone.voice.say(NOISE[: 8 * RATE_HZ])
            await sleep(1.2)
            phone.carrier.stalled = True
            await sleep(1.5)
            assert phone.voice.played() > 2 * RATE_HZ, "patience"
            await sleep(MARK_PATIENCE_S + 1.0)
            assert phone.voice.played() <= 3 * RATE_HZ, "no mark came back for over two seconds"

    run(scene())


def test_a_carrier_without_marks_is_believed_by_the_clock():
    async def scene() -> None:
        async with line(marks=False) as phone:
            phone.voice.say(NOISE[: 4 * RATE_HZ])
            await sleep(3.5)
            assert abs(phone.voice.played() - 3.5 * RATE_HZ) <= 1
            began = phone.now()
            await phone.voice.confirmed(5.0)
            assert phone.now() - began == pytest.approx(UNCONFIRMED_S)

    run(scene())


def test_confirmed_waits_for_the_carrier_and_not_for_ever():
    async def scene() -> None:
        async with line(latency_s=0.4) as phone:
            phone.voice.say(NOISE[:RATE_HZ])
            phone.voice.finish()
            await sleep(1.0)
            began = phone.now()
            await phone.voice.confirmed(5.0)
            assert 0.3 <= phone.now() - began <= 0.5
            began = phone.now()
            await phone.voice.confirmed(5.0)
            assert phone.now() == began, "nothing is outstanding"
            phone.carrier.stalled = True
            phone.voice.say(NOISE[:RATE_HZ])
            phone.voice.finish()
            began = phone.now()
            await phone.voice.confirmed(1.5)
            assert phone.now() - began == pytest.approx(1.5)

    run(scene())


def test_confirmed_does_not_wait_for_what_was_cleared():
    async def scene() -> None:
        async with line(latency_s=0.4) as phone:
            phone.voice.say(NOISE[:RATE_HZ])
            await sleep(1.5)
            phone.voice.say(NOISE[:RATE_HZ])
            phone.voice.finish()
            began = phone.now()
            waiting = asyncio.create_task(phone.voice.confirmed(5.0))
            await sleep(0.1)
            phone.voice.drop()
            await waiting
            assert phone.now() - began < 1

    run(scene())


def test_first_sent_and_first_played_are_told_once_for_each_start():
    async def scene() -> None:
        async with line(latency_s=0.03) as phone:
            sent: list[int] = []
            played: list[tuple[int, float]] = []
            phone.voice.on_first_sent = sent.append
            phone.voice.on_first_played = lambda samples: played.append((samples, phone.now()))
            for number in range(3):
                began = phone.now()
                phone.voice.say(NOISE[: 2 * RATE_HZ])
                await sleep(3)
                assert sent == [2 * RATE_HZ * n for n in range(number + 1)]
                samples, at = played[-1]
                assert samples == 800
                assert at - began == pytest.approx(0.1 + 0.03, abs=0.002)
            assert len(played) == 3

    run(scene())


def test_closing_stops_everything_and_records_the_rest():
    async def scene() -> None:
        async with line() as phone:
            done: list[int] = []
            phone.voice.say(NOISE[: 3 * RATE_HZ])
            phone.voice.then(RATE_HZ // 2, lambda: done.append(1))
            await sleep(0.37)
            phone.voice.close()
            phone.voice.close()
            sent = len(phone.carrier.pieces)
            at = phone.carrier.timeline()
            await sleep(2)
            assert len(phone.carrier.pieces) == sent
            assert done == []
            assert different(at, phone.tape.bot_timeline(len(at))) <= 1
            phone.voice.say(NOISE)
            phone.voice.then(0, lambda: done.append(1))
            phone.voice.finish()
            await sleep(1)
            assert len(phone.carrier.pieces) == sent
            assert done == []

    run(scene())


# the ticker


def test_one_voice_that_fails_does_not_silence_the_others():
    async def scene() -> None:
        async with line() as phone:
            broken = Carrier()
            voice = Voice(
                broken,
                phone.ticker,
                phone.now,
                piece_ms=100,
                lead_ms=300,
                recording=None,
                stream_time=broken.stream_time,
            )
            voice.say(NOISE[: 2 * RATE_HZ])

            def fail(_: bytes) -> None:
                raise RuntimeError("a fault of one call")

            broken.send_audio = fail  # type: ignore[method-assign]
            phone.voice.say(NOISE[: 2 * RATE_HZ])
            await sleep(3)
            assert phone.carrier.heard() == NOISE[: 2 * RATE_HZ]
            assert not phone.ticking.done()

    run(scene())


def test_voices_are_spread_over_the_ticks():
    async def scene() -> None:
        async with line(100) as phone:
            carriers = []
            for _ in range(9):
                carrier = Carrier()
                Voice(
                    carrier,
                    phone.ticker,
                    phone.now,
                    piece_ms=100,
                    lead_ms=300,
                    recording=None,
                    stream_time=carrier.stream_time,
                ).say(NOISE[: 4 * RATE_HZ])
                carriers.append(carrier)
            await sleep(1.0)
            sent = [sum(c.pieces) for c in carriers]
            before = list(sent)
            most = 0
            for _ in range(10):
                await sleep(0.02)
                now = [sum(c.pieces) for c in carriers]
                most = max(most, sum(a != b for a, b in zip(before, now, strict=True)))
                before = now
            assert most <= 2, "five ticks share the work of nine calls"

    run(scene())


def test_after_a_stall_of_the_process_the_ticker_does_not_replay_its_ticks():
    async def scene() -> None:
        async with line(20) as phone:
            phone.voice.say(NOISE[: 8 * RATE_HZ])
            await sleep(0.5)
            loop = asyncio.get_running_loop()
            loop.now += 3.0  # type: ignore[attr-defined]  # everything stood still
            await sleep(0.1)
            assert phone.carrier.lead_s <= LEAD_S + 0.02
            await sleep(9)
            assert phone.carrier.heard() == NOISE[: 8 * RATE_HZ]
            heard, recorded = phone.settled()
            assert different(heard, recorded) <= 2

    run(scene())


# anything in any order

acts = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(1, 24_000)),
        st.tuples(st.just("wait"), st.integers(0, 12_000)),
        st.tuples(st.just("cough"), st.integers(0, 6000)),
        st.tuples(st.just("hold"), st.integers(0, 6000)),
        st.tuples(st.just("drop"), st.just(0)),
        st.tuples(st.just("take back"), st.integers(-4000, 12_000)),
        st.tuples(st.just("finish"), st.just(0)),
    ),
    max_size=12,
)


@given(piece_ms=st.sampled_from([20, 60, 100]), latency_s=st.sampled_from([0.0, 0.08]), plot=acts)
@settings(max_examples=60, deadline=None)
def test_the_recording_is_what_the_caller_heard(piece_ms, latency_s, plot):
    async def scene() -> None:
        async with line(piece_ms, latency_s=latency_s) as phone:
            said = cuts = 0
            for name, value in plot:
                if name == "say":
                    phone.voice.say(NOISE[said : said + value])
                    said += value
                elif name == "wait":
                    await sleep(value / RATE_HZ)
                elif name == "cough":
                    back = value if phone.voice.talking else 0
                    at = phone.voice.silence()
                    await sleep(0.3)
                    phone.voice.resume(max(0, at - back))
                    cuts += 1
                elif name == "hold":
                    phone.voice.hold()
                    await sleep(value / RATE_HZ)
                    phone.voice.release()
                    cuts += 1
                elif name == "drop":
                    phone.voice.drop()
                    cuts += 1
                elif name == "take back":
                    phone.voice.take_back(max(0, phone.voice.played() + value))
                    cuts += 1
                else:
                    phone.voice.finish()
            await sleep(said / RATE_HZ + 8)
            assert not phone.voice.talking
            assert phone.ticker.talking == set()
            heard, recorded = phone.settled()
            assert different(heard, recorded) <= 4 * (cuts + len(plot))

    run(scene())


@pytest.mark.parametrize("piece_ms", [20, 100])
def test_a_peer_that_keeps_no_audio_gets_it_in_time_and_our_clock_tells_what_was_played(piece_ms):
    async def scene() -> None:
        async with line(piece_ms, paced_ms=40) as phone:
            first: list[int] = []
            phone.voice.on_first_played = first.append
            phone.voice.say(NOISE[: 2 * RATE_HZ])
            phone.voice.finish()
            for _ in range(20):
                await sleep(0.1)
                ahead_s = phone.carrier.end - phone.now()
                assert ahead_s <= 0.04 + 0.02
            assert set(phone.carrier.pieces) == {160}
            assert max(phone.carrier.gaps) == 0
            assert phone.carrier.names == []  # nobody would answer a mark
            assert first == [160]
            began = phone.now()
            await phone.voice.confirmed(5.0)
            assert phone.now() - began < 1.0
            heard, recorded = phone.settled()
            assert not different(heard, recorded)

    run(scene())


def test_a_peer_that_keeps_no_audio_is_silent_as_soon_as_nothing_is_sent():
    async def scene() -> None:
        async with line(20, paced_ms=40) as phone:
            phone.voice.say(NOISE[: 3 * RATE_HZ])
            await sleep(1.0)
            position = phone.voice.drop()
            sent = sum(phone.carrier.pieces)
            assert sent - position <= 0.06 * RATE_HZ
            await sleep(1.0)
            assert sum(phone.carrier.pieces) == sent

    run(scene())
