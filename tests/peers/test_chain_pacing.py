"""Chains whose vendors have limits, against simulated vendors: nobody is asked too often, and the
caller does not notice."""

from __future__ import annotations

import asyncio
import time

import pytest
from chained import chained
from pipecat.frames.frames import (
    AggregatedTextFrame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from simulated import simulated

from telebot.providers.chain import LAST_S
from telebot.providers.pacing import TurnedAway
from telebot.settings import VendorLimits
from telebot.speech.chains import PATIENCE, Chains

pytestmark = pytest.mark.peers

ONE_AT_ONCE = {"openai": VendorLimits(concurrent=1), "deepgram": VendorLimits(concurrent=1)}

EACH_ONE = {name: VendorLimits(concurrent=1) for name in ("openai", "anthropic")}


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["openai", "anthropic", "elevenlabs", "deepgram"]) as server:
        yield server


def asked(vendor):
    return [name for name, _ in vendor.sim.requests]


def pace_of(chain):
    return next(iter(chain.chains.pacing))


async def reply(chain):
    ends = len(chain.line.sink.of(LLMFullResponseEndFrame))
    context = LLMContext([{"role": "user", "content": "When are you open?"}])
    await chain.line.worker.queue_frame(LLMContextFrame(context))
    await chain.line.sink.wait_for(LLMFullResponseEndFrame, ends + 1)


async def speak(chain, text):
    ends = len(chain.line.sink.of(LLMFullResponseEndFrame))
    for frame in (LLMFullResponseStartFrame(), LLMTextFrame(text), LLMFullResponseEndFrame()):
        await chain.line.worker.queue_frame(frame)
    await chain.line.sink.wait_for(LLMFullResponseEndFrame, ends + 1)


async def utterance(chain, audio):
    heard = len(chain.line.sink.of(TranscriptionFrame))
    queue = chain.line.worker.queue_frame
    for i in range(0, len(audio), 640):
        if i == 6400:
            await queue(VADUserStartedSpeakingFrame(start_secs=0.128))
        frame = InputAudioRawFrame(audio[i : i + 640], 8000, 1)
        await chain.chain.process_audio_frame(frame, FrameDirection.DOWNSTREAM)
        await asyncio.sleep(0.002)
    await queue(VADUserStoppedSpeakingFrame(stop_secs=0.2))
    await chain.line.sink.wait_for(TranscriptionFrame, heard + 1)


async def test_a_model_without_a_place_is_passed_over_and_not_blamed(vendor):
    async with chained(vendor, "llm", ["openai", "anthropic"], limits=ONE_AT_ONCE) as chain:
        slot = pace_of(chain).slot_now()  # another call's
        await reply(chain)
        assert chain.told.failed == [("openai", "paced")]
        assert asked(vendor) == ["anthropic"]
        slot.release()
        await reply(chain)
        assert all(breaker.closed() for breaker in chain.chains.breakers)
        assert not any(breaker.causes for breaker in chain.chains.breakers)
    assert chain.told.served == ["anthropic", "openai"]
    assert (pace_of(chain).running, pace_of(chain).turned_away) == (0, 1)


async def test_a_place_that_comes_free_in_time_is_taken(vendor):
    async with chained(vendor, "llm", ["openai", "anthropic"], limits=ONE_AT_ONCE) as chain:
        slot = pace_of(chain).slot_now()
        answering = asyncio.create_task(reply(chain))
        await vendor.until(lambda: pace_of(chain).waiting == 1)
        slot.release()
        await answering
    assert (chain.told.served, chain.told.failed) == (["openai"], [])
    assert (pace_of(chain).paced, pace_of(chain).turned_away) == (1, 0)


async def test_the_last_link_is_waited_for_longer_and_the_first_only_as_its_deadline_leaves(vendor):
    async with chained(vendor, "llm", ["openai", "anthropic"], limits=EACH_ONE) as chain:
        paces, waits = list(chain.chains.pacing), {}
        for pace in paces:
            pace.slot_now()

            async def slot(who, wait_s, *_, name=pace.name):
                waits[name] = wait_s
                raise TurnedAway(name)

            pace.slot = slot
        await reply(chain)
    patience = PATIENCE["llm"]
    assert waits["openai"] == pytest.approx(patience.first_s / 2), "its usual answer is not known"
    assert waits["anthropic"] == pytest.approx(patience.first_s / 2 + LAST_S)
    assert chain.told.failed == [("openai", "paced"), ("anthropic", "paced")]
    assert chain.told.exhausted == 1


async def test_an_interruption_gives_the_place_back(vendor):
    vendor.fault("openai.llm=stall@middle x1")
    async with chained(vendor, "llm", ["openai", "anthropic"], limits=ONE_AT_ONCE) as chain:
        context = LLMContext([{"role": "user", "content": "When are you open?"}])
        await chain.line.worker.queue_frame(LLMContextFrame(context))
        await vendor.until(lambda: pace_of(chain).running == 1)
        await chain.line.worker.queue_frame(InterruptionFrame())
        await chain.line.sink.wait_for(InterruptionFrame)
        assert pace_of(chain).running == 0
        await reply(chain)
        assert chain.line.sink.of(AggregatedTextFrame)


async def test_a_voice_says_as_many_characters_as_it_may_in_a_minute(vendor):
    limits = {"elevenlabs": VendorLimits(characters_per_minute=60)}
    first = "There is a free car park behind the building."
    async with chained(vendor, "tts", ["elevenlabs", "openai"], limits=limits) as chain:
        await speak(chain, first)
        await speak(chain, "You reach it by the small lane.")
        used = [(name, unit) for name, _, unit in chain.told.used]
    assert chain.told.served == ["elevenlabs", "openai"]
    assert chain.told.failed == [("elevenlabs", "paced")]
    assert used == [("elevenlabs", "characters"), ("openai", "characters")]
    assert pace_of(chain).running == 0


async def test_a_recogniser_without_a_place_is_gone_back_to_once_there_is_one(vendor, speech):
    said = [clip.pcm16 async for clip in speech.tts.stream("I would like to book a table.")]
    audio = bytes(6400) + b"".join(said) + bytes(3200)
    chains = Chains(vendor.resources, time.monotonic, pacing=ONE_AT_ONCE)
    account = vendor.environ["DEEPGRAM_API_KEY"]
    pace = chains.pacing.of("deepgram", account)
    slot = pace.slot_now()  # another call's
    specs = ["deepgram", "local"]
    async with chained(vendor, "stt", specs, chains=chains, hasty="deepgram") as chain:
        await utterance(chain, audio)
        await utterance(chain, audio)
        assert chain.told.served == ["local", "local"]
        assert chain.told.failed == [("deepgram", "paced")], "said once"
        assert "deepgram" not in asked(vendor), "no stream was opened"
        slot.release()
        chain.well_again()
        await utterance(chain, audio)
        await vendor.until(lambda: pace.running == 1)
        await utterance(chain, audio)
        assert chain.told.served[-1] == "deepgram"
        assert pace.running == 1, "for as long as it listens"
    assert pace.running == 0
    assert all(breaker.closed() for breaker in chains.breakers)
