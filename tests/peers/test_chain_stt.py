"""A chain of recognisers against simulated vendors: whatever fails, what was said is understood."""

from __future__ import annotations

import asyncio
import re

import pytest
from chained import chained
from pipecat.frames.frames import (
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from simulated import simulated

from telebot.providers.frames import EmptyTranscriptFrame

pytestmark = pytest.mark.peers

SAID = "I would like to book a table for four on Friday."
PIECE = 640  # 40 ms
FAULTS = ("401", "429", "500", "drop", "stall", "silence", "garbage")


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["azure", "deepgram", "openai", "soniox"]) as server:
        yield server


@pytest.fixture(scope="module")
def spoken(speech):
    """What a caller says, with a little silence around it (int16 8 kHz)."""

    async def made():
        return b"".join([clip.pcm16 async for clip in speech.tts.stream(SAID)])

    return bytes(6400) + asyncio.run(made()) + bytes(3200)


def plain(text):
    return re.sub(r"[^a-z ]", "", text.lower()).split()


async def caller(chain, audio, *, pace_s=0.004):
    """Speak, as the phone hands it on; the detector's words come where it would say them."""
    queue = chain.line.worker.queue_frame
    for i in range(0, len(audio), PIECE):
        if i == 10 * PIECE:
            await queue(VADUserStartedSpeakingFrame(start_secs=0.128))
        frame = InputAudioRawFrame(audio[i : i + PIECE], 8000, 1)
        await chain.chain.process_audio_frame(frame, FrameDirection.DOWNSTREAM)
        await asyncio.sleep(pace_s)
    await queue(VADUserStoppedSpeakingFrame(stop_secs=0.2))


async def understood(chain, audio):
    before = len(chain.line.sink.of(TranscriptionFrame))
    await caller(chain, audio)
    texts = await chain.line.sink.wait_for(TranscriptionFrame, before + 1)
    return plain(texts[-1].text)


@pytest.mark.parametrize("name", ["deepgram", "openai", "openai-whisper", "soniox"])
async def test_an_utterance_is_one_text(vendor, spoken, name):
    async with chained(vendor, "stt", [name, "local"]) as chain:
        assert await understood(chain, spoken) == plain(SAID)
        assert await understood(chain, spoken) == plain(SAID)
    assert chain.told.failed == []
    assert set(chain.told.served) == {name}
    assert sum(n for _, n, unit in chain.told.used if unit == "s") > 4


@pytest.mark.parametrize("point", ["connect", "first", "middle", "end"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_what_was_said_is_understood_whatever_fails_wherever(vendor, spoken, fault, point):
    vendor.fault(f"deepgram.stt={fault}@{point}")
    async with chained(vendor, "stt", ["deepgram", "local"], hasty="deepgram") as chain:
        assert await understood(chain, spoken) == plain(SAID)
        await asyncio.sleep(0.05)
        assert len(chain.line.sink.of(TranscriptionFrame)) == 1
    assert chain.told.served == ["local"]
    assert {name for name, _ in chain.told.failed} == {"deepgram"}


async def test_a_sound_without_words_is_no_fault(vendor, speech):
    noise = bytes(6400) + b"\x10\x20\xf0\xdf" * 1600 + bytes(6400)
    async with chained(vendor, "stt", ["deepgram", "local"]) as chain:
        await caller(chain, noise)
        await chain.line.sink.wait_for(EmptyTranscriptFrame)
    assert chain.told.failed == []


async def test_a_vendor_that_lost_the_line_is_used_again_once_it_is_well(vendor, spoken):
    vendor.fault("deepgram.stt=drop@middle x1")
    async with chained(vendor, "stt", ["deepgram", "local"], hasty="deepgram") as chain:
        assert await understood(chain, spoken) == plain(SAID)
        chain.well_again()
        breaker = next(iter(chain.chains.breakers))
        breaker._until = 0.0  # its time is up
        assert await understood(chain, spoken) == plain(SAID)
        await vendor.until(breaker.closed)
        await vendor.until(lambda: chain.chain._active.link.name.startswith("deepgram"))
        assert await understood(chain, spoken) == plain(SAID)
    assert chain.told.served == ["local", "local", "deepgram"]


async def test_where_nobody_hears_that_is_told(vendor, spoken):
    vendor.fault("*.stt=500")
    async with chained(vendor, "stt", ["deepgram", "soniox"], hasty="deepgram") as chain:
        await caller(chain, spoken)
        assert (await chain.line.sink.wait_for(EmptyTranscriptFrame))[0].failed
    assert chain.told.exhausted >= 1


@pytest.mark.parametrize("others", [["local"], []])
async def test_no_words_for_clear_speech_is_a_fault_where_another_one_hears_them(
    vendor, spoken, others
):
    """A recogniser that answers with nothing, in good order."""
    vendor.fault("azure.stt=silence@middle")
    async with chained(vendor, "stt", ["azure", *others]) as chain:
        if others:
            assert await understood(chain, spoken) == plain(SAID)
            assert chain.told.served == ["local"]
        else:
            await caller(chain, spoken)
            await chain.line.sink.wait_for(EmptyTranscriptFrame)
