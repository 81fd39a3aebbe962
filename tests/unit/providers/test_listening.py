"""How audio comes to a recogniser: at once while somebody speaks, a few pieces together else."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from pipecat.frames.frames import InputAudioRawFrame, VADUserStartedSpeakingFrame

from telebot.providers.listening import AT_ONCE, WAITING, Feed

pytestmark = pytest.mark.unit


class Recogniser:
    """Takes audio, and the detector's events as a host brings them."""

    sample_rate = 8000

    def __init__(self) -> None:
        self.taken: list[object] = []

    async def process_audio_frame(self, frame: object, _: object) -> None:
        self.taken.append(frame)

    async def feed_through(self, frame: object, _: float) -> None:
        self.taken.append(frame)


def piece() -> InputAudioRawFrame:
    return InputAudioRawFrame(bytes(640), 8000, 1)


async def settled() -> None:
    """Whoever was woken has run."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
async def ears() -> Any:
    recogniser = Recogniser()
    feed = Feed(cast(Any, recogniser), cast(Any, recogniser))
    pump = asyncio.create_task(feed.run())
    await settled()
    yield feed, recogniser.taken
    feed.close()
    await pump


async def test_what_is_said_is_heard_at_once(ears: tuple[Feed, list[object]]) -> None:
    feed, taken = ears
    first = piece()
    assert feed.give(first)
    await settled()
    assert taken == [first]


async def test_silence_comes_in_its_order_a_few_pieces_together(
    ears: tuple[Feed, list[object]],
) -> None:
    feed, taken = ears
    pieces = [piece() for _ in range(AT_ONCE)]
    for one in pieces[:-1]:
        feed.give(one, hurry=False)
        await settled()
        assert taken == []
    feed.give(pieces[-1], hurry=False)
    await settled()
    assert taken == pieces
    assert feed.take_seconds() == pytest.approx(AT_ONCE * 0.04)


async def test_who_begins_to_speak_is_not_kept_waiting_by_silence(
    ears: tuple[Feed, list[object]],
) -> None:
    feed, taken = ears
    quiet, begun = piece(), VADUserStartedSpeakingFrame()
    feed.give(quiet, hurry=False)
    feed.give(begun)
    await settled()
    assert taken == [quiet, begun]


async def test_one_that_takes_nothing_is_told_from_one_that_is_slow() -> None:
    recogniser = Recogniser()
    feed = Feed(cast(Any, recogniser), cast(Any, recogniser))
    assert all(feed.give(piece(), hurry=False) for _ in range(WAITING))
    assert not feed.give(piece(), hurry=False)
    feed.close()
