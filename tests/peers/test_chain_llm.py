"""A chain of language models against simulated vendors: whatever fails, the reply is whole."""

from __future__ import annotations

import pytest
from chained import chained
from pipecat.frames.frames import (
    AggregatedTextFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from simulated import simulated

pytestmark = pytest.mark.peers

ASKED = "When are you open?"
WHOLE = (
    "We are open from Tuesday to Sunday, from noon until ten at night. "
    "On Mondays we are closed, and the kitchen rests as well."
)
FAULTS = ("401", "429", "500", "drop", "stall", "silence", "garbage")


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["openai", "anthropic", "groq"]) as server:
        yield server


async def reply(chain, asked=ASKED):
    before = len(chain.line.sink.frames)
    context = LLMContext([{"role": "user", "content": asked}])
    await chain.line.worker.queue_frame(LLMContextFrame(context))
    ends = len(chain.line.sink.of(LLMFullResponseEndFrame))
    await chain.line.sink.wait_for(LLMFullResponseEndFrame, ends + 1)
    new = chain.line.sink.frames[before:]
    said = [frame.text.strip() for frame in new if isinstance(frame, AggregatedTextFrame)]
    return " ".join(said)


async def test_the_first_link_answers_and_its_use_is_told(vendor):
    async with chained(vendor, "llm", ["openai", "anthropic"]) as chain:
        assert await reply(chain) == WHOLE
    assert (chain.told.served, chain.told.failed) == (["openai"], [])
    assert {unit for _, _, unit in chain.told.used} == {"tokens_in", "tokens_out"}


@pytest.mark.parametrize("point", ["connect", "first", "middle", "end"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_the_reply_is_whole_whatever_fails_wherever(vendor, fault, point):
    vendor.fault(f"openai.llm={fault}@{point}")
    async with chained(vendor, "llm", ["openai", "anthropic"], hasty="openai") as chain:
        assert await reply(chain) == WHOLE
    assert [name for name, _ in chain.told.failed] == ["openai"]
    assert chain.told.served[-1] == "anthropic"


async def test_the_next_call_does_not_ask_a_vendor_that_is_out(vendor):
    vendor.fault("openai.llm=401")
    async with chained(vendor, "llm", ["openai", "anthropic"], hasty="openai") as chain:
        await reply(chain)
        chains = chain.chains
    asked = len(vendor.sim.requests)
    async with chained(
        vendor, "llm", ["openai", "anthropic"], chains=chains, hasty="openai"
    ) as chain:
        assert await reply(chain) == WHOLE
    assert chain.told.failed == []
    assert [name for name, _ in vendor.sim.requests[asked:]] == ["anthropic"]


async def test_it_goes_back_to_the_first_once_that_is_well_again(vendor):
    vendor.fault("openai.llm=429")
    async with chained(vendor, "llm", ["openai", "anthropic"], hasty="openai") as chain:
        await reply(chain)
        vendor.fault()
        chain.well_again()
        breaker = next(iter(chain.chains.breakers))
        breaker._until = 0.0  # its time is up
        assert await reply(chain) == WHOLE  # by the second, while the first is tried beside it
        await vendor.until(breaker.closed)
        await reply(chain)
    assert chain.told.served == ["anthropic", "anthropic", "openai"]


async def test_where_nobody_answers_that_is_told_and_the_reply_ends(vendor):
    vendor.fault("*.llm=500")
    async with chained(vendor, "llm", ["openai", "anthropic"], hasty="openai") as chain:
        assert await reply(chain) == ""
    assert chain.told.exhausted == 1


async def test_an_interruption_ends_the_turn_and_the_next_one_is_answered(vendor):
    vendor.fault("openai.llm=stall@end x1")
    async with chained(vendor, "llm", ["openai", "anthropic"]) as chain:
        context = LLMContext([{"role": "user", "content": ASKED}])
        await chain.line.worker.queue_frame(LLMContextFrame(context))
        await chain.line.sink.wait_for(AggregatedTextFrame)
        await chain.line.worker.queue_frame(InterruptionFrame())
        await chain.line.sink.wait_for(InterruptionFrame)
        chain.line.sink.frames.clear()
        assert (await reply(chain, "Is there a car park?")).startswith("There is a free car park")
    assert chain.told.failed == []
