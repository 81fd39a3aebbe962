"""What lies in a chain's inbox: frames in their order, audio joined, errors raised."""

from __future__ import annotations

import asyncio

import pytest
from pipecat.frames.frames import ErrorFrame, TextFrame, TTSAudioRawFrame

from telebot.providers.chain import Inbox, LinkFailed
from telebot.providers.doorbell import Doorbell

pytestmark = pytest.mark.unit

PIECE = bytes(320)  # 20 ms


def audio(rate_hz=8000):
    return TTSAudioRawFrame(PIECE, rate_hz, 1)


async def test_audio_that_lies_there_comes_joined_and_in_its_place():
    inbox, text = Inbox(), TextFrame("so")
    for frame in (audio(), audio(), text, audio(), audio(16000)):
        await inbox.put(frame)
    assert (await inbox.get(0.0)).audio == 2 * PIECE
    assert await inbox.get(0.0) is text
    assert (await inbox.get(0.0)).sample_rate == 8000
    assert (await inbox.get(0.0)).sample_rate == 16000
    with pytest.raises(TimeoutError):
        await inbox.get(0.0)


async def test_gathering_ends_with_enough_audio_or_anything_else():
    inbox = Inbox()
    gathering = asyncio.create_task(inbox.gather(0.06, 60.0))
    for _ in range(2):
        await inbox.put(audio())
        await asyncio.sleep(0)
        assert not gathering.done()
    await inbox.put(audio())
    await gathering
    assert (await inbox.get(0.0)).audio == 3 * PIECE
    gathering = asyncio.create_task(inbox.gather(0.06, 60.0))
    await asyncio.sleep(0)
    await inbox.put(TextFrame("so"))
    await gathering
    await inbox.gather(0.06, 60.0)  # it lies there still


async def test_gathering_is_over_when_its_time_is_and_keeps_what_came():
    inbox = Inbox()
    await inbox.put(audio())
    await inbox.gather(0.06, 0.0)
    assert (await inbox.get(0.0)).audio == PIECE


async def test_an_error_is_raised_in_its_turn():
    inbox = Inbox()
    await inbox.put(audio())
    await inbox.put(ErrorFrame("lost"))
    await inbox.get(0.0)
    with pytest.raises(LinkFailed):
        await inbox.get(0.0)


async def test_a_doorbell_rings_for_who_waits_and_for_nobody_else():
    bell = Doorbell()
    bell.ring()
    assert not await bell.wait(0.0)
    waiting = asyncio.create_task(bell.wait())
    await asyncio.sleep(0)
    bell.ring()
    bell.ring()
    assert await waiting
