"""A model's reply to a question that was asked before, against simulated vendors."""

from __future__ import annotations

import time

import pytest
from chained import Told
from pipecat.frames.frames import (
    AggregatedTextFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from service_line import running
from simulated import simulated

from telebot.agent_settings import AgentSpeech
from telebot.providers.kept_replies import Reuse
from telebot.speech.chains import Chains, plans
from telebot.speech.impersonal import AgentWords

pytestmark = pytest.mark.peers

GREETING = {"role": "assistant", "content": "Hello there."}
ASKED = "Is there a car park?"


@pytest.fixture
async def vendor(speech):
    async with simulated(speech, ["openai", "anthropic"]) as server:
        yield server


class Desk:
    """Calls to one agent, each with one question, in one process."""

    def __init__(self, vendor, version="1", chains=None, reused=True):
        self.vendor = vendor
        self.chains = chains or Chains(vendor.resources, time.monotonic)
        speech = AgentSpeech(llm=["openai", "anthropic"])
        self.plans = plans("llm", speech, vendor.resources, "")
        words = AgentWords("car park garden")
        self.reuse = Reuse(self.chains.kept_replies, version, 60.0, words) if reused else None

    async def call(self, *asked, before=(GREETING,), interrupted=False):
        """The last reply, and how often a model was asked in all."""
        told, requests = Told(), len(self.vendor.sim.requests)
        context = LLMContext(list(before))
        async with running(self.chains.of(self.plans, told, reuse=self.reuse)) as line:
            for number, text in enumerate(asked):
                context.add_message({"role": "user", "content": text})
                line.sink.frames.clear()
                await line.worker.queue_frame(LLMContextFrame(context))
                if interrupted:
                    await line.sink.wait_for(AggregatedTextFrame)
                    await line.worker.queue_frame(InterruptionFrame())
                    await line.sink.wait_for(InterruptionFrame)
                else:
                    await line.sink.wait_for(LLMFullResponseEndFrame)
                said = [f.text.strip() for f in line.sink.of(AggregatedTextFrame)]
                context.add_message({"role": "assistant", "content": " ".join(said)})
                assert number < 5
        self.told = told
        return " ".join(said), len(self.vendor.sim.requests) - requests


async def test_an_identical_first_question_is_not_asked_again(vendor):
    desk = Desk(vendor)
    first, asked = await desk.call(ASKED)
    assert (asked, bool(desk.told.used)) == (1, True)
    again, asked = await desk.call("um, is there a car park please")
    assert (again, asked) == (first, 0)
    assert desk.told.served == ["openai"]
    assert desk.told.used == [("openai", 0.0, "tokens_out")]


async def test_an_agent_that_does_not_allow_it_asks(vendor):
    desk = Desk(vendor, reused=False)
    await desk.call(ASKED)
    assert (await desk.call(ASKED))[1] == 1
    assert desk.chains.kept_replies.stats().entries == 0


async def test_a_later_question_is_asked(vendor):
    desk = Desk(vendor)
    await desk.call(ASKED)
    assert (await desk.call(ASKED, ASKED))[1] == 1  # the second one
    assert (await desk.call(ASKED, before=()))[1] == 1  # not behind the greeting
    assert desk.chains.kept_replies.stats().entries == 2


async def test_a_changed_agent_asks_anew(vendor):
    desk = Desk(vendor)
    await desk.call(ASKED)
    assert (await Desk(vendor, "2", desk.chains).call(ASKED))[1] == 1


async def test_what_is_the_callers_own_is_never_kept(vendor):
    desk = Desk(vendor)
    for text in ("This is Peter, is there a car park?", "Is there a car park at number 5?"):
        await desk.call(text)
        assert (await desk.call(text))[1] == 1
    assert desk.chains.kept_replies.stats().entries == 0


@pytest.mark.parametrize("fault", ["drop", "stall", "500"])
async def test_a_reply_that_two_models_made_is_not_kept(vendor, fault):
    vendor.fault(f"openai.llm={fault}@end x1")
    desk = Desk(vendor)
    await desk.call("When are you open?")
    assert desk.told.failed
    assert desk.chains.kept_replies.stats().entries == 0


async def test_a_reply_that_was_interrupted_is_not_kept(vendor):
    vendor.fault("openai.llm=stall@end x1")
    desk = Desk(vendor)
    await desk.call("When are you open?", interrupted=True)
    assert desk.chains.kept_replies.stats().entries == 0


async def test_it_is_there_while_its_model_is_out(vendor):
    desk = Desk(vendor)
    first, _ = await desk.call(ASKED)
    vendor.fault("openai.llm=401")
    await desk.call("When are you open?")
    assert await desk.call(ASKED) == (first, 0)
    assert desk.told.served == ["openai"]
