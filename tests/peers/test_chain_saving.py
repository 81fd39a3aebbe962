"""Chains that are told to save, against simulated vendors: the cheaper link goes first."""

from __future__ import annotations

import asyncio

import pytest
from chained import chained
from pipecat.frames.frames import (
    InputAudioRawFrame,
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

from telebot.speech.budget import Budget, Prices

pytestmark = pytest.mark.peers


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["openai", "anthropic", "groq", "deepgram"]) as server:
        yield server


class Payer:
    def __init__(self) -> None:
        self.happened = []

    def note_event(self, name, **fields):
        self.happened.append(fields["level"])

    def budget_spent(self):
        self.happened.append("over")


def budget_of(chain, vendor, limit):
    """A budget at the catalogue's prices, fed by the chain's own use."""
    loop = asyncio.get_running_loop()
    prices = Prices(vendor.resources.catalogue.price, "USD")
    budget = Budget(limit, prices, carrier="local", clock=loop.time, later=loop.call_later)
    budget.watch([chain.chain])
    payer, told = Payer(), chain.told.link_used

    def used(kind, name, quantity, unit):
        told(kind, name, quantity, unit)
        budget.used(kind, name, quantity, unit)

    chain.told.link_used = used
    budget.begin(payer)
    return budget, payer


async def reply(chain):
    ends = len(chain.line.sink.of(LLMFullResponseEndFrame))
    context = LLMContext([{"role": "user", "content": "When are you open?"}])
    await chain.line.worker.queue_frame(LLMContextFrame(context))
    await chain.line.sink.wait_for(LLMFullResponseEndFrame, ends + 1)


async def test_the_cheapest_model_answers_once_four_fifths_are_spent(vendor):
    specs = ["groq", "anthropic"]
    async with chained(vendor, "llm", specs) as chain:
        budget, payer = budget_of(chain, vendor, 1.0)
        await reply(chain)
        assert budget.spent > 0
        prices = Prices(vendor.resources.catalogue.price, "USD")
        names = [port.link.name for port in chain.chain._ports]
        each = prices.of("llm", names[0], 1, "tokens_in")
        budget.used("llm", names[0], 0.85 / each, "tokens_in")
        assert payer.happened == ["low"]
        await reply(chain)
        cheapest = min(names, key=lambda name: prices.of_minute("llm", name))
        assert cheapest != names[0]
    assert chain.told.served == ["groq", cheapest.partition("/")[0]]
    assert chain.told.failed == []


async def test_a_cheaper_link_that_is_out_is_passed_over(vendor):
    vendor.fault("groq.llm=500")
    async with chained(vendor, "llm", ["anthropic", "groq"]) as chain:
        chain.chain.save(lambda name: 0.0 if name.startswith("groq") else 1.0)
        await reply(chain)
    assert chain.told.served == ["anthropic"]
    assert [name for name, _ in chain.told.failed] == ["groq"]


async def test_the_next_sentence_is_said_by_the_voice_that_costs_nothing(vendor):
    prices = Prices(vendor.resources.catalogue.price, "USD")
    async with chained(vendor, "tts", ["openai", "local"]) as chain:
        for said in (1, 2):
            for frame in (
                LLMFullResponseStartFrame(),
                LLMTextFrame("We are open today."),
                LLMFullResponseEndFrame(),
            ):
                await chain.line.worker.queue_frame(frame)
            await chain.line.sink.wait_for(LLMFullResponseEndFrame, said)
            chain.chain.save(lambda name: prices.of_minute("tts", name))
    assert chain.told.served == ["openai", "local"]


async def test_the_recogniser_changes_between_two_utterances(vendor, speech):
    said = [clip.pcm16 async for clip in speech.tts.stream("I would like to book a table.")]
    audio = bytes(6400) + b"".join(said) + bytes(3200)
    prices = Prices(vendor.resources.catalogue.price, "USD")

    async def utterance(chain, save_at=None):
        heard = len(chain.line.sink.of(TranscriptionFrame))
        queue = chain.line.worker.queue_frame
        for i in range(0, len(audio), 640):
            if i == 6400:
                await queue(VADUserStartedSpeakingFrame(start_secs=0.128))
            if i == save_at:
                chain.chain.save(lambda name: prices.of_minute("stt", name))
            frame = InputAudioRawFrame(audio[i : i + 640], 8000, 1)
            await chain.chain.process_audio_frame(frame, FrameDirection.DOWNSTREAM)
            await asyncio.sleep(0.002)
        await queue(VADUserStoppedSpeakingFrame(stop_secs=0.2))
        await chain.line.sink.wait_for(TranscriptionFrame, heard + 1)

    async with chained(vendor, "stt", ["deepgram", "local"]) as chain:
        await utterance(chain, save_at=12800)
        assert chain.told.served == ["deepgram"], "not in the middle of one"
        await vendor.until(lambda: chain.chain._active.link.name == "local")
        await utterance(chain)
    assert chain.told.served == ["deepgram", "local"]
    assert chain.told.failed == []
