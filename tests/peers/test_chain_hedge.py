"""A slow model and the next one beside it, against simulated vendors."""

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

from telebot.agent_settings import AgentSpeech
from telebot.call.errors import ProviderConfigError
from telebot.speech.chains import plans

pytestmark = pytest.mark.peers

HEDGED = {"service": "openai", "hedge_s": 0.1, "first_s": 3.0}
WHOLE = (
    "We are open from Tuesday to Sunday, from noon until ten at night. "
    "On Mondays we are closed, and the kitchen rests as well."
)


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["openai", "anthropic", "groq"]) as server:
        yield server


async def ask(chain, asked="When are you open?"):
    context = LLMContext([{"role": "user", "content": asked}])
    await chain.line.worker.queue_frame(LLMContextFrame(context))


async def reply(chain, asked="When are you open?"):
    before = len(chain.line.sink.frames)
    ends = len(chain.line.sink.of(LLMFullResponseEndFrame))
    await ask(chain, asked)
    await chain.line.sink.wait_for(LLMFullResponseEndFrame, ends + 1)
    new = chain.line.sink.frames[before:]
    return " ".join(f.text.strip() for f in new if isinstance(f, AggregatedTextFrame))


def asked_of(vendor):
    return [name for name, kind in vendor.sim.requests if kind == "llm"]


async def test_a_slow_first_token_is_not_waited_for_and_costs_nobody_a_failure(vendor):
    vendor.fault("openai.llm=latency:2@first x1")
    async with chained(vendor, "llm", [HEDGED, "anthropic"]) as chain:
        assert await reply(chain) == WHOLE
        assert (chain.told.served, chain.told.failed) == (["anthropic"], [])
        assert asked_of(vendor) == ["openai", "anthropic"]
        # what was asked in vain says nothing into the next turn
        vendor.fault()
        assert (await reply(chain, "Is there a car park?")).startswith("There is a free car park")
        assert chain.told.failed == []
        assert all(breaker.closed() for breaker in chain.chains.breakers)


async def test_one_that_never_speaks_is_charged_by_its_own_deadline_alone(vendor):
    vendor.fault("openai.llm=stall@first", "anthropic.llm=latency:0.6@first")
    first = {**HEDGED, "first_s": 0.3}
    second = {"service": "anthropic", "first_s": 3.0}
    async with chained(vendor, "llm", [first, second]) as chain:
        assert await reply(chain) == WHOLE
    assert chain.told.failed == [("openai", "slow_first")]
    assert chain.told.served == ["anthropic"]


async def test_where_both_fail_the_third_is_asked(vendor):
    vendor.fault("openai.llm=stall@first", "anthropic.llm=500")
    async with chained(vendor, "llm", [{**HEDGED, "first_s": 0.6}, "anthropic", "groq"]) as chain:
        assert await reply(chain) == WHOLE
    assert sorted(name for name, _ in chain.told.failed) == ["anthropic", "openai"]
    assert chain.told.served == ["groq"]


async def test_the_taken_one_may_fail_later_and_the_slow_one_goes_on(vendor):
    vendor.fault("openai.llm=latency:2@first x1", "anthropic.llm=drop@end")
    async with chained(vendor, "llm", [HEDGED, "anthropic"]) as chain:
        assert await reply(chain) == WHOLE
    assert [name for name, _ in chain.told.failed] == ["anthropic"]
    assert chain.told.served == ["anthropic", "openai"]


async def test_an_interruption_hushes_both_and_the_next_turn_is_answered(vendor):
    vendor.fault("openai.llm=stall@first x1", "anthropic.llm=stall@first x1")
    slow = {"service": "anthropic", "first_s": 3.0}
    async with chained(vendor, "llm", [HEDGED, slow]) as chain:
        await ask(chain)
        await vendor.until(lambda: asked_of(vendor) == ["openai", "anthropic"])
        await chain.line.worker.queue_frame(InterruptionFrame())
        await chain.line.sink.wait_for(InterruptionFrame)
        chain.line.sink.frames.clear()
        assert (await reply(chain, "Is there a car park?")).startswith("There is a free car park")
    assert chain.told.failed == []


@pytest.mark.parametrize("value", [True, "soon", -1, 61])
def test_its_time_is_checked_at_the_start(vendor, value):
    with pytest.raises(ProviderConfigError, match="hedge_s"):
        plans("llm", AgentSpeech(llm={**HEDGED, "hedge_s": value}), vendor.resources, "")


def test_only_models_have_it(vendor):
    with pytest.raises(ProviderConfigError, match="language model"):
        plans("tts", AgentSpeech(tts={"service": "openai", "hedge_s": 1}), vendor.resources, "")
