"""The play-out clock against a carrier's buffer, over any sequence of what can happen."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telebot.audio.g711 import RATE_HZ
from telebot.speech.playout import KEEP, PlayOut

pytestmark = pytest.mark.unit

NOISE = random.Random(7).randbytes(1 << 20)
PIECES = st.sampled_from([160, 800, 1600])
MS = RATE_HZ // 1000


class Buffer:
    """The carrier's: what was sent and when it is played, in whole samples."""

    def __init__(self, piece: int, lead: int) -> None:
        self.out = PlayOut(piece, lead)
        self.piece, self.lead = piece, lead
        self.said = bytearray()  # everything appended and not dropped
        self.now = 8_000_000  # samples
        self.end = self.now  # the buffer is empty then
        self.sent = 0  # position after the last byte sent
        self.heard_to = 0  # the caller heard everything up to here
        self.lost = 0  # samples skipped between two things heard

    @property
    def clock(self) -> float:
        return self.now / RATE_HZ

    @property
    def true_played(self) -> int:
        return self.sent - max(0, self.end - self.now)

    def append(self, size: int) -> None:
        self.said += NOISE[len(self.said) : len(self.said) + size]
        self.out.append(NOISE[self.out.queued : self.out.queued + size])

    def pump(self) -> None:
        before = self.out.cursor
        self.sent = before
        for piece in self.out.due(self.clock):
            ahead = self.end - self.now
            assert ahead <= self.lead, "sent more than the lead ahead of its play-out"
            assert 0 < len(piece) <= self.piece
            assert piece == NOISE[self.sent : self.sent + len(piece)], "not what was said"
            self.sent += len(piece)
            self.end = max(self.end, self.now) + len(piece)
        assert self.sent == self.out.cursor

    def listen(self) -> None:
        self.heard_to = max(self.heard_to, self.true_played)

    def wait(self, samples: int) -> None:
        self.now += samples
        self.listen()
        assert abs(self.out.played(self.clock) - self.true_played) <= 1

    def cut(self) -> None:
        self.listen()
        at = self.out.cut(self.clock)
        assert abs(at - self.true_played) <= 1, "unsaid from where the caller heard it"
        self.lost += max(0, at - self.true_played)
        self.end = min(self.end, self.now)
        self.sent = at

    def rewind(self, back: int) -> None:
        at = self.out.cursor
        self.out.rewind(at - back)
        assert at - back <= self.out.cursor <= at
        self.sent = self.out.cursor
        assert self.sent == max(at - back, 0) or back > KEEP // 2


ops = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 20_000)),
        st.tuples(st.just("wait"), st.integers(0, 6000)),
        st.tuples(st.just("tick"), st.just(0)),
        st.tuples(st.just("cut"), st.integers(0, 8000)),
        st.tuples(st.just("drop"), st.just(0)),
        st.tuples(st.just("hold"), st.just(0)),
        st.tuples(st.just("release"), st.just(0)),
    ),
    max_size=40,
)


def play(buffer: Buffer, steps: list[tuple[str, int]]) -> None:
    for name, value in steps:
        if name == "append":
            buffer.append(value)
        elif name == "wait":
            buffer.wait(value)
        elif name == "cut":
            buffer.cut()
            buffer.rewind(value)
        elif name == "drop":
            buffer.cut()
            buffer.out.drop()
            assert buffer.out.queued == buffer.out.cursor
        elif name in ("hold", "release"):
            buffer.out.held = name == "hold"
        if not buffer.out.held:
            buffer.pump()
        else:
            assert buffer.out.due(buffer.clock) == []


def finish(buffer: Buffer) -> None:
    """Let everything that is queued be played."""
    buffer.out.held = False
    while not buffer.out.idle(buffer.clock):
        buffer.pump()
        buffer.wait(20 * MS)


@given(piece=PIECES, lead_ms=st.integers(60, 1500), steps=ops)
@settings(max_examples=120, deadline=None)
def test_whatever_happens_the_caller_hears_all_of_it_in_order(piece, lead_ms, steps):
    buffer = Buffer(piece, lead_ms * MS)
    play(buffer, steps)
    finish(buffer)
    assert buffer.sent == buffer.out.queued
    assert buffer.out.queued - buffer.heard_to <= 1
    assert buffer.lost <= sum(name in ("cut", "drop") for name, _ in steps), "one sample a cut"


@pytest.mark.parametrize("lead_ms", [300, 1000, 2000])
def test_a_cut_takes_back_all_that_was_not_heard_however_long_the_lead(lead_ms):
    for ticks in range(60):
        buffer = Buffer(1600, lead_ms * MS)
        buffer.append(20 * RATE_HZ)
        for _ in range(ticks):
            buffer.pump()
            buffer.wait(1500)
        buffer.pump()
        cut = buffer.out.cut(buffer.clock)
        kept = buffer.out.between(cut, buffer.out.queued)
        assert kept == bytes(buffer.said[cut:])


@pytest.mark.parametrize("piece", [160, 800])
def test_pieces_are_whole_but_for_the_tail(piece):
    buffer = Buffer(piece, 300 * MS)
    buffer.append(2 * RATE_HZ + 123)
    sizes, before = [], 0
    while not buffer.out.idle(buffer.clock):
        before = buffer.out.cursor
        buffer.pump()
        sent = buffer.out.cursor - before
        sizes += [piece] * (sent // piece) + ([sent % piece] if sent % piece else [])
        buffer.wait(piece)
    assert sizes[:-1] == [piece] * (len(sizes) - 1)
    assert sum(sizes) == 2 * RATE_HZ + 123
    assert sizes[-1] == (2 * RATE_HZ + 123) % piece


def test_what_trickles_in_is_said_at_once_and_then_gathered():
    """A voice in 20 ms pieces: the first leaves at once, later ones gather to whole pieces."""
    buffer = Buffer(800, 300 * MS)
    buffer.append(160)
    buffer.pump()
    assert buffer.sent == 160
    for _ in range(50):
        buffer.append(160)
        buffer.pump()
    assert buffer.end - buffer.now <= (300 + 100) * MS


def driest(piece_ms: int, late_ms: int, phase_ms: int) -> int:
    """Samples in the carrier's buffer when a tick comes and not all of a reply is sent; below zero
    it ran dry. Every other tick is `late_ms` late."""
    period = piece_ms * MS
    buffer = Buffer(period, 300 * MS)
    buffer.append(RATE_HZ + period // 2)
    buffer.out.complete()
    buffer.pump()
    due, least = buffer.now + phase_ms * MS, buffer.end
    for tick in range(200):
        buffer.wait(due + late_ms * MS * (tick % 2) - buffer.now)
        if buffer.out.cursor < buffer.out.queued:
            least = min(least, buffer.end - buffer.now)
        buffer.pump()
        due += period
    assert buffer.heard_to == buffer.out.queued
    return least


@pytest.mark.parametrize("piece_ms", [20, 100])
def test_a_punctual_ticker_leaves_no_gap(piece_ms):
    assert min(driest(piece_ms, 0, phase) for phase in range(piece_ms)) >= 0


@pytest.mark.parametrize("piece_ms", [20, 100])
def test_a_ticker_that_is_a_little_late_leaves_no_gap_before_the_tail(piece_ms):
    assert min(driest(piece_ms, 10, phase) for phase in range(piece_ms)) >= 0


def test_sent_audio_is_kept_for_saying_a_word_again_but_not_for_ever():
    out = PlayOut(800, 300 * MS)
    now = 0.0
    for _ in range(600):
        out.append(NOISE[:800])
        out.due(now)
        now += 0.1
    assert out.between(out.cursor - KEEP, out.cursor) == (NOISE[:800] * 20)
    assert len(out._content) <= 2 * KEEP + 4000
    out.cut(now)
    out.rewind(0)
    assert out.cursor >= out.queued - 2 * KEEP - 4000


def test_nothing_is_due_while_held_and_all_of_it_after():
    out = PlayOut(160, 300 * MS)
    out.append(NOISE[:1600])
    out.held = True
    assert out.due(5.0) == []
    assert not out.idle(5.0)
    out.held = False
    assert b"".join(out.due(5.0)) == NOISE[:1600]
    assert not out.idle(5.0)
    assert out.idle(5.2)
